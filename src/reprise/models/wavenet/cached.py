"""Sampling with cached activations (Le Paine et al. 2016, Fast WaveNet): every layer remembers (k-1) d of its inputs.

A sample then costs one column of each layer instead of a receptive field of columns. All layers' remembered inputs are
read, and multiplied with their taps, before the first layer is computed: what remains in sequence is the newest tap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from reprise.config.errors import RunError
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.models.wavenet.past import Past, stack_of
from reprise.models.wavenet.terms import Terms
from reprise.nn.cuda_graph import RecordedCall


class Sampler(Protocol):
    """What draws the samples of a batch, one chunk after the other.

    Attributes:
        terms: the condition matrices in the layout that it wants.
    """

    terms: Terms

    def begin(self, past: Past, temperature: float, counts: Sequence[int]) -> None:
        """Set the memory of the layers.

        Args:
            past: of the batch.
            temperature: see `Head.draw`.
            counts: samples that will be wanted of each utterance; what is drawn after them is of no use.
        """

    def draw(self, rows: Tensor, index: Tensor, uniform: Tensor) -> Tensor:
        """Draw the next n samples.

        Args:
            rows: (B, rows, L W), see `Conditions.rows`.
            index: (B, n), the row of each sample.
            uniform: (B, n, U), float64.

        Returns:
            (B, n), as they enter the network.

        Raises:
            RunError: a distribution is not finite.
        """


def check_finite(finite: bool) -> None:
    """Refuse to draw on from distributions that are none.

    Raises:
        RunError: they are not finite.
    """
    if not finite:
        raise RunError(
            "the network's distribution of a sample is not finite: numbers grew too large on the way to it. Take "
            "another checkpoint, or features in the range of those that were trained on."
        )


class CachedSampler:
    """The sampler in torch, for any device and type of numbers; on a GPU a step is recorded as a graph.

    Args:
        network: the model; its weights are copied.
    """

    @torch.no_grad()
    def __init__(self, network: WaveNetNetwork) -> None:
        layers = stack_of(network)
        self.head = network.head
        self.terms = Terms.of(network)
        self.gated = layers[0].unit == "gated"
        self.kernel = layers[0].conv.kernel
        first = network.first.weight.transpose(1, 2)  # (k1, codes or 1, C)
        self.device = first.device
        self.table = first.flatten(0, 1).clone()
        self.first_bias = first.new_zeros(first.shape[-1]) if network.first.bias is None else network.first.bias.clone()
        self.offsets = torch.arange(network.first.kernel, device=first.device) * network.head.classes
        # taps k-1 ... 1 of all layers, (L, (k-1) C, W), and tap 0, (L, C, W)
        taps = torch.stack([layer.conv.weight for layer in layers]).transpose(2, 3)
        self.before = taps[:, 1:].flip(1).flatten(1, 2)
        self.now = list(taps[:, 0].contiguous())
        self.residual = [
            (m.weight.t().contiguous(), None if m.bias is None else m.bias.clone())
            for layer in layers
            if (m := layer.residual) is not None
        ]
        kept = layers if network.skips else layers[-1:]
        self.skip = torch.cat([layer.skip.weight.t() for layer in kept])
        none = first.new_zeros(self.skip.shape[1])
        self.skip_bias = sum((m.bias for layer in kept if (m := layer.skip).bias is not None), none)
        self.post, self.out = network.post, network.out
        # where the taps of all layers lie in one room of queues
        reaches = [layer.conv.reach for layer in layers]
        steps = [[(k - 1 - j) * layer.conv.dilation for j in range(k - 1)] for layer in layers for k in [self.kernel]]
        self.room = sum(reaches)
        at = torch.tensor(reaches, device=first.device)
        self.reach = at
        self.start = at.cumsum(0) - at
        self.tap = torch.tensor(steps, device=first.device, dtype=torch.long).view(len(layers), -1)

    def begin(self, past: Past, temperature: float, counts: Sequence[int]) -> None:
        """See `Sampler.begin`."""
        batch, channels = len(past.recent), self.table.shape[1]
        self.queue = torch.cat([q.transpose(0, 1) for q in past.queues]).contiguous()  # (room, B, C)
        self.temperature = temperature
        self.previous = past.recent[:, 0]
        self.recent = past.recent.roll(-1, 1)  # without the newest, which the first step brings
        self.exists: Tensor | None = None if bool(past.exists.all()) else past.exists
        self.time = torch.zeros((), dtype=torch.long, device=self.device)
        self.z = self.table.new_zeros(batch, len(self.now), channels)
        self.inputs = self.table.new_zeros(len(self.now), batch, channels)
        self.finite = torch.ones((), dtype=torch.bool, device=self.device)  # whether all distributions were
        self.call = RecordedCall(self._next, self.device)

    def step(self, previous: Tensor, bias: Tensor) -> Tensor:
        """Take one sample and predict the next.

        Args:
            previous: (B,), as the head gives it.
            bias: (B, L, W), biases and conditions of every layer for the predicted sample.

        Returns:
            parameters (B, P).
        """
        # 1. the taps that look back, of all layers at once
        layers, batch = bias.shape[1], len(previous)
        a = bias.transpose(0, 1)
        if self.kernel > 1:
            places = self.start[:, None] + (self.time - self.tap) % self.reach[:, None]
            remembered = self.queue[places.flatten()].view(layers, self.kernel - 1, batch, -1)
            a = torch.baddbmm(a, remembered.transpose(1, 2).flatten(2), self.before)
        # 2. the newest, layer by layer
        self.recent.copy_(torch.cat([previous[:, None], self.recent[:, :-1]], 1))
        x = self._enter()
        for i, now in enumerate(self.now):
            if self.exists is not None:
                x = x * self.exists[:, None]
            self.inputs[i].copy_(x)
            s = torch.addmm(a[i], x, now)
            if self.gated:
                f, g = s.chunk(2, 1)
                z = torch.mul(torch.tanh(f), torch.sigmoid(g))
            else:
                z = F.relu(s)
            self.z[:, i].copy_(z)
            if i < len(self.residual):
                weight, b = self.residual[i]
                x = torch.addmm(x if b is None else x + b, z, weight)
        if self.kernel > 1:
            self.queue.index_copy_(0, self.start + self.time % self.reach, self.inputs)
        self.time += 1
        # 3. the skips' sum is one product
        z = self.z if len(self.skip) == self.z[0].numel() else self.z[:, -1]
        kept = F.linear(z.flatten(1), self.skip.t()) + self.skip_bias
        return self.out(F.relu(self.post(F.relu(kept))))  # type: ignore[no-any-return]

    def _enter(self) -> Tensor:
        if self.head.classes:
            return F.embedding(self.recent + self.offsets, self.table).sum(1) + self.first_bias
        return torch.addmm(self.first_bias, self.recent.to(self.table.dtype), self.table)

    def _next(self, previous: Tensor, bias: Tensor, uniform: Tensor) -> Tensor:
        parameters = self.step(previous, bias)
        self.finite.logical_and_(parameters.isfinite().all())
        return self.head.draw(parameters, uniform, self.temperature)

    @torch.no_grad()
    def draw(self, rows: Tensor, index: Tensor, uniform: Tensor) -> Tensor:
        """See `Sampler.draw`."""
        batch, count = index.shape
        rows = rows.unflatten(2, (len(self.now), -1))
        index, uniform = index.to(self.device, torch.long), uniform.to(self.device)
        lanes = torch.arange(batch, device=self.device)
        drawn = []
        for t in range(count):
            bias = rows[:, 0] if rows.shape[1] == 1 else rows[lanes, index[:, t]]
            call = self._next if self.exists is not None else self.call
            self.previous = call(self.previous, bias, uniform[:, t])
            self.exists = None
            drawn.append(self.previous)
        check_finite(bool(self.finite))
        return torch.stack(drawn, 1)
