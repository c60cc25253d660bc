"""Cached sampling from PixelCNN++ with a small receptive field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.models.pixelcnn_pp.cache import InputCache, StreamsCache
from reprise.models.pixelcnn_pp.layers import GatedResnet, Pair
from reprise.models.pixelcnn_pp.pieces import PairCache, phi

if TYPE_CHECKING:
    from reprise.models.pixelcnn_pp.small import ChannelPair, SmallField


class PointResnet:
    """A gated residual layer of 1x1 convolutions with side inputs, for maps that lie last.

    Args:
        layer: the layer.
        label: (B,) class numbers, or None.
    """

    def __init__(self, layer: GatedResnet, label: Tensor | None) -> None:
        parts = [layer.first] if layer.side is None else [layer.first, layer.side]
        self.w_1 = torch.cat([part.weight.detach().flatten(1) for part in parts], 1)
        self.b_1 = torch.stack([part.b.detach() for part in parts]).sum(0)
        self.w_2, self.b_2 = layer.second.weight.detach().flatten(1), layer.second.b.detach().clone()
        self.given = None if layer.label is None else F.embedding(label, layer.label.detach())  # type: ignore[arg-type]

    def __call__(self, x: Tensor, active_side: Tensor) -> Tensor:
        """Map x (B, F) or (B, W, F)."""
        c_1 = F.linear(torch.cat([phi(x), active_side], -1), self.w_1, self.b_1)
        c_2 = F.linear(phi(c_1), self.w_2, self.b_2)
        if self.given is not None:
            c_2 = c_2 + (self.given if x.dim() == 2 else self.given[:, None])
        return x + F.glu(c_2, -1)


class ChannelCache:
    """Autoregressive channel of both streams; nothing is kept, since it reads one pixel.

    Args:
        pair: the layers.
        label: (B,) class numbers, or None.
    """

    def __init__(self, pair: ChannelPair, label: Tensor | None) -> None:
        self.u, self.ul = (
            [PointResnet(layer, label) for layer in ([] if sets is None else sets.layers)]  # type: ignore[arg-type]
            for sets in (pair.u, pair.ul)
        )
        self.sets = pair.ul.sets

    def _run(self, layers: list[PointResnet], x: Tensor) -> Tensor:
        parts = list(x.chunk(self.sets, -1))
        for j, layer in enumerate(layers, start=1):
            parts[j] = layer(parts[j], phi(torch.cat(parts[:j], -1)))
        return torch.cat(parts, -1)

    def begin_row(self, slot: int, u: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """As PairCache.begin_row."""
        if not self.u:
            return u, active
        u = self._run(self.u, u)
        return u, phi(u)

    def pixel(self, slot: int, column: int, ul: Tensor) -> Tensor:
        """As PairCache.pixel."""
        return self._run(self.ul, ul)


class SmallFieldCache(StreamsCache):
    """Cached evaluation of a network with a small field.

    Args:
        network: the model.
        batch: B.
        condition: (B,) class numbers, or None.
    """

    def __init__(self, network: SmallField, batch: int, condition: Tensor | None) -> None:
        super().__init__(network, batch, condition)
        side = self.shape.side
        self.input = InputCache(network.input, batch, side)
        self.body = [
            PairCache(block, batch, side, condition) if isinstance(block, Pair) else ChannelCache(block, condition)  # type: ignore[arg-type]
            for block in network.body
        ]

    def begin_row(self, phase: int) -> None:
        """See RowCache.begin_row."""
        u = self.input.begin_row(self.x)
        active = phi(u)
        for block in self.body:
            u, active = block.begin_row(0, u, active)

    def predict(self, phase: int, column: int, stage: int) -> Tensor:
        """See RowCache.predict."""
        ul = self.input.pixel(column, self.x[:, :, -1, column])
        for block in self.body:
            ul = block.pixel(0, column, ul)
        return self.head(ul)
