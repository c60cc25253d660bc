"""Cached evaluation of the layers of PixelCNN++: stream u a row at a time, stream ul a pixel at a time.

Maps lie last: a row is (B, W, F), a pixel (B, F). Only the last row that a convolution read is kept (e rows where it is
dilated): it gives its part of the new row when that row begins, and is overwritten from then on. A layer at level d of
a strided network counts rows and columns of its own resolution; the network calls it on its own rows and columns alone.
"""

from __future__ import annotations

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.models.pixelcnn_pp.layers import GatedResnet, Pair, Shift
from reprise.models.pixelcnn_pp.weight_norm import NormedConv2d


def phi(x: Tensor) -> Tensor:
    """Concat-ELU of maps that lie last, (..., 2F)."""
    return F.elu_(torch.cat([x, -x], -1))


class ShiftedCache:
    """One shifted convolution.

    Args:
        conv: the layer.
        shift: neighbours that it reads.
        batch: B.
        width: columns of its input.
        rows: (e, B, margin + W + margin, I) to keep its input in, zeros; None: its own.
        above: (B, W', O) to keep in what the present row is given beforehand; None: its own.
    """

    def __init__(
        self,
        conv: NormedConv2d,
        shift: Shift,
        batch: int,
        width: int,
        rows: Tensor | None = None,
        above: Tensor | None = None,
    ) -> None:
        weight = conv.weight.detach()  # w of the weight normalisation, once for all pixels
        out, into = weight.shape[:2]
        self.e, self.stride, self.width = shift.dilation, conv.stride, width
        self.left, self.right = shift.margins[1:]
        self.taps = shift.kernel[1]
        # taps outside, maps inside: as windows lie in memory
        self.now = weight[:, :, -1].transpose(1, 2).flatten(1).contiguous()
        self.before = weight[:, :, 0].transpose(1, 2).flatten(1).contiguous() if shift.top else None
        self.bias = conv.b.detach().clone()
        shape = (self.e, batch, self.left + width + self.right, into)
        self.rows = weight.new_zeros(shape) if rows is None else rows
        self.above = weight.new_zeros(batch, width // self.stride, out) if above is None else above
        self._now_t = self.now.t()

    # views are made once, since making them costs as much as the arithmetic of a small pixel; stream u needs none
    @cached_property
    def _cells(self) -> list[list[tuple[Tensor, Tensor, Tensor]]]:
        return [self._views(slot) for slot in range(self.e)]

    @cached_property
    def _aboves(self) -> list[Tensor]:
        return [self.above[:, column] for column in range(self.width // self.stride)]

    def _views(self, slot: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """For each column: its place, the same as two halves for concat-ELU, and the window that ends there."""
        row = self.rows[slot]
        views = []
        for column in range(self.width):
            place = row[:, self.left + column]
            halves = place.view(len(place), 2, -1) if place.shape[1] % 2 == 0 else place
            window = row[:, column : column + self.left + 1 : self.e]
            views.append((place, halves, window.flatten(1) if self.e == 1 else window))
        return views

    def begin_row(self, slot: int, more: Tensor | None = None) -> Tensor:
        """What the row above, the bias and `more` (B, W', O) give to the row that begins; `slot`: row modulo e."""
        if self.before is not None:
            torch.add(
                F.linear(self._windows(slot), self.before, self.bias), 0 if more is None else more, out=self.above
            )
        else:
            self.above.copy_((self.bias if more is None else self.bias + more).expand_as(self.above))
        return self.above

    def row(self, slot: int, x: Tensor) -> Tensor:
        """Outputs (B, W', O) of a whole row x (B, W, I), after `begin_row`."""
        self.put_row(slot, x)
        return self.above + F.linear(self._windows(slot), self.now)

    def put_row(self, slot: int, x: Tensor) -> None:
        """Keep the row x (B, W, I)."""
        self.rows[slot, :, self.left : self.left + self.width] = x

    def put(self, slot: int, column: int, x: Tensor) -> None:
        """Keep the pixel x (B, I)."""
        self._cells[slot][column][0].copy_(x)

    def put_active(self, slot: int, column: int, x: Tensor, sign: Tensor) -> None:
        """Keep phi of the pixel x (B, I / 2); sign: (2, 1), 1 and -1."""
        halves = self._cells[slot][column][1]
        torch.mul(x[:, None], sign, out=halves)
        F.elu_(halves)

    def pixel(self, slot: int, column: int, above: Tensor | None = None) -> Tensor:
        """Output (B, O) at a column, whose input was put; above: (B, O) in the place of what `begin_row` kept."""
        window = self._cells[slot][column][2]
        window = window if self.e == 1 else window.flatten(1)
        return torch.addmm(self._aboves[column // self.stride] if above is None else above, window, self._now_t)

    def _windows(self, slot: int) -> Tensor:
        """Windows of all outputs, (B, W', taps * I)."""
        row = self.rows[slot]
        batch, column, into = row.stride()
        size = (len(row), self.width // self.stride, self.taps, row.shape[2])
        return row.as_strided(size, (batch, column * self.stride, column * self.e, into)).flatten(2)


class SideWeights:
    """The 1x1 layer of side inputs, split into those of stream u (whole rows) and the shortcut's (pixels).

    Args:
        conv: the layer, or None where there are no side inputs.
        counts: maps of each side input.
    """

    def __init__(self, conv: NormedConv2d | None, counts: list[int]) -> None:
        weight = None if conv is None else conv.weight.detach().flatten(1)
        self.parts = [] if weight is None else [part.contiguous() for part in weight.split(counts, 1)]
        self.bias = None if conv is None else conv.b.detach().clone()


class ResnetCache:
    """One gated residual layer of either stream.

    Args:
        layer: the layer.
        batch: B.
        width: W.
        label: (B,) class numbers, or None.
        rows, above: places for the first convolution, see ShiftedCache.
    """

    def __init__(
        self,
        layer: GatedResnet,
        batch: int,
        width: int,
        label: Tensor | None,
        rows: Tensor | None = None,
        above: Tensor | None = None,
    ) -> None:
        self.first = ShiftedCache(layer.first, layer.shift, batch, width, rows, above)
        self.second = ShiftedCache(layer.second, layer.shift, batch, width)
        like = self.first.now
        self.sign = torch.tensor([[1.0], [-1.0]], dtype=like.dtype, device=like.device)
        self.given = None if layer.label is None else F.embedding(label, layer.label.detach())[:, None]  # type: ignore[arg-type]

    def begin_row(self, slot: int, side: Tensor | None) -> None:
        """Take the rows above; side (B, W, F): what side inputs give that are known for the whole row."""
        self.first.begin_row(slot, side)
        self.second.begin_row(slot, self.given)

    def row(self, slot: int, x: Tensor, active: Tensor) -> Tensor:
        """Output (B, W, F) of a whole row x, of which `active` is phi; after `begin_row`."""
        c_1 = self.first.row(slot, active)
        return x + F.glu(self.second.row(slot, phi(c_1)), -1)

    def pixel(self, slot: int, column: int, x: Tensor, above: Tensor | None = None) -> Tensor:
        """Output (B, F) of the pixel x at a column; above: see ShiftedCache.pixel."""
        self.first.put_active(slot, column, x, self.sign)
        c_1 = self.first.pixel(slot, column, above)
        self.second.put_active(slot, column, c_1, self.sign)
        return x + F.glu(self.second.pixel(slot, column), 1)


class PairCache:
    """One layer of both streams.

    Args:
        pair: the layer.
        batch, width, label: see ResnetCache.
        rows, above: places for the first convolution of stream ul.
    """

    def __init__(
        self,
        pair: Pair,
        batch: int,
        width: int,
        label: Tensor | None,
        rows: Tensor | None = None,
        above: Tensor | None = None,
    ) -> None:
        self.u = None if pair.u is None else ResnetCache(pair.u, batch, width, label)
        self.ul = ResnetCache(pair.ul, batch, width, label, rows, above)
        maps = 2 * pair.ul.first.v.shape[0]
        self.u_sides = SideWeights(None if pair.u is None else pair.u.side, [maps])
        self.ul_sides = SideWeights(pair.ul.side, [maps] * (pair.sees_u + pair.shortcut))
        self.sees_u = pair.sees_u

    def begin_row(self, slot: int, u: Tensor, active: Tensor, shown: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Stream u for a whole row, and what is known of stream ul.

        Args:
            slot: row modulo e.
            u: (B, W, F).
            active: phi(u).
            shown: (B, W, 2F), activated maps of u that a shortcut brings.

        Returns:
            The new u (B, W, F) and its phi.
        """
        if self.u is not None:
            weights = self.u_sides
            self.u.begin_row(slot, None if shown is None else F.linear(shown, weights.parts[0], weights.bias))
            u = self.u.row(slot, u, active)
            active = phi(u)
        weights = self.ul_sides
        side = F.linear(active, weights.parts[0], weights.bias) if self.sees_u else weights.bias
        self.ul.begin_row(slot, side)
        return u, active

    def pixel(self, slot: int, column: int, ul: Tensor) -> Tensor:
        """Stream ul (B, F) of a pixel."""
        return self.ul.pixel(slot, column, ul)
