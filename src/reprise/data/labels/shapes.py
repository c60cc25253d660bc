"""Labels of the drawn shapes (reprise.data.images.shapes), and the law that they are drawn by."""

from __future__ import annotations

from typing import Any

import numpy as np

from reprise.config.errors import ConfigError
from reprise.data.labels.base import LabelData
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.causal.law import CausalLaw
from reprise.nn.randomness import example_rng

# P(label = 1 | parents), by the values of the parents in the order named; the graph is that of conf/graph/shapes.yaml.
# Round stands where the paper has Male: a cause that an effect gives away, since nothing but what is round is Ringed.
# That is 13 %, where Mustache has 4 %: as rare as that, image models of a few thousand iterations drew no rings.
# Striped follows from Large as an open mouth from smiling. Red is a further common cause.
_PARENTS: dict[str, list[str]] = {
    "Round": [],
    "Red": [],
    "Large": ["Round", "Red"],
    "Ringed": ["Round", "Red"],
    "Striped": ["Large"],
    "Night": ["Red", "Large"],
}
_ONE: dict[str, Any] = {
    "Round": 0.45,
    "Red": 0.6,
    "Large": [[0.25, 0.5], [0.5, 0.8]],
    "Ringed": [[0.0, 0.0], [0.2, 0.35]],
    "Striped": [0.2, 0.75],
    "Night": [[0.7, 0.4], [0.35, 0.1]],
}


def shape_law() -> CausalLaw:
    """The law of the labels of the drawn shapes: Round, Red, Large, Ringed, Striped, Night."""
    return CausalLaw(CausalGraph(_PARENTS), {name: np.array(one) for name, one in _ONE.items()})


def shape_labels(split_seed: int, numbers: range) -> np.ndarray:
    """Labels of drawn shapes, each a function of split_seed and its number.

    Args:
        split_seed: of the data.
        numbers: of the shapes, from 0.

    Returns:
        (len(numbers), 6) uint8 of 0 and 1.
    """
    law = shape_law()
    noise = [example_rng(split_seed, "shape labels", i).random(len(law.graph)) for i in numbers]
    return law.sample(np.array(noise).reshape(len(numbers), len(law.graph)))


class ShapeLabels(LabelData):
    """Labels of the first `count` drawn shapes, the same as of data=shapes with this split_seed.

    Args:
        seed, batch_size, limit_val, limit_test: see LabelData.
        count: N.
        split_seed: of the data, as for the pictures.

    Attributes:
        true_law: the law that they are drawn by.

    Raises:
        ConfigError: `count` is out of range.
    """

    def __init__(
        self,
        seed: int,
        count: int = 44_000,
        split_seed: int = 0,
        batch_size: int = 1,
        limit_val: int | None = None,
        limit_test: int | None = None,
    ) -> None:
        super().__init__(seed, batch_size, limit_val, limit_test)
        if count < 1:
            raise ConfigError(f"data.count is {count}. Expected 1 or more.")
        self.count = count
        self.split_seed = split_seed
        self.true_law = shape_law()
        self.label_names = list(self.true_law.graph.names)

    def read(self) -> tuple[str, np.ndarray]:
        """Draw the labels."""
        return "shapes", shape_labels(self.split_seed, range(self.count))

    def sources(self) -> dict[str, Any]:
        """What they are drawn by."""
        return {"split_seed": self.split_seed}
