"""What conditions and biases add to every layer's sum before its unit, for a chunk of samples at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reprise.models.wavenet.network import WaveNetNetwork
from reprise.models.wavenet.past import stack_of

More = Callable[[Tensor, int], Tensor]
"""Further local conditions that depend on what was drawn, as of a context stack: takes the waveforms (B, t) so far and
the number t of the next sample, and gives (B, chunk, Y2) of the chunk that begins there."""


@dataclass(frozen=True)
class Terms:
    """The 1x1 products of all layers as one matrix each.

    Attributes:
        bias: (L W).
        of_h: (L W, G) or None.
        of_y: (L W, Y) or None.
        layers: L.
    """

    bias: Tensor
    of_h: Tensor | None
    of_y: Tensor | None
    layers: int

    @classmethod
    def of(cls, network: WaveNetNetwork, multiple: int = 1) -> Terms:
        """Those of a network.

        Args:
            network: the model.
            multiple: filter and gate are each widened to a multiple of it, by zeros.
        """
        layers = stack_of(network)
        gated = layers[0].unit == "gated"

        def widen(rows: Tensor) -> Tensor:
            return torch.cat([pad_to(half, multiple, 0) for half in rows.chunk(2 if gated else 1)])

        width = layers[0].conv.weight.shape[1]
        none = layers[0].conv.weight.new_zeros(width)
        bias = torch.cat([widen(none if layer.conv.bias is None else layer.conv.bias.detach()) for layer in layers])
        of_h = [widen(m.weight.detach()) for layer in layers if (m := layer.global_condition) is not None]
        of_y = [widen(m.weight.detach()) for layer in layers if (m := layer.local_condition) is not None]
        return cls(bias, torch.cat(of_h) if of_h else None, torch.cat(of_y) if of_y else None, len(layers))

    def constant(self, h: Tensor | None, batch: int) -> Tensor:
        """What does not change with time, (B, L W)."""
        if self.of_h is None or h is None:
            return self.bias.expand(batch, -1)
        return add_products(self.bias.expand(batch, -1), h, self.of_h)


def add_products(start: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Add x W^T to a start, of which a row is the same to the bit whatever rows are computed beside it.

    A library's matrix product adds up in an order that follows from the number of rows. Here each product and each sum
    is rounded by itself, one input after the other.

    Args:
        start: what broadcasts to (..., N).
        x: (..., C).
        weight: (N, C).

    Returns:
        (..., N).
    """
    total = start.expand(*x.shape[:-1], len(weight)).clone()
    product = torch.empty_like(total)
    for i, column in enumerate(weight.t().contiguous()):
        total += torch.mul(x[..., i : i + 1], column, out=product)
    return total


def pad_to(x: Tensor, multiple: int, dim: int) -> Tensor:
    """Append zeros along a dimension up to the next multiple."""
    short = -x.shape[dim] % multiple
    shape = [*x.shape]
    shape[dim] = short
    return torch.cat([x, x.new_zeros(shape)], dim) if short else x


class Conditions:
    """Terms of the samples to be drawn, of a batch of utterances.

    Args:
        terms: of the network.
        constant: (B, L W), see `Terms.constant`.
        y: local conditions of the utterances, (F_i, Y) each; a row stands for `hop` samples.
        hop: samples a row.
        begins: the number of the first drawn sample of each utterance.
    """

    def __init__(
        self, terms: Terms, constant: Tensor, y: Sequence[Tensor] | None, hop: int, begins: Sequence[int]
    ) -> None:
        self.terms = terms
        self.constant = constant
        self.y = y
        self.hop = hop
        self.begins = begins

    def rows(self, first: int, count: int, more: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The terms of a chunk.

        Args:
            first: samples drawn before it.
            count: samples n.
            more: further local conditions (B, >= n, Y2) of the chunk.

        Returns:
            terms (B, rows, L W), and the row of each sample (B, n), int32.
        """
        batch = len(self.constant)
        times = torch.arange(first, first + count)
        if self.y is None and more is None:
            return self.constant[:, None], torch.zeros(batch, count, dtype=torch.int32)
        parts: list[Tensor] = []
        index = torch.arange(count).expand(batch, -1)
        if self.y is not None:
            row = torch.stack([(times + begin) // self.hop for begin in self.begins])
            start = row[:, 0]
            at = row if more is not None else start[:, None] + torch.arange(int((row[:, -1] - start).max()) + 1)
            # an utterance that is shorter than the longest goes on with its last row, and what it draws is dropped
            parts.append(
                torch.stack([y[i.clamp(max=len(y) - 1).to(y.device)] for y, i in zip(self.y, at, strict=True)])
            )
            if more is None:
                index = row - start[:, None]
        if more is not None:
            parts.append(more[:, :count].to(self.constant))
        y = torch.cat(parts, -1)
        assert self.terms.of_y is not None
        return add_products(self.constant[:, None], y, self.terms.of_y), index.int().contiguous()
