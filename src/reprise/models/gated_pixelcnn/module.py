"""The baseline of the auto-encoder experiment as a LightningModule: squared error and a deconvolutional decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.base import Mean
from reprise.models.gated_pixelcnn.autoencoder import DeconvolutionAutoencoder
from reprise.nn.images import TEST_GROUPS
from reprise.samples.base import Sample
from reprise.samples.images import ImageGrid


class MSEAutoencoder(pl.LightningModule):
    """Auto-encoder trained on the squared error (Gated PixelCNN, section 2.4 and Figure 6).

    Args:
        network: the auto-encoder.
        optimizer: optimiser class with its settings, waiting for parameters.
        lr_schedule: learning-rate schedule waiting for the optimiser, stepped once an iteration.
        samples: images whose reconstructions are shown after a validation or a test; 0 for none.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        network: DeconvolutionAutoencoder,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        samples: int = 8,
    ) -> None:
        super().__init__()
        if samples < 0:
            raise ConfigError(f"model.samples is {samples}. Expected 0 or more.")
        self.network = network
        self.shape = network.shape
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.count = samples
        self.val_mse = Mean()
        self.test_mse = nn.ModuleList(Mean() for _ in TEST_GROUPS)
        self.samples: list[Sample] = []  # of the last validation or test

    def forward(self, image: Tensor) -> Tensor:
        """Reconstruct whole-numbered images (B, C, H, W) as values in which black is 0 and white is 1."""
        x = image.to(self.network.encoder.linear.weight.dtype) * (2.0 / (self.shape.levels - 1)) - 1.0
        return (self.network(x) + 1.0) / 2.0  # type: ignore[no-any-return]

    def squared_errors(self, image: Tensor) -> Tensor:
        """Mean over dimensions of each image's squared error (B,), where black is 0 and white is 1."""
        reconstruction = self(image)
        return (reconstruction - image.to(reconstruction) / (self.shape.levels - 1)).square().flatten(1).mean(1)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Squared error of one micro-batch."""
        return self.squared_errors(batch["image"]).mean()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Squared error, and the first batch's reconstructions."""
        self.val_mse.update(self.squared_errors(batch["image"]).mean(), len(batch["image"]))
        self.log("val/mse", self.val_mse, batch_size=len(batch["image"]))
        self._show(batch, batch_idx)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The same of held-out and of training images apart."""
        errors = self.squared_errors(batch["image"])
        for group, metric in enumerate(self.test_mse):
            chosen = errors[batch["group"] == group]
            if len(chosen):
                metric.update(chosen.mean(), len(chosen))  # type: ignore[operator]
        self._show(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Log `test/mse`, and `test/train_images/mse` where training images are measured too."""
        for prefix, metric in zip(TEST_GROUPS, self.test_mse, strict=True):
            value = metric.compute()  # type: ignore[operator]
            if not value.isnan():
                self.log(f"{prefix}/mse", value.float())
            metric.reset()  # type: ignore[operator]

    def configure_optimizers(self) -> Any:
        """Build the optimiser over all parameters."""
        optimizer = self.optimizer(self.network.parameters())
        if self.lr_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.lr_schedule(optimizer), "interval": "step"},
        }

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        return {f"{prefix}/mse": Mean.version for prefix in ("val", *TEST_GROUPS)}

    @torch.no_grad()
    def reconstruct(self, image: Tensor) -> Tensor:
        """The nearest whole-numbered images to the reconstructions: (B, C, H, W), uint8, on the CPU."""
        value = self(image.to(self.device)) * (self.shape.levels - 1)
        return value.round().clamp(0, self.shape.levels - 1).to(torch.uint8).cpu()

    # what `reprise generate` asks of a module

    generation_batch = 64

    def inputs_for(self) -> Literal["examples"]:
        """It reconstructs what it is given."""
        return "examples"

    def generate_steps(self) -> int:
        """One pass."""
        return 1

    def generate(
        self,
        conditions: list[Any],
        *,
        seed: int = 0,
        keys: list[int] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> list[Tensor]:
        """Reconstruct images.

        Args:
            conditions: examples with `image`.
            seed: nothing is drawn, so that it has no influence.
            keys: likewise.
            on_step: called once, when it is done.

        Returns:
            (C, H, W) whole numbers each.
        """
        made = list(self.reconstruct(torch.stack([c["image"] for c in conditions])))
        if on_step is not None:
            on_step(1)
        return made

    def _show(self, batch: dict[str, Any], batch_idx: int) -> None:
        if batch_idx > 0:
            return
        image = batch["image"][: self.count]
        if not len(image):
            self.samples = []
            return
        pairs = torch.stack([image.cpu().to(torch.uint8), self.reconstruct(image)], 1).flatten(0, 1)
        self.samples = [
            ImageGrid(
                name="reconstructions",
                caption="reconstructions by squared error",
                group="reconstructions",
                images=pairs,
                levels=self.shape.levels,
                columns=2,
                column_titles=["original", "from its code"],
            )
        ]
