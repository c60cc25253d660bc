"""What PixelCNN, Row LSTM and Diagonal BiLSTM share (van den Oord et al., arXiv 1601.06759, sections 3.3 to 4).

A 7x7 convolution with mask A, a body of residual layers with 2h maps between them, and a head of 1x1 convolutions with
mask B. Only the layers differ.

h: half the maps between layers; n: side of the image; g: colour group.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.nn.pixels.likelihood import Likelihood
from reprise.nn.pixels.masks import MaskedConv2d, colour_groups
from reprise.nn.pixels.network import PixelNetwork, RowCache
from reprise.nn.pixels.precision import in_full_precision
from reprise.nn.pixels.staged import Pixel, StagedLinear


class LayerCache(ABC):
    """What one layer remembers while pixels are drawn; all tensors keep their storage (see RowCache)."""

    @abstractmethod
    def begin_row(self, bias: Tensor | None) -> None:
        """Take the row that is complete now as the row above; bias (B, W, `bias_width`) of the row that begins."""

    @abstractmethod
    def step(self, column: int, group: int, x: Tensor) -> Tensor:
        """Output maps of one colour at one pixel.

        Args:
            column: of the pixel.
            group: the colour; earlier colours were stepped before.
            x: (B, 2h) input maps of the pixel, right up to `group`.

        Returns:
            (B, maps of the colour).
        """


class Layer(nn.Module, ABC):
    """One layer of the body: causal, from 2h maps to 2h maps.

    Attributes:
        bias_width: maps of the bias that `forward` can add to the layer's input-to-state map (multi-scale).
    """

    bias_width: int

    @abstractmethod
    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Map x (B, 2h, H, W) to (B, 2h, H, W); bias (B, bias_width, H, W)."""

    @abstractmethod
    def cache(self, batch: int, side: int) -> LayerCache:
        """Begin sampling `batch` images of `side` columns."""


