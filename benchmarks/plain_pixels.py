"""The image networks as they are commonly written: the plain formulation that training is measured against.

Loops over rows or columns under autograd, masks applied to whole kernels, and convolutions one by one. Those of the
PixelRNN family take over the weights of a network of ours, so that both compute the same loss.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.plain_unet import PlainPixelCNNPP
from reprise.models.gated_pixelcnn.network import GatedPixelCNN
from reprise.models.pixelcnn_pp.network import PixelCNNPP
from reprise.models.pixelrnn.diagonal_bilstm import DiagonalBiLSTMLayer
from reprise.models.pixelrnn.network import PixelRNN
from reprise.models.pixelrnn.pixelcnn import ConvolutionLayer
from reprise.models.pixelrnn.row_lstm import RowLSTMLayer
from reprise.nn.pixels.masks import MaskedConv2d, causal_mask
from reprise.nn.pixels.network import PixelNetwork


def plain(network: PixelNetwork) -> nn.Module:
    """The plain counterpart of a network, on the same device.

    Raises:
        TypeError: there is none.
    """
    device = next(network.parameters()).device
    if isinstance(network, PixelRNN):
        return PlainPixelRNN(network).to(device)
    if isinstance(network, GatedPixelCNN):
        return PlainGated(network).to(device)
    if isinstance(network, PixelCNNPP):
        return PlainPixelCNNPP(network).to(device)
    raise TypeError(f"there is no plain form of {type(network).__name__}.")


class Masked(nn.Conv2d):
    """A convolution whose kernel is multiplied by its mask before each use."""

    mask: Tensor

    def __init__(self, mask: Tensor, bias: bool = True) -> None:
        out, into, height, width = mask.shape
        super().__init__(into, out, (height, width), padding=(height // 2, width // 2), bias=bias)
        self.register_buffer("mask", mask.clone())

    @classmethod
    def of(cls, ours: Any) -> Masked:
        """With the weights of a MaskedConv2d."""
        assert isinstance(ours, MaskedConv2d)
        made = cls(ours.mask)
        made.load_state_dict({**ours.state_dict(), "mask": ours.mask})
        return made

    def forward(self, x: Tensor) -> Tensor:
        self.weight.data *= self.mask
        return super().forward(x)


class PlainBlock(nn.Module):
    """A residual block of PixelCNN."""

    def __init__(self, ours: ConvolutionLayer) -> None:
        super().__init__()
        self.down, self.middle, self.up = (Masked.of(c) for c in (ours.down, ours.middle, ours.up))

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(F.relu(x))
        x = self.middle(F.relu(x))
        return self.up(F.relu(x))  # type: ignore[no-any-return]


def lstm(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden and cell state from gates o, f, i, g (B, 4h, ...) and the old cell state."""
    o, f, i, g = gates.chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


