"""Shows what the model makes after each validation."""

from __future__ import annotations

import logging

import pytorch_lightning as pl

from reprise.samples.base import Sample, Shown
from reprise.tracking.run import Run
from reprise.training.callbacks.control import Control

log = logging.getLogger(__name__)


class Samples(pl.Callback):
    """Writes the module's `samples` below samples/step-<n>/ and sends them to loggers that take media.

    Args:
        count: samples of each validation.
    """

    def __init__(self, count: int = 2) -> None:
        self.count = count

    def bind(self, run: Run, control: Control) -> None:
        """Learn the run."""
        self.run = run
        self.control = control

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the samples of rank 0."""
        samples: list[Sample] = getattr(pl_module, "samples", [])[: self.count]
        if not trainer.is_global_zero or not samples or trainer.state.fn != "fit":
            return
        folder = self.run.directory / "samples" / f"step-{self.control.iteration:08d}"
        shown: list[Shown] = []
        for sample in samples:
            try:
                shown += sample.write(folder)
            except OSError as error:
                log.warning("sample %s could not be written (%s); training goes on", sample.name, error)
        for logger in trainer.loggers if shown else []:
            if hasattr(logger, "log_samples"):
                logger.log_samples(shown, self.control.iteration)
