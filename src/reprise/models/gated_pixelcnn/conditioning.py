"""What images are conditioned on: vectors as maps (Gated PixelCNN, section 2.3)."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn


def halvings(side: int) -> int:
    """How often a side is halved, rounding up, until it is at most 4."""
    count = 0
    while side > 4:
        side, count = -(-side // 2), count + 1
    return count


class Deconvolution(nn.Module):
    """Deconvolutional network from a vector to maps of the size of an image; the paper gives no sizes.

    A linear map to at most 4x4 pixels, then transposed 4x4 convolutions that double the side and halve the maps.

    Args:
        into: numbers of the vector.
        width: maps before the last layer.
        out: maps that it gives.
        side: of the image.
    """

    def __init__(self, into: int, width: int, out: int, side: int) -> None:
        super().__init__()
        times = halvings(side)
        self.side = side
        self.start = -(-side // 2**times)
        widths = [width * 2 ** (times - k) for k in range(times)] + [width]
        self.widest = widths[0]
        self.linear = nn.Linear(into, self.widest * self.start**2)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.last = nn.Conv2d(width, out, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """Map h (B, into) to (B, out, side, side)."""
        y = self.linear(h).unflatten(1, (self.widest, self.start, self.start))
        for up in self.ups:
            y = up(F.relu(y))
        return self.last(F.relu(y[:, :, : self.side, : self.side]))  # type: ignore[no-any-return]
