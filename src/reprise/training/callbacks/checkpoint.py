"""Saves the run at the end of iterations: last, the one before, and best."""

from __future__ import annotations

import errno
import logging
import math
import time
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from reprise.config.errors import ConfigError
from reprise.tracking.run import Run
from reprise.training import checkpoints as files
from reprise.training.callbacks.control import Control

log = logging.getLogger(__name__)


class Checkpoints(Checkpoint):
    """Saves every so many iterations or minutes, before each validation, at the end and on a signal.

    A checkpoint is always the state at the end of an iteration, before the validation that may follow; a run resumed
    from it does that validation first. Kept are the last, the one before it (in case the last is damaged) and the best
    by the run's monitor.

    Args:
        every_n_steps: iterations between checkpoints; None for validations only.
        every_minutes: minutes between checkpoints, whichever comes first.
    """

    def __init__(self, every_n_steps: int | None = 1000, every_minutes: float | None = 10.0) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ConfigError(f"callbacks.checkpoint.every_n_steps is {every_n_steps}. Expected 1 or more, or null.")
        self.every_n_steps = every_n_steps
        self.every_minutes = every_minutes
        self.best: float | None = None
        self.best_step: int | None = None
        self._last_save = time.monotonic()

    def bind(self, run: Run, control: Control) -> None:
        """Learn the run and who counts its iterations."""
        self.run = run
        self.control = control

    def state_dict(self) -> dict[str, Any]:
        """Best value so far."""
        return {"best": self.best, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with the checkpoint's best value."""
        self.best, self.best_step = state_dict["best"], state_dict["best_step"]

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the resolved config, features included, with the weights."""
        checkpoint["reprise_config"] = self.run.values

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when it is time."""
        if not self.control.at_iteration_end(trainer):
            return
        if self._is_due(trainer):
            self.save(trainer)
        self.control.raise_if_interrupted()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare the monitored metric; the weights of this iteration are saved already."""
        value = trainer.callback_metrics.get(self.run.monitor)
        if value is None and trainer.state.fn == "fit" and trainer.is_global_zero:
            names = ", ".join(sorted(trainer.callback_metrics)) or "none"
            log.warning(
                "monitor=%s is not among the metrics (%s): no checkpoint is kept as best", self.run.monitor, names
            )
        if value is None or not math.isfinite(float(value)) or trainer.state.fn != "fit":
            return
        current = float(value)
        if self.best is None or (current < self.best if self.run.mode == "min" else current > self.best):
            self.best, self.best_step = current, self.control.iteration
            if trainer.is_global_zero:
                self._update_roles(files.read_index(self.run.directory))

    def save(self, trainer: pl.Trainer) -> None:
        """Write a checkpoint of this iteration; every rank has to call this.

        Raises:
            RunError: it could not be written; the ones before are intact.
        """
        folder = self.run.directory / files.FOLDER
        step = self.control.iteration
        scratch = folder / f".step-{step:08d}.tmp"
        try:
            if trainer.is_global_zero:
                folder.mkdir(exist_ok=True)
                for leftover in folder.glob(".step-*.tmp"):
                    leftover.unlink()
            trainer.save_checkpoint(scratch)
            if trainer.is_global_zero:
                new = files.commit(scratch, self.run.directory, step)
                entries = [e for e in files.read_index(self.run.directory) if e.step != step]
                self._update_roles([new, *entries])
        except (OSError, RuntimeError) as error:
            scratch.unlink(missing_ok=True)
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, OSError):
                cause = cause.__cause__ or cause.__context__
            if isinstance(cause, OSError):
                raise files.explain_write_error(cause, self.run.directory) from error
            if "file write failed" in str(error) or "PytorchStreamWriter" in str(error):  # torch's words for it
                full = OSError(errno.ENOSPC, str(error).splitlines()[0])
                raise files.explain_write_error(full, self.run.directory) from error
            raise
        self._last_save = time.monotonic()

    def _is_due(self, trainer: pl.Trainer) -> bool:
        control = self.control
        if control.stop_after is not None:
            return False
        if control.stopping or control.is_last() or control.pending_validation:
            return True
        if self.every_n_steps is not None and control.iteration % self.every_n_steps == 0:
            return True
        if self.every_minutes is None:
            return False
        late = time.monotonic() - self._last_save > 60.0 * self.every_minutes
        return bool(trainer.strategy.broadcast(late)) if trainer.world_size > 1 else late

    def _update_roles(self, entries: list[files.Entry]) -> None:
        entries = sorted(entries, key=lambda e: e.step, reverse=True)
        for i, entry in enumerate(entries):
            entry.roles = [["last"], ["previous"]][i] if i < 2 else []
            if entry.step == self.best_step:
                entry.roles.append("best")
        kept = [e for e in entries if e.roles]
        files.write_index(self.run.directory, kept)
        names = {e.file for e in kept}
        for path in (self.run.directory / files.FOLDER).glob("step-*.ckpt"):
            if f"{files.FOLDER}/{path.name}" not in names:
                path.unlink()
        if self.run.record is not None:
            self.run.record.checkpoints = [asdict(e) for e in reversed(kept)]
            self.run.save()
