"""The training loop's bookkeeping: counts iterations, averages the loss, stops, and says why.

Lightning sees one endless epoch; an iteration is one global batch, whatever accumulation and processes. So there is
one kind of place where a run can be saved and resumed: the end of an iteration.
"""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor

from reprise.config.errors import Interrupted, RunError
from reprise.tracking.run import Run

log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Control(pl.Callback):
    """Counts iterations and ends the run: at max_steps, on a signal, on a non-finite loss.

    Args:
        run: the run.
        max_steps: iterations to do; None for no end (then time or epochs decide).
        max_epochs: passes over the training data to do.
        val_interval: iterations between validations.
        log_interval: iterations that `train/loss` is averaged over.
        accumulate: micro-batches per iteration.
        max_seconds: end after so many seconds of training, all sessions together.
        stop_after: stop without a checkpoint after so many iterations of this process (for `reprise verify`).
    """

    def __init__(
        self,
        run: Run,
        max_steps: int | None,
        max_epochs: int | None,
        val_interval: int,
        log_interval: int,
        accumulate: int,
        max_seconds: float | None = None,
        stop_after: int | None = None,
    ) -> None:
        self.run = run
        self.max_steps = max_steps
        self.max_epochs = max_epochs
        self.val_interval = val_interval
        self.log_interval = log_interval
        self.accumulate = accumulate
        self.max_seconds = max_seconds
        self.stop_after = stop_after
        self.iteration = 0
        self._seconds_before = 0.0
        self._clock: float | None = None
        self._time_is_up = False
        self.started_at = 0
        self.pending_validation = False
        self.last_loss = float("nan")
        self._loss_sum: float | Tensor = 0.0
        self._loss_count = 0
        self._batch: Any = None
        self._signal: int | None = None
        self._stop_signal: int | None = None
        self._handlers: dict[int, Any] = {}
        self.after_pending_validation: Callable[[], None] = lambda: None

    # state

    def state_dict(self) -> dict[str, Any]:
        """Counters and the running loss."""
        return {
            "iteration": self.iteration,
            "pending_validation": self.pending_validation,
            "loss_sum": float(self._loss_sum),
            "loss_count": self._loss_count,
            "seconds": self.seconds(),
            "accumulate": self.accumulate,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at the checkpoint's iteration."""
        if state_dict["accumulate"] != self.accumulate:
            raise RunError(
                f"the run accumulated {state_dict['accumulate']} micro-batches and would go on with {self.accumulate}; "
                "a bit-exact resume needs as many: leave data.max_device_batch and the process count as they were."
            )
        self.iteration = self.started_at = int(state_dict["iteration"])
        self.pending_validation = bool(state_dict["pending_validation"])
        self._loss_sum = state_dict["loss_sum"]
        self._loss_count = state_dict["loss_count"]
        self._seconds_before = float(state_dict["seconds"])

    # hooks

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over the signals and finish a validation that the checkpoint was saved before."""
        self.catch_signals()
        self._clock = time.monotonic()
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        if self.max_epochs is not None:
            epochs = math.ceil(self.max_epochs * datamodule.epoch_size() / datamodule.batch_size)
            self.max_steps = min(epochs, self.max_steps) if self.max_steps is not None else epochs
        if self.pending_validation:
            self.pending_validation = False
            loop = trainer.fit_loop.epoch_loop.val_loop
            loop.restarting = False  # the checkpoint holds how far the validation before came; this one starts anew
            trainer.validating = True
            loop.run()
            trainer.training = True
            self.after_pending_validation()
        if self.is_last():  # killed after its last iteration: nothing is left to train
            trainer.should_stop = True

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the batch, to be able to name it."""
        self.raise_if_interrupted()  # where no checkpoint callback did
        self._batch = batch

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Check the loss before it can spoil the weights; all ranks learn of each other's trouble and signals."""
        value = loss.detach()
        late = self.max_seconds is not None and self.seconds() > self.max_seconds
        mine = (not bool(torch.isfinite(value)), self._signal is not None, late)
        bad, stop, self._time_is_up = self._agree(mine, value.device)
        if bad:
            self._refuse(trainer, float(value))
        if stop:
            self._stop_signal = self._signal or signal.SIGTERM
        self._loss_sum = self._loss_sum + value.double().cpu() if value.device.type == "cpu" else self._loss_sum + value
        self._loss_count += 1

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count at the end of an iteration, log, and decide whether it was the last one."""
        self._batch = None
        if not self.at_iteration_end(trainer):
            return
        self.iteration += 1
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        datamodule.iteration = self.iteration
        if self.run.record is not None:
            self.run.record.iteration = self.iteration
        if self.iteration % self.log_interval == 0 or self.is_last():
            self._log_loss(trainer, datamodule)
        if self.is_last():
            trainer.should_stop = True
        self.pending_validation = self.validates_now(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that the validation is done."""
        self.pending_validation = False

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """A signal need not wait for a long validation: the checkpoint before it is there."""
        if self._signal is not None and trainer.world_size == 1 and self.iteration > 0:
            raise interrupted(self._signal, self.iteration)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        self.release_signals()

    # questions that other callbacks ask

    def at_iteration_end(self, trainer: pl.Trainer) -> bool:
        """Whether the micro-batch that just ended completes an iteration."""
        return (trainer.fit_loop.epoch_loop.total_batch_idx + 1) % self.accumulate == 0

    def is_last(self) -> bool:
        """Whether this iteration is the last one."""
        done = self.max_steps is not None and self.iteration >= self.max_steps
        return (
            done
            or self._time_is_up
            or (self.stop_after is not None and self.iteration - self.started_at >= self.stop_after)
        )

    def seconds(self) -> float:
        """Seconds of training so far, all sessions together."""
        return self._seconds_before + (time.monotonic() - self._clock if self._clock is not None else 0.0)

    def validates_now(self, trainer: pl.Trainer) -> bool:
        """Whether Lightning will validate after this iteration."""
        if not trainer.enable_validation or self.stop_after is not None:
            return False
        return self.iteration % self.val_interval == 0 or trainer.should_stop

    def raise_if_interrupted(self) -> None:
        """End the run when a signal asked for it; called once the checkpoint is written."""
        if self._stop_signal is not None:
            raise interrupted(self._stop_signal, self.iteration)

    @property
    def stopping(self) -> bool:
        """Whether a signal was agreed on, so that a checkpoint is due."""
        return self._stop_signal is not None

    # signals

    def catch_signals(self) -> None:
        """Handle SIGTERM, SIGUSR1 and Ctrl-C at the end of an iteration instead of at once."""
        if self._handlers:
            return
        for number in _SIGNALS:
            try:
                self._handlers[number] = signal.signal(number, self._on_signal)
            except ValueError:  # not in the main thread (a test, a notebook): signals stay as they are
                return

    def release_signals(self) -> None:
        """Put the handlers back that were there before."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self._signal is None:
            log.warning("%s received: stopping after this iteration, with a checkpoint", signal.Signals(number).name)
        self._signal = number

    # helpers

    def _agree(self, flags: tuple[bool, ...], device: torch.device) -> tuple[bool, ...]:
        """Each flag as true as it is on any rank."""
        if not (dist.is_available() and dist.is_initialized()):
            return flags
        shared = torch.tensor(flags, dtype=torch.int32, device=device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return tuple(bool(f) for f in shared.tolist())

    def _refuse(self, trainer: pl.Trainer, value: float) -> None:
        mine = None if math.isfinite(value) else {"rank": trainer.global_rank, "loss": value, **batch_ids(self._batch)}
        everyone: list[Any] = [mine]
        if dist.is_available() and dist.is_initialized():
            everyone = [None] * trainer.world_size
            dist.all_gather_object(everyone, mine)
        found = "; ".join(", ".join(f"{k} {v}" for k, v in one.items()) for one in everyone if one)
        last = self.run.record.checkpoints[-1:] if self.run.record is not None else []
        saved = f"{self.run.directory / last[0]['file']} (step {last[0]['step']})" if last else "none yet"
        raise RunError(
            f"the loss is not finite at step {self.iteration + 1}: {found}. Last finite checkpoint: {saved}. Lower the "
            "learning rate, clip the gradient or use trainer.precision=32-true, and look at these examples."
        )

    def _log_loss(self, trainer: pl.Trainer, datamodule: Any) -> None:
        mean = torch.as_tensor(self._loss_sum, dtype=torch.float64) / max(1, self._loss_count) * self.accumulate
        if dist.is_available() and dist.is_initialized():
            total = mean.float().to(trainer.strategy.root_device)
            dist.all_reduce(total)
            mean = total.double() / trainer.world_size
        self.last_loss = float(mean)
        self._loss_sum, self._loss_count = 0.0, 0
        values = {
            "train/loss": self.last_loss,
            "train/epoch": self.iteration * datamodule.batch_size / datamodule.epoch_size(),
        }
        for i, optimizer in enumerate(trainer.optimizers):
            for j, group in enumerate(optimizer.param_groups):
                values["lr/" + (f"{i}_{j}" if i + j else "default")] = float(group["lr"])
        self.log_values(trainer, values)

    def log_values(self, trainer: pl.Trainer, values: dict[str, float]) -> None:
        """Send values of this iteration to every logger and, as latest values, to the record."""
        for logger in trainer.loggers:
            logger.log_metrics(values, step=self.iteration)
        if self.run.record is not None:
            self.run.record.add_metrics(values, self.iteration, {}, "", self.run.mode)


def interrupted(number: int, iteration: int) -> Interrupted:
    """The error that ends an interrupted run; Ctrl-C asks for no requeue."""
    error = Interrupted(f"stopped by {signal.Signals(number).name} after step {iteration}")
    if number == signal.SIGINT:
        error.exit_code = 130
    return error


def batch_ids(batch: Any) -> dict[str, Any]:
    """Names of the examples in a batch, as far as it carries them."""
    if not isinstance(batch, dict):
        return {}
    found = {}
    for key in ("position", "clip", "id", "index"):
        if key in batch:
            ids = batch[key].tolist() if isinstance(batch[key], Tensor) else list(batch[key])
            found[f"{key}s"] = ids[:16] + (["..."] if len(ids) > 16 else [])
    return found
