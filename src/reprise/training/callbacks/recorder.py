"""Keeps the run record up to date while training goes on."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl

from reprise.tracking.run import Run
from reprise.training.callbacks.control import Control

_SAVE_SECONDS = 30.0


class Recorder(pl.Callback):
    """Copies validation metrics into the record, measures throughput, writes the record now and then."""

    def __init__(self, run: Run, control: Control) -> None:
        self.run = run
        self.control = control
        self._last_save = 0.0
        self._clock: float | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Start the clock after whatever was not training (set-up, validation)."""
        if self._clock is None:
            self._clock = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count samples and time; write the record every half minute."""
        meter = self.run.meter
        if meter is None or not self.control.at_iteration_end(trainer):
            return
        now = time.monotonic()
        if self._clock is not None:
            meter.training_seconds += now - self._clock
            meter.samples += trainer.datamodule.batch_size  # type: ignore[attr-defined]
        self._clock = now
        if now - self._last_save > _SAVE_SECONDS:
            self._last_save = now
            self.run.save()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the metrics of this validation and how fast training was."""
        self._clock = None
        if self.run.record is None or trainer.state.fn != "fit":
            return
        versions: dict[str, int] = getattr(pl_module, "metric_versions", dict)()
        values = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        self.run.record.add_metrics(values, self.control.iteration, versions, self.run.monitor, self.run.mode)
        if self.run.meter is not None:
            # always a row, also for a validation that a resumed run does first: metrics.csv is counted in rows
            self.control.log_values(trainer, {"perf/samples_per_sec": self.run.meter.rate() or 0.0})
        self.run.save()
