"""One layer of a Gated PixelCNN (Gated PixelCNN, sections 2.2 to 2.4 and Figure 2).

v_k: vertical stack, (B, p, H, W); at row r it has seen rows up to r, r included, and all of their columns.
u_k: horizontal stack; it has seen the present row to the left and, through the link, the rows above.
h: what images are conditioned on. p: maps of either stack. V_k, U_k: the 2p maps before the gates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.nn.pixels.masks import Kind, MaskedConv2d, causal_mask

Activation = Literal["gate", "relu"]
Stacks = Literal["two", "one"]


def gate(maps: Tensor, out: Tensor | None = None) -> Tensor:
    """The gate tanh(f) * sigmoid(g), eq. (2): maps (B, 2p, ...), f in the first half, to (B, p, ...), in `out`."""
    f, g = maps.chunk(2, 1)
    return torch.mul(torch.tanh(f), torch.sigmoid(g), out=out)


def rectify(maps: Tensor, out: Tensor | None = None) -> Tensor:
    """The ReLU of maps."""
    return torch.clamp_min(maps, 0, out=out)


def activation_of(name: Activation) -> tuple[Callable[..., Tensor], int]:
    """The activation, and how many maps it takes for each that it gives.

    relu is not in the paper: it is there to tell apart what the gate brings and what the two stacks bring.
    """
    return (gate, 2) if name == "gate" else (rectify, 1)


class VerticalConv2d(nn.Conv2d):
    """Rows r - k // 2 ... r at all columns, as a kernel of (k // 2 + 1) x k: nothing needs a mask.

    Args:
        into: input maps.
        out: output maps.
        kernel: k, odd.
    """

    def __init__(self, into: int, out: int, kernel: int) -> None:
        super().__init__(into, out, (kernel // 2 + 1, kernel))
        self.reach = kernel // 2

    def forward(self, v: Tensor) -> Tensor:
        """Convolve v (B, I, H, W) to (B, O, H, W)."""
        return super().forward(F.pad(v, (self.reach, self.reach, self.reach, 0)))


class HorizontalConv2d(nn.Conv2d):
    """Columns c - k // 2 ... c of the present row, as a kernel of 1 x (k // 2 + 1); colours are masked at its last tap.

    Args:
        kind: mask A or B.
        into, out: colour group of each input and output map.
        kernel: k, odd.
    """

    mask: Tensor

    def __init__(self, kind: Kind, into: Tensor, out: Tensor, kernel: int) -> None:
        super().__init__(len(into), len(out), (1, kernel // 2 + 1))
        self.reach = kernel // 2
        mask = causal_mask(kind, into, out, 1, kernel)[..., : self.reach + 1].contiguous()
        self.register_buffer("mask", mask, persistent=False)

    @property
    def masked(self) -> Tensor:
        """The weights in force, (O, I, 1, k // 2 + 1)."""
        return self.weight * self.mask

    def forward(self, u: Tensor) -> Tensor:
        """Convolve u (B, I, H, W) to (B, O, H, W)."""
        return F.conv2d(F.pad(u, (self.reach, 0)), self.masked, self.bias)


def down(maps: Tensor) -> Tensor:
    """Shift by one row, so that row r gets what belongs to row r - 1, and row 0 gets zeros."""
    return F.pad(maps, (0, 0, 1, -1))


class GatedLayer(nn.Module):
    """One layer of both stacks, or of the one stack that the ablation has.

    Args:
        kind: A for the first layer, which has no residual connection (it would show the present pixel); else B.
        into: (I,) colour group of the input maps: of the image, or of the layer before.
        groups: (p,) colour group of the output maps.
        kernel: k.
        stacks: one is a stack of masked k x k convolutions, which has the blind spot.
        activation: gate, or relu.
        vertical_residual: add v_k to v_{k+1}; the authors found no gain in it.
        skip: give the head a 1x1 convolution of the layer's output (not in the paper; most public code has it).
        last: nothing follows but the head, so what only a further layer would need is left out.
        condition_maps: maps of the condition, 0 for none.
    """

    def __init__(
        self,
        kind: Kind,
        into: Tensor,
        groups: Tensor,
        kernel: int,
        stacks: Stacks = "two",
        activation: Activation = "gate",
        vertical_residual: bool = False,
        skip: bool = True,
        last: bool = False,
        condition_maps: int = 0,
    ) -> None:
        super().__init__()
        self.activation, parts = activation_of(activation)
        # f and g of a map belong to its colour: both halves have the groups of the p maps
        self.groups = groups
        self.before = groups.repeat(parts)
        width = len(self.before)
        self.kernel = kernel
        self.last = last
        self.first = kind == "A"
        self.vertical_residual = vertical_residual and not self.first
        self.horizontal: HorizontalConv2d | MaskedConv2d
        self.vertical: VerticalConv2d | None = None
        self.link: nn.Conv2d | None = None
        if stacks == "two":
            self.vertical = VerticalConv2d(len(into), width, kernel)
            # complete pixels of rows above: no colour mask. No bias: the horizontal convolution has one
            self.link = nn.Conv2d(width, width, 1, bias=False)
            self.horizontal = HorizontalConv2d(kind, into, self.before, kernel)
        else:
            self.horizontal = MaskedConv2d(kind, into, self.before, (kernel, kernel))
        # a 1x1 convolution after the first layer has mask B: the pixel's own colour is hidden already
        self.residual = None if last and skip else MaskedConv2d("B", groups, groups, (1, 1))
        self.skip = MaskedConv2d("B", groups, groups, (1, 1)) if skip else None
        vertical_condition = condition_maps and stacks == "two" and not last
        self.vertical_condition = nn.Conv2d(condition_maps, width, 1, bias=False) if vertical_condition else None
        self.horizontal_condition = nn.Conv2d(condition_maps, width, 1, bias=False) if condition_maps else None

    def forward(self, v: Tensor, u: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Map v_k and u_k to v_{k+1}, u_{k+1} and what the head is shown.

        Args:
            v: (B, I, H, W); unused where there is one stack.
            u: (B, I, H, W).
            h: (B, condition_maps, H, W), or (B, condition_maps, 1, 1) where it is the same everywhere.

        Returns:
            v and u, (B, p, H, W) but for what the last layer leaves as it was; maps for the head, None without skip.
        """
        U = self.horizontal(u)
        if self.vertical is not None and self.link is not None:
            V = self.vertical(v)
            # before the vertical gate; without the condition, which the horizontal gate is given of its own
            U = U + self.link(down(V))
            if not self.last:
                y = self.activation(V if self.vertical_condition is None else V + self.vertical_condition(h))
                v = v + y if self.vertical_residual else y
        y = self.activation(U if self.horizontal_condition is None else U + self.horizontal_condition(h))
        if self.residual is not None:
            u = self.residual(y) if self.first else u + self.residual(y)
        return v, u, None if self.skip is None else self.skip(y)
