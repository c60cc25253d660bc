"""Cached evaluation at one pixel: the rows of a masked matrix that one colour needs."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


class StagedLinear:
    """A masked linear map over a window of pixels, of which each stage computes its own colour's outputs.

    Args:
        weight: (O, I, T), masked; T taps of a window.
        bias: (O,), or None.
        out: (O,) colour group of each output.
        colours: number of groups.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, out: Tensor, colours: int) -> None:
        flat = weight.transpose(1, 2).flatten(1)  # taps outside, maps inside: as windows of (B, T, I) lie in memory
        chosen = [(out == g).to(weight.device) for g in range(colours)]
        self.weight = [flat[c].contiguous() for c in chosen]
        self.bias = [None if bias is None else bias[c] for c in chosen]

    def __call__(self, window: Tensor, group: int) -> Tensor:
        """Outputs (B, O of the group) of a window (B, T, I)."""
        return F.linear(window.flatten(1), self.weight[group], self.bias[group])


class Pixel:
    """Maps of the present pixel, filled colour by colour.

    Args:
        batch: B.
        groups: (M,) colour group of each map.
        colours: number of groups.
        like: for device and type.
    """

    def __init__(self, batch: int, groups: Tensor, colours: int, like: Tensor) -> None:
        counts = [int((groups == g).sum()) for g in range(colours)]
        ends = [sum(counts[: g + 1]) for g in range(colours)]
        self.slices = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        self.maps = like.new_zeros(batch, len(groups))

    def put(self, group: int, values: Tensor) -> Tensor:
        """Fill in one colour's maps and return all of them, (B, M)."""
        if len(self.slices) == 1:
            return values
        self.maps[:, self.slices[group]] = values
        return self.maps

    def part(self, group: int, maps: Tensor) -> Tensor:
        """One colour's part of maps (B, M)."""
        return maps if len(self.slices) == 1 else maps[:, self.slices[group]]
