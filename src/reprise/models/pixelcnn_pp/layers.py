"""Layers of PixelCNN++: shifted convolutions, concat-ELU, gated residual layers, sampling down and up.

u: stream that sees the rows above; ul: stream that also sees the pixels to the left; F: filters, maps of each stream;
phi: concat-ELU; e: dilation. Structure as in the released code, which the paper's text leaves open in places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.models.pixelcnn_pp.weight_norm import NormedConv2d, NormedSides, NormedUpsampling
from reprise.nn.dropout import dropped


@dataclass(frozen=True)
class Shift:
    """Which neighbours a shifted convolution reads: rows up to `top` above, columns from `left` to `right` beside.

    Attributes:
        top: rows above.
        left: columns to the left.
        right: columns to the right.
        dilation: e, pixels from one tap to the next.
    """

    top: int
    left: int
    right: int
    dilation: int = 1

    @property
    def kernel(self) -> tuple[int, int]:
        """(height, width)."""
        return self.top + 1, self.left + 1 + self.right

    @property
    def margins(self) -> tuple[int, int, int]:
        """Zeros needed above, to the left and to the right."""
        return self.top * self.dilation, self.left * self.dilation, self.right * self.dilation

    def conv(self, into: int, out: int, init_scale: float = 1.0, stride: int = 1) -> NormedConv2d:
        """A convolution that reads these neighbours, of maps that have the margins."""
        return NormedConv2d(into, out, self.kernel, init_scale, stride, self.dilation)

    def padded(self, x: Tensor) -> Tensor:
        """X (B, I, H, W) with the margins."""
        top, left, right = self.margins
        return F.pad(x, (left, right, top, 0))


def down(dilation: int = 1) -> Shift:
    """Down-shifted, of stream u: this row and the one above, three columns."""
    return Shift(1, 1, 1, dilation)


def down_right(dilation: int = 1) -> Shift:
    """Down-right-shifted, of stream ul: this row and the one above, this column and the one to the left."""
    return Shift(1, 1, 0, dilation)


POINT = Shift(0, 0, 0)


class _ConcatELU(torch.autograd.Function):
    """ELU([x, -x]) written into a tensor that already has the margins of the convolution to come."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, top: int, left: int, right: int) -> Tensor:
        batch, maps, height, width = x.shape
        last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        memory_format = torch.channels_last if last else torch.contiguous_format
        y = torch.empty(
            (batch, 2 * maps, height + top, width + left + right),
            dtype=x.dtype,
            device=x.device,
            memory_format=memory_format,
        )
        y[:, :, :top] = 0
        y[:, :, :, :left] = 0
        y[:, :, :, width + left :] = 0
        inner = y[:, :, top:, left : left + width]
        # e^-|x| - 1 is the ELU of whichever of x and -x is negative, and below the other: one exponential for both
        below = x.abs().neg_().expm1_()
        torch.maximum(x, below, out=inner[:, :maps])
        torch.maximum(-x, below, out=inner[:, maps:])
        ctx.save_for_backward(y)
        ctx.margins = top, left, right  # type: ignore[attr-defined]
        return y

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor, None, None, None]:
        (y,) = ctx.saved_tensors  # type: ignore[attr-defined]
        top, left, right = ctx.margins  # type: ignore[attr-defined]
        inner = slice(None), slice(None), slice(top, None), slice(left, y.shape[3] - right)
        gradient, y, maps = gradient[inner], y[inner], y.shape[1] // 2
        # from the result: 1 where it is positive, else result + 1
        of_x = torch.ops.aten.elu_backward(gradient[:, :maps], 1.0, 1.0, 1.0, True, y[:, :maps])
        of_x -= torch.ops.aten.elu_backward(gradient[:, maps:], 1.0, 1.0, 1.0, True, y[:, maps:])
        return of_x, None, None, None


def concat_elu(x: Tensor, shift: Shift = POINT) -> Tensor:
    """phi(x) = ELU([x, -x]), (B, 2F, ...) of x (B, F, H, W), with the margins of a convolution."""
    return _ConcatELU.apply(x, *shift.margins)  # type: ignore[no-any-return, no-untyped-call]


class Maps(NamedTuple):
    """Maps of a stream and their activation, which several layers read.

    Attributes:
        raw: (B, F, H, W).
        active: phi(raw) with the margins of the stream.
    """

    raw: Tensor
    active: Tensor


