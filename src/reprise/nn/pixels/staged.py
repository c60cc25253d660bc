"""Cached evaluation at one pixel: the rows of a masked matrix that one colour needs."""

from __future__ import annotations

import torch
from torch import Tensor


class StagedLinear:
    """A masked linear map over a window of pixels, of which each stage computes its own colour's outputs.

    Args:
        weight: (O, I, T), masked; T taps of a window.
        bias: (O,), or None.
        out: (O,) colour group of each output.
        colours: number of groups.

    Attributes:
        weight: of each colour, (T * I, O of the colour).
        bias: likewise, (O of the colour,) or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, out: Tensor, colours: int) -> None:
        flat = weight.transpose(1, 2).flatten(1)  # taps outside, maps inside: as windows of (B, T, I) lie in memory
        chosen = [(out == g).to(weight.device) for g in range(colours)]
        self.weight = [flat[c].t().contiguous() for c in chosen]
        self.bias = [None if bias is None else bias[c] for c in chosen]

    def __call__(self, window: Tensor, group: int, out: Tensor | None = None) -> Tensor:
        """Outputs (B, O of the group) of a window (B, T * I), its pixels one after the other; put into `out`."""
        bias, weight = self.bias[group], self.weight[group]
        return torch.mm(window, weight, out=out) if bias is None else torch.addmm(bias, window, weight, out=out)


class Pixel:
    """Maps of the present pixel, filled colour by colour.

    Args:
        batch: B.
        groups: (M,) colour group of each map.
        colours: number of groups.
        like: for device and type.

    Attributes:
        slices: which maps are each colour's.
        maps: (B, M).
        parts: each colour's part of them, views that are made once, since slicing costs as much as small arithmetic.
    """

    def __init__(self, batch: int, groups: Tensor, colours: int, like: Tensor) -> None:
        counts = [int((groups == g).sum()) for g in range(colours)]
        ends = [sum(counts[: g + 1]) for g in range(colours)]
        self.slices = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        self.maps = like.new_zeros(batch, len(groups))
        self.parts = [self.maps[:, part] for part in self.slices]

    def put(self, group: int, values: Tensor) -> Tensor:
        """Fill in one colour's maps and return all of them, (B, M)."""
        if len(self.slices) == 1:
            return values
        self.parts[group].copy_(values)
        return self.maps

    def part(self, group: int, maps: Tensor) -> Tensor:
        """One colour's part of what `put` returned, (B, M)."""
        return maps if len(self.slices) == 1 else self.parts[group]
