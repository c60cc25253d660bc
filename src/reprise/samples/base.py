"""What a model hands to those who show what it makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Shown:
    """A file that is worth showing.

    Attributes:
        key: what it is called where it is shown; one of a kind among what is shown at once.
        path: the file.
        kind: how it is shown.
        caption: what it is.
    """

    key: str
    path: Path
    kind: Literal["image", "audio"]
    caption: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sample(ABC):
    """Something a model made, which knows how it is written.

    Attributes:
        name: of its files, e.g. the clip's id; a slash makes a folder.
        caption: how it was made.
        group: row of an evaluation that it belongs to, e.g. the noise schedule; "" where there is one row only.
    """

    name: str
    caption: str
    group: str = ""

    @abstractmethod
    def write(self, folder: Path) -> list[Shown]:
        """Write its files into a folder, which is made where there is none.

        Returns:
            what to show of them.

        Raises:
            OSError: a file cannot be written.
        """


def first_of_each_group(samples: Iterable[Sample], count: int) -> list[Sample]:
    """The first `count` samples of each group, in the order given."""
    seen: dict[str, int] = {}
    kept = []
    for sample in samples:
        seen[sample.group] = seen.get(sample.group, 0) + 1
        if seen[sample.group] <= count:
            kept.append(sample)
    return kept
