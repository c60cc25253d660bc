"""The WaveNet network (sections 2.1 to 2.5).

Shapes: B batch, T samples, R receptive field, C residual channels, S skip channels, G length of the global condition,
Y channels of the local condition, P parameters of the distribution of one sample. Channels come last: every convolution
is then a matrix product over contiguous rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.config.errors import ConfigError
from reprise.models.wavenet.heads import Head

Unit = Literal["gated", "relu"]
Padding = Literal["silence", "zeros"]


class CausalConv(nn.Module):
    """A dilated causal convolution without padding: (x * w)[t] = sum_j w[j] x[t - d j].

    Args:
        c_in: channels, or codes where `codes`.
        c_out: channels.
        kernel: taps k.
        dilation: d.
        bias: whether there is one.
        codes: the input is int64 codes that stand for one-hot vectors.
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: int, dilation: int = 1, bias: bool = True, codes: bool = False
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.dilation = dilation
        self.codes = codes
        self.weight = nn.Parameter(torch.empty(kernel, c_out, c_in))  # tap j looks d j back
        bound = (6.0 / (kernel * (c_in + c_out))) ** 0.5  # Xavier over all taps
        nn.init.uniform_(self.weight, -bound, bound)
        self.bias = nn.Parameter(torch.zeros(c_out)) if bias else None

    @property
    def reach(self) -> int:
        """(k - 1) d, by which the output is shorter than the input."""
        return (self.kernel - 1) * self.dilation

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, c_in), or codes (B, T), to (B, T - reach, c_out)."""
        length = x.shape[1] - self.reach
        parts = [x[:, self.reach - j * self.dilation :][:, :length] for j in range(self.kernel)]
        if self.codes:
            # rows of a table instead of products with one-hot vectors
            out = sum((F.embedding(part, w.T) for part, w in zip(parts, self.weight, strict=True)), torch.zeros(()))
            return out if self.bias is None else out + self.bias
        return F.linear(torch.cat(parts, -1), self.weight.transpose(0, 1).flatten(1), self.bias)


class Layer(nn.Module):
    """One layer: unit, residual and skip (Figure 4).

    Args:
        residual, skip: channels C and S.
        kernel, dilation: of the convolution.
        unit: gated, tanh(.) sigmoid(.); or relu, which the paper compares with.
        global_channels, local_channels: G and Y; 0 for no such condition.
        bias: of all convolutions.
        residual_output: whether anything comes after; the last layer has the skip only.
    """

    def __init__(
        self,
        residual: int,
        skip: int,
        kernel: int,
        dilation: int,
        unit: Unit,
        global_channels: int,
        local_channels: int,
        bias: bool,
        residual_output: bool,
    ) -> None:
        super().__init__()
        self.unit: Unit = unit
        width = 2 * residual if unit == "gated" else residual
        self.conv = CausalConv(residual, width, kernel, dilation, bias)  # W_f above W_g
        self.global_condition = nn.Linear(global_channels, width, bias=False) if global_channels else None  # V^T h
        self.local_condition = nn.Linear(local_channels, width, bias=False) if local_channels else None  # V * y
        self.residual = nn.Linear(residual, residual, bias=bias) if residual_output else None  # A_k
        self.skip = nn.Linear(residual, skip, bias=bias)  # B_k
        for linear in (self.global_condition, self.local_condition, self.residual, self.skip):
            if linear is not None:
                nn.init.xavier_uniform_(linear.weight)
                if linear.bias is not None:
                    nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, h: Tensor | None, y: Tensor | None) -> Tensor:
        """Give z = tanh(W_f * x + ...) sigmoid(W_g * x + ...).

        Args:
            x: (B, T, C).
            h: (B, G).
            y: (B, T - reach, Y).

        Returns:
            (B, T - reach, C).
        """
        a = self.conv(x)
        if self.global_condition is not None and h is not None:
            a = a + self.global_condition(h)[:, None]
        if self.local_condition is not None and y is not None:
            a = a + self.local_condition(y)
        if self.unit == "relu":
            return F.relu(a)
        f, g = a.chunk(2, -1)
        return torch.tanh(f) * torch.sigmoid(g)


class WaveNetNetwork(nn.Module):
    """A stack of dilated causal convolutions with residual and skip connections.

    The paper prints no layer count, kernel or width. Where audio begins there is nothing to look back at: by `silence`
    the past is silence, which the network sees as it sees any samples; by `zeros` every layer's input is zero there.

    Args:
        head: the distribution of the next sample.
        dilations: of the layers of one block, e.g. 1, 2, ..., 512.
        blocks: how often they are repeated.
        residual, skip: channels C and S.
        kernel: taps of the dilated convolutions.
        first_kernel: taps of the first, causal convolution.
        unit: of all layers.
        padding: what is seen before audio begins.
        bias: of all convolutions.
        global_channels: G, length of the global condition h; 0 for none.
        local_channels: Y, channels of the local condition y; 0 for none.
        skips: sum the skips of all layers; otherwise the last layer alone is read, as in a plain stack.

    Raises:
        ConfigError: a number is out of range or a word is unknown.
    """

    def __init__(
        self,
        head: Head,
        dilations: Sequence[int],
        blocks: int = 1,
        residual: int = 32,
        skip: int = 256,
        kernel: int = 2,
        first_kernel: int = 2,
        unit: Unit = "gated",
        padding: Padding = "silence",
        bias: bool = True,
        global_channels: int = 0,
        local_channels: int = 0,
        skips: bool = True,
    ) -> None:
        super().__init__()
        numbers = {"blocks": blocks, "residual": residual, "skip": skip, "kernel": kernel, "first_kernel": first_kernel}
        for name, value in numbers.items():
            if value < 1:
                raise ConfigError(f"model.network.{name} is {value}. Expected 1 or more.")
        if not dilations or min(dilations) < 1:
            raise ConfigError(f"model.network.dilations is {list(dilations)}. Expected whole numbers of 1 or more.")
        for word, given, allowed in (("unit", unit, get_args(Unit)), ("padding", padding, get_args(Padding))):
            if given not in allowed:
                raise ConfigError(f"model.network.{word} is {given!r}. Expected one of {', '.join(allowed)}.")
        if global_channels < 0 or local_channels < 0:
            raise ConfigError("model.network.global_channels and local_channels have to be 0 or more.")
        self.head = head
        self.padding: Padding = padding
        self.global_channels = global_channels
        self.local_channels = local_channels
        self.skips = skips
        self.first = CausalConv(head.classes or 1, residual, first_kernel, bias=bias, codes=bool(head.classes))
        every = list(dilations) * blocks
        self.layers = nn.ModuleList(
            Layer(residual, skip, kernel, d, unit, global_channels, local_channels, bias, i < len(every) - 1)
            for i, d in enumerate(every)
        )
        self.post = nn.Linear(skip, skip, bias=bias)
        self.out = nn.Linear(skip, head.channels, bias=bias)
        for linear in (self.post, self.out):
            nn.init.xavier_uniform_(linear.weight)
            if bias:
                nn.init.zeros_(linear.bias)

    @property
    def receptive_field(self) -> int:
        """R = 1 + sum (k - 1) d: samples that the distribution of the next one depends on."""
        reach: int = self.first.reach + sum(layer.conv.reach for layer in self.layers)  # type: ignore[union-attr,misc]
        return 1 + reach

    def forward(
        self, previous: Tensor, h: Tensor | None = None, y: Tensor | None = None, exists: Tensor | None = None
    ) -> Tensor:
        """Distributions of T samples, each from the R samples before it.

        Args:
            previous: (B, R - 1 + T), as the head gives it; column R - 1 + t is the sample before the t-th predicted.
            h: global condition (B, G).
            y: local condition (B, R - 1 + T, Y); column R - 1 + t is that of the t-th predicted sample.
            exists: (B, R - 1 + T), False before audio begins; None where it always has. `padding=silence` ignores it.

        Returns:
            parameters (B, T, P).

        Raises:
            ValueError: shapes or conditions do not fit.
        """
        return self.out(F.relu(self.post(F.relu(self.features(previous, h, y, exists)))))  # type: ignore[no-any-return]

    def features(
        self, previous: Tensor, h: Tensor | None = None, y: Tensor | None = None, exists: Tensor | None = None
    ) -> Tensor:
        """What the layers after the stack read: the sum of the skips, or the last layer's. See `forward`.

        Returns:
            (B, T, S), before any ReLU.

        Raises:
            ValueError: shapes or conditions do not fit.
        """
        self._check(previous, h, y)
        total = previous.shape[1] - self.receptive_field + 1
        x = self.first(previous if self.head.classes else previous[..., None])
        zero = exists is not None and self.padding == "zeros"
        kept: Tensor | None = None
        for layer in self.layers:
            if zero and exists is not None:
                x = x * exists[:, -x.shape[1] :, None]
            reach: int = layer.conv.reach  # type: ignore[union-attr,assignment]
            z = layer(x, h, None if y is None else y[:, -(x.shape[1] - reach) :])
            part: Tensor = layer.skip(z[:, -total:])  # type: ignore[operator]
            kept = part if kept is None or not self.skips else kept + part
            if layer.residual is not None:
                x = x[:, reach:] + layer.residual(z)  # type: ignore[operator]
        assert kept is not None
        return kept

    def log_prob(
        self, audio: Tensor, h: Tensor | None = None, y: Tensor | None = None, exists: Tensor | None = None
    ) -> Tensor:
        """Log probability of the last T of R + T samples, in nats a sample.

        Args:
            audio: (B, R + T) in [-1, 1]; the first R are context.
            h: (B, G).
            y: (B, R + T, Y), each sample's own.
            exists: (B, R + T), False before audio begins.

        Returns:
            (B, T).
        """
        inputs = self.head.inputs(audio)
        parameters = self(
            inputs[:, :-1], h, None if y is None else y[:, 1:], None if exists is None else exists[:, :-1]
        )
        return self.head.log_prob(parameters, inputs[:, self.receptive_field :])

    def _check(self, previous: Tensor, h: Tensor | None, y: Tensor | None) -> None:
        if previous.shape[1] < self.receptive_field:
            raise ValueError(
                f"{previous.shape[1]} samples of the past are fewer than the receptive field, {self.receptive_field}"
            )
        if (h is None) != (self.global_channels == 0) or (h is not None and h.shape[-1] != self.global_channels):
            given = "none" if h is None else tuple(h.shape)
            raise ValueError(f"expected a global condition of {self.global_channels} numbers; received {given}")
        fits = y is not None and y.shape[:2] == previous.shape[:2] and y.shape[2] == self.local_channels
        if (y is None) != (self.local_channels == 0) or (y is not None and not fits):
            given = "none" if y is None else tuple(y.shape)
            raise ValueError(
                f"expected local conditions {(*previous.shape[:2], self.local_channels)}; received {given}"
            )
