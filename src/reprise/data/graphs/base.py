"""The data module that every graph whose nodes are classified derives from."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from reprise.config.errors import ConfigError, DataError
from reprise.data.full_batch import FullBatchData
from reprise.nn.graphs.edges import Edges
from reprise.nn.graphs.features import compact
from reprise.nn.graphs.graph import Graph


@dataclass(frozen=True, eq=False)
class NodeData:
    """A graph as it was read or made.

    Attributes:
        name: of the data set.
        x: features (N, F) of the nodes, float32.
        y: classes (N,), whole numbers from 0; -1 where a node has none.
        edges: (2, E) directed edges, sources above targets; equal ones count once.
        train, val, test: numbers of the nodes of each part, disjoint.
        source: what was read where, for the run record; it must not depend on the run's seed.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    edges: np.ndarray
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    source: dict[str, Any] = field(default_factory=dict)


class GraphDataModule(FullBatchData):
    """Classification of the nodes of one graph.

    The problem holds x (N, F) in float32, y (N,), edge_index (2, E) sorted by target, train, val and test (N,) as
    masks, and graph, the same features and edges in the form that networks take.

    Args:
        features: F, from which a model is built.
        classes: C, likewise.
        seed: the run's.
        batch_size: 1.
        normalise: divide each row of features by its sum; rows of zeros stay.
        self_loops: add an edge from each node to itself.
        undirected: add the reverse of each edge.
        limit_val, limit_test: not used: a graph is always measured whole. Budgets of all models name them.

    Raises:
        ConfigError: another batch size.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        seed: int,
        batch_size: int = 1,
        normalise: bool = True,
        self_loops: bool = True,
        undirected: bool = True,
        limit_val: int | None = None,
        limit_test: int | None = None,
    ) -> None:
        super().__init__(seed, batch_size)
        self.features = features
        self.classes = classes
        self.normalise = normalise
        self.self_loops = self_loops
        self.undirected = undirected
        self._read: NodeData | None = None
        self._problem: dict[str, Any] | None = None

    @abstractmethod
    def read(self) -> NodeData:
        """Read or make the graph."""

    def nodes(self) -> NodeData:
        """What was read, checked.

        Raises:
            ConfigError: `features` or `classes` are others than the graph has.
            DataError: parts do not fit each other.
        """
        if self._read is None:
            found = self.read()
            _check(found)
            for key, have in (("features", found.x.shape[1]), ("classes", int(found.y.max(initial=-1)) + 1)):
                if getattr(self, key) != have:
                    raise ConfigError(
                        f"data.{key} is {getattr(self, key)}, but {found.name} has {have}. Set data.{key}={have}."
                    )
            self._read = found
        return self._read

    def prepare_data(self) -> None:
        """Fetch and read the files, once per machine."""
        self.nodes()

    def setup(self, stage: str) -> None:
        """Read, and put the graph into the form that networks take."""
        if self._problem is None:
            found = self.nodes()
            x = torch.from_numpy(np.ascontiguousarray(found.x, dtype=np.float32))
            if self.normalise:
                sums = x.sum(1, keepdim=True)
                x = x / torch.where(sums == 0.0, 1.0, sums)
            edges = Edges(torch.from_numpy(self._edges(found)), len(x))
            masks = {part: torch.zeros(len(x), dtype=torch.bool) for part in ("train", "val", "test")}
            for part, mask in masks.items():
                mask[torch.from_numpy(np.asarray(getattr(found, part), dtype=np.int64))] = True
            self._problem = {
                "x": x,
                "y": torch.from_numpy(found.y.astype(np.int64)),
                "edge_index": edges.index,
                **masks,
                "graph": Graph(compact(x), edges),
                "position": torch.zeros(1, dtype=torch.long),
                "id": found.name,
            }

    def _edges(self, found: NodeData) -> np.ndarray:
        edges = np.asarray(found.edges, dtype=np.int64)
        if self.undirected:
            edges = np.concatenate([edges, edges[::-1]], axis=1)
        if self.self_loops:
            edges = np.concatenate([edges, np.tile(np.arange(len(found.y)), (2, 1))], axis=1)
        return edges

    def problem(self) -> dict[str, Any]:
        """The graph, after `setup`."""
        if self._problem is None:
            self.setup("fit")
        assert self._problem is not None
        return self._problem

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move the graph once, not in every iteration."""
        if self._moved is None or self._moved[0] != device:
            moved = {key: value.to(device) if hasattr(value, "to") else value for key, value in batch.items()}
            self._moved = device, moved
        return self._moved[1]

    def held_out(self) -> int:
        """Test nodes."""
        return len(self.nodes().test)

    def data_digests(self) -> dict[str, Any]:
        """Digest of features, classes and edges, and what was read where.

        Nothing of the parts but their sizes: runs with other seeds, and so other splits, have read the same data.
        """
        found = self.nodes()
        digest = hashlib.sha256(np.ascontiguousarray(found.x, dtype="<f4").tobytes())
        for part in (found.y, Edges(torch.from_numpy(self._edges(found)), len(found.y)).index.numpy()):
            digest.update(np.ascontiguousarray(part, dtype="<i8").tobytes())
        return {
            "name": found.name,
            "nodes": len(found.y),
            "features": self.features,
            "classes": self.classes,
            "normalise": self.normalise,
            "sha256": digest.hexdigest(),
            **{part: len(getattr(found, part)) for part in ("train", "val", "test")},
            **found.source,
        }


def _check(found: NodeData) -> None:
    nodes = len(found.y)
    if found.x.ndim != 2 or len(found.x) != nodes or found.edges.ndim != 2 or len(found.edges) != 2:
        raise DataError(
            f"{found.name}: features {found.x.shape}, classes {found.y.shape}, edges {found.edges.shape}. "
            "Expected (N, F), (N,), (2, E)."
        )
    if not np.isfinite(found.x).all():
        raise DataError(f"{found.name} has features that are not finite. Expected numbers in every cell.")
    if found.edges.size and not 0 <= found.edges.min() <= found.edges.max() < nodes:
        raise DataError(f"{found.name} has edges among {found.edges.max() + 1} nodes, but {nodes} nodes.")
    together = np.concatenate([found.train, found.val, found.test])
    if not (len(found.train) and len(found.val) and len(found.test)) or len(np.unique(together)) < len(together):
        raise DataError(f"{found.name}: training, validation and test nodes are empty or overlap.")
    if not 0 <= together.min() <= together.max() < nodes or found.y[together].min() < 0:
        raise DataError(f"{found.name}: a node that is trained on or measured has no class.")
