"""Cached sampling of a Gated PixelCNN: the vertical stack once a row, the horizontal stack once a pixel and colour.

What a pixel reads and writes are views of tensors that stay where they are, made once: looking them up costs less than
slicing anew, and on a CPU with few images such overhead is most of the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.models.gated_pixelcnn.layer import GatedLayer, gate
from reprise.nn.pixels.masks import MaskedConv2d
from reprise.nn.pixels.network import RowCache
from reprise.nn.pixels.staged import Pixel, StagedLinear

if TYPE_CHECKING:
    from reprise.models.gated_pixelcnn.network import GatedPixelCNN


class LayerCache:
    """What one layer remembers.

    Maps before the activation are reordered, red's f, red's g, green's f, ..., so that a colour's are one slice.

    Args:
        layer: the layer.
        batch: B.
        side: W.
        colours: number of colour groups.
        gates: (B, p), where the layer's output of the present pixel goes.
        canvas: of the first layer: (B, C, rows, left + W + right), as RowCache has it.

    Attributes:
        slots: by column and colour, where the layer's input u_k of a pixel lies; none in the first layer.
    """

    def __init__(
        self, layer: GatedLayer, batch: int, side: int, colours: int, gates: Tensor, canvas: Tensor | None
    ) -> None:
        weight = layer.horizontal.masked
        self.activation, self.first = layer.activation, layer.first
        self.vertical_residual = layer.vertical_residual
        self.reach = reach = layer.kernel // 2
        order = torch.argsort(layer.before, stable=True)
        bias = layer.horizontal.get_parameter("bias")[order]
        # 1. the rows above, and what they give to the maps before the gate
        self.link: Tensor | None = None
        if layer.vertical is not None and layer.link is not None:
            above_weight: Tensor = layer.vertical.weight
            self.above_bias: Tensor = layer.vertical.get_parameter("bias")
            self.link, self.bias = layer.link.weight[order, :, 0, 0], bias
        else:
            above_weight, self.above_bias = weight[order, :, :reach], bias
            weight = weight[:, :, reach:, : reach + 1]
        self.above_weight = above_weight.permute(2, 3, 1, 0).flatten(0, 2)
        self.base = weight.new_zeros(side, batch, len(order))
        before, after = (Pixel(0, g, colours, weight).slices for g in (layer.before[order], layer.groups))
        self.bases = [[column[:, part] for part in before] for column in self.base]
        # 2. the conditions
        vertical, horizontal = layer.vertical_condition, layer.horizontal_condition
        self.above_condition = None if vertical is None else vertical.weight[:, :, 0, 0]
        self.condition = None if horizontal is None else horizontal.weight[order, :, 0, 0]
        # 3. the rows that lie in memory, and windows of columns c - k // 2 ... c of the present one
        self.present: Tensor | None = None
        self.slots: list[list[Tensor]] = []
        if canvas is not None:
            self.above = canvas[:, :, :-1].permute(0, 2, 3, 1)
            self.windows = [canvas[:, :, -1, c : c + reach + 1] for c in range(side)]
            flat = weight[:, :, 0].flatten(1)
        else:
            wide, width = side + 2 * reach, weight.shape[1]
            if self.link is None:
                self.present = weight.new_zeros(batch, reach + 1, wide, width)
                self.above, row = self.present[:, :-1], self.present[:, -1]
            else:
                self.above = weight.new_zeros(batch, reach + 1, wide, width)
                row = weight.new_zeros(batch, wide, width)
            self.windows = [row[:, c : c + reach + 1].flatten(1) for c in range(side)]
            self.slots = [[row[:, reach + c, part] for part in after] for c in range(side)]
            flat = weight[:, :, 0].transpose(1, 2).flatten(1)
        self.above_windows = self.above.unfold(2, 2 * reach + 1, 1).permute(2, 0, 1, 4, 3)  # (W, B, rows, k, I)
        self.weights = [flat[layer.before.to(flat.device) == g].t() for g in range(colours)]
        # 4. the output
        self.gates = gates
        self.parts = [gates[:, part] for part in after]
        self.halves: list[tuple[Tensor, Tensor, Tensor]] = []
        if layer.activation is gate:
            rooms = [torch.zeros_like(base) for base in self.bases[0]]
            halves = [room.chunk(2, 1) for room in rooms]
            self.halves = [(room, f, g) for room, (f, g) in zip(rooms, halves, strict=True)]
        self.residual = None if layer.residual is None else one_by_one(layer.residual, layer.groups, colours)

    def begin_row(self, started: Tensor, h_above: Tensor | None, h: Tensor | None) -> Tensor | None:
        """Compute what the rows above give to the row that begins.

        Args:
            started: 1, or 0 before the first row, above which there are zeros.
            h_above: (W or 1, B, D) of the row above, where there is a condition.
            h: likewise of the row that begins.

        Returns:
            v_{k+1} of the row above, (W, B, p), for the next layer to `push`; None where there is one stack.
        """
        if self.present is not None:
            self.present[:, :-1] = self.present[:, 1:].clone()
        # a matrix product of windows: on a CPU faster than a convolution that gives a single row
        V = torch.addmm(self.above_bias, self.above_windows.flatten(2).flatten(0, 1), self.above_weight)
        V = V.unflatten(0, self.base.shape[:2])
        U = V if self.link is None else F.linear(V, self.link) * started + self.bias
        self.base.copy_(U if self.condition is None or h is None else U + F.linear(h, self.condition))
        if self.link is None:
            return None
        if self.above_condition is not None and h_above is not None:
            V = V + F.linear(h_above, self.above_condition)
        v = self.activation(V.flatten(0, 1)).unflatten(0, V.shape[:2])
        if self.vertical_residual:
            v = v + self.above[:, -1, self.reach : -self.reach].transpose(0, 1)
        return v * started

    def push(self, v: Tensor) -> None:
        """Take v_k (W, B, p) of the row above as the last of the rows above."""
        self.above[:, :-1] = self.above[:, 1:].clone()
        self.above[:, -1, self.reach : -self.reach] = v.transpose(0, 1)

    def step(self, column: int, group: int, slot: Tensor | None) -> None:
        """Compute one colour's maps at one pixel, and put u_{k+1} into the next layer's slot."""
        window = self.windows[column].flatten(1)
        base, weight = self.bases[column][group], self.weights[group]
        if self.halves:
            U, f, g = self.halves[group]
            torch.addmm(base, window, weight, out=U)
            torch.mul(f.tanh_(), g.sigmoid_(), out=self.parts[group])
        else:
            self.activation(torch.addmm(base, window, weight), out=self.parts[group])
        if slot is not None and self.residual is not None:
            y = self.residual(self.gates, group)
            if self.first:
                slot.copy_(y)
            else:
                torch.add(self.slots[column][group], y, out=slot)


class GatedCache(RowCache):
    """Cached evaluation of a Gated PixelCNN.

    Args:
        network: the model.
        batch: B.
        h: (B, D, H, W) or (B, D, 1, 1), the condition as maps.
    """

    def __init__(self, network: GatedPixelCNN, batch: int, h: Tensor | None) -> None:
        layers: list[GatedLayer] = list(network.layers)  # type: ignore[arg-type]
        head: list[MaskedConv2d] = list(network.head)  # type: ignore[arg-type]
        like, colours, groups = head[0].weight, network.colours, network.groups
        reach, two = layers[0].kernel // 2, network.stacks == "two"
        super().__init__(network.shape, batch, reach + 1 + two, reach, reach, like)
        side = self.shape.side
        self.gates = like.new_zeros(batch, len(layers), len(groups))
        self.layers = [
            LayerCache(layer, batch, side, colours, self.gates[:, k], None if k else self.x)
            for k, layer in enumerate(layers)
        ]
        self.seen = self.gates.flatten(1)
        self.top = like.new_zeros(batch, len(groups))
        top = [self.top[:, part] for part in Pixel(0, groups, colours, like).slices]
        self.slots: list[list[list[Tensor]]] = [layer.slots for layer in self.layers[1:]] + [[top] * side]
        # the skips' sum is one linear map of what all layers give
        skips = [layer.skip for layer in layers if layer.skip is not None]
        self.skip: StagedLinear | None = None
        if skips:
            weight = torch.stack([skip.masked[:, :, 0, 0] for skip in skips], 2)
            bias = torch.stack([skip.bias for skip in skips if skip.bias is not None]).sum(0)
            self.skip = StagedLinear(weight, bias, groups, colours)
        outs = network.head_groups
        self.head = [one_by_one(c, out, colours) for c, out in zip(head, outs, strict=True)]
        self.pixels = [Pixel(batch, out, colours, like) for out in [groups, *outs]]
        self.h = None if h is None else h.permute(2, 3, 0, 1).contiguous()
        # tensors, not numbers, so that a recorded program finds the row's own
        self.row = torch.zeros(1, dtype=torch.long, device=like.device)
        self.started = like.new_zeros(1)

    def begin_row(self, phase: int) -> None:
        """See RowCache.begin_row."""
        h_above, h = self._condition(self.row - 1), self._condition(self.row)
        v: Tensor | None = None
        for layer in self.layers:
            if v is not None:
                layer.push(v)
            v = layer.begin_row(self.started, h_above, h)
        self.row += 1
        self.started.fill_(1.0)

    def _condition(self, row: Tensor) -> Tensor | None:
        return None if self.h is None else self.h.index_select(0, row.clamp(0, len(self.h) - 1))[0]

    def predict(self, phase: int, column: int, stage: int) -> Tensor:
        """See RowCache.predict."""
        for layer, slots in zip(self.layers, self.slots, strict=True):
            layer.step(column, stage, slots[column][stage])
        first, *pixels = self.pixels
        y = self.top if self.skip is None else first.put(stage, self.skip(self.seen, stage))
        for linear, pixel in zip(self.head, pixels, strict=True):
            y = pixel.put(stage, linear(F.relu(y), stage))
        return y


def one_by_one(convolution: MaskedConv2d, out: Tensor, colours: int) -> StagedLinear:
    """A 1x1 convolution as a linear map of maps (B, I)."""
    return StagedLinear(convolution.masked.flatten(2), convolution.bias, out, colours)
