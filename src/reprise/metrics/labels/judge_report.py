"""How well a judge judges a label, and what it was trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LabelReport:
    """How well a label is judged.

    Attributes:
        name: the label.
        trained: images with 0 and with 1 that the judge was trained on, those without weight left out.
        tested: likewise, that it was tested on.
        accuracy: share of the tested images that it judges rightly; NaN where it does not judge.
        balanced_accuracy: mean of that over images with 0 and with 1; NaN where one of them is missing.
        least: images of either value that it needs.
        floor: balanced accuracy that it needs.
    """

    name: str
    trained: tuple[int, int]
    tested: tuple[int, int]
    accuracy: float
    balanced_accuracy: float
    least: int
    floor: float = 0.0

    @property
    def judged(self) -> bool:
        """Whether there was enough to train on and, where it is a judge that was tested, it judges well enough."""
        return self.enough and not self.balanced_accuracy < self.floor

    @property
    def enough(self) -> bool:
        """Whether there was enough to train on."""
        return min(self.trained) >= self.least

    @property
    def words(self) -> str:
        """One line for people, e.g. "Mustache: not judged: 3 examples of value 1 to train on, 20 are needed"."""
        if not self.enough:
            value = int(self.trained[1] < self.trained[0])
            found = f"{self.trained[value]} examples of value {value} to train on"
            return f"{self.name}: not judged: {found}, {self.least} are needed"
        if math.isnan(self.balanced_accuracy):
            return (
                f"{self.name}: accuracy {self.accuracy:.3f}, of one value only: {self.tested} tested examples of 0, 1"
            )
        found = f"accuracy {self.accuracy:.3f}, balanced {self.balanced_accuracy:.3f}"
        if not self.judged:
            return f"{self.name}: not judged: {found}, {self.floor:.3f} is needed"
        return f"{self.name}: {found}"
