"""Shows what the model makes: sound and pictures after each validation."""

from __future__ import annotations

import logging
from typing import Any

import pytorch_lightning as pl

from reprise.nn.samples import AudioSample
from reprise.tracking.pictures import audio_picture
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
        samples: list[Any] = getattr(pl_module, "samples", [])[: self.count]
        if not trainer.is_global_zero or not samples or trainer.state.fn != "fit":
            return
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        folder = self.run.directory / "samples" / f"step-{self.control.iteration:08d}"
        try:
            pictures = []
            for sample in samples:
                if isinstance(sample, AudioSample):
                    datamodule.write_sample(sample.name, sample.generated, folder)
                    datamodule.write_sample(f"{sample.name}_truth", sample.truth, folder)
                    pictures.append(audio_picture(sample, folder / f"{sample.name}.png"))
        except OSError as error:
            log.warning("samples could not be written (%s); training goes on", error)
            return
        for logger in trainer.loggers:
            if hasattr(logger, "log_samples"):
                logger.log_samples(samples, pictures, self.control.iteration)
