"""From override lists to points: composed, checked, each with its run directory, before anything is started."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reprise.config.check import check_config
from reprise.config.compose import Composed, PointComposer
from reprise.config.errors import ConfigError, UserError
from reprise.config.fitting import require_fitting_arch
from reprise.config.graph import check_graph
from reprise.config.origin import origin
from reprise.config.protocol import digest
from reprise.config.unknown import explain_unknown_choice
from reprise.launch.point import Point
from reprise.tracking import directory as directories
from reprise.tracking.provenance import changed_sources
from reprise.tracking.record import RunRecord, is_done, read_record

# Words that say how a sweep goes; a point must not carry them on.
_SWEEP_WORDS = ("hydra/", "hydra.", "sweep=", "+sweep=")


class Planner:
    """Turns override lists into points.

    Args:
        reuse: a finished run with the same config, seed and code counts as a point's result; where only its evaluation
            is missing, that is what is left to run.
    """

    def __init__(self, reuse: bool = True) -> None:
        self.reuse = reuse
        self._composer = PointComposer()

    def compose(self, overrides: Sequence[str]) -> Composed:
        """Compose and check the config of a point.

        Raises:
            ConfigError: it is wrong, or names a run directory of its own.
        """
        for word in overrides:
            if word.lstrip("+").startswith(("paths.run=", "resume=")):
                raise ConfigError(f"{word} cannot be part of a sweep: each point gets a run directory of its own.")
        try:
            composed = self._composer.compose(overrides)
        except ConfigError as error:
            explain_unknown_choice(error, overrides)
            raise
        require_fitting_arch(composed.choices, self._composer.compose)
        allow = composed.values.get("allow")
        check_config(
            composed.values, lambda key: origin(key, overrides), allow=allow if isinstance(allow, list) else []
        )
        check_graph(composed.values)
        return composed

    def plan(self, index: int, overrides: Sequence[str], params: dict[str, str]) -> Point:
        """Make a point; it has no directory yet.

        Raises:
            ConfigError: its config is wrong.
        """
        composed = self.compose(overrides)
        values = composed.values
        steps = values["trainer"].get("max_steps")
        wandb = values["logger"].get("wandb") or {}
        return Point(
            index=index,
            overrides=tuple(overrides),
            params=params,
            outputs=Path(values["paths"]["outputs"]).expanduser(),
            directory=Path(),
            name=run_name(composed),
            seed=values["seed"],
            digest=digest(values),
            monitor=values["monitor"],
            mode=values["monitor_mode"],
            max_steps=steps if isinstance(steps, int) and steps > 0 else None,
            trainer=values["trainer"],
            logs_to_wandb="group" in wandb,
            evaluate=values["evaluate"],
        )

    def place(self, point: Point) -> None:
        """Give a point its run directory: that of a finished run of the same, evaluated or not, or a new one."""
        found = self._finished(point) if self.reuse else None
        if found is None:
            point.directory = directories.claim(point.outputs, point.name, point.seed, point.digest)
            return
        directory, record = found
        point.directory, point.reused = directory, True
        if is_done(record, point.evaluate):
            point.state = "finished"
            read_outcome(point, record)

    def _finished(self, point: Point) -> tuple[Path, RunRecord] | None:
        trained = None
        for directory in directories.claimed(point.outputs, point.name, point.seed, point.digest):
            try:
                record = read_record(directory)
            except UserError:
                continue
            if record.state != "finished" or record.config_digest != point.digest or changed_sources(record.code):
                continue
            if _comparable(record.config) == _comparable(self._composer.compose(point.overrides).values):
                if is_done(record, point.evaluate):
                    return directory, record
                trained = trained or (directory, record)
        return trained


def run_name(composed: Composed) -> str:
    """What a run is filed under: its experiment, or its model."""
    return composed.experiment or composed.choices.get("model") or "run"


def sweep_words(words: Sequence[str]) -> list[str]:
    """The words of a command line that belong to its points."""
    return [w for w in words if not w.startswith(_SWEEP_WORDS)]


def fingerprint(*parts: Any) -> str:
    """Eight hexadecimal digits for what defines a sweep."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:8]


def read_outcome(point: Point, record: RunRecord) -> None:
    """Note what a run's record says: steps, objective, latest value of the monitored metric, wall time."""
    entry = record.metrics.get(point.monitor, {})
    point.step = record.iteration
    point.objective = _finite(entry.get("best", entry.get("value")))
    point.value = _finite(entry.get("value"))
    point.seconds = float(record.cost.get("wall_seconds", 0.0))


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _comparable(values: dict[str, Any]) -> dict[str, Any]:
    """A config without what has nothing to do with what was run: folders, logging, tags."""
    kept = {k: v for k, v in values.items() if k not in ("paths", "logger", "tags", "resume", "evaluate")}
    kept["callbacks"] = {k: v for k, v in values["callbacks"].items() if k not in ("progress", "pruning")}
    kept["trainer"] = {k: v for k, v in values["trainer"].items() if k != "enable_progress_bar"}
    return kept
