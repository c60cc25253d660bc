"""A small graph that looks like citations among papers, drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from reprise.config.errors import ConfigError
from reprise.data.graphs.drawn import DrawnSplit

_TAIL = 2.5  # exponent of the power law of degrees
_WORDS_OF_PAPER = 12  # mean number of words
_OWN = 6.0  # how much likelier a word of the paper's own class is


class Citations(DrawnSplit):
    """A stochastic block model with power-law degrees, and bags of words that depend on the class.

    It is drawn by split_seed, so that all runs have the same.

    Args:
        features: size of the vocabulary.
        classes: C.
        seed, batch_size, normalise, self_loops, undirected, train_per_class, val_per_class, split_seed, limit_val,
            limit_test: see DrawnSplit.
        nodes: N.
        degree: mean number of neighbours.
        homophily: share of edges whose ends are of one class, apart from chance.

    Raises:
        ConfigError: a number is out of range.
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
        train_per_class: int = 10,
        val_per_class: int = 10,
        split_seed: int | None = 0,
        limit_val: int | None = None,
        limit_test: int | None = None,
        nodes: int = 300,
        degree: float = 4.0,
        homophily: float = 0.75,
    ) -> None:
        super().__init__(
            features,
            classes,
            seed,
            batch_size,
            normalise,
            self_loops,
            undirected,
            train_per_class,
            val_per_class,
            split_seed,
            limit_val,
            limit_test,
        )
        for name, value, least in (("features", features, classes), ("classes", classes, 2), ("nodes", nodes, classes)):
            if value < least:
                raise ConfigError(f"data.{name} is {value}. Expected {least} or more.")
        if not 0.0 <= homophily <= 1.0 or degree <= 0.0:
            raise ConfigError(f"data.homophily is {homophily} and data.degree {degree}. Expected 0 to 1, and above 0.")
        self.count = nodes
        self.degree = degree
        self.homophily = homophily

    def content(self) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Draw the graph."""
        rng = np.random.default_rng([self.split_seed, 17])
        y = rng.permutation(np.arange(self.count) % self.classes)
        x = self._words(rng, y)
        settings = {
            "split_seed": self.split_seed,
            "nodes": self.count,
            "degree": self.degree,
            "homophily": self.homophily,
        }
        return "citations", x, y, self._links(rng, y), {"generated": settings}

    def _words(self, rng: np.random.Generator, y: np.ndarray) -> np.ndarray:
        topic = rng.permutation(np.arange(self.features) % self.classes)  # class of each word
        likely = 1.0 + (_OWN - 1.0) * (topic[None] == y[:, None])
        likely /= likely.sum(1, keepdims=True)
        return (rng.random(likely.shape) < 1.0 - np.exp(-_WORDS_OF_PAPER * likely)).astype(np.float32)

    def _links(self, rng: np.random.Generator, y: np.ndarray) -> np.ndarray:
        # degree-corrected: both ends in proportion to weights with a power-law tail, one often of the other's class
        weight = (1.0 - rng.random(self.count)) ** (-1.0 / (_TAIL - 1.0))
        links = round(self.count * self.degree / 2)
        source = rng.choice(self.count, links, p=weight / weight.sum())
        target = rng.choice(self.count, links, p=weight / weight.sum())
        own = rng.random(links) < self.homophily
        for label in range(self.classes):
            members, chosen = np.flatnonzero(y == label), np.flatnonzero(own & (y[source] == label))
            if len(members):
                target[chosen] = rng.choice(members, len(chosen), p=weight[members] / weight[members].sum())
        kept = source != target
        return np.stack([source[kept], target[kept]])
