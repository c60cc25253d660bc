"""metrics.csv: one row per value (step, name, value), appended and flushed as it comes."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from reprise.tracking.files import write_atomic
from reprise.tracking.metrics_csv import FILE, HEADER, read_metrics
from reprise.tracking.run import Run

__all__ = ["FILE", "HEADER", "MetricsLogger", "read_metrics"]
log = logging.getLogger(__name__)


class MetricsLogger(Logger):
    """Lightning logger that writes metrics.csv into the run directory."""

    def __init__(self) -> None:
        super().__init__()
        self._path: Path | None = None
        self._failed = False
        self.rows = 0

    def bind(self, run: Run, clock: Callable[[], int]) -> None:
        """Learn the run and its count of iterations; Lightning's own step is one behind at a validation."""
        self._clock = clock
        self._path = run.directory / FILE if run.record is not None else None

    def rewind(self, rows: int) -> None:
        """Keep the first `rows` rows, since later ones will come again; start the file where there is none."""
        self.rows = rows
        if self._path is None:
            return
        found = self._path.read_text(encoding="utf-8").splitlines(keepends=True)[1:] if self._path.is_file() else []
        write_atomic(self._path, HEADER + "".join(found[:rows]))

    @property
    def name(self) -> str:
        """Name for Lightning."""
        return "csv"

    @property
    def version(self) -> str:
        """Version for Lightning."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the config is in the record."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append one row per metric."""
        if self._path is None or self._failed:
            return
        try:
            with self._path.open("a", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                for name, value in metrics.items():
                    if name != "epoch":
                        writer.writerow([self._clock(), name, repr(float(value))])
                        self.rows += 1
        except OSError as error:
            self._failed = True
            log.warning("%s cannot be written (%s); metrics go on to the record and to W&B", self._path, error)
