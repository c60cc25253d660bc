"""A point of a sweep: a command line with its run directory, and how it went."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from reprise.config.paths import checkout

State = Literal["waiting", "running", "finished", "pruned", "interrupted", "failed"]
DONE: tuple[State, ...] = ("finished", "pruned")  # nothing is left to run
_NOT_WRITTEN = ("environment", "trainer", "log_from", "sessions_before")


@dataclass
class Point:
    """One point of a sweep.

    Attributes:
        index: its number in the sweep, from 0.
        overrides: the words of `train.py`, the run directory not among them.
        params: of these, what sets the point apart from the others: key -> value as typed.
        outputs: root of runs and sweeps.
        directory: of its run, decided beforehand.
        name, seed, digest: identity of the run.
        monitor, mode: the metric that decides which checkpoint is best, and whether `min` or `max` of it.
        max_steps: iterations it will do; None where time or epochs decide.
        evaluate: it is done only when its best checkpoint has been evaluated, too.
        trainer: the trainer's part of the config: devices, nodes, strategy.
        logs_to_wandb: whether it has a W&B logger.
        state: waiting, running, finished, pruned, interrupted or failed.
        objective: value of the monitored metric at its best, once there is one.
        step, value: iterations so far, and the latest value of the monitored metric.
        error: why it failed.
        seconds: wall time of all of its runs.
        reused: the run was there before the sweep.
        placement: where it ran, in words of the place: GPUs, job id, node.
        log_from: where this start's part of the log begins.
        sessions_before: sessions of the run before this start; -1 for none, or where that is not known.
        environment: variables that are set for its processes; never written down, since they may hold secrets.
    """

    index: int
    overrides: tuple[str, ...]
    params: dict[str, str]
    outputs: Path
    directory: Path
    name: str
    seed: int
    digest: str
    monitor: str
    mode: str
    max_steps: int | None
    trainer: dict[str, Any] = field(repr=False)
    logs_to_wandb: bool
    state: State = "waiting"
    objective: float | None = None
    step: int = 0
    value: float | None = None
    error: str | None = None
    seconds: float = 0.0
    reused: bool = False
    placement: dict[str, Any] = field(default_factory=dict)
    log_from: int = field(default=0, repr=False)
    sessions_before: int = field(default=-1, repr=False)
    evaluate: bool = False
    environment: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def label(self) -> str:
        """What sets the point apart, in one line."""
        return " ".join(f"{k}={v}" for k, v in self.params.items()) or f"point {self.index}"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.directory / "logs" / "point.log"

    def words(self, group: str | None = None) -> list[str]:
        """Words of `train.py`: the overrides, the run directory and the W&B group."""
        extra = [f"paths.run={quoted(str(self.directory))}"]
        if (
            group is not None
            and self.logs_to_wandb
            and not any(w.startswith("logger.wandb.group=") for w in self.overrides)
        ):
            extra.append(f"logger.wandb.group={quoted(group)}")
        return [*self.overrides, *extra]

    def to_json(self) -> dict[str, Any]:
        """Everything but what is only needed while it runs."""
        raw = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in _NOT_WRITTEN}
        paths = {"outputs": str(self.outputs), "directory": str(self.directory)}
        return raw | {"overrides": list(self.overrides), **paths}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Point:
        """Read what `to_json` wrote."""
        known = {f.name for f in dataclasses.fields(cls)}
        kept = {k: v for k, v in raw.items() if k in known}
        paths = {k: Path(raw[k]) for k in ("outputs", "directory")}
        return cls(**kept | {"overrides": tuple(raw["overrides"]), "trainer": {}} | paths)


def quoted(value: str) -> str:
    """Quote a value for Hydra's grammar where it holds characters that mean something there."""
    if value and all(c.isalnum() or c in "_-./+%@:" for c in value) and not value.startswith((":", "@")):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def program() -> list[str]:
    """How train.py is called on this machine."""
    top = checkout()
    return [sys.executable, str(top / "train.py")] if top else [sys.executable, "-m", "reprise.cli.main", "train"]


def shell(words: list[str]) -> str:
    """The command a user can type to run these words."""
    return shlex.join(["python", "train.py", *words] if checkout() else ["reprise", "train", *words])
