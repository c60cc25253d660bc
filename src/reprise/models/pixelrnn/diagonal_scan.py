"""The recurrence of the Diagonal BiLSTM in both directions at once (PixelRNN, section 3.2): fast, with its gradient.

n: side of the image; h: maps of the state; t = row + column: the diagonal, one step of the recurrence.
A cell is a pixel in the order of diagonals, within one by row; a slot is a place where states are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Step:
    """One diagonal: rows first ... first + count - 1 of the image, the others are not in it.

    Attributes:
        first: lowest row.
        count: number of pixels.
        cell: of the first pixel.
        slot: of the first pixel's state.
        above: slot of the state above the first pixel.
        left: slot of the state to its left. The next rows' slots follow, of all three.
    """

    first: int
    count: int
    cell: int
    slot: int
    above: int
    left: int


class Diagonals:
    """Where pixels lie once the image is skewed so that diagonals become columns, without the padding.

    In the previous diagonal, the state above a pixel and the state to its left are neighbours. So the states of a
    diagonal are kept as one piece, with a zero on top while it begins in row 0 (nothing lies above the image), and
    the initial state of the next row at its end while there is one (it lies to the left of that row's first pixel).

    Args:
        side: n.

    Attributes:
        steps: the 2n - 1 diagonals.
        slots: number of slots.
        initial: (n,) slot of each row's initial state.
        pixels: (2 * n * n,) for each cell of the first direction, then of the second, the place of its pixel in
            raster order: in the image; in the second image, mirrored, of a stack of two.
        cells: (2 * n * n,) the inverse: place of each pixel's cell.
        own: (2 * n * n,) place of the state of each pixel of both images among the slots of both directions.
        left, above: (n * n,) slots of the states that each cell reads.
    """

    def __init__(self, side: int, device: torch.device) -> None:
        self.side = side
        self.slots = 2  # diagonal -1: zero, the initial state of row 0
        initial = [1]
        pixels: list[int] = []
        mirrored: list[int] = []
        own: list[int] = []
        above: list[int] = []
        self.steps: list[Step] = []
        before = 0
        for t in range(2 * side - 1):
            first, last = max(0, t - side + 1), min(t, side - 1)
            count, begins_above = last - first + 1, t < side - 1
            step = Step(first, count, len(pixels), self.slots + begins_above, before, before + 1)
            self.steps.append(step)
            before = self.slots
            self.slots += count + 2 * begins_above
            if begins_above:
                initial.append(self.slots - 1)
            pixels += [r * side + t - r for r in range(first, last + 1)]
            mirrored += [r * side + side - 1 - (t - r) for r in range(first, last + 1)]
            own += [step.slot + k for k in range(count)]
            above += [step.above + k for k in range(count)]
        self.initial = torch.tensor(initial, device=device)
        self.pixels = torch.tensor(pixels + [side**2 + p for p in mirrored], device=device)
        self.cells = self.pixels.argsort()
        self.own = torch.tensor(own + [self.slots + s for s in own], device=device)[self.cells]
        self.above = torch.tensor(above, device=device)
        self.left = self.above + 1


@lru_cache(maxsize=16)
def diagonals(side: int, device: torch.device) -> Diagonals:
    """The diagonals of an image, made once for each side and device."""
    return Diagonals(side, device)


def diagonal_scan(into: Tensor, state_to_state: Tensor, h_0: Tensor, c_0: Tensor) -> Tensor:
    """Run the LSTM of each direction over all pixels: 2n - 1 steps in all.

    With s the previous diagonal's state: gates = into + K_above s[row - 1] + K_left s[row]; o, f and i pass a logistic,
    g a tanh; c = f c_left + i g, h = o tanh(c) (section 3.1). The state above row 0 is zero, that to the left of a
    row's first pixel is the row's initial state. The second direction runs over the mirror image: right is its left.

    Args:
        into: (2, n, n, B, 4h), what the input gives to the gates o, f, i, g of each direction.
        state_to_state: (2, 2, h, 4h) by direction and tap: from above, from the left.
        h_0: (2, n, h), initial state of each direction and row.
        c_0: (2, n, h), the same of the cell.

    Returns:
        (2, n, n, B, h), the states of both directions, each where its pixel is.
    """
    scanned: Tensor = _Scan.apply(into, state_to_state, h_0, c_0)
    return scanned


class _Scan(torch.autograd.Function):
    """Autograd of the loop itself would record 20 small operations a step; here the loop back does only what is serial.

    The weights' gradient is one product over all cells at the end; the factors between the gradients of states and of
    gates are computed for all cells beforehand.
    """

    @staticmethod
    def forward(ctx: Any, into: Tensor, state_to_state: Tensor, h_0: Tensor, c_0: Tensor) -> Tensor:
        where = diagonals(into.shape[1], into.device)
        batch, h = into.shape[3], h_0.shape[2]
        # (2, cells * B, 4h), summed up and activated in place
        gates = into.reshape(2 * where.side**2, -1).index_select(0, where.pixels).view(2, -1, 4 * h)
        tanh_c = gates.new_empty(2, gates.shape[1], h)
        states, cells = (_with_initial(first, where, batch) for first in (h_0, c_0))
        from_above, from_left = state_to_state.unbind(1)
        for step in where.steps:
            size, cell, slot, above, left = (
                batch * k for k in (step.count, step.cell, step.slot, step.above, step.left)
            )
            present = gates.narrow(1, cell, size)
            present.baddbmm_(states.narrow(1, above, size), from_above)
            present.baddbmm_(states.narrow(1, left, size), from_left)
            present[..., : 3 * h].sigmoid_()
            present[..., 3 * h :].tanh_()
            o, f, i, g = present.split(h, 2)
            c = torch.mul(f, cells.narrow(1, left, size), out=cells.narrow(1, slot, size)).addcmul_(i, g)
            tanh = torch.tanh(c, out=tanh_c.narrow(1, cell, size))
            torch.mul(o, tanh, out=states.narrow(1, slot, size))
        ctx.save_for_backward(gates, states, cells, tanh_c, state_to_state)
        ctx.where = where
        return states.view(2 * where.slots, -1).index_select(0, where.own).view(*into.shape[:4], h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # type: ignore[override]
        gates, states, cells, tanh_c, state_to_state = ctx.saved_tensors
        where: Diagonals = ctx.where
        side, (batch, h) = where.side, grad.shape[3:]
        # 1. d of each state by what follows outside of the recurrence, in the order of diagonals, (2, cells * B, h)
        d_h = grad.reshape(2 * side**2, -1).index_select(0, where.pixels).view(2, -1, h)
        # 2. what is not serial: dc/dh through tanh, and the factor from d_h (o) or d_c (f, i, g) to each gate's input
        c_left = cells.view(2, where.slots, -1).index_select(1, where.left).view(2, -1, h)
        through, d_gates = _factors(gates, tanh_c, c_left)
        # 3. back through the diagonals; row r of the image is row r + 1 of d_state, row 0 takes what no pixel wants
        to_above, to_left = (tap.transpose(1, 2) for tap in state_to_state.unbind(1))
        d_state = grad.new_zeros(2, (side + 1) * batch, h)
        d_cell = grad.new_zeros(2, side * batch, h)
        for step in reversed(where.steps):
            size, cell, first = (batch * k for k in (step.count, step.cell, step.first))
            own = d_state.narrow(1, first + batch, size)
            dh = d_h.narrow(1, cell, size).add_(own)
            dc = d_cell.narrow(1, first, size).addcmul_(dh, through.narrow(1, cell, size))
            dz = d_gates.narrow(1, cell, size)
            dz[..., :h] *= dh
            dz.unflatten(2, (4, h))[:, :, 1:] *= dc[:, :, None]
            dc *= gates.narrow(1, cell, size)[..., h : 2 * h]
            own.baddbmm_(dz, to_left, beta=0)
            d_state.narrow(1, first, size).baddbmm_(dz, to_above)
        # 4. weights, in one product over all cells
        read = states.view(2, where.slots, -1)
        taps = [
            read.index_select(1, slots).view(2, -1, h).transpose(1, 2) @ d_gates for slots in (where.above, where.left)
        ]
        # 5. back to raster order
        d_into = d_gates.view(2 * side**2, -1).index_select(0, where.cells).view(*grad.shape[:4], 4 * h)
        d_h_0 = d_state[:, batch:].unflatten(1, (side, batch)).sum(2)
        return d_into, torch.stack(taps, 1), d_h_0, d_cell.unflatten(1, (side, batch)).sum(2)


def _with_initial(initial: Tensor, where: Diagonals, batch: int) -> Tensor:
    """Room for all states, (2, slots * B, h): zeros above the image, initial states beside it."""
    room = initial.new_zeros(2, where.slots, batch, initial.shape[2])
    room[:, where.initial] = initial[:, :, None]
    return room.flatten(1, 2)


def _factors(gates: Tensor, tanh_c: Tensor, c_left: Tensor) -> tuple[Tensor, Tensor]:
    """dc/dh of each cell, (2, cells * B, h), and what d_h or d_c is multiplied by, (2, cells * B, 4h)."""
    h = tanh_c.shape[2]
    o, _, i, g = gates.split(h, 2)
    factors = torch.empty_like(gates)
    logistic = gates[..., : 3 * h]
    torch.addcmul(logistic, logistic, logistic, value=-1, out=factors[..., : 3 * h])  # s (1 - s)
    d_o, d_f, d_i, d_g = factors.split(h, 2)
    torch.mul(i, g, out=d_g)
    torch.addcmul(i, d_g, g, value=-1, out=d_g)  # i (1 - g^2)
    d_o *= tanh_c
    d_f *= c_left
    d_i *= g
    through = o * tanh_c
    torch.addcmul(o, through, tanh_c, value=-1, out=through)  # o (1 - tanh(c)^2)
    return through, factors
