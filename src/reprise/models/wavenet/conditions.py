"""What the network is conditioned on: labels of a clip (section 2.5, h), and features of its frames (y = f(h))."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.config.errors import ConfigError, DataError

Upsampling = Literal["repeat", "transposed"]


def one_hot(labels: Tensor, counts: Sequence[int]) -> Tensor:
    """The global condition h of labels of several kinds: one-hot vectors side by side.

    Args:
        labels: (B, K) int64, one of each kind; -1 where it is not known, which gives zeros.
        counts: classes of each kind, K numbers.

    Returns:
        (B, sum of counts), float32.

    Raises:
        ValueError: the labels are not of so many kinds.
        DataError: a label is not one of its classes.
    """
    if labels.ndim != 2 or labels.shape[1] != len(counts):
        raise ValueError(f"expected labels (B, {len(counts)}); received {tuple(labels.shape)}")
    parts = [labels.new_zeros((len(labels), 0), dtype=torch.float32)]
    for kind, count in enumerate(counts):
        classes = labels[:, kind]
        wrong = (classes < -1) | (classes >= count)
        if bool(wrong.any()):
            raise DataError(
                f"label {kind} of a clip is {int(classes[wrong][0])}. Expected 0 to {count - 1}, or -1 where it is not "
                "known."
            )
        parts.append(F.one_hot(classes + 1, count + 1)[:, 1:].float())  # class -1 falls into the column cut off
    return torch.cat(parts, 1)


class LocalCondition(nn.Module):
    """y = f(h): features of frames, brought to the rate of the samples (section 2.5).

    `repeat`: a product with a matrix for each frame, repeated for all its samples. `transposed`: the product, then a
    learned transposed convolution for each factor, with nothing between them. A stage by the factor s has 3 s taps:
    what becomes of frame i is a sum over the frames i - 1, i and i + 1 of that stage, so samples look at features that
    lie ahead of them. The model of the audio stays causal: features are known before any sample is drawn. The stages
    start as plain repetition, from which they learn to depart.

    Where a crop ends, frames that the whole clip has are missing, and zeros stand for them: this changes y of the
    outermost `reach` frames of a crop.

    Attributes:
        reach: frames on either side that a sample looks at beside its own.

    Args:
        inputs: C, features of a frame.
        channels: Y, channels of the network's local condition.
        hop: samples of a frame.
        upsampling: repeat or transposed.
        factors: of the transposed convolutions; their product is the hop. Empty with `repeat`.
        convolutions: convolutions over frames that come before, each followed by a ReLU, not causal.
        kernel: their taps, an odd number; None without them.

    Raises:
        ConfigError: a number is out of range, or the factors do not give the hop.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        hop: int,
        upsampling: Upsampling = "repeat",
        factors: Sequence[int] = (),
        convolutions: int = 0,
        kernel: int | None = None,
    ) -> None:
        super().__init__()
        for name, value in {"inputs": inputs, "channels": channels, "hop": hop}.items():
            if value < 1:
                raise ConfigError(f"the local condition's {name} is {value}. Expected 1 or more.")
        _check_convolutions(convolutions, kernel)
        _check_upsampling(upsampling, list(factors), hop)
        self.hop = hop
        self.inputs = inputs
        self.channels = channels
        taps = kernel or 1
        widths = [inputs] + [channels] * convolutions
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, taps, padding=taps // 2) for before, after in pairwise(widths)
        )
        self.product = nn.Linear(widths[-1], channels, bias=False)
        self.stages = nn.ModuleList(_repeating(channels, s) for s in factors)
        ahead = hop - 1  # the last sample of frame 0, and from stage to stage what it looks at
        for factor in reversed(factors):
            ahead = ahead // factor + 1
        self.reach = convolutions * (taps // 2) + (ahead if factors else 0)

    def forward(self, frames: Tensor) -> Tensor:
        """Features (B, F, C) to conditions (B, F * hop, Y).

        Raises:
            ValueError: the features have another number of channels.
        """
        if frames.ndim != 3 or frames.shape[2] != self.inputs:
            raise ValueError(f"expected features (B, F, {self.inputs}); received {tuple(frames.shape)}")
        x = frames
        for convolution in self.convolutions:
            x = F.relu(convolution(x.transpose(1, 2))).transpose(1, 2)
        x = self.product(x)
        if not self.stages:
            return x.repeat_interleave(self.hop, 1)
        x = x.transpose(1, 2)
        for stage in self.stages:
            x = stage(x)
        return x.transpose(1, 2)


def _check_convolutions(convolutions: int, kernel: int | None) -> None:
    if convolutions < 0:
        raise ConfigError(f"the local condition has convolutions={convolutions}. Expected 0 or more.")
    if convolutions == 0 and kernel is not None:
        raise ConfigError(f"the local condition has kernel={kernel} and no convolutions. Set kernel=null.")
    if convolutions > 0 and (kernel is None or kernel < 1 or kernel % 2 == 0):
        taps = "null" if kernel is None else kernel
        raise ConfigError(
            f"the local condition has convolutions={convolutions}, kernel={taps}. Expected an odd number, e.g. 3."
        )


def _check_upsampling(upsampling: str, factors: list[int], hop: int) -> None:
    if upsampling not in get_args(Upsampling):
        allowed = ", ".join(get_args(Upsampling))
        raise ConfigError(f"the local condition's upsampling is {upsampling!r}. Expected one of {allowed}.")
    if upsampling == "repeat" and factors:
        raise ConfigError(f"factors={factors} belong to upsampling=transposed. Leave them out, or set that.")
    if upsampling == "transposed" and (not factors or min(factors) < 1 or math.prod(factors) != hop):
        raise ConfigError(
            f"the product of factors={factors} is {math.prod(factors)}, but a frame has {hop} samples. "
            f"Give whole numbers whose product is {hop}."
        )


def _repeating(channels: int, factor: int) -> nn.ConvTranspose1d:
    """A transposed convolution by `factor` over three frames that starts as repetition."""
    stage = nn.ConvTranspose1d(channels, channels, 3 * factor, stride=factor, padding=factor)
    with torch.no_grad():
        stage.weight.zero_()
        stage.weight[:, :, factor : 2 * factor] = torch.eye(channels)[..., None]
    nn.init.zeros_(stage.bias)  # type: ignore[arg-type]
    return stage
