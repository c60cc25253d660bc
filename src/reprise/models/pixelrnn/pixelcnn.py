"""PixelCNN: residual blocks of masked convolutions (PixelRNN, sections 3.4 and 4; Figure 5 left)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.models.pixelrnn.network import Layer, LayerCache, PixelRNN
from reprise.nn.pixels.masks import MaskedConv2d, colour_groups
from reprise.nn.pixels.staged import Pixel, StagedLinear


class ConvolutionLayer(Layer):
    """ReLU, 1x1 to h maps, ReLU, 3x3, ReLU, 1x1 to 2h maps; every convolution with mask B.

    Args:
        hidden: h.
        groups: (2h,) colour group of the maps between layers.
        colours: number of groups.
        kernel: side of the middle convolution.
    """

    def __init__(self, hidden: int, groups: Tensor, colours: int, kernel: int = 3) -> None:
        super().__init__()
        self.colours = colours
        self.inner = colour_groups(hidden, colours)
        self.groups = groups
        self.bias_width = hidden
        self.down = MaskedConv2d("B", groups, self.inner, (1, 1))
        self.middle = MaskedConv2d("B", self.inner, self.inner, (kernel, kernel))
        self.up = MaskedConv2d("B", self.inner, groups, (1, 1))

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """See Layer.forward."""
        v = self.middle(F.relu(self.down(F.relu(x))))
        return self.up(F.relu(v if bias is None else v + bias))  # type: ignore[no-any-return]

    def cache(self, batch: int, side: int) -> ConvolutionCache:
        """See Layer.cache."""
        return ConvolutionCache(self, batch, side)


class ConvolutionCache(LayerCache):
    """Keeps the inner maps of the rows that the middle convolution reaches, the present one last.

    Args:
        layer: the layer.
        batch: B.
        side: W.
    """

    def __init__(self, layer: ConvolutionLayer, batch: int, side: int) -> None:
        like, colours, hidden = layer.middle.weight, layer.colours, len(layer.inner)
        self.reach = layer.middle.kernel_size[0] // 2
        weight = layer.middle.masked
        present = weight[:, :, self.reach, : self.reach + 1]
        self.above_weight = weight[:, :, : self.reach]
        self.down = StagedLinear(layer.down.masked.flatten(2), layer.down.bias, layer.inner, colours)
        self.middle = StagedLinear(present, None, layer.inner, colours).weight
        self.bias = layer.middle.bias
        self.up = StagedLinear(layer.up.masked.flatten(2), layer.up.bias, layer.groups, colours)
        self.pixel = Pixel(batch, layer.inner, colours, like)
        self.rows = like.new_zeros(batch, self.reach + 1, side + 2 * self.reach, hidden)
        self.above = like.new_zeros(side, batch, hidden)
        # views of what lies still, made once: by column and colour, where the inner maps of a pixel go and what is
        # added to them; by column, the windows of the present row
        row, parts = self.rows[:, -1], self.pixel.slices
        self.slots = [[row[:, self.reach + c, part] for part in parts] for c in range(side)]
        self.from_above = [[above[:, part] for part in parts] for above in self.above]
        self.windows = [row[:, c : c + self.reach + 1].flatten(1) for c in range(side)]

    def begin_row(self, bias: Tensor | None) -> None:
        """See LayerCache.begin_row."""
        self.rows[:, :-1] = self.rows[:, 1:].clone()
        if self.reach:
            above = F.conv2d(self.rows[:, :-1].permute(0, 3, 1, 2), self.above_weight, self.bias)
            self.above.copy_(above[:, :, 0].permute(2, 0, 1))
        elif self.bias is not None:
            self.above.copy_(self.bias)
        if bias is not None:
            self.above += bias.transpose(0, 1)

    def step(self, column: int, group: int, x: Tensor) -> Tensor:
        """See LayerCache.step."""
        torch.clamp_min(self.down(F.relu(x), group), 0.0, out=self.slots[column][group])
        v = torch.addmm(self.from_above[column][group], self.windows[column], self.middle[group])
        torch.clamp_min(v, 0.0, out=self.pixel.parts[group])
        return self.up(self.pixel.maps, group)


class PixelCNN(PixelRNN):
    """PixelCNN: the fast body, whose receptive field is bounded and has a blind spot."""

    def layer(self) -> ConvolutionLayer:
        """See PixelRNN.layer."""
        return ConvolutionLayer(self.hidden, self.groups, self.colours)
