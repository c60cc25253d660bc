"""Evaluate a run's checkpoint on the test part of its data, exactly, on any number of processes."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from filelock import FileLock, Timeout

from reprise.config.errors import ConfigError
from reprise.samples.base import Sample, first_of_each_group
from reprise.tracking import directory as directories
from reprise.tracking.cost import CostMeter
from reprise.tracking.files import write_json
from reprise.tracking.provenance import code_state, source_digests
from reprise.tracking.record import read_record
from reprise.tracking.run import Run
from reprise.tracking.wandb import send_record
from reprise.training.restore import choose_checkpoint, load_weights
from reprise.training.slurm import on_one_machine
from reprise.training.strategy import ending_together, rank_variables
from reprise.training.trainer import build_datamodule, build_module, build_trainer, prepare_process
from reprise.training.world import World, plan_world


def evaluate(
    run_directory: Path,
    values: dict[str, Any],
    changes: dict[str, Any],
    role: str,
    weights: str,
    samples: int,
    on_start: Callable[[Path], None] = lambda path: None,
) -> dict[str, Any]:
    """Test a checkpoint; the result goes into the run record and a folder evaluations/e<k> of the run.

    Args:
        run_directory: the run.
        values: its config, with `changes` applied.
        changes: dotted keys that differ from the run's config.
        role: checkpoint, best or last.
        weights: auto, raw or ema.
        samples: samples to write per row of the result.
        on_start: called with the evaluation's folder.

    Returns:
        the entry of the record's `evaluations`.
    """
    values = {**values, "trainer": on_one_machine(values["trainer"])}
    checkpoint, entry = choose_checkpoint(run_directory, role)
    load_weights(build_module(values), checkpoint, weights)  # what is wrong shows before a folder is made
    if samples < 0:
        raise ConfigError(f"samples={samples}. Expected 0 or more.")
    folder = _claim(run_directory)
    directories.write_config(folder, values)
    on_start(folder)
    world = plan_world(values["trainer"])
    run = Run(folder, values)
    meter = CostMeter({}, world.size)
    trainer, chosen, kept = evaluate_process(run, world, checkpoint, weights, ["evaluate", str(checkpoint), weights])
    versions: dict[str, int] = getattr(trainer.lightning_module, "metric_versions", dict)()
    metrics = {
        name: {"value": float(value), **({"version": versions[name]} if name in versions else {})}
        for name, value in trainer.callback_metrics.items()
        if name.startswith("test/")
    }
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    result = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "folder": str(folder.relative_to(run_directory)),
        "checkpoint": entry.file,
        "sha256": entry.sha256,
        "step": entry.step,
        "weights": chosen,
        "changes": changes,
        "examples": datamodule.held_out(),
        "precision": str(trainer.precision),
        "data": datamodule.data_digests(),
        "world_size": world.size,
        "metrics": metrics,
        "cost": meter.now(),
        "code": code_state(None) | {"sources": source_digests()},
    }
    for sample in first_of_each_group(kept, samples):
        sample.write(folder / "samples")
    write_json(folder / "result.json", result)
    lock = FileLock(run_directory / ".lock")
    with contextlib.suppress(Timeout), lock.acquire(blocking=False):  # a training session writes its record itself
        read_record(run_directory).write(run_directory)
        send_record(run_directory)
    return result


def evaluate_process(
    run: Run, world: World, checkpoint: Path, weights: str, task: list[str]
) -> tuple[pl.Trainer, str, list[Sample]]:
    """Test in this process; starts the other ranks when this is the first.

    Returns:
        the trainer with its metrics, which weights were loaded, and the module's samples.
    """
    prepare_process(world)
    with rank_variables():
        datamodule = build_datamodule(run.values)
        module = build_module(run.values)
        chosen = load_weights(module, checkpoint, weights)
        trainer = build_trainer(run, world, None, [], [], task)
        with ending_together(trainer.strategy):
            trainer.test(module, datamodule=datamodule, verbose=False)
        return trainer, chosen, list(getattr(module, "samples", []))


def _claim(run_directory: Path) -> Path:
    parent = run_directory / "evaluations"
    parent.mkdir(exist_ok=True)
    for k in itertools.count(1):
        try:
            (parent / f"e{k}").mkdir()
            return parent / f"e{k}"
        except FileExistsError:
            continue
    raise AssertionError("unreachable")
