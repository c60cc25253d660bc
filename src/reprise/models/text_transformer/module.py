"""Text classification as a LightningModule: cross-entropy to train, accuracy to choose and to measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.metrics.base import Mean
from reprise.metrics.classification import Accuracy
from reprise.models.text_transformer.network import Classified, TextTransformer
from reprise.nn.attention.base import fixed_draw
from reprise.nn.randomness import ExampleDraws
from reprise.samples.base import Sample
from reprise.samples.sentences import sentence_attention


class TextClassifier(pl.LightningModule):
    """A classifier of texts with one label each.

    The loss is the mean cross-entropy of a batch, and the attention's penalty divided by the number of training texts.
    Random attention draws anew in each training step, and always the same in evaluation.

    Args:
        network: gives logits.
        optimizer: optimiser class with its settings, waiting for parameters.
        seed: decides what random attention draws in training.
        lr_schedule: learning-rate schedule waiting for the optimiser, stepped once an iteration.
    """

    def __init__(
        self,
        network: TextTransformer,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        seed: int,
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.optimizer = optimizer
        self.seed = seed
        self.lr_schedule = lr_schedule
        self.val_loss, self.val_accuracy, self.test_accuracy = Mean(), Accuracy(), Accuracy()
        self.samples: list[Sample] = []  # of the last test
        self._examples = 1

    def forward(self, tokens: Tensor, lengths: Tensor) -> Classified:
        """Classify texts as in evaluation, see TextTransformer.forward."""
        return self.network(tokens, lengths, fixed_draw(0))  # type: ignore[no-any-return]

    def on_fit_start(self) -> None:
        """Learn the number of training texts."""
        self._examples = self.trainer.datamodule.training_examples()  # type: ignore[attr-defined]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Cross-entropy of a micro-batch, and the penalty."""
        # what is drawn is shared by the texts of a micro-batch: its first place in the stream decides
        draws = ExampleDraws(self.seed, "attention", [int(batch["position"].min())])
        found = self.network(batch["tokens"], batch["lengths"], lambda shape: draws.normal(*shape)[0])
        loss: Tensor = F.cross_entropy(found.logits, batch["labels"]) + found.penalty / self._examples
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Cross-entropy and accuracy."""
        logits = self(batch["tokens"], batch["lengths"]).logits
        self.val_loss.update(F.cross_entropy(logits, batch["labels"]), len(logits))
        self.val_accuracy.update(logits, batch["labels"])
        self.log("val/loss", self.val_loss, batch_size=len(logits))
        self.log("val/accuracy", self.val_accuracy, batch_size=len(logits))

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Accuracy, and pictures of the attention within the first sentence."""
        logits = self(batch["tokens"], batch["lengths"]).logits
        self.test_accuracy.update(logits, batch["labels"])
        self.log("test/accuracy", self.test_accuracy, batch_size=len(logits))
        if batch_idx == 0:
            self.samples = self._attention(batch)

    def _attention(self, batch: dict[str, Any]) -> list[Sample]:
        tokens, lengths = batch["tokens"][:1], batch["lengths"][:1]
        words: list[str] = self.trainer.datamodule.texts_of(tokens[0, : lengths[0]])  # type: ignore[attr-defined]
        start = [] if self.network.start is None else ["(text)"]
        layers = self.network.decompose(tokens, lengths, fixed_draw(0))
        return sentence_attention(batch["id"][0], [*start, *words], layers)

    def configure_optimizers(self) -> Any:
        """Build the optimiser over the network's parameters."""
        optimizer = self.optimizer(self.network.parameters())
        if self.lr_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.lr_schedule(optimizer), "interval": "step"},
        }

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        metrics = {"val/accuracy": self.val_accuracy, "test/accuracy": self.test_accuracy}
        return {name: metric.version for name, metric in metrics.items()}
