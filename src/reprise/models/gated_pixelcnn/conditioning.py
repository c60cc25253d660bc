"""What images are conditioned on: classes as vectors, vectors as maps (Gated PixelCNN, section 2.3)."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.config.errors import ConfigError, DataError


def one_hot(label: Tensor | None, classes: int) -> Tensor:
    """Labels (B,) as vectors (B, classes) of the default float type.

    Raises:
        ConfigError: there are no labels.
        DataError: a label is not one of 0 ... classes - 1.
    """
    if label is None:
        raise ConfigError(
            "the network is conditioned on the class, but no labels were given. Expected data with labels, one class "
            "an image to generate, or model.network.conditioning=none."
        )
    if label.ndim != 1 or label.is_floating_point():
        raise DataError(f"labels are {label.dtype} of shape {tuple(label.shape)}. Expected whole numbers (B,).")
    if bool(((label < 0) | (label >= classes)).any()):
        raise DataError(
            f"labels go from {int(label.min())} to {int(label.max())}. Expected 0 to {classes - 1}: the network was "
            f"built for {classes} classes, data.shape.classes."
        )
    return F.one_hot(label.long(), classes).to(torch.get_default_dtype())


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
