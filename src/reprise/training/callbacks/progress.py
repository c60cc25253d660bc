"""Progress of a run: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar

from reprise.tracking.run import Run
from reprise.training.callbacks.control import Control

_LINE_SECONDS = 15.0  # between lines where there is no terminal


class Progress(ProgressBar):
    """Shows iteration, loss, speed, time left and the monitored metric.

    Args:
        refresh_seconds: seconds between updates on a terminal.
    """

    def __init__(self, refresh_seconds: float = 1.0) -> None:
        super().__init__()
        self.refresh_seconds = refresh_seconds
        self._enabled = True
        self._bar: Any = None
        self._shown = 0.0
        self._start = (0.0, 0)

    def bind(self, run: Run, control: Control) -> None:
        """Learn the run."""
        self.run = run
        self.control = control

    def disable(self) -> None:
        """Lightning turns the bar off on ranks other than 0."""
        self._enabled = False

    def enable(self) -> None:
        """Turn the bar on."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar."""
        self._start = (time.monotonic(), self.control.iteration)
        if not self._enabled or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = [
            TextColumn("train"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        ]
        self._bar = Progress(*columns, console=Console(stderr=True), refresh_per_second=2)
        self._task = self._bar.add_task(
            "train", total=self.control.max_steps, completed=self.control.iteration, note=""
        )
        self._bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update now and then."""
        if self._enabled:
            interval = self.refresh_seconds if self._bar is not None else _LINE_SECONDS
            if time.monotonic() - self._shown >= interval or self.control.is_last():
                self._show()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say that a validation runs."""
        if self._bar is not None:
            self._bar.update(self._task, note="validating ...")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the monitored metric."""
        value = trainer.callback_metrics.get(self.run.monitor)
        if self._enabled and trainer.state.fn == "fit" and value is not None:
            line = f"step {self.control.iteration}: {self.run.monitor} {float(value):.4g}"
            if self._bar is not None:
                self._bar.console.print(line)
            else:
                print(line, file=sys.stderr, flush=True)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Close the bar, so that the error stands below it."""
        self.teardown(trainer, pl_module, "fit")

    def _show(self) -> None:
        self._shown = time.monotonic()
        step, total = self.control.iteration, self.control.max_steps
        elapsed, done = self._shown - self._start[0], step - self._start[1]
        rate = done / elapsed if elapsed > 0 else 0.0
        loss = self.control.last_loss
        note = (f"loss {loss:.4f}  " if loss == loss else "") + f"{rate:.2f} it/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, note=note)
            return
        limits = [(total - step) / rate] if total and rate > 0 else []
        if self.control.max_seconds is not None:
            limits.append(max(0.0, self.control.max_seconds - self.control.seconds()))
        left = f"  {min(limits):.0f} s left" if limits else ""
        print(f"step {step}/{total or '?'}  {note}{left}", file=sys.stderr, flush=True)
