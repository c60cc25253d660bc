"""A measurement without training, as a module: it runs, is recorded and is judged like any experiment."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from reprise.samples.base import Sample


class Study(pl.LightningModule):
    """Measures something once, when it is evaluated; training is one iteration that changes nothing.

    A subclass gives `measure`, and `pictures` where there is something to see.

    Args:
        seed: of what the study draws.

    Attributes:
        version: protocol version of its measures; raised when their definition changes.
    """

    version = 1

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.nothing = torch.nn.Parameter(torch.zeros(()))  # an optimiser needs something to hold
        self.samples: list[Sample] = []
        self._measured: list[str] = []

    @abstractmethod
    def measure(self) -> dict[str, float]:
        """What is measured, by names that start with `test/`."""

    def pictures(self) -> list[Sample]:
        """What to show beside the numbers, after `measure`."""
        return []

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """A loss of 0."""
        return 0.0 * self.nothing

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Something for the monitor."""
        self.log("val/loss", 0.0, batch_size=1)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Measure, and log it."""
        found = self.measure()
        self._measured = list(found)
        for name, value in found.items():
            self.log(name, float(value), batch_size=1)
        self.samples = self.pictures()

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each measure, for the run record."""
        return {name: self.version for name in self._measured}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """An optimiser that moves nothing."""
        return torch.optim.SGD([self.nothing], lr=0.0)
