"""Rows of numbers under names, as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from reprise.samples.base import Sample, Shown


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows(Sample):
    """A table of whole numbers, such as drawn labels.

    Attributes:
        columns: names.
        values: (N, columns).

    Raises:
        ValueError: there are other columns than names.
    """

    columns: Sequence[str]
    values: Tensor

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.columns):
            raise ValueError(
                f"rows have the shape {tuple(self.values.shape)}. Expected (N, {len(self.columns)}), a column a name."
            )

    def path(self, folder: Path) -> Path:
        """Where `write` puts it."""
        return folder / f"{self.name}.csv"

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.csv; there is no picture to show."""
        path = self.path(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(self.columns)
        table.writerows(self.values.tolist())
        path.write_text(text.getvalue(), encoding="utf-8")
        return []
