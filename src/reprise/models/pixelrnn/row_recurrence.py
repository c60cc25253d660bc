"""The recurrence of the Row LSTM over the rows of an image, with a backward pass of its own (PixelRNN, eq. (3)).

Automatic differentiation would compute a gradient of the state-to-state weights in every row. Here a row passes back
the gradient of its states alone, and the weights' is one product over all rows at the end. Everything lies row by row,
pixels before maps, so that a row is contiguous and its convolution a matrix product.

H, W: rows and columns; h: maps of a state; the 4h maps of the gates are o, f, i, g.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

TAPS = 3  # of the state-to-state convolution along the row above


def windows(states: Tensor) -> Tensor:
    """The three neighbours of each pixel in states (..., W + 2, h), zeros at both ends: a view (..., W, 3h)."""
    *outer, padded, h = states.shape
    strides = (*states.stride()[:-2], states.stride(-2), 1)
    return states.as_strided((*outer, padded - TAPS + 1, TAPS * h), strides, states.storage_offset())


def row_lstm(gates: Tensor, weight: Tensor, h_0: Tensor, c_0: Tensor) -> Tensor:
    """Hidden states of all rows: o, f, i, g from gates + K_ss * h above, c = f c_above + i g, h = o tanh(c).

    Args:
        gates: (H, B, W, 4h), input-to-state part of o, f, i, g before their non-linearities.
        weight: (3h, 4h), state-to-state; the left neighbour's maps first.
        h_0: (W, h), hidden state above the first row, shared over the batch.
        c_0: (W, h), cell state likewise.

    Returns:
        (H, B, W, h).
    """
    return _RowLSTM.apply(gates, weight, h_0, c_0)  # type: ignore[no-any-return, no-untyped-call]


class _RowLSTM(torch.autograd.Function):
    """See row_lstm; differentiable once."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, h_0: Tensor, c_0: Tensor) -> Tensor:
        rows, batch, side, maps = gates.shape
        h = maps // 4
        gates = gates.clone(memory_format=torch.contiguous_format)
        hidden = gates.new_zeros(rows + 1, batch, side + TAPS - 1, h)
        cells = gates.new_empty(rows + 1, batch, side, h)
        tanh_c = torch.empty_like(cells[1:])
        inner = hidden[:, :, 1:-1]
        inner[0], cells[0] = h_0, c_0
        above, seen = windows(hidden), gates.new_empty(batch, side, TAPS * h)
        for r in range(rows):
            seen.copy_(above[r])
            gates[r].view(-1, 4 * h).addmm_(seen.view(-1, TAPS * h), weight)
            gates[r, ..., : 3 * h].sigmoid_()
            gates[r, ..., 3 * h :].tanh_()
            o, f, i, g = gates[r].chunk(4, -1)
            torch.mul(f, cells[r], out=cells[r + 1]).addcmul_(i, g)
            torch.mul(o, torch.tanh(cells[r + 1], out=tanh_c[r]), out=inner[r + 1])
        ctx.save_for_backward(gates, hidden, cells, tanh_c, weight)
        return inner[1:]

    @staticmethod
    @once_differentiable  # type: ignore[misc, untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # type: ignore[override]
        gates, hidden, cells, tanh_c, weight = ctx.saved_tensors
        rows, batch, side, maps = gates.shape
        h = maps // 4
        o, f, i, g = gates.chunk(4, -1)
        # 1. what does not depend on later rows, for all rows at once
        into_cell = o * (1 - tanh_c.square())
        d_gates = torch.empty_like(gates)
        d_o, d_f, d_i, d_g = d_gates.chunk(4, -1)
        torch.mul(tanh_c, o * (1 - o), out=d_o)
        torch.mul(cells[:-1], f * (1 - f), out=d_f)
        torch.mul(g, i * (1 - i), out=d_i)
        torch.mul(i, 1 - g.square(), out=d_g)
        # 2. from the last row to the first: gradients of the states
        d_hidden = torch.zeros_like(hidden)
        d_hidden[1:, :, 1:-1] = grad
        d_cell = torch.zeros_like(cells[0])
        d_seen, back = hidden.new_empty(batch, side, TAPS, h), weight.t()
        for r in reversed(range(rows)):
            d_h = d_hidden[r + 1, :, 1:-1]
            d_cell.addcmul_(d_h, into_cell[r])
            d_o[r] *= d_h
            d_gates[r].unflatten(-1, (4, h))[..., 1:, :] *= d_cell[..., None, :]
            d_cell *= f[r]
            torch.mm(d_gates[r].view(-1, 4 * h), back, out=d_seen.view(-1, TAPS * h))
            for tap in range(TAPS):
                d_hidden[r, :, tap : tap + side] += d_seen[:, :, tap]
        # 3. the weights: one product over all rows
        d_weight = windows(hidden[:-1]).reshape(-1, TAPS * h).t() @ d_gates.view(-1, 4 * h)
        return d_gates, d_weight, d_hidden[0, :, 1:-1].sum(0), d_cell.sum(0)
