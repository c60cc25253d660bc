"""Train: from a checked config to a finished run directory. Every rank of a run comes through `fit_process`."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import socket
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from filelock import FileLock, Timeout

from reprise.config.check import trust
from reprise.config.errors import Interrupted, Pruned, RunError, UserError
from reprise.config.protocol import deviations as deviations_of
from reprise.config.protocol import digest
from reprise.data.stream import divide_batch
from reprise.nn.randomness import rank_seed
from reprise.tracking import directory as directories
from reprise.tracking import provenance
from reprise.tracking.abandoned import LOCK
from reprise.tracking.cost import CostMeter
from reprise.tracking.metrics_log import MetricsLogger
from reprise.tracking.record import DONE, FILE, RunRecord, read_record
from reprise.tracking.run import Run
from reprise.tracking.wandb import close as close_wandb
from reprise.training import checkpoints, slurm
from reprise.training.strategy import ending_together, rank_variables
from reprise.training.trainer import (
    Parts,
    build_callbacks,
    build_control,
    build_loggers,
    build_parts,
    build_trainer,
    limits_of,
)
from reprise.training.world import World, plan_world

log = logging.getLogger(__name__)
_LOCK_SECONDS = 3.0  # a process that was killed a moment ago may not be gone yet


def start(
    values: dict[str, Any],
    choices: dict[str, Any],
    overrides: list[str],
    deviations: list[dict[str, Any]],
    on_start: Callable[[Path], None] = lambda path: None,
) -> Path:
    """Start a new run in a new directory and train it to its end.

    Args:
        values: resolved, checked config.
        choices: what was chosen of each group.
        overrides: command-line words.
        deviations: against the experiment.
        on_start: called with the run directory before training begins.

    Where the config fixes the directory (paths.run) and the run is there already, it is continued.

    Returns:
        the run directory.

    Raises:
        ConfigError: the batch does not divide, or the devices are not there; nothing was written.
        RunError: the directory holds something else.
        UserError: the run failed; the record says why.
        Interrupted: the run was asked to stop.
    """
    trust(values["allow"])
    fixed = Path(values["paths"]["run"]).expanduser() if values["paths"]["run"] else None
    if fixed is not None and (fixed / FILE).is_file():
        return _continue(fixed, values, on_start)
    world = plan_world(values["trainer"])
    limits_of(values["trainer"])
    divide_batch(values["data"]["batch_size"], world.size, values["data"].get("max_device_batch"))
    with rank_variables():
        parts = build_parts(values, world)
    name = choices.get("experiment") or choices.get("model") or "run"
    config_digest = digest(values)
    if fixed is not None:
        directories.make(fixed, values["seed"], config_digest)
        run_directory = fixed
    else:
        outputs = Path(values["paths"]["outputs"]).expanduser()
        run_directory = directories.claim(outputs, name, values["seed"], config_digest)
    with _alone(run_directory):
        if (run_directory / FILE).is_file():
            raise RunError(f"{run_directory} was begun by another process a moment ago. The same command continues it.")
        if fixed is not None:
            directories.settle(fixed)
        directories.write_config(run_directory, values)
        record = RunRecord(
            id=f"{config_digest[:8]}-s{values['seed']}-{uuid.uuid4().hex[:8]}",
            name=name,
            seed=values["seed"],
            command=provenance.redact(shlex.join(sys.argv)),
            config=values,
            config_digest=config_digest,
            experiment=choices.get("experiment"),
            overrides=[provenance.redact(o) for o in overrides],
            choices=dict(choices),
            deviations=deviations,
            code=provenance.code_state(run_directory),
        )
        on_start(run_directory)
        _session(run_directory, record, world, None, parts)
    return run_directory


def _continue(run_directory: Path, values: dict[str, Any], on_start: Callable[[Path], None]) -> Path:
    """Go on with the run that was begun in a fixed directory, on whatever hardware the config names now."""
    plan_world(values["trainer"])  # devices that are not there show before anything is written
    record = read_record(run_directory)
    if (record.config_digest, record.seed) != (digest(values), values["seed"]):
        raise RunError(
            f"paths.run={run_directory} holds another run (seed {record.seed}, config {record.config_digest[:8]}; this "
            f"is seed {values['seed']}, config {digest(values)[:8]}). Expected the same, or an empty folder."
        )
    if record.state in DONE:
        log.warning("%s is %s: nothing to do", run_directory, record.state)
        slurm.announce(run_directory, [], "")
        return run_directory
    return resume(run_directory, values, on_start)


def resume(run_directory: Path, values: dict[str, Any], on_start: Callable[[Path], None] = lambda path: None) -> Path:
    """Continue a run from its last whole checkpoint, or from its beginning where there is none.

    Args:
        run_directory: of the run.
        values: its config, perhaps with changes; those of the protocol become deviations from this step on.
        on_start: called with the directory before training begins.

    Raises:
        RunError: no such run, all of its checkpoints are damaged, or another process trains it.
    """
    read_record(run_directory)  # so that what is no run stays as it is
    with _alone(run_directory):
        return _resume(run_directory, values, on_start)


def _resume(run_directory: Path, values: dict[str, Any], on_start: Callable[[Path], None]) -> Path:
    record = read_record(run_directory)
    if record.state == "finished" and {**values, "evaluate": None} == {**record.config, "evaluate": None}:
        log.warning("%s is finished: nothing to do", run_directory)
        slurm.announce(run_directory, [], "")
        return run_directory
    checkpoint = None
    if checkpoints.read_index(run_directory):
        checkpoint, entry = checkpoints.find(run_directory)
        checkpoints.forget_after(run_directory, entry.step)
        record.iteration = entry.step
    else:
        log.warning("%s has no checkpoint yet: starting from its beginning", run_directory)
        record.iteration = 0
    if values != record.config:
        record.deviations += [{**d, "from_step": record.iteration} for d in deviations_of(record.config, values)]
        record.config = values
        directories.write_config(run_directory, values)
    on_start(run_directory)
    world = plan_world(values["trainer"])
    # sums on a CPU are split over threads: bit-exact means as many as before, whatever this process would take
    threads = record.environment.get("threads") if world.accelerator == "cpu" else None
    _session(run_directory, record, world, checkpoint, threads=threads)
    return run_directory


@contextlib.contextmanager
def _alone(run_directory: Path) -> Iterator[None]:
    """Hold the run's lock: no two sessions of a run at a time."""
    lock = FileLock(run_directory / LOCK)
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        sessions = read_record(run_directory).sessions if (run_directory / FILE).is_file() else []
        session = sessions[-1] if sessions else {}
        raise RunError(
            f"{run_directory} is being trained by another process (pid {session.get('pid')} on "
            f"{session.get('host')}). Wait for it, or stop it first."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _session(
    run_directory: Path,
    record: RunRecord,
    world: World,
    checkpoint: Path | None,
    parts: Parts | None = None,
    threads: int | None = None,
) -> None:
    """One process start of a run, with its entry in the record."""
    meter = CostMeter(record.cost, world.size)
    run = Run(run_directory, record.config, record, meter)
    first = record.iteration
    session = {
        "start": _now(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "from_step": first,
        "command": provenance.redact(shlex.join(sys.argv)),
    }
    record.sessions.append(session)
    record.state, record.exit_code, record.error = "running", None, None
    record.write(run_directory)
    try:
        task = ["train", str(threads or 0), *([str(checkpoint)] if checkpoint else [])]
        fit_process(run, world, checkpoint, task, parts, threads=threads)
        record.state, record.exit_code = "finished", 0
    except Pruned as error:
        record.state, record.exit_code, record.error = "pruned", 0, str(error)
    except Interrupted as error:
        record.state, record.exit_code, record.error = "interrupted", error.exit_code, str(error)
        error.args = (f"{error}. Go on with: python train.py resume={run_directory}",)
        raise
    except KeyboardInterrupt:
        record.state, record.exit_code, record.error = "interrupted", 130, "Ctrl-C"
        raise
    except UserError as error:
        record.state, record.exit_code, record.error = "failed", error.exit_code, provenance.redact(str(error))
        raise
    except BaseException as error:
        record.state, record.exit_code = "failed", 1
        record.error = provenance.redact(f"{type(error).__name__}: {error}")
        raise
    finally:
        _note_sources(record)
        session |= {"end": _now(), "to_step": record.iteration, "state": record.state}
        run.save()
        close_wandb(run_directory / FILE)


def _note_sources(record: RunRecord) -> None:
    """Note the digests of the modules imported by now; those noted before were read before and stay."""
    record.code["sources"] = {**provenance.source_digests(), **record.code.get("sources", {})}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def fit_process(
    run: Run,
    world: World,
    checkpoint: Path | None,
    task: list[str],
    parts: Parts | None = None,
    stop_after: int | None = None,
    threads: int | None = None,
) -> None:
    """Train in this process; starts the other ranks when this is the first.

    Args:
        run: the run; its record is None on ranks other than 0.
        world: processes of the run.
        checkpoint: to continue from.
        task: what worker processes are told to do.
        parts: module and data, where they are built already.
        stop_after: stop after so many iterations, without checkpoints or validation.
        threads: CPU threads; None for OMP_NUM_THREADS or a share of the cores.
    """
    with rank_variables():
        if world.external:
            slurm.announce(run.directory, task, str(world))
        parts = parts or build_parts(run.values, world, threads)
        module, datamodule = parts.module, parts.datamodule
        control = build_control(run, datamodule, world, stop_after)
        callbacks = build_callbacks(run, control)
        loggers = build_loggers(run, control) if stop_after is None else []
        trainer = build_trainer(run, world, control, callbacks, loggers, task)
        if run.record is not None:
            run.record.environment = provenance.environment() | {
                "precision": str(trainer.precision),
                "world_size": trainer.world_size,
                "strategy": world.strategy if world.distributed else "single_device",
                "accelerator": world.accelerator,
                "accumulate": control.accumulate,
                "parameters": sum(p.numel() for p in module.parameters()),
            }
            _note_sources(run.record)
        trainer.callbacks.insert(0, _Books(run, loggers))  # type: ignore[attr-defined]
        pl.seed_everything(run.values["seed"], workers=True, verbose=False)  # whatever building has drawn
        if trainer.global_rank:  # dropout of one process must not repeat that of another
            torch.manual_seed(rank_seed(run.values["seed"], trainer.global_rank))
        with ending_together(trainer.strategy, lambda error: _note_death(run, error)):
            trainer.fit(module, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)


class _Books(pl.Callback):
    """Writes into the record what was really read, and brings metrics.csv back to where the checkpoint was made."""

    def __init__(self, run: Run, loggers: list[Any]) -> None:
        self.run = run
        self.logger = next((x for x in loggers if isinstance(x, MetricsLogger)), None)
        self._rows = 0

    def state_dict(self) -> dict[str, Any]:
        return {"metric_rows": self.logger.rows if self.logger is not None else 0}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._rows = int(state_dict["metric_rows"])

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        if self.run.record is not None:
            self.run.record.data = datamodule.data_digests()
            self.run.save()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.logger is not None:
            self.logger.rewind(self._rows)


def _note_death(run: Run, error: str) -> None:
    """Write what the main thread, which hangs, will not write any more."""
    if run.record is not None:
        run.record.state, run.record.exit_code, run.record.error = "failed", 1, provenance.redact(error)
        if run.record.sessions:
            run.record.sessions[-1] |= {"end": _now(), "to_step": run.record.iteration, "state": "failed"}
        run.save()
