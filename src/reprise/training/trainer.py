"""Build what a config describes: module, data, loggers, callbacks, trainer."""

from __future__ import annotations

import ctypes
import inspect
import logging
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment

from reprise.config.errors import ConfigError
from reprise.config.instantiate import instantiate
from reprise.data.module import StreamDataModule
from reprise.tracking.run import Run
from reprise.training.callbacks.control import Control
from reprise.training.callbacks.randomness import RandomStates
from reprise.training.callbacks.recorder import Recorder
from reprise.training.identity import identity
from reprise.training.sharding import EndValidation, WorkerFSDP
from reprise.training.strategy import WorkerDDP
from reprise.training.tasks import SlurmTasks
from reprise.training.world import World, cpu_threads

PRECISIONS = ("32-true", "64-true", "bf16-mixed")  # those in which losses are finite and encodings exact
_REFUSED = {
    "callbacks": "use the group callbacks",
    "logger": "use the group logger",
    "accumulate_grad_batches": "it follows from data.batch_size and data.max_device_batch",
    "limit_train_batches": "use trainer.max_steps",
    "overfit_batches": "use a smaller data split",
    "min_steps": "use trainer.max_steps",
    "min_epochs": "use trainer.max_epochs",
    "fast_dev_run": "use budget=smoke",
    "use_distributed_sampler": "examples are shared out exactly already",
    "reload_dataloaders_every_n_epochs": "the stream of examples is endless",
}
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1  # options of glibc's mallopt
# Read by Control, which counts iterations; Lightning's own limits stay open.
_CONTROL_KEYS = ("max_steps", "max_epochs", "max_time", "val_check_interval", "log_every_n_steps")


def prepare_process(world: World, threads: int | None = None) -> None:
    """Quiet the libraries, set the threads of a CPU process, and keep freed memory for the next step.

    The number of threads is part of what a CPU computes: sums are split over them. So it is set in every case, to
    `threads` or to what `cpu_threads` says, and a resumed run is given the number that its record notes.

    glibc hands large blocks back to the kernel when they are freed, so that each step of a CPU run faults its
    activations in anew.
    """
    quiet_lightning()
    if threads is not None or world.accelerator == "cpu":
        torch.set_num_threads(threads or cpu_threads(world))
    if world.accelerator == "cpu" and sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            for option, value in ((_M_MMAP_THRESHOLD, 1 << 30), (_M_TRIM_THRESHOLD, 2**31 - 1)):
                mallopt(option, value)


def quiet_lightning() -> None:
    """Silence tips, device lines and warnings that do not concern the user."""
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning_fabric"):
        logging.getLogger(name).setLevel("WARNING")
    for text in (
        ".*treespec, LeafSpec.*",
        ".*srun. command is available.*",
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*on epoch level in distributed setting.*",
        ".*smaller than the logging interval.*",
        ".*was called without .*batch_size.*",
        "(?s).*Grad strides do not match bucket view strides.*",
    ):
        warnings.filterwarnings("ignore", text)


def build_datamodule(values: dict[str, Any]) -> StreamDataModule:
    """Build the data module of a config."""
    datamodule = instantiate(values["data"])
    if not isinstance(datamodule, StreamDataModule):
        raise ConfigError(f"data._target_ builds a {type(datamodule).__name__}. Expected a StreamDataModule.")
    return datamodule


def build_module(values: dict[str, Any]) -> pl.LightningModule:
    """Build the module of a config; compiled where `compile` asks for it, with unchanged weight names."""
    module = instantiate(values["model"])
    if not isinstance(module, pl.LightningModule):
        raise ConfigError(f"model._target_ builds a {type(module).__name__}. Expected a LightningModule.")
    if values["compile"]:
        for child in module.children():  # in place: no `_orig_mod.` in the names
            if any(p.requires_grad for p in child.parameters()):
                child.compile()
    return module


@dataclass(frozen=True)
class Parts:
    """What a config describes, built."""

    module: pl.LightningModule
    datamodule: StreamDataModule


def build_parts(values: dict[str, Any], world: World, threads: int | None = None) -> Parts:
    """Build data and module, the same on every process, so that a wrong value is found before a run has a directory.

    Raises:
        ConfigError: a constructor or the optimiser refused a value.
    """
    if values["compile"] and world.strategy == "fsdp":
        raise ConfigError("compile=true does not go together with trainer.strategy=fsdp. Use compile=false or ddp.")
    prepare_process(world, threads)
    pl.seed_everything(values["seed"], workers=True, verbose=False)
    datamodule = build_datamodule(values)
    module = build_module(values)
    try:
        module.configure_optimizers()
    except (ValueError, TypeError) as error:
        raise ConfigError(f"the optimiser of {type(module).__name__} refused its settings: {error}.") from error
    return Parts(module, datamodule)


def seconds_of(text: str | None) -> float | None:
    """Parse DD:HH:MM:SS.

    Raises:
        ConfigError: of another form.
    """
    if text is None:
        return None
    parts = str(text).split(":")
    if len(parts) != 4 or not all(p.isdigit() for p in parts):
        raise ConfigError(f"trainer.max_time is {text!r}. Expected DD:HH:MM:SS, e.g. 00:00:40:00 for forty minutes.")
    days, hours, minutes, seconds = (int(p) for p in parts)
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


@dataclass(frozen=True)
class Limits:
    """When a run validates, logs and ends; None means no limit of that kind."""

    max_steps: int | None
    max_epochs: int | None
    max_seconds: float | None
    val_interval: int
    log_interval: int


