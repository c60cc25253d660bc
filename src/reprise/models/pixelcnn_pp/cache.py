"""Cached sampling from PixelCNN++: each layer only on the rows and columns of its own resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.models.pixelcnn_pp.layers import Coarser, Finer, InputLayers, Pair
from reprise.models.pixelcnn_pp.pieces import PairCache, ShiftedCache, phi
from reprise.nn.pixels.network import RowCache

if TYPE_CHECKING:
    from reprise.models.pixelcnn_pp.network import PixelCNNPP, TwoStreams


class InputCache:
    """First layers of both streams.

    Args:
        layers: the layers.
        batch: B.
        side: W.
    """

    def __init__(self, layers: InputLayers, batch: int, side: int) -> None:
        self.height, width = layers.shift_u.kernel
        self.left = layers.shift_u.left
        self.w_u, self.b_u = layers.u.weight.detach(), layers.u.b.detach().clone()
        self.w_row, self.b_row = layers.row.weight.detach(), layers.row.b.detach().clone()
        self.right = width - 1 - self.left
        left = layers.left.weight.detach()[..., 0]  # (F, C + 1, 2): the pixel to the left, in the row above and here
        self.left_above = left[:, :, :1, None].contiguous()
        self.left_now = left[:, :-1, 1].t().contiguous()
        like = self.left_now
        # the ones channel and the bias of the pixel to the left, where there is one
        constant = (left[:, -1, 1] + layers.left.b.detach()).expand(side, -1).clone()
        constant[0] = 0
        self.constant = constant
        # ones inside the image, as the canvas: what is above the first row, and beside it, stays 0
        self.ones = like.new_zeros(batch, 1, 3, side + 2)
        self.above = like.new_zeros(batch, side, left.shape[0])

    def begin_row(self, x: Tensor) -> Tensor:
        """Stream u of the row that begins, (B, W, F), from the canvas x (B, C, 3, 1 + W + 1)."""
        self.ones[:, :, :-1] = self.ones[:, :, 1:].clone()
        self.ones[:, :, -1, 1:-1] = 1
        x = torch.cat([x, self.ones], 1)
        exists = self.ones[:1, 0, 1, 1]  # (1,): 1 where there is a row above; else outputs are 0, without bias
        width = x.shape[3]
        seen = x[:, :, 2 - self.height : 2, 1 - self.left : width - 1 + self.right]
        u = F.conv2d(seen, self.w_u)[:, :, 0].transpose(1, 2) + self.b_u * exists
        row = F.conv2d(x[:, :, 1:2], self.w_row)[:, :, 0].transpose(1, 2) + self.b_row * exists
        left = F.conv2d(x[:, :, 1:2, :-2], self.left_above)[:, :, 0].transpose(1, 2)
        self.above.copy_(row + left + self.constant)
        return u

    def pixel(self, column: int, left: Tensor) -> Tensor:
        """Stream ul (B, F) at a column, given the pixel to its left (B, C)."""
        return torch.addmm(self.above[:, column], left, self.left_now)


class StreamsCache(RowCache):
    """Canvas, first layers and head, which all networks have.

    Args:
        network: the model.
        batch: B.
        condition: (B,) class numbers, or None.
    """

    def __init__(self, network: TwoStreams, batch: int, condition: Tensor | None) -> None:
        super().__init__(network.shape, batch, rows=3, left=1, right=1, like=network.head.v.detach())
        self.label = condition
        self.w_head = network.head.weight.detach().flatten(1).t()
        self.b_head = network.head.b.detach().clone()

    def head(self, ul: Tensor) -> Tensor:
        """Maps (B, P) of ul (B, F)."""
        return torch.addmm(self.b_head, F.elu(ul), self.w_head)


class FinerCache:
    """Transposed convolutions: a coarse row or pixel gives two rows or columns at once, kept until they are due.

    Args:
        layers: the layers.
        batch: B.
        width: columns of the result.
    """

    def __init__(self, layers: Finer, batch: int, width: int) -> None:
        self.w_u = layers.u.weight.detach().transpose(0, 1)
        self.b_u = layers.u.b.detach().clone()
        w = layers.ul.weight.detach()  # (F, F, 2, 2)
        self.w_ul = w.permute(1, 2, 3, 0).flatten(1).contiguous()  # (in, row, column, out)
        self.b_ul = layers.ul.b.detach().repeat(4)
        self.rows_u = w.new_zeros(2, batch, width, w.shape[0])
        self.rows_ul = w.new_zeros(batch, 2, width, w.shape[0])

    def begin_row(self, u: Tensor) -> None:
        """Take the coarse row u (B, W / 2, F)."""
        fine = F.conv_transpose2d(
            u.transpose(1, 2)[:, :, None], self.w_u, self.b_u, 2, padding=(0, 1), output_padding=(0, 1)
        )
        self.rows_u.copy_(fine.permute(2, 0, 3, 1))

    def put(self, column: int, ul: Tensor) -> None:
        """Take the coarse pixel ul (B, F) at a coarse column."""
        fine = torch.addmm(self.b_ul, ul, self.w_ul).view(len(ul), 2, 2, -1)
        self.rows_ul[:, :, 2 * column : 2 * column + 2] = fine


class SamplerCache:
    """What lies between two levels: convolutions to the coarser one, and back.

    Args:
        coarser: layers down.
        finer: layers up.
        batch: B.
        width: columns of the finer level.
    """

    def __init__(self, coarser: Coarser, finer: Finer | Coarser, batch: int, width: int) -> None:
        self.strided = isinstance(finer, Finer)
        self.u = ShiftedCache(coarser.u, coarser.shift_u, batch, width)
        self.ul = ShiftedCache(coarser.ul, coarser.shift_ul, batch, width)
        if isinstance(finer, Finer):
            self.finer = FinerCache(finer, batch, width)
        else:
            self.back_u = ShiftedCache(finer.u, finer.shift_u, batch, width)
            self.back_ul = ShiftedCache(finer.ul, finer.shift_ul, batch, width)


class LevelCache:
    """One resolution: layers on the way down and on the way up.

    phi of all of stream ul's maps on the way down lie in one tensor, so that one product serves all shortcuts.

    Args:
        encode: layers on the way down.
        decode: layers on the way up.
        batch: B.
        width: W at this level.
        label: (B,) class numbers, or None.
    """

    def __init__(self, encode: list[Pair], decode: list[Pair], batch: int, width: int, label: Tensor | None) -> None:
        first = encode[0].ul.first
        shift, filters, maps = encode[0].ul.shift, first.v.shape[0], len(encode) + 1
        margins = shift.margins[1] + shift.margins[2]
        self.width = width
        self.e = shift.dilation
        # (slot, map, B, W, 2F)
        self.active = first.v.detach().new_zeros(self.e, maps, batch, width + margins, 2 * filters)
        self.left = shift.margins[1]
        self.encode = [PairCache(pair, batch, width, label, self.active[:, k]) for k, pair in enumerate(encode)]
        # the last layer of the way up reads the first maps of the way down, so all that belongs together is reversed
        self.base = self.active.new_zeros(len(decode), batch, width, filters)
        self.decode = [
            PairCache(pair, batch, width, label, above=self.base[len(decode) - 1 - k]) for k, pair in enumerate(decode)
        ]
        self.shortcuts = decode[0].shortcut
        if self.shortcuts:
            weights = [pair.ul_sides.parts[1].t() for pair in reversed(self.decode)]
            self.w_shown = torch.stack(weights).contiguous()

    def shown(self, slot: int, column: int) -> Tensor | None:
        """What is known of the first convolutions of the way up at a pixel, (layers, B, F), last layer first."""
        if not self.shortcuts:
            return None
        active = self.active[slot, : len(self.decode), :, self.left + column]
        return torch.baddbmm(self.base[:, :, column], active, self.w_shown)

    def put_last(self, slot: int, column: int, x: Tensor) -> None:
        """Keep phi of the last maps of the way down, which no layer of the way down reads."""
        self.active[slot, -1, :, self.left + column] = phi(x)


class UNetCache(StreamsCache):
    """Cached evaluation of the full network.

    Args:
        network: the model.
        batch: B.
        condition: (B,) class numbers, or None.
    """

    def __init__(self, network: PixelCNNPP, batch: int, condition: Tensor | None) -> None:
        super().__init__(network, batch, condition)
        side, levels = self.shape.side, len(network.encode)
        self.strided = network.resample == "strided"
        self.period = 2 ** (levels - 1) if network.resample != "none" else 1
        self.input = InputCache(network.input, batch, side)
        width = [side >> d if self.strided else side for d in range(levels)]
        self.levels = [
            LevelCache(list(down), list(up), batch, width[d], condition)  # type: ignore[call-overload]
            for d, (down, up) in enumerate(zip(network.encode, network.decode, strict=True))
        ]
        self.between = [
            SamplerCache(down, up, batch, width[d])  # type: ignore[arg-type]
            for d, (down, up) in enumerate(zip(network.coarser, network.finer, strict=True))
        ]

    def begin_row(self, phase: int) -> None:
        """See RowCache.begin_row."""
        self._row(0, phase, self.input.begin_row(self.x))

    def predict(self, phase: int, column: int, stage: int) -> Tensor:
        """See RowCache.predict."""
        ul = self.input.pixel(column, self.x[:, :, -1, column])
        return self.head(self._pixel(0, phase, column, ul))

    def _row(self, d: int, row: int, u: Tensor) -> Tensor:
        """Stream u of a row at level d and below, and what is known of stream ul; `row` counts rows of the level."""
        level = self.levels[d]
        slot = row % level.e
        active = phi(u)
        shown = [active]
        for pair in level.encode:
            u, active = pair.begin_row(slot, u, active)
            shown.append(active)
        if d + 1 < len(self.levels):
            u = self._row_between(d, row, u)
            active = phi(u)
        else:
            shown.pop()  # where the way up starts
        for pair in level.decode:
            brought = shown.pop()
            u, active = pair.begin_row(slot, u, active, brought if level.shortcuts else None)
        return u

    def _row_between(self, d: int, row: int, u: Tensor) -> Tensor:
        between = self.between[d]
        if not between.strided:
            slot = row % between.u.e
            between.u.begin_row(slot)
            between.ul.begin_row(slot)
            coarse = self._row(d + 1, row, between.u.row(slot, u))
            between.back_u.begin_row(slot)
            between.back_ul.begin_row(slot)
            return between.back_u.row(slot, coarse)
        if row % 2:
            between.u.put_row(0, u)  # the row above of the next coarse one
        else:
            between.u.begin_row(0)
            between.ul.begin_row(0)
            between.finer.begin_row(self._row(d + 1, row // 2, between.u.row(0, u)))
        return between.finer.rows_u[row % 2]

    def _pixel(self, d: int, row: int, column: int, ul: Tensor) -> Tensor:
        """Stream ul of a pixel at level d and below; row and column count those of the level."""
        level = self.levels[d]
        slot = row % level.e
        for pair in level.encode:
            ul = pair.pixel(slot, column, ul)
        if d + 1 < len(self.levels):
            if level.shortcuts:
                level.put_last(slot, column, ul)
            ul = self._pixel_between(d, row, column, ul)
        shown = level.shown(slot, column)
        last = len(level.decode) - 1
        for k, pair in enumerate(level.decode):
            ul = pair.ul.pixel(slot, column, ul, None if shown is None else shown[last - k])
        return ul

    def _pixel_between(self, d: int, row: int, column: int, ul: Tensor) -> Tensor:
        between = self.between[d]
        slot = row % between.ul.e
        between.ul.put(slot, column, ul)
        if not between.strided:
            coarse = self._pixel(d + 1, row, column, between.ul.pixel(slot, column))
            between.back_ul.put(slot, column, coarse)
            return between.back_ul.pixel(slot, column)
        if row % 2 == 0 and column % 2 == 0:
            coarse = self._pixel(d + 1, row // 2, column // 2, between.ul.pixel(0, column))
            between.finer.put(column // 2, coarse)
        return between.finer.rows_ul[:, row % 2, column]
