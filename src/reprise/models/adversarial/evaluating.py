"""What is measured of CausalGAN and CausalBEGAN: by their Labeler, by distances, and by a judge."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn

from reprise.metrics.base import Mean
from reprise.metrics.labels.distance import intra_label_distance
from reprise.metrics.labels.judge import JudgeSettings
from reprise.models.adversarial import showing
from reprise.models.adversarial.examine import examine
from reprise.models.adversarial.generating import GeneratingModule
from reprise.models.adversarial.judging import judge_of
from reprise.models.adversarial.over_time import DistancesOverTime
from reprise.models.adversarial.stage import ControllerStage
from reprise.nn.causal.queries import query_table
from reprise.samples.base import Sample

log = logging.getLogger(__name__)
_AGREEMENT = 256  # images drawn for the Labeler to read, at validations and in evaluations


class EvaluatedModule(GeneratingModule):
    """Validates and tests a generator of labelled images, and keeps what is to be shown.

    Attributes:
        stage: the first stage; None where labels come from elsewhere.
        iteration: (), iterations so far, those of the first stage among them.
        columns: of the data's labels that are the graph's, after `setup`.
        distances: within labels, measured on the way.
        judge: settings of the judge; None for none.
        examined: images that it looks at, of each condition and each intervention.
        count: images of a grid.
        shown_labels: labels of which images under do() and under the condition are shown.
        labeler_loss, labeler_accuracy: of the Labeler on real images.
        samples: of the last validation or test.
    """

    stage: ControllerStage | None
    iteration: Tensor
    columns: list[int]
    distances: DistancesOverTime
    judge: JudgeSettings | None
    examined: int
    count: int
    shown_labels: list[str]
    labeler_loss: Mean
    labeler_accuracy: Mean
    samples: list[Sample]
    _found: set[str]

    @property
    def first_stage(self) -> int:
        """Iterations before those of the image networks."""
        return 0 if self.stage is None else self.stage.iterations

    def scaled(self, image: Tensor) -> Tensor:
        """Whole numbers to [-1, 1]."""
        return image.float() * (2.0 / (self.shape.levels - 1)) - 1.0

    def measure_stage(self, stage: ControllerStage) -> dict[str, float]:
        """What the controller's labels are like, with a warning of those that it has lost."""
        found, lost = stage.measure(self.source.laws[0])
        for words in lost if self.trainer.is_global_zero else ():
            log.warning("%s", words)
        return found

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """How the Labeler reads held-out real images."""
        self._read(batch, "val")

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """How the Labeler reads held-out real images."""
        self._read(batch, "test")

    def on_validation_epoch_end(self) -> None:
        """Draw images, the same on every process, and see how the Labeler reads them."""
        self._look("val")

    def on_test_epoch_end(self) -> None:
        """As after a validation; and let a judge look at images, where there is to be one."""
        self._look("test")
        found = {f"intra_label_distance/{name}": value for name, value in self.distances.found().items()}
        if self.stage is not None and int(self.iteration) >= self.first_stage:
            found |= self.measure_stage(self.stage)
        if self.judge is not None:
            found |= self._examine(self.judge)
        for name, value in found.items():
            self._found.add(f"test/{name}")
            self.log(f"test/{name}", value)

    def _examine(self, settings: JudgeSettings) -> dict[str, float]:
        """What a judge finds; its pictures go among the samples."""
        names = self.graph.names
        judge = judge_of(self.trainer.datamodule, self.columns, names, settings)  # type: ignore[attr-defined]
        found = examine(self, judge, names, query_table(names), 0, self.examined)
        for line in found.notes if self.trainer.is_global_zero else ():
            log.info("judge: %s", line)
        self.samples = [s for s in self.samples if s.name not in {one.name for one in found.samples}] + found.samples
        return found.metrics

    def _read(self, batch: dict[str, Any], split: str) -> None:
        labels = batch["attributes"][:, self.columns].float()
        logits = self.network.labeler(self.scaled(batch["image"]))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
        self.labeler_loss.update(loss, len(labels))
        self.labeler_accuracy.update(((logits > 0) == (labels > 0.5)).double().mean(), len(labels))
        self.log(f"{split}/labeler_loss", self.labeler_loss, batch_size=len(labels))
        self.log(f"{split}/labeler_accuracy", self.labeler_accuracy, batch_size=len(labels))

    def _look(self, split: str) -> None:
        images, labels, read = self.draw_and_read()
        self.log(f"{split}/labeler_agreement", (read == labels.bool()).float().mean())
        if split == "val" or self.judge is None:  # else the examination measures it, and a name is logged once
            self.log(f"{split}/intra_label_distance", intra_label_distance(images, labels, self.graph.names))
        if split == "val":
            self.log("val/iterations", self.iteration.float())  # as monitor: the last iterate is kept
        self.samples = []
        if self.count and int(self.iteration) >= self.first_stage:
            self.samples = showing.pictures(images[: self.count], self, self.shown_labels, self.shape.levels)

    @torch.no_grad()
    def draw_and_read(self) -> tuple[Tensor, Tensor, Tensor]:
        """Images (N, C, S, S) of fixed draws, their labels (N, n), and these as the Labeler reads them, on the CPU."""
        generator = torch.Generator().manual_seed(0)
        labels = self.draw_labels(_AGREEMENT, "observe", {}, generator)
        read, made = [], []
        for part in labels.split(self.sampling_batch):
            images = self.images_of(part, generator)
            with self._evaluating():
                read.append((self.network.labeler(images) > 0).cpu())
            made.append(images.cpu())
        return torch.cat(made), labels, torch.cat(read)

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        names = ("labeler_loss", "labeler_accuracy", "labeler_agreement", "intra_label_distance")
        versions = {f"{split}/{name}": 1 for split in ("val", "test") for name in names} | {"val/iterations": 1}
        return versions | dict.fromkeys(sorted(self._found), 1)
