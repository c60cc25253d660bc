"""What attention on edges looks like: how its two parts are spread over the edges of a layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reprise.models.gat.network import Look
from reprise.nn.graphs.edges import Blocks
from reprise.samples.base import Sample
from reprise.samples.curves import Curve

_BINS = 48
_HEADS = 8  # that are drawn


def attention_pictures(looks: Sequence[Look]) -> list[Sample]:
    """Histograms, for each layer and head, of log-similarity and log-magnitude less their mean over a node's edges.

    What all edges of a node share changes no weight; what is left says which part tells neighbours apart.
    """
    found: list[Sample] = []
    for number, look in enumerate(looks, 1):
        for name, values in zip(("similarity", "magnitude"), look.parts, strict=True):
            relative = centred(values, look.blocks).view(look.heads, -1)[:_HEADS].double().cpu()
            centres, counts = _histograms(relative)
            found.append(
                Curve(
                    name=f"layer{number}_log_{name}",
                    caption=f"layer {number}: log-{name} of edges, less its mean over the edges of the node",
                    group=f"layer{number}_{name}",
                    x=(f"log-{name} (nats)", centres),
                    series={f"edges, head {head}": row for head, row in enumerate(counts, 1)},
                )
            )
    return found


def centred(values: Tensor, blocks: Blocks) -> Tensor:
    """Values of edges (H E,) less their mean over the edges that end in the same node."""
    target = blocks.target.long()
    sums = values.new_zeros(blocks.size).index_add_(0, target, values)
    return values - (sums / torch.bincount(target, minlength=blocks.size).clamp_min(1))[target]


def _histograms(rows: Tensor) -> tuple[list[float], list[list[float]]]:
    low, high = float(rows.min()), float(rows.max())
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    edges = torch.linspace(low, high, _BINS + 1, dtype=torch.float64)
    counts = [torch.histogram(row, edges).hist.tolist() for row in rows]
    return ((edges[1:] + edges[:-1]) / 2).tolist(), counts
