"""The keys a training config may have at its top level. Everything below `_target_` is checked by signature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PathsConfig:
    """Folders a run reads and writes. None of them changes a result.

    Attributes:
        outputs: root of runs and sweeps.
        cache: root of downloads and of what is made of them.
        run: the run's own folder, where it is fixed beforehand; the run is started there, or continued.
    """

    outputs: str
    cache: str
    run: str | None


@dataclass(frozen=True)
class TrainConfig:
    """Top level of conf/train.yaml.

    Attributes:
        seed: seed of every random draw of the run.
        monitor: metric that decides which checkpoint is `best`, e.g. `val/ls_mse`.
        monitor_mode: `min` or `max`.
        compile: compile the network with torch.compile.
        evaluate: after training, measure the best checkpoint on its test data, as `reprise evaluate` does.
        tags: free words that go to W&B and the record.
        allow: packages outside reprise, torch, pytorch_lightning and torchmetrics whose classes configs may name.
        resume: run directory to continue.
    """

    seed: int
    monitor: str
    monitor_mode: str
    compile: bool
    evaluate: bool
    tags: list[str]
    allow: list[str]
    resume: str | None
    paths: PathsConfig
    model: dict[str, Any]
    data: dict[str, Any]
    trainer: dict[str, Any]
    logger: dict[str, Any]
    callbacks: dict[str, Any]


GROUPS = ("model", "arch", "data", "trainer", "logger", "callbacks", "budget", "experiment", "sweep")

# Groups whose members are dicts of objects, each with its own `_target_`.
COLLECTIONS = ("logger", "callbacks")
