"""A run as the ledger sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Measured:
    """A metric in a record.

    Attributes:
        value: as it stands there.
        version: protocol version of the metric; None where it has none.
        step: iteration of the weights it was measured with.
        best: best value over validations, of the monitored metric.
    """

    value: float
    version: int | None = None
    step: int | None = None
    best: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """A measurement of a run's checkpoint on held-out data.

    Attributes:
        folder: below the run directory.
        time: when, ISO 8601.
        step: of the checkpoint.
        weights: raw or ema.
        changes: what it departs in from `reprise evaluate RUN_DIR`: keys of the config, hardware left out; also
            `checkpoint` and `weights` where these are not the run's own choice, and `data` where other data were read.
        examples: how many were measured.
        metrics: by name, test/...
        cost: as in the record.
        changed: modules that measured it whose source is another now.
    """

    folder: str
    time: str
    step: int
    weights: str
    changes: dict[str, Any]
    examples: int | None
    metrics: dict[str, Measured]
    cost: dict[str, Any] = field(default_factory=dict)
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One run record.

    Attributes:
        directory: of the run.
        id, name, experiment, seed, state, command, overrides, iteration, weights: as in the record.
        digest: of the protocol part of its config; Ledger.protocols has that part.
        begun: start of its first session, ISO 8601; "" where it has none.
        code: commit, dirty, version, sources (module -> digest).
        changed: modules it depends on whose source is another now.
        environment, data, cost, wandb: as in the record.
        metrics: of training and validation, by name.
        evaluations: oldest first.
        imported: where it was imported from; None for a run of this disk.
    """

    directory: Path
    id: str
    name: str
    experiment: str | None
    seed: int
    state: str
    command: str
    overrides: tuple[str, ...]
    digest: str
    begun: str
    iteration: int
    weights: str
    code: dict[str, Any]
    changed: tuple[str, ...]
    environment: dict[str, Any]
    data: dict[str, Any]
    cost: dict[str, Any]
    metrics: dict[str, Measured]
    evaluations: tuple[Evaluation, ...]
    wandb: dict[str, Any] | None = None
    imported: str | None = None
