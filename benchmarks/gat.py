"""An epoch of graph attention against PyTorch Geometric's GATConv, on a drawn graph of Cora's sizes.

An epoch is a full-batch step with dropout and Adam, then a pass over the graph without dropout that gives loss and
accuracy of the validation nodes. Ours is the module of `model=gat`, with patience and all; theirs is the two layers of
PyTorch Geometric's own example, with self-loops given, so that they need not be added in each pass, and the same fused
Adam. Implicit kernel attention is shown beside them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.contender import DEVICE
from benchmarks.timing import in_turns, module_of, table
from reprise.nn.graphs.edges import Edges
from reprise.nn.graphs.features import compact
from reprise.nn.graphs.graph import Graph
from reprise.training.trainer import prepare_process
from reprise.training.world import plan_world

NODES, LINKS, FEATURES, CLASSES, DENSITY = 2708, 5278, 1433, 7, 0.0127
ROUNDS = 15


def problem() -> dict[str, object]:
    """A graph of random links; its parts are as large as Cora's."""
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(NODES, FEATURES, generator=generator) < DENSITY).float()
    x /= x.sum(1, keepdim=True).clamp_min(1.0)
    links = torch.randint(NODES, (2, LINKS), generator=generator)
    edges = Edges(torch.cat([links, links.flip(0), torch.arange(NODES).repeat(2, 1)], 1), NODES)
    place = torch.arange(NODES, device=DEVICE)
    return {
        "x": x.to(DEVICE),
        "y": torch.randint(CLASSES, (NODES,), generator=generator).to(DEVICE),
        "graph": Graph(compact(x), edges).to(DEVICE),
        "edge_index": edges.index.to(DEVICE),
        "train": place < 140,
        "val": (place >= 140) & (place < 640),
    }


def ours(batch: dict[str, object], *words: str) -> Callable[[], object]:
    sizes = (f"data.features={FEATURES}", f"data.classes={CLASSES}", "model.stopping.patience=1000000000")
    module = module_of(*words, *sizes, "model.network.projected_dropout=0.0").to(DEVICE)
    optimizer = module.configure_optimizers()

    def epoch() -> object:
        optimizer.zero_grad(set_to_none=True)
        module.training_step(batch, 0).backward()  # validates what the step before made, too
        return optimizer.step()

    return epoch


class Example(nn.Module):
    """Two layers of GATConv with dropout of inputs and of attention."""

    def __init__(self) -> None:
        from torch_geometric.nn import GATConv

        super().__init__()
        self.first = GATConv(FEATURES, 8, heads=8, dropout=0.6, add_self_loops=False)
        self.second = GATConv(64, CLASSES, heads=1, concat=False, dropout=0.6, add_self_loops=False)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        x = F.elu(self.first(F.dropout(x, 0.6, self.training), edges))
        return self.second(F.dropout(x, 0.6, self.training), edges)  # type: ignore[no-any-return]


def theirs(batch: dict[str, object]) -> Callable[[], object]:
    torch.manual_seed(0)
    network = Example().to(DEVICE)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3, weight_decay=5e-4, fused=True)
    x, y, edges, train, val = (batch[key] for key in ("x", "y", "edge_index", "train", "val"))

    def epoch() -> object:
        network.train()
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(x, edges)[train], y[train]).backward()  # type: ignore[index]
        optimizer.step()
        network.eval()
        with torch.no_grad():
            logits = network(x, edges)[val]
            right = (logits.argmax(1) == y[val]).float().mean()  # type: ignore[index]
            return torch.stack([F.cross_entropy(logits, y[val]), right]).tolist()  # type: ignore[index]

    return epoch


def compare(rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of an epoch."""
    batch = problem()
    calls = {
        "PyTorch Geometric": theirs(batch),
        "reprise": ours(batch, "model=gat", "arch=gat/cora"),
        "reprise, IKAN-direct": ours(batch, "model=ika_gat", "arch=ika_gat/direct"),
        "reprise, MIKAN": ours(batch, "model=ika_gat", "arch=ika_gat/mikan"),
    }
    return in_turns(calls, rounds)


def run() -> None:
    prepare_process(plan_world({"accelerator": "auto", "devices": 1}))
    seconds = compare()
    base = seconds["PyTorch Geometric"]
    rows = [[name, f"{1e3 * taken:.1f}", f"{base / taken:.2f}x"] for name, taken in seconds.items()]
    table(
        "Graph attention, an epoch at Cora's sizes, float32, median of interleaved calls",
        ["model", "ms", "speed"],
        rows,
    )
