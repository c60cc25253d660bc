"""A run as its processes see it: the directory, the config, the record (on rank 0), the meter."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reprise.tracking.cost import CostMeter
from reprise.tracking.record import RunRecord

log = logging.getLogger(__name__)


@dataclass
class Run:
    """One run.

    Attributes:
        directory: its folder.
        values: resolved config.
        record: on rank 0; other ranks have None and write nothing.
        meter: likewise.
    """

    directory: Path
    values: dict[str, Any]
    record: RunRecord | None = None
    meter: CostMeter | None = None

    @property
    def monitor(self) -> str:
        """Metric that decides which checkpoint is best."""
        return str(self.values["monitor"])

    @property
    def mode(self) -> str:
        """`min` or `max`."""
        return str(self.values["monitor_mode"])

    def save(self) -> None:
        """Write the record with the cost up to now; a full disk leaves the record before and a warning."""
        if self.record is None:
            return
        if self.meter is not None:
            self.record.cost = self.meter.now()
        try:
            self.record.write(self.directory)
        except OSError as error:
            log.warning("run.json could not be updated (%s); the version before stays valid", error)
