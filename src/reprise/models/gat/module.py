"""Classification of the nodes of a graph as a LightningModule: full-batch steps, selection by validation nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from reprise.config.errors import ConfigError
from reprise.models.gat.network import Classified, GATNetwork
from reprise.models.gat.showing import attention_pictures
from reprise.models.gat.stopping import Stopping
from reprise.nn.attention.base import Draw, fixed_draw
from reprise.nn.randomness import ExampleDraws
from reprise.samples.base import Sample

_HELD_OUT = 0  # seed of what is drawn in evaluation: fixed, so that epochs and checkpoints compare
_VERSION = 1


class NodeClassification(pl.LightningModule):
    """A graph network whose epochs are judged on the validation nodes, which decide its weights and when it stops.

    An iteration is an epoch: a step on the training nodes, then a pass without dropout that validates its outcome. The
    weights that `stopping` keeps, and all it knows, are in buffers; they are what is measured, never the last ones.

    Args:
        network: classifies all nodes of a graph.
        optimizer: optimiser class with its settings, waiting for parameters.
        stopping: decides which weights are kept and when training ends.
        classes: C.
        seed: of what a network draws.
        penalty: weight of the network's penalty, which is divided by the number of training nodes.
        pictures: show what the layers attend to when a run is evaluated.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        network: GATNetwork,
        optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        stopping: Stopping,
        classes: int,
        seed: int,
        penalty: float = 1.0,
        pictures: bool = True,
    ) -> None:
        super().__init__()
        if penalty < 0:
            raise ConfigError(f"model.penalty is {penalty}. Expected 0 or more.")
        self.network = network
        self.optimizer = optimizer
        self.stopping = stopping
        self.seed = seed
        self.penalty = penalty
        self.pictures = pictures
        self.kept_count = len(network.state_dict())
        for i, value in enumerate(network.state_dict().values()):
            self.register_buffer(f"kept_{i}", value.detach().clone())
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.steps: Tensor
        self.val_loss = MeanMetric()
        self.val_accuracy = MulticlassAccuracy(classes, average="micro")
        self.test_accuracy = MulticlassAccuracy(classes, average="micro")
        self.test_f1 = MulticlassF1Score(classes, average="macro")
        self.samples: list[Sample] = []  # of the last test

    def forward(self, batch: dict[str, Any], draw: Draw | None = None) -> Classified:
        """Classify every node: logits (N, C) and the penalty ()."""
        return self.network(batch["graph"], draw)  # type: ignore[no-any-return]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Judge what the last step made, then take the loss of the next one: mean cross-entropy of training nodes."""
        self._judge(batch)
        if self.stopping.stopped:
            self.trainer.should_stop = True  # after this step, which changes none of the weights that are kept
        draws = ExampleDraws(self.seed, "train", [int(self.steps)])
        self.steps += 1
        logits, penalty = self(batch, lambda shape: draws.normal(*shape)[0])
        chosen = batch["train"]
        loss = F.cross_entropy(logits[chosen], batch["y"][chosen])
        return loss + self.penalty / int(chosen.sum()) * penalty

    def on_train_start(self) -> None:
        """A run that was resumed after it had stopped stays so."""
        if self.stopping.stopped:
            self.trainer.should_stop = True

    @torch.no_grad()
    def _judge(self, batch: dict[str, Any]) -> None:
        """Validate the weights as they are, unless that was done, and keep them where they are the best."""
        if self.stopping.stopped or int(self.stopping.epoch) >= int(self.steps):
            return
        training = self.network.training
        self.network.eval()
        logits, y = self._part(batch, "val")
        self.network.train(training)
        accuracy = (logits.argmax(1) == y).double().mean()
        loss, share = torch.stack([F.cross_entropy(logits, y).double(), accuracy]).tolist()
        if self.stopping.update(loss, share).keep:
            for kept, value in zip(self._kept(), self.network.state_dict().values(), strict=True):
                kept.copy_(value)

    def _part(self, batch: dict[str, Any], part: str) -> tuple[Tensor, Tensor]:
        """Logits and classes of the nodes of a part, with draws that are always the same."""
        chosen = batch[part]
        return self(batch, fixed_draw(_HELD_OUT)).logits[chosen], batch["y"][chosen]

    def _kept(self) -> list[Tensor]:
        return [self.get_buffer(f"kept_{i}") for i in range(self.kept_count)]

    @contextmanager
    def kept_weights(self) -> Iterator[None]:
        """The weights that were kept in place of the network's, for as long as the context lasts."""
        names = list(self.network.state_dict())
        own = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(dict(zip(names, self._kept(), strict=True)))
        try:
            yield
        finally:
            self.network.load_state_dict(own)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Loss and accuracy of the kept weights on the validation nodes."""
        self._judge(batch)
        with self.kept_weights():
            logits, y = self._part(batch, "val")
        self.val_loss.update(F.cross_entropy(logits, y))
        self.val_accuracy.update(logits, y)
        self.log("val/loss", self.val_loss, batch_size=1)
        self.log("val/accuracy", self.val_accuracy, batch_size=1)
        self.log("val/kept_epoch", float(self.stopping.kept_epoch), batch_size=1)
        self.log("model/parameters", float(sum(p.numel() for p in self.network.parameters())), batch_size=1)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Accuracy and macro-averaged F1 of the kept weights on the test nodes."""
        self._judge(batch)  # the last iterate, which no training step came after
        with self.kept_weights():
            logits, y = self._part(batch, "test")
            if self.pictures:
                self.samples = attention_pictures(self.network.look(batch["graph"], fixed_draw(_HELD_OUT)))
        for name, metric in (("test/accuracy", self.test_accuracy), ("test/f1", self.test_f1)):
            metric.update(logits, y)
            self.log(name, metric, batch_size=1)

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        names = ("val/loss", "val/accuracy", "test/accuracy", "test/f1", "model/parameters")
        return dict.fromkeys(names, _VERSION)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimiser over the network."""
        return self.optimizer(self.network.parameters())
