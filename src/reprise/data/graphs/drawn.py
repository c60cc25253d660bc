"""Graphs that come without a split of their own: one is drawn by split_seed."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from reprise.data.graphs.base import GraphDataModule, NodeData
from reprise.data.graphs.splits import split_by_class


class DrawnSplit(GraphDataModule):
    """A graph whose nodes are divided at random, the same number of each class for training and for validation.

    Args:
        features, classes, seed, batch_size, normalise, self_loops, undirected, limit_val, limit_test: see
            GraphDataModule.
        train_per_class, val_per_class: nodes of each class; the others are for test.
        split_seed: of the draw; None: the run's seed, another split in each run.
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
        train_per_class: int = 20,
        val_per_class: int = 30,
        split_seed: int | None = 0,
        limit_val: int | None = None,
        limit_test: int | None = None,
    ) -> None:
        super().__init__(features, classes, seed, batch_size, normalise, self_loops, undirected, limit_val, limit_test)
        self.train_per_class = train_per_class
        self.val_per_class = val_per_class
        self.split_seed = seed if split_seed is None else split_seed

    @abstractmethod
    def content(self) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Name, features (N, F), classes (N,), edges (2, E), and what was read where."""

    def read(self) -> NodeData:
        """Read or make the graph, and divide its nodes."""
        name, x, y, edges, source = self.content()
        train, val, test = split_by_class(y, self.train_per_class, self.val_per_class, self.split_seed)
        return NodeData(name, x, y, edges, train, val, test, source)
