"""Masked convolutions: what a pixel and a colour may see (PixelRNN, section 3.4; Gated PixelCNN, section 2)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kind = Literal["A", "B"]


def colour_groups(width: int, colours: int) -> Tensor:
    """Group (0 for red, 1 for green, ...) of each of `width` feature maps: contiguous parts, the remainder to red.

    Raises:
        ValueError: fewer maps than colours.
    """
    if width < colours:
        raise ValueError(f"{width} feature maps cannot be split over {colours} colours. Expected at least {colours}.")
    part = width // colours
    first = width - part * (colours - 1)
    return torch.tensor([0] * first + [g for g in range(1, colours) for _ in range(part)])


def causal_mask(kind: Kind, into: Tensor, out: Tensor, height: int, width: int) -> Tensor:
    """Mask M[o, a, u, v] of a convolution: rows above and pixels to the left are seen, at the centre earlier colours.

    Args:
        kind: A hides the map's own colour at the centre, B shows it.
        into: (I,) colour group of each input map.
        out: (O,) colour group of each output map.
        height: of the kernel; its centre is at height // 2.
        width: likewise.

    Returns:
        (O, I, height, width), ones and zeros.
    """
    mask = torch.zeros(len(out), len(into), height, width)
    row, column = height // 2, width // 2
    mask[:, :, :row] = 1
    mask[:, :, row, :column] = 1
    a, o = into[None, :], out[:, None]
    mask[:, :, row, column] = (a < o if kind == "A" else a <= o).to(mask.dtype)
    return mask


class MaskedConv2d(nn.Conv2d):
    """Convolution whose weights are multiplied by a causal mask in every forward pass.

    Masking once is not enough: momentum and weight decay would refill what was hidden.

    Args:
        kind: mask A or B.
        into, out: colour group of each input and output map, see `colour_groups`.
        kernel: (height, width), both odd; zeros surround the image.
        bias: whether each output map has a bias.
    """

    mask: Tensor

    def __init__(self, kind: Kind, into: Tensor, out: Tensor, kernel: tuple[int, int], bias: bool = True) -> None:
        if any(k % 2 == 0 for k in kernel):
            raise ValueError(f"the kernel is {kernel[0]}x{kernel[1]}. Expected odd sides, so that there is a centre.")
        super().__init__(len(into), len(out), kernel, padding=(kernel[0] // 2, kernel[1] // 2), bias=bias)
        self.register_buffer("mask", causal_mask(kind, into, out, *kernel), persistent=False)

    @property
    def masked(self) -> Tensor:
        """The weights in force, (O, I, height, width)."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (B, I, H, W) to (B, O, H, W)."""
        return F.conv2d(x, self.masked, self.bias, padding=self.padding)  # type: ignore[arg-type]