class GatedResnet(nn.Module):
    """x + p sigmoid(q), (p, q) = conv(dropout(phi(conv(phi(x)) + 1x1(phi(a))))) + W h; a: side inputs, h: class.

    The gate is linear times sigmoid, not tanh times sigmoid as in Gated PixelCNN.

    Args:
        filters: F.
        shift: neighbours that both convolutions read.
        side_maps: maps of all activated side inputs together; 0 where there are none.
        classes: number of classes of h, 0 where there are none.
        dropout: share of activations that training drops after the first convolution.
    """

    def __init__(self, filters: int, shift: Shift, side_maps: int = 0, classes: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.shift = shift
        self.dropout = dropout
        self.first = shift.conv(2 * filters, filters)
        self.side = NormedSides(side_maps, filters) if side_maps else None
        self.second = shift.conv(2 * filters, 2 * filters, init_scale=0.1)  # so that layers start near the identity
        # h is one-hot, so its projection (without bias) is a row of a matrix
        self.label = nn.Parameter(torch.randn(classes, 2 * filters) * 0.05) if classes else None

    def forward(
        self, x: Maps, sides: list[tuple[Tensor, tuple[int, int, int]]] | None = None, label: Tensor | None = None
    ) -> Tensor:
        """Map x to (B, F, H, W).

        Args:
            x: the stream; `active` has the margins of `shift`.
            sides: activated maps and their margins, as NormedSides takes them.
            label: (B,) class numbers.
        """
        c_1 = self.first(x.active)
        if self.side is not None:
            c_1 = c_1 + self.side(*(sides or []))
        active = concat_elu(c_1, self.shift)
        c_2 = self.second(dropped(active, self.dropout) if self.training else active)
        if self.label is not None:
            c_2 = c_2 + F.embedding(label, self.label)[:, :, None, None]  # type: ignore[arg-type]
        return x.raw + F.glu(c_2, 1)


class Pair(nn.Module):
    """One gated residual layer of each stream; that of ul sees u, and both what a shortcut brings.

    Args:
        filters: F.
        u, ul: neighbours read by the two streams.
        shortcut: whether maps of the way down in resolution come in as side inputs.
        sees_u: whether stream ul has u as a side input.
        changes_u: whether stream u has a layer here; it needs none where nothing reads it afterwards.
        classes, dropout: see GatedResnet.
    """

    def __init__(
        self,
        filters: int,
        u: Shift,
        ul: Shift,
        shortcut: bool = False,
        sees_u: bool = True,
        classes: int = 0,
        dropout: float = 0.0,
        changes_u: bool = True,
    ) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.sees_u = sees_u
        self.shifts = u, ul
        width = 2 * filters
        self.u = GatedResnet(filters, u, width * shortcut, classes, dropout) if changes_u else None
        self.ul = GatedResnet(filters, ul, width * (sees_u + shortcut), classes, dropout)

    def forward(
        self, u: Maps, ul: Maps, shown: tuple[Tensor, Tensor] | None, label: Tensor | None, after: tuple[Shift, Shift]
    ) -> tuple[Maps, Maps]:
        """Map both streams.

        Args:
            u, ul: the streams.
            shown: activated maps of u and ul that a shortcut brings.
            label: (B,) class numbers.
            after: margins wanted for the results' activations.
        """
        of_u, of_ul = self.shifts[0].margins, self.ul.shift.margins
        next_u = u
        if self.u is not None:
            new_u = self.u(u, [(shown[0], of_u)] if shown else None, label)
            next_u = Maps(new_u, concat_elu(new_u, after[0]))
        sides = [(next_u.active, after[0].margins)] if self.sees_u else []
        new_ul = self.ul(ul, sides + ([(shown[1], of_ul)] if shown else []), label)
        return next_u, Maps(new_ul, concat_elu(new_ul, after[1]))


class InputLayers(nn.Module):
    """First layers of both streams, the only ones that shift their outputs; a channel of ones tells margins from grey.

    u: rows above; ul: the row above and the pixels to the left. What is shifted in is zero, without bias.

    Args:
        channels: C.
        filters: F.
        u: neighbours read by stream u, from the row above.
    """

    def __init__(self, channels: int, filters: int, u: Shift) -> None:
        super().__init__()
        self.shift_u, self.shift_row, self.shift_left = u, Shift(0, 1, 1), Shift(1, 0, 0)
        self.u = self.shift_u.conv(channels + 1, filters)
        self.row = self.shift_row.conv(channels + 1, filters)
        self.left = self.shift_left.conv(channels + 1, filters)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (B, C, H, W) to u and ul, (B, F, H, W) each."""
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        u = F.pad(self.u(self.shift_u.padded(x))[:, :, :-1], (0, 0, 1, 0))
        row = F.pad(self.row(self.shift_row.padded(x))[:, :, :-1], (0, 0, 1, 0))
        left = F.pad(self.left(self.shift_left.padded(x))[:, :, :, :-1], (1, 0))
        return u, row + left


class Coarser(nn.Module):
    """Both streams to half the resolution, by convolutions of the maps as they are; or stride 1 where it is ablated.

    Args:
        filters: F.
        stride: 2, or 1.
        dilation: e of the convolutions where the stride is 1.
    """

    def __init__(self, filters: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.shift_u, self.shift_ul = down(dilation), down_right(dilation)
        self.u = self.shift_u.conv(filters, filters, stride=stride)
        self.ul = self.shift_ul.conv(filters, filters, stride=stride)

    def forward(self, u: Tensor, ul: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, F, H, W) to (B, F, H / stride, W / stride)."""
        return self.u(self.shift_u.padded(u)), self.ul(self.shift_ul.padded(ul))


class Finer(nn.Module):
    """Both streams to twice the resolution, by transposed convolutions."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.u = NormedUpsampling(filters, filters, (2, 3))
        self.ul = NormedUpsampling(filters, filters, (2, 2))

    def forward(self, u: Tensor, ul: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, F, H, W) to (B, F, 2H, 2W)."""
        return self.u(u), self.ul(ul)
