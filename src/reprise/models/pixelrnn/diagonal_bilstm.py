"""Diagonal BiLSTM: two LSTMs that sweep the image along its diagonals (PixelRNN, section 3.2)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.models.pixelrnn.diagonal_scan import diagonal_scan
from reprise.models.pixelrnn.gate_room import GateRoom
from reprise.models.pixelrnn.network import Layer, LayerCache, PixelRNN
from reprise.nn.pixels.masks import MaskedConv2d, colour_groups
from reprise.nn.pixels.staged import Pixel


class DiagonalBiLSTMLayer(Layer):
    """Input-to-state, the recurrence of both directions, their sum, and a 1x1 convolution back to 2h maps.

    The first direction's state of a pixel covers what lies above and to the left of it, the pixel included; the second
    one's what lies above and to the right. The second one is shifted down by a row before the sum, so that it covers
    complete rows only.

    Args:
        hidden: h.
        groups: (2h,) colour group of the maps between layers.
        colours: number of groups.
        side: of the image; each row has an initial state of its own.
    """

    def __init__(self, hidden: int, groups: Tensor, colours: int, side: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.groups = groups
        self.colours = colours
        self.inner = colour_groups(hidden, colours)
        self.bias_width = 4 * hidden
        # gates o, f, i, g of the first direction, then of the second
        self.input_to_state = MaskedConv2d("B", groups, self.inner.repeat(8), (1, 1))
        # by direction and tap (above, left); not masked, and without a bias of its own, which would add to the other
        self.state_to_state = nn.Parameter(torch.empty(2, 2, hidden, 4 * hidden))
        bound = 1 / math.sqrt(2 * hidden)  # as torch's convolutions of two taps
        nn.init.uniform_(self.state_to_state, -bound, bound)
        # the paper: learned; not in the paper: one for each row, beside its first pixel
        self.h_0 = nn.Parameter(torch.zeros(2, side, hidden))
        self.c_0 = nn.Parameter(torch.zeros(2, side, hidden))
        self.up = MaskedConv2d("B", self.inner, groups, (1, 1))

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """See Layer.forward; both directions get the bias."""
        into = self._into(x.permute(2, 3, 0, 1))
        if bias is not None:
            into = into + bias.permute(2, 3, 0, 1)
        # in full precision under autocast too: states add up over 2n - 1 steps
        both = diagonal_scan(into.to(self.h_0.dtype), self.state_to_state, self.h_0, self.c_0)
        # not in the paper: whether the 1x1 convolution comes before or after the sum
        past = both[0] + shifted_down(both[1])
        return F.linear(past, self.up.masked.flatten(1), self.up.bias).permute(2, 3, 0, 1)

    def _into(self, x: Tensor) -> Tensor:
        """Input-to-state maps (2, H, W, B, 4h) of both directions, of x (H, W, B, 2h)."""
        both = (2, 4 * self.hidden)
        weight = self.input_to_state.masked.view(*both, -1).transpose(1, 2)
        offset = self.input_to_state.bias.view(both)[:, None]  # type: ignore[union-attr]
        flat = x.reshape(1, -1, x.shape[3]).expand(2, -1, -1)
        return torch.baddbmm(offset, flat, weight).view(2, *x.shape[:3], -1)

    def cache(self, batch: int, side: int) -> DiagonalBiLSTMCache:
        """See Layer.cache."""
        return DiagonalBiLSTMCache(self, batch, side)


def shifted_down(maps: Tensor) -> Tensor:
    """Maps (H, W, B, C) moved down by a row: zeros in the first row, the last one dropped."""
    return F.pad(maps[:-1], (0, 0, 0, 0, 0, 0, 1, 0))


class DiagonalBiLSTMCache(LayerCache):
    """Keeps both directions' states of the row above, and the first one's of the present row.

    The second direction runs over a row from its right end, once the row is complete.

    Args:
        layer: the layer.
        batch: B.
        side: W.
    """

    def __init__(self, layer: DiagonalBiLSTMLayer, batch: int, side: int) -> None:
        like, h = layer.h_0, layer.hidden
        self.parts = Pixel(batch, layer.inner, layer.colours, like).slices
        # 1. weights, as right factors; of the first direction and of the 1x1 convolution, by colour of what comes out
        first, second = layer.input_to_state.masked.flatten(1).T.split(4 * h, 1)
        self.offset, self.second_offset = layer.input_to_state.bias.split(4 * h)  # type: ignore[union-attr]
        (self.above_weight, left), (self.second_above, self.second_left) = layer.state_to_state
        self.second_into = second.contiguous()
        self.gates = _members(layer.inner.repeat(4), layer.colours, like)
        self.into, self.left = ([w.index_select(1, k) for k in self.gates] for w in (first, left))
        self.up_weight, self.up_offset = layer.up.masked.flatten(1).T.contiguous(), layer.up.bias
        self.maps = _members(layer.groups, layer.colours, like)
        self.up = [self.up_weight.index_select(1, k) for k in self.maps]
        # 2. initial states by row; the second direction is a row late
        self.initial = [layer.h_0[0], layer.c_0[0]]
        self.second_initial = [F.pad(initial[1, :-1], (0, 0, 1, 0)) for initial in (layer.h_0, layer.c_0)]
        self.row = torch.zeros(1, dtype=torch.long, device=like.device)
        self.begun = like.new_zeros(1)
        # 3. what is remembered, column first
        self.x = like.new_zeros(side, batch, 2 * h)
        self.bias = like.new_zeros(side, batch, 4 * h)
        self.states = like.new_zeros(side + 1, batch, h)  # the initial state is left of column 0
        self.cell = like.new_zeros(batch, h)
        self.second = like.new_zeros(side, batch, h)
        # what the row above gives to the gates and, through the second direction, to the output
        self.above = [like.new_zeros(side, batch, len(k)) for k in self.gates]
        self.shown = [like.new_zeros(side, batch, len(k)) for k in self.maps]
        # gates of the second direction, over the row
        self.back = like.new_zeros(side, batch, 4 * h)
        self._make_views()

    def _make_views(self) -> None:
        """Make views of what lies still once: slicing costs as much as the arithmetic of a small pixel."""
        self.from_above, self.shows = ([list(rooms) for rooms in room] for room in (self.above, self.shown))
        self.state = list(self.states)
        self.state_parts = [[state[:, part] for part in self.parts] for state in self.states]
        self.cells = [self.cell[:, part] for part in self.parts]
        self.rooms = [GateRoom(torch.zeros_like(room[0])) for room in self.above]
        self.back_rooms = [GateRoom(gates) for gates in self.back]
        self.seconds = list(self.second)

    def begin_row(self, bias: Tensor | None) -> None:
        """See LayerCache.begin_row."""
        self._sweep_back()
        if bias is not None:
            self.bias.copy_(bias.transpose(0, 1))
        above = self.states[1:] @ self.above_weight + self.offset + self.bias
        shown = F.linear(self.second, self.up_weight.T, self.up_offset)
        for maps, rooms, members in ((above, self.above, self.gates), (shown, self.shown, self.maps)):
            for room, k in zip(rooms, members, strict=True):
                torch.index_select(maps, 2, k, out=room)
        h_0, c_0 = (initial.index_select(0, self.row) for initial in self.initial)
        self.states[0] = h_0
        self.cell.copy_(c_0.expand_as(self.cell))
        self.row += 1

    def step(self, column: int, group: int, x: Tensor) -> Tensor:
        """See LayerCache.step."""
        if group == len(self.parts) - 1:
            self.x[column] = x
        room = self.rooms[group]
        torch.addmm(self.from_above[group][column], self.state[column], self.left[group], out=room.maps)
        room.maps.addmm_(x, self.into[group])
        room.update(self.cells[group], self.state_parts[column + 1][group])
        # later colours of the state are those of the row above, which the mask hides
        return torch.addmm(self.shows[group][column], self.state[column + 1], self.up[group])

    def _sweep_back(self) -> None:
        """Run the second direction over the row that is complete; above the first row there is none, and zeros stay."""
        torch.add(self.x @ self.second_into + self.second_offset, self.bias, out=self.back)
        self.back += self.second @ self.second_above
        h, c = (initial.index_select(0, self.row).expand_as(self.cell).clone() for initial in self.second_initial)
        for room, state in zip(reversed(self.back_rooms), reversed(self.seconds), strict=True):
            room.maps.addmm_(h, self.second_left)
            room.update(c, state)
            h = state
        self.second *= self.begun
        self.begun.fill_(1)


def _members(groups: Tensor, colours: int, like: Tensor) -> list[Tensor]:
    """Indices of each colour's maps."""
    return [(groups == g).nonzero()[:, 0].to(like.device) for g in range(colours)]


class DiagonalBiLSTM(PixelRNN):
    """Diagonal BiLSTM: sees every earlier pixel, save one.

    The last pixel of the row above is seen by the last columns only: mask A hides a pixel from its own features, and no
    other feature that looks at it lies in complete rows. So is its last colour, where colours are drawn one by one.
    """

    def layer(self) -> DiagonalBiLSTMLayer:
        """See PixelRNN.layer."""
        return DiagonalBiLSTMLayer(self.hidden, self.groups, self.colours, self.shape.side)