class PixelRNN(PixelNetwork, ABC):
    """First convolution, body, head; subclasses give the layer.

    Args:
        likelihood: of a pixel.
        hidden: h.
        layers: number of layers in the body.
        head_width: maps of the two layers before the output: 32 for MNIST, 1024 for CIFAR-10 and ImageNet.
        residual: add each layer's input to its output.
        skip: the head sees the sum of a learned 1x1 convolution of what leaves each layer (with the residual added, if
            there is one) in place of what leaves the last. The paper says only that skips run from each layer to the
            output.
        first_kernel: side of the first convolution's kernel.
        condition_maps: maps of an image-sized condition that biases every layer (section 3.6); 0 for none.

    Raises:
        ConfigError: a size is out of range.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        hidden: int = 16,
        layers: int = 7,
        head_width: int = 32,
        residual: bool = True,
        skip: bool = False,
        first_kernel: int = 7,
        condition_maps: int = 0,
    ) -> None:
        super().__init__(likelihood)
        for name, value in (("layers", layers), ("first_kernel", first_kernel)):
            if value < 1:
                raise ConfigError(f"network.{name} is {value}. Expected 1 or more.")
        colours = likelihood.colours
        for name, value in (("hidden", hidden), ("head_width", head_width)):
            if value < colours:
                raise ConfigError(f"network.{name} is {value}. Expected {colours} or more, one map a colour.")
        if first_kernel % 2 == 0:
            raise ConfigError(f"network.first_kernel is {first_kernel}. Expected an odd number, such as 7.")
        self.hidden = hidden
        self.residual = residual
        self.colours = colours
        self.groups = colour_groups(2 * hidden, colours)
        head_groups, out_groups = colour_groups(head_width, colours), colour_groups(likelihood.maps, colours)
        pixel_groups = colour_groups(self.shape.channels, colours)
        self.first = MaskedConv2d("A", pixel_groups, self.groups, (first_kernel, first_kernel))
        self.layers = nn.ModuleList(self.layer() for _ in range(layers))
        self.skips = nn.ModuleList(
            MaskedConv2d("B", self.groups, self.groups, (1, 1)) for _ in range(layers if skip else 0)
        )
        self.biases = nn.ModuleList(
            nn.Conv2d(condition_maps, layer.bias_width, 1)  # type: ignore[arg-type]
            for layer in (self.layers if condition_maps else [])
        )
        widths = [self.groups, head_groups, head_groups, out_groups]
        self.head = nn.ModuleList(MaskedConv2d("B", into, out, (1, 1)) for into, out in itertools.pairwise(widths))

    @abstractmethod
    def layer(self) -> Layer:
        """Make one layer of the body; `hidden`, `groups` and `colours` are set."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """See PixelNetwork.forward; condition (B, condition_maps, H, W) where there is one.

        Raises:
            ConfigError: the network has biases for a condition, but none is given.
        """
        if len(self.biases) and condition is None:
            raise ConfigError(
                "network.condition_maps makes room for a condition that nothing gives. Expected 0, or this network as "
                "`large` of reprise.models.pixelrnn.multiscale.MultiScalePixelRNN."
            )
        v = self.first(x)
        shown: Tensor | None = None
        for k, layer in enumerate(self.layers):
            y = layer(v, self.biases[k](condition) if len(self.biases) else None)
            v = v + y if self.residual else y
            if len(self.skips):
                seen = self.skips[k](v)
                shown = seen if shown is None else shown + seen
        v = v if shown is None else shown
        for convolution in self.head[:-1]:  # type: ignore[union-attr]
            v = convolution(F.relu(v))
        return in_full_precision(self.head[-1], F.relu(v))

    def cache(self, batch: int, condition: Tensor | None = None) -> PixelRNNCache:
        """See PixelNetwork.cache."""
        return PixelRNNCache(self, batch, condition)


class PixelRNNCache(RowCache):
    """Cached evaluation of a PixelRNN, one colour of one pixel at a time.

    Args:
        network: the model.
        batch: B.
        condition: (B, condition_maps, H, W) where the network has biases.
    """

    def __init__(self, network: PixelRNN, batch: int, condition: Tensor | None) -> None:
        kernel = network.first.kernel_size[0]
        self.reach = kernel // 2
        like = network.first.weight
        super().__init__(network.shape, batch, self.reach + 1, self.reach, self.reach, like)
        colours = network.colours
        self.network = network
        self.residual = network.residual
        self.layers = [layer.cache(batch, self.shape.side) for layer in network.layers]  # type: ignore[operator]
        weight = network.first.masked
        self.above_weight = weight[:, :, : self.reach]
        self.bias = network.first.bias
        present = weight[:, :, self.reach, : self.reach + 1].flatten(1)  # maps outside, as the canvas has them
        self.first = [present[network.groups.to(like.device) == g].t().contiguous() for g in range(colours)]
        self.above = like.new_zeros(self.shape.side, batch, 2 * network.hidden)
        self.skips = [_one_by_one(c, network.groups, colours) for c in network.skips]  # type: ignore[arg-type]
        outs = [colour_groups(c.out_channels, colours) for c in network.head]  # type: ignore[arg-type]
        self.head = [_one_by_one(c, out, colours) for c, out in zip(network.head, outs, strict=True)]  # type: ignore[arg-type]
        self.head_pixels = [Pixel(batch, out, colours, like) for out in outs]
        self.pixels = [Pixel(batch, network.groups, colours, like) for _ in range(len(self.layers) + 1)]
        self.shown = Pixel(batch, network.groups, colours, like)
        # views of what lies still, made once: slicing costs as much as the arithmetic of a small pixel
        columns = range(self.shape.side)
        self.from_above = [[above[:, part] for part in self.shown.slices] for above in self.above]
        self.windows = [self.x[:, :, -1, c : c + self.reach + 1] for c in columns]
        # the row is a tensor, not a number, so that a recorded program can look up the biases of each row
        self.row = torch.zeros(1, dtype=torch.long, device=like.device)
        self.biases = [bias(condition).permute(0, 2, 3, 1).contiguous() for bias in network.biases]

    def begin_row(self, phase: int) -> None:
        """See RowCache.begin_row."""
        if self.reach:
            above = F.conv2d(self.x[:, :, :-1], self.above_weight, self.bias)
            self.above.copy_(above[:, :, 0].permute(2, 0, 1))
        elif self.bias is not None:
            self.above.copy_(self.bias)
        for k, layer in enumerate(self.layers):
            layer.begin_row(self.biases[k].index_select(1, self.row)[:, 0] if self.biases else None)
        self.row += 1

    def predict(self, phase: int, column: int, stage: int) -> Tensor:
        """See RowCache.predict."""
        window = self.windows[column].flatten(1)
        v = self.pixels[0]
        torch.addmm(self.from_above[column][stage], window, self.first[stage], out=v.parts[stage])
        for k, layer in enumerate(self.layers):
            y = layer.step(column, stage, v.maps)
            before, v = v.parts[stage], self.pixels[k + 1]
            if self.residual:
                torch.add(before, y, out=v.parts[stage])
            else:
                v.parts[stage].copy_(y)
            if self.skips:
                seen = self.skips[k](v.maps, stage)
                shown = self.shown.parts[stage]
                torch.add(shown, seen, out=shown) if k else shown.copy_(seen)
        v = self.shown if self.skips else v
        for linear, pixel in zip(self.head, self.head_pixels, strict=True):
            linear(F.relu(v.maps), stage, out=pixel.parts[stage])
            v = pixel
        return v.maps


def _one_by_one(convolution: MaskedConv2d, out: Tensor, colours: int) -> StagedLinear:
    return StagedLinear(convolution.masked.flatten(2), convolution.bias, out, colours)
