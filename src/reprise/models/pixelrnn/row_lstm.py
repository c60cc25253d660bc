"""Row LSTM: an LSTM that runs down the image, a whole row at a time (PixelRNN, section 3.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.models.pixelrnn.gate_room import GateRoom
from reprise.models.pixelrnn.network import Layer, LayerCache, PixelRNN
from reprise.models.pixelrnn.row_recurrence import TAPS, row_lstm, windows
from reprise.nn.pixels.masks import MaskedConv2d, colour_groups
from reprise.nn.pixels.staged import Pixel, StagedLinear


class RowLSTMLayer(Layer):
    """Input-to-state k x 1 along the row with mask B, state-to-state 3 x 1 from the row above, 1x1 to 2h maps.

    Args:
        hidden: h.
        groups: (2h,) colour group of the maps between layers.
        colours: number of groups.
        side: W, for the learned initial states.
        kernel: k, odd.
    """

    def __init__(self, hidden: int, groups: Tensor, colours: int, side: int, kernel: int = 3) -> None:
        super().__init__()
        self.colours = colours
        self.inner = colour_groups(hidden, colours)
        self.groups = groups
        self.gates = self.inner.repeat(4)  # o, f, i, g: the maps of a state, once a gate
        self.bias_width = 4 * hidden
        self.input_to_state = MaskedConv2d("B", groups, self.gates, (1, kernel))
        # not masked, since the whole row above is past; its bias would be that of the input-to-state map once more
        self.state_to_state = nn.Conv2d(hidden, 4 * hidden, (1, TAPS), bias=False)
        self.up = MaskedConv2d("B", self.inner, groups, (1, 1))
        # not in the paper: what learned initial states start from
        self.h_0 = nn.Parameter(torch.zeros(hidden, side))
        self.c_0 = nn.Parameter(torch.zeros(hidden, side))

    @property
    def state_matrix(self) -> Tensor:
        """Weights of the state-to-state convolution as `row_lstm` takes them, (3h, 4h)."""
        return self.state_to_state.weight[:, :, 0].permute(2, 1, 0).flatten(0, 1)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """See Layer.forward."""
        side = x.shape[-1]
        reach = self.input_to_state.kernel_size[1] // 2
        # taps right of the centre are masked: left out, with the surplus column that the padding then gives
        seen = self.input_to_state.masked[..., : reach + 1]
        gates = F.conv2d(x, seen, self.input_to_state.bias, padding=(0, reach))[..., :side]
        gates = gates if bias is None else gates + bias
        h_0, c_0 = self.h_0.t().to(gates), self.c_0.t().to(gates)
        states = row_lstm(gates.permute(2, 0, 3, 1), self.state_matrix.to(gates), h_0, c_0)
        return self.up(states.permute(1, 3, 0, 2))  # type: ignore[no-any-return]

    def cache(self, batch: int, side: int) -> RowLSTMCache:
        """See Layer.cache."""
        return RowLSTMCache(self, batch, side)


class RowLSTMCache(LayerCache):
    """Keeps the states of the row above, which the present row overwrites pixel by pixel, and the row's input maps.

    The maps of the gates are sorted by colour here, so that what a stage computes is contiguous.

    Args:
        layer: the layer.
        batch: B.
        side: W.
    """

    def __init__(self, layer: RowLSTMLayer, batch: int, side: int) -> None:
        like, colours, h = layer.state_to_state.weight.detach(), layer.colours, len(layer.inner)
        self.reach = layer.input_to_state.kernel_size[1] // 2
        self.order = layer.gates.argsort(stable=True).to(like.device)
        self.state = layer.state_matrix.detach()[:, self.order].contiguous()
        self.bias = layer.input_to_state.bias.detach()[self.order]  # type: ignore[union-attr]
        seen = layer.input_to_state.masked[:, :, 0, : self.reach + 1].detach()
        self.into = StagedLinear(seen, None, layer.gates, colours).weight
        self.up = StagedLinear(layer.up.masked.flatten(2), layer.up.bias, layer.groups, colours)
        self.inputs = like.new_zeros(batch, self.reach + side, 2 * h)
        self.above = like.new_zeros(side, batch, 4 * h)
        self.hidden = like.new_zeros(batch, side + TAPS - 1, h)
        self.hidden[:, 1:-1] = layer.h_0.detach().t()
        self.cells = layer.c_0.detach().t().repeat(batch, 1, 1)
        # views of what lies still, made once: slicing costs as much as the arithmetic of a small pixel
        columns, parts = range(side), Pixel(batch, layer.inner, colours, like).slices
        self.slots = [self.inputs[:, self.reach + c] for c in columns]
        self.windows = [self.inputs[:, c : c + self.reach + 1].flatten(1) for c in columns]
        self.from_above = [above.split([4 * (part.stop - part.start) for part in parts], 1) for above in self.above]
        self.states = [[self.hidden[:, c + 1, part] for part in parts] for c in columns]
        self.ups = [self.hidden[:, c + 1] for c in columns]
        self.cell = [[self.cells[:, c, part] for part in parts] for c in columns]
        self.gates = [GateRoom(torch.zeros_like(above)) for above in self.from_above[0]]

    def begin_row(self, bias: Tensor | None) -> None:
        """See LayerCache.begin_row."""
        seen = windows(self.hidden).flatten(0, 1)
        above = torch.addmm(self.bias, seen, self.state).unflatten(0, (-1, len(self.above)))
        self.above.copy_((above if bias is None else above + bias[..., self.order]).transpose(0, 1))

    def step(self, column: int, group: int, x: Tensor) -> Tensor:
        """See LayerCache.step."""
        self.slots[column].copy_(x)  # later colours, which the mask hides, are put right by later calls
        gates = self.gates[group]
        torch.addmm(self.from_above[column][group], self.windows[column], self.into[group], out=gates.maps)
        gates.update(self.cell[column][group], self.states[column][group])
        return self.up(self.ups[column], group)


class RowLSTM(PixelRNN):
    """Row LSTM: sees a triangle above each pixel, in n sequential steps a layer."""

    def layer(self) -> RowLSTMLayer:
        """See PixelRNN.layer."""
        return RowLSTMLayer(self.hidden, self.groups, self.colours, self.shape.side)
