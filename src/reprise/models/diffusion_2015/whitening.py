"""Images as the chain sees them: spread over their grey levels, mean 0 and variance 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from reprise.nn.images import ImageShape


class Whitening(nn.Module):
    """x = (v + u - 1/2 - mean) / std, of whole numbers v and u uniform on [0, 1).

    The paper's bounds are those of x: all data are scaled to variance 1 (Table 1), and uniform noise is added, since a
    density could rise without limit at whole numbers (footnote 3). One mean and one variance hold for all pixels and
    colours, as in the author's code. The density of v + u is that of x divided by std^D, for D values; the mean of its
    logarithm over u is at most the log-probability of v, by Jensen's inequality.

    Args:
        shape: of the images.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        self.shape = shape
        # uniform values, until there are data
        self.register_buffer("mean", torch.tensor((shape.levels - 1) / 2, dtype=torch.float64))
        self.register_buffer("std", torch.tensor(shape.levels / math.sqrt(12), dtype=torch.float64))

    def fit(self, mean: float, variance: float) -> None:
        """Take the mean and the variance of the whole numbers, to which uniform noise adds 1/12."""
        self.mean.fill_(mean)
        self.std.fill_(math.sqrt(variance + 1 / 12))

    def forward(self, image: Tensor, uniform: Tensor | float = 0.5) -> Tensor:
        """Whiten images.

        Args:
            image: v, (B, C, n, n) whole numbers.
            uniform: u, likewise, from [0, 1); the middle of the level by default.

        Returns:
            x, float32.
        """
        return ((image.double() + uniform - 0.5 - self.mean) / self.std).float()

    def levels(self, x: Tensor) -> Tensor:
        """Values on the scale of 0 ... levels - 1, not rounded, in float64."""
        return x.double() * self.std + self.mean

    def whole_numbers(self, x: Tensor) -> Tensor:
        """The nearest levels, uint8."""
        return self.levels(x).round().clamp(0, self.shape.levels - 1).to(torch.uint8)

    def log_scale(self) -> Tensor:
        """Nats that an image's log-density loses from x to v: D log std."""
        return self.shape.dims * self.std.log()
