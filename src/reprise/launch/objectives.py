"""What a search makes small or large, read from run records."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from reprise.config.errors import ConfigError, RunError, suggest
from reprise.tracking.record import RunRecord

_FIELDS = ("metric", "value", "direction")
_DIRECTIONS = {"min": "minimize", "max": "maximize", "minimize": "minimize", "maximize": "maximize"}


@dataclass(frozen=True)
class Objective:
    """One figure of a run.

    Attributes:
        metric: as in the run record, e.g. val/ls_mse.
        value: best of all validations, or last.
        direction: minimize or maximize.
    """

    metric: str
    value: str
    direction: str

    @property
    def mode(self) -> str:
        """`min` or `max`."""
        return self.direction[:3]

    def read(self, record: RunRecord) -> float:
        """Read it from a run's record.

        Raises:
            RunError: the run has no such metric, or it is not finite.
        """
        if (entry := record.metrics.get(self.metric)) is None:
            raise RunError(f"the run has no metric {self.metric}. {suggest(self.metric, record.metrics)}")
        found = entry.get("best" if self.value == "best" else "value")
        if found is None:
            raise RunError(f"{self.metric} was never a number, so that there is no best value of it.")
        if not isinstance(found, (int, float)) or not math.isfinite(found):
            raise RunError(f"{self.metric} is {found}. Expected a finite number.")
        return float(found)


def read_objectives(setting: Any, monitor: str, mode: str) -> list[Objective]:
    """Read `hydra.sweeper.objectives`.

    Args:
        setting: null for the best value of the monitored metric; or a list of mappings.
        monitor: metric that decides which checkpoint is best.
        mode: `min` or `max` of it.

    Raises:
        ConfigError: a field is missing, unknown or wrong.
    """
    if setting is None:
        return [Objective(monitor, "best", _DIRECTIONS[mode])]
    if not isinstance(setting, list) or not setting:
        raise ConfigError(
            f"hydra.sweeper.objectives is {setting!r}. Expected null, or a list like "
            "[{metric: val/loss, value: best, direction: minimize}]."
        )
    found = []
    for i, entry in enumerate(setting):
        where = f"hydra.sweeper.objectives.{i}"
        if not isinstance(entry, dict) or not isinstance(entry.get("metric"), str):
            raise ConfigError(f"{where} is {entry!r}. Expected a mapping with metric, value and direction.")
        for field in entry:
            if field not in _FIELDS:
                raise ConfigError(f"{where}.{field} is not a field of an objective. {suggest(field, _FIELDS)}")
        metric = entry["metric"]
        value = entry.get("value", "best" if metric == monitor else "last")
        if value not in ("best", "last"):
            raise ConfigError(f"{where}.value is {value!r}. Expected best or last.")
        if value == "best" and metric != monitor:
            raise ConfigError(
                f"{where}: the best value is kept of monitor={monitor} only. Use value: last for {metric}."
            )
        direction = entry.get("direction", mode if metric == monitor else None)
        if direction not in _DIRECTIONS:
            raise ConfigError(f"{where}.direction is {direction!r}. Expected minimize or maximize.")
        found.append(Objective(metric, value, _DIRECTIONS[direction]))
    if len({(o.metric, o.value) for o in found}) < len(found):
        raise ConfigError("hydra.sweeper.objectives names the same metric twice.")
    return found