class PlainRow(nn.Module):
    """A layer of the Row LSTM: a loop over rows."""

    def __init__(self, ours: RowLSTMLayer) -> None:
        super().__init__()
        self.input_to_state, self.up = Masked.of(ours.input_to_state), Masked.of(ours.up)
        out, into, _, taps = ours.state_to_state.weight.shape
        self.state_to_state = nn.Conv1d(into, out, taps, padding=taps // 2, bias=False)
        self.state_to_state.weight.data.copy_(ours.state_to_state.weight[:, :, 0])
        self.h_0, self.c_0 = nn.Parameter(ours.h_0.detach().clone()), nn.Parameter(ours.c_0.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        into = self.input_to_state(x)
        h, c = (state.expand(len(x), -1, -1) for state in (self.h_0, self.c_0))
        rows = []
        for r in range(x.shape[2]):
            h, c = lstm(into[:, :, r] + self.state_to_state(h), c)
            rows.append(h)
        return self.up(torch.stack(rows, 2))  # type: ignore[no-any-return]


def skew(x: Tensor) -> Tensor:
    """Each row of x (B, C, H, W) one column further to the right than the row above, (B, C, H, W + H - 1)."""
    height, width = x.shape[2:]
    skewed = x.new_zeros(*x.shape[:3], width + height - 1)
    for r in range(height):
        skewed[:, :, r, r : r + width] = x[:, :, r]
    return skewed


def unskew(x: Tensor, width: int) -> Tensor:
    return torch.stack([x[:, :, r, r : r + width] for r in range(x.shape[2])], 2)


class PlainDiagonal(nn.Module):
    """A layer of the Diagonal BiLSTM: a loop over the columns of the skewed maps, for each direction."""

    def __init__(self, ours: DiagonalBiLSTMLayer) -> None:
        super().__init__()
        self.input_to_state, self.up = Masked.of(ours.input_to_state), Masked.of(ours.up)
        h = ours.hidden
        self.state_to_state = nn.ModuleList(nn.Conv1d(h, 4 * h, 2, bias=False) for _ in range(2))
        for conv, taps in zip(self.state_to_state, ours.state_to_state, strict=True):
            conv.weight.data.copy_(taps.permute(2, 1, 0))  # type: ignore[union-attr, operator]
        self.h_0, self.c_0 = nn.Parameter(ours.h_0.detach().clone()), nn.Parameter(ours.c_0.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.input_to_state(x).chunk(2, 1)
        past = self.direction(first, 0)
        past = past + F.pad(self.direction(second.flip(3), 1).flip(3)[:, :, :-1], (0, 0, 1, 0))
        return self.up(past)  # type: ignore[no-any-return]

    def direction(self, into: Tensor, which: int) -> Tensor:
        side = into.shape[2]
        into = skew(into)
        h_0, c_0 = (state[which].t().expand(len(into), -1, -1) for state in (self.h_0, self.c_0))
        h, c, columns = h_0, c_0, []
        rows = torch.arange(side, device=into.device)
        for t in range(into.shape[3]):
            h, c = lstm(into[..., t] + self.state_to_state[which](F.pad(h, (1, 0))), c)
            begun = rows <= t
            h, c = torch.where(begun, h, h_0), torch.where(begun, c, c_0)
            columns.append(h)
        return unskew(torch.stack(columns, 3), side)


LAYERS: dict[type[nn.Module], Any] = {
    ConvolutionLayer: PlainBlock,
    RowLSTMLayer: PlainRow,
    DiagonalBiLSTMLayer: PlainDiagonal,
}


class PlainPixelRNN(nn.Module):
    """First convolution, layers, head, with the weights of a network without skips and conditions."""

    def __init__(self, ours: PixelRNN) -> None:
        super().__init__()
        self.first = Masked.of(ours.first)
        self.layers = nn.ModuleList(LAYERS[type(layer)](layer) for layer in ours.layers)
        self.head = nn.ModuleList(Masked.of(c) for c in ours.head)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for layer in self.layers:
            x = x + layer(x)
        for convolution in self.head:
            x = convolution(F.relu(x))
        return x


class PlainGatedLayer(nn.Module):
    """A layer of Gated PixelCNN whose vertical stack is a masked k x k convolution, its horizontal one 1 x k."""

    def __init__(self, kind: Any, into: Tensor, groups: Tensor, kernel: int) -> None:
        super().__init__()
        both = groups.repeat(2)
        self.first = kind == "A"
        vertical = torch.zeros(len(both), len(into), kernel, kernel)
        vertical[:, :, : kernel // 2 + (not self.first)] = 1
        self.vertical = Masked(vertical)
        self.link = nn.Conv2d(len(both), len(both), 1, bias=False)
        self.horizontal = Masked(causal_mask(kind, into, both, 1, kernel))
        self.residual, self.skip = (Masked(causal_mask("B", groups, groups, 1, 1)) for _ in range(2))

    def forward(self, v: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        V = self.vertical(v)
        f, g = V.chunk(2, 1)
        v = f.tanh() * g.sigmoid()
        f, g = (self.horizontal(u) + self.link(V)).chunk(2, 1)
        y = f.tanh() * g.sigmoid()
        out = self.residual(y)
        return v, out if self.first else u + out, self.skip(y)


class PlainGated(nn.Module):
    """An unconditional Gated PixelCNN of two stacks, of the sizes of a network of ours."""

    def __init__(self, ours: GatedPixelCNN) -> None:
        super().__init__()
        pixels, kernels = [layer.horizontal for layer in ours.layers], [layer.kernel for layer in ours.layers]  # type: ignore[union-attr]
        image = torch.arange(pixels[0].in_channels) if ours.colours > 1 else torch.zeros(pixels[0].in_channels)  # type: ignore[union-attr, arg-type]
        self.layers = nn.ModuleList(
            PlainGatedLayer("B" if k else "A", ours.groups if k else image, ours.groups, int(kernel))  # type: ignore[arg-type]
            for k, kernel in enumerate(kernels)
        )
        self.head = nn.ModuleList(Masked.of(c) for c in ours.head)

    def forward(self, x: Tensor) -> Tensor:
        v = u = x
        shown: Any = 0
        for layer in self.layers:
            v, u, seen = layer(v, u)
            shown = shown + seen
        for convolution in self.head:
            shown = convolution(F.relu(shown))
        return shown  # type: ignore[no-any-return]