def limits_of(settings: dict[str, Any]) -> Limits:
    """Read the limits from a trainer config.

    Raises:
        ConfigError: a limit is not positive, there is none, or a setting would count batches beside Control.
    """
    if taken := [k for k in settings if k in _REFUSED]:
        raise ConfigError(f"trainer.{taken[0]} cannot be set: {_REFUSED[taken[0]]}.")
    if settings.get("precision") not in PRECISIONS:
        raise ConfigError(
            f"trainer.precision is {settings.get('precision')!r}. Expected one of {', '.join(PRECISIONS)}."
        )
    found: dict[str, int | None] = {}
    for key in ("max_steps", "max_epochs", "val_check_interval", "log_every_n_steps"):
        value = settings.get(key)
        unlimited = value is None or (value == -1 and key.startswith("max_"))
        if not unlimited and not (isinstance(value, int) and value >= 1):
            hint = ", or -1 for no limit" if key.startswith("max_") else ""
            raise ConfigError(f"trainer.{key} is {value!r}. Expected a whole number of 1 or more{hint}.")
        found[key] = None if unlimited else value
    seconds = seconds_of(settings.get("max_time"))
    if found["max_steps"] is None and found["max_epochs"] is None and seconds is None:
        raise ConfigError("the run would never end. Set trainer.max_steps, trainer.max_epochs or trainer.max_time.")
    return Limits(
        found["max_steps"],
        found["max_epochs"],
        seconds,
        found["val_check_interval"] or 1000,
        found["log_every_n_steps"] or 50,
    )


def build_control(run: Run, datamodule: StreamDataModule, world: World, stop_after: int | None) -> Control:
    """Build the loop's bookkeeping."""
    limits = limits_of(run.values["trainer"])
    return Control(
        run,
        max_steps=limits.max_steps,
        max_epochs=limits.max_epochs,
        val_interval=limits.val_interval,
        log_interval=limits.log_interval,
        accumulate=datamodule.divide_for(world.size)[1],
        max_seconds=limits.max_seconds,
        stop_after=stop_after,
    )


def build_callbacks(run: Run, control: Control) -> list[pl.Callback]:
    """Build the fixed callbacks and those of the config."""
    chosen = {n: c for n, c in run.values["callbacks"].items() if c is not None}
    # random states come back before Control runs a validation that the checkpoint was saved before
    randomness = RandomStates()
    control.after_pending_validation = randomness.hold
    callbacks: list[pl.Callback] = [randomness, control]
    for node in chosen.values():
        callback = instantiate(node)
        if hasattr(callback, "bind"):
            callback.bind(run, control)
        callbacks.append(callback)
    return [*callbacks, Recorder(run, control)]


def build_loggers(run: Run, control: Control) -> list[Any]:
    """Build the loggers of the config and tell them the run and who counts its iterations."""
    loggers = []
    for node in run.values["logger"].values():
        if node is None:
            continue
        extra = {"save_dir": str(run.directory)} if "TensorBoard" in node["_target_"] else {}
        logger = instantiate(node, **extra)
        if hasattr(logger, "bind"):
            logger.bind(run, lambda: control.iteration)
        loggers.append(logger)
    return loggers


def build_trainer(
    run: Run, world: World, control: Control | None, callbacks: list[pl.Callback], loggers: list[Any], task: list[str]
) -> pl.Trainer:
    """Build Lightning's trainer for one process of the run.

    Args:
        run: the run.
        world: processes and devices.
        control: the training loop's bookkeeping; None for evaluation.
        callbacks, loggers: as built.
        task: what worker processes are told to do.
    """
    known = set(inspect.signature(pl.Trainer.__init__).parameters)
    settings = {k: v for k, v in run.values["trainer"].items() if k in known and k not in _CONTROL_KEYS}
    strategy: Any = "auto"
    if world.distributed:
        backend = "nccl" if world.accelerator in ("gpu", "cuda") else "gloo"
        kind = WorkerFSDP if world.strategy == "fsdp" else WorkerDDP
        facts = identity(run.values, run.directory, task)
        strategy = kind(run.directory, task, str(world), facts, process_group_backend=backend)
    if isinstance(strategy, WorkerFSDP):
        callbacks = [EndValidation(), *callbacks]
    bars = any(isinstance(c, pl.callbacks.ProgressBar) for c in callbacks)
    settings |= {
        "accelerator": "gpu" if world.accelerator == "cuda" else world.accelerator,
        "devices": settings["devices"] if isinstance(settings.get("devices"), list) else world.devices,
        "num_nodes": world.nodes,
        "strategy": strategy,
        "callbacks": callbacks,
        "logger": loggers or False,
        "plugins": [SlurmTasks() if world.external else LightningEnvironment()],
        "max_epochs": -1,
        "check_val_every_n_epoch": None,
        "val_check_interval": control.val_interval * control.accumulate if control else None,
        "accumulate_grad_batches": control.accumulate if control else 1,
        "log_every_n_steps": control.log_interval if control else 1,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "inference_mode": not isinstance(strategy, WorkerFSDP),  # gathered weights made in it could not be trained
        "enable_checkpointing": any(isinstance(c, pl.callbacks.Checkpoint) for c in callbacks),
        "enable_model_summary": False,
        "enable_progress_bar": bool(settings.get("enable_progress_bar", True)) and bars,
        "default_root_dir": str(run.directory),
    }
    if not settings["enable_progress_bar"]:
        settings["callbacks"] = [c for c in callbacks if not isinstance(c, pl.callbacks.ProgressBar)]
    if control is not None and control.stop_after is not None:
        settings["limit_val_batches"] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pl.Trainer(**settings)
