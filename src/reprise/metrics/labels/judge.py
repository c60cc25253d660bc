"""A judge of labels: a small classifier of real images that never saw a generated one.

It says whether a requested label is visible in a picture. It is trained on images that the model under test was not
trained on, one part of which is held back to judge the judge. Both values of a label weigh the same in its loss, since
an intervention changes how often a label comes: a judge that leans on how rare a label was would miss it where it is
set.

What it cannot do: labels that always come together in its images cannot be told apart by it, whatever a picture shows.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from reprise.causal.queries import snake
from reprise.config.errors import ConfigError, DataError, suggest
from reprise.metrics.labels.judge_file import JudgeFile
from reprise.metrics.labels.judge_network import GROUPS, JudgeNetwork
from reprise.nn.randomness import rank_seed

_TOGETHER = 256  # images at once when it judges
_MOST = 50.0  # weight of a rare value; a single example must not rule the loss
_FEWEST = 10


@dataclass(frozen=True)
class JudgeSettings:
    """How a judge is trained.

    Attributes:
        seed: of its first weights, of the order of images and of those held back.
        steps: of training.
        batch: images a step.
        width: maps of the first layer.
        lr: of Adam at the start; it falls to 0 along a cosine.
        held_back: share of the images by which the judge itself is judged.
        least: images of either value that it needs to train on to judge a label.
        version: raised when the same settings give another judge.

    Raises:
        ConfigError: a number is out of range.
    """

    seed: int = 0
    steps: int = 500
    batch: int = 64
    width: int = 16
    lr: float = 2e-3
    held_back: float = 0.3
    least: int = 20
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "least"):
            if getattr(self, name) < 1:
                raise ConfigError(f"judge.{name} is {getattr(self, name)}. Expected 1 or more.")
        if self.width < 1 or self.width % GROUPS:
            raise ConfigError(f"judge.width is {self.width}. Expected a multiple of {GROUPS}.")
        if not 0.0 < self.held_back < 1.0 or self.lr <= 0.0:
            raise ConfigError(
                f"judge.held_back is {self.held_back}, lr {self.lr}. Expected within (0, 1), and above 0."
            )


@dataclass(frozen=True)
class LabelReport:
    """How well a label is judged.

    Attributes:
        name: the label.
        trained: images with 0 and with 1 that the judge was trained on.
        tested: likewise, that it was tested on.
        accuracy: share of the tested images that it judges rightly; NaN where it does not judge.
        balanced_accuracy: mean of that over images with 0 and with 1; NaN where one of them is missing.
        least: images of either value that it needs.
    """

    name: str
    trained: tuple[int, int]
    tested: tuple[int, int]
    accuracy: float
    balanced_accuracy: float
    least: int

    @property
    def judged(self) -> bool:
        """Whether there was enough to train on."""
        return min(self.trained) >= self.least

    @property
    def words(self) -> str:
        """One line for people, e.g. "Mustache: not judged: 3 examples of value 1 to train on, 20 are needed"."""
        if not self.judged:
            value = int(self.trained[1] < self.trained[0])
            found = f"{self.trained[value]} examples of value {value} to train on"
            return f"{self.name}: not judged: {found}, {self.least} are needed"
        if math.isnan(self.balanced_accuracy):
            return (
                f"{self.name}: accuracy {self.accuracy:.3f}, of one value only: {self.tested} tested examples of 0, 1"
            )
        return f"{self.name}: accuracy {self.accuracy:.3f}, balanced {self.balanced_accuracy:.3f}"


class Judge:
    """A trained judge.

    Args:
        network: gives logits (B, n).
        reports: of each label, in the order of the logits.

    Attributes:
        names: of the labels.
        reports: as given.
    """

    def __init__(self, network: nn.Module, reports: Sequence[LabelReport]) -> None:
        self.network = network.eval().requires_grad_(False)
        self.reports = tuple(reports)
        self.names = tuple(report.name for report in reports)

    def index(self, name: str) -> int:
        """Place of a label.

        Raises:
            ConfigError: it is none of the judge's.
        """
        if name not in self.names:
            raise ConfigError(f"the judge knows no label {name!r}. {suggest(name, self.names)}")
        return self.names.index(name)

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """How sure the judge is of each label: (B, n) in [0, 1] on the images' device; NaN for a label not judged.

        Args:
            images: (B, C, S, S) in [-1, 1].
        """
        network = self.network.to(images.device)
        found = torch.cat([network(part.float()) for part in images.split(_TOGETHER)]).sigmoid()
        refused = torch.tensor([not report.judged for report in self.reports], device=found.device)
        return found.masked_fill(refused, float("nan"))

    def answers(self, images: Tensor) -> Tensor:
        """Labels as judged: (B, n) of 0.0 and 1.0; NaN for a label not judged."""
        found = self.probabilities(images)
        return torch.where(found.isnan(), found, (found > 0.5).to(found))

    def measures(self) -> dict[str, float]:
        """How well it judges: judge/accuracy/male, judge/balanced_accuracy/male; labels not judged are left out."""
        found: dict[str, float] = {}
        for report in self.reports:
            for name, value in (("accuracy", report.accuracy), ("balanced_accuracy", report.balanced_accuracy)):
                if report.judged and not math.isnan(value):
                    found[f"judge/{name}/{snake(report.name)}"] = value
        return found

    def words(self) -> list[str]:
        """A line per label, those not judged included."""
        return [report.words for report in self.reports]


@torch.inference_mode(False)  # an evaluation runs in that mode, in which nothing can be trained
def train_judge(
    images: np.ndarray | Tensor,
    labels: np.ndarray | Tensor,
    names: Sequence[str],
    settings: JudgeSettings | None = None,
    levels: int = 256,
    folder: Path | None = None,
) -> Judge:
    """Train a judge on the CPU, or read the one that was trained before on the same images with the same settings.

    Args:
        images: (N, C, S, S) whole numbers 0 ... levels - 1, that the model under test was not trained on.
        labels: (N, n) of 0 and 1.
        names: of the labels.
        settings: how it is trained.
        levels: of the images.
        folder: where judges are kept; None to keep none.

    Raises:
        DataError: shapes do not fit, a label is neither 0 nor 1, or there are too few images to hold some back.
    """
    settings = settings or JudgeSettings()
    x, y = torch.as_tensor(images), torch.as_tensor(labels)
    _check(x, y, names)
    network = JudgeNetwork(x.shape[1], x.shape[2], len(names), settings.width, _generator(settings.seed, 0))
    order = torch.randperm(len(x), generator=_generator(settings.seed, 1))
    tested, trained = order.tensor_split([round(settings.held_back * len(x))])
    file = JudgeFile.of(folder, x, y, [*names, levels, settings, settings.version]) if folder else None
    with file.alone() if file else contextlib.nullcontext():
        if file is None or not file.read_into(network):
            _train(network, x, y, trained, levels, settings)
            if file is not None:
                file.write(network)
    return Judge(network, _reports(network, x[tested], y[tested], y[trained], names, levels, settings.least))


def scaled(images: Tensor, levels: int) -> Tensor:
    """Whole numbers 0 ... levels - 1 as values in [-1, 1]."""
    return images.float() * (2.0 / (levels - 1)) - 1.0


def _train(network: nn.Module, x: Tensor, y: Tensor, rows: Tensor, levels: int, settings: JudgeSettings) -> None:
    """Minimise the cross-entropy, in which both values of a label have the same weight in all."""
    share = y[rows].double().mean(0).clamp(1.0 / len(rows), 1.0 - 1.0 / len(rows))
    of_value = torch.stack([0.5 / (1.0 - share), 0.5 / share]).clamp(max=_MOST).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    generator = _generator(settings.seed, 2)
    left = rows[:0]
    with torch.enable_grad():
        for _ in range(settings.steps):
            if len(left) < min(settings.batch, len(rows)):
                left = rows[torch.randperm(len(rows), generator=generator)]
            chosen, left = left[: settings.batch], left[settings.batch :]
            target = y[chosen].float()
            weight = torch.where(target > 0.5, of_value[1], of_value[0])
            loss = functional.binary_cross_entropy_with_logits(network(scaled(x[chosen], levels)), target, weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def _reports(
    network: nn.Module, x: Tensor, y: Tensor, trained: Tensor, names: Sequence[str], levels: int, least: int
) -> list[LabelReport]:
    """How each label of tested images (N, C, S, S) is judged, and how many the judge was trained on."""
    unknown = (float("nan"), float("nan"))
    known = [
        LabelReport(name, _counts(trained[:, i]), _counts(y[:, i]), *unknown, least) for i, name in enumerate(names)
    ]
    answers = torch.cat([Judge(network, known).answers(scaled(part, levels)) for part in x.split(_TOGETHER)])
    found = []
    for i, report in enumerate(known):
        right = (answers[:, i] == y[:, i]).double()
        balanced = sum(float(right[y[:, i] == value].mean()) for value in (0, 1)) / 2
        found.append(
            replace(report, accuracy=float(right.mean()), balanced_accuracy=balanced) if report.judged else report
        )
    return found


def _counts(values: Tensor) -> tuple[int, int]:
    ones = int(values.sum())
    return len(values) - ones, ones


def _generator(seed: int, purpose: int) -> torch.Generator:
    return torch.Generator().manual_seed(rank_seed(seed, purpose))


def _check(x: Tensor, y: Tensor, names: Sequence[str]) -> None:
    if x.dim() != 4 or x.shape[2] != x.shape[3] or x.is_floating_point():
        raise DataError(f"images are {x.dtype} of shape {tuple(x.shape)}. Expected whole numbers (N, C, S, S).")
    if tuple(y.shape) != (len(x), len(names)):
        raise DataError(f"labels have the shape {tuple(y.shape)}. Expected ({len(x)}, {len(names)}).")
    if not bool(((y == 0) | (y == 1)).all()):
        raise DataError(f"labels hold values from {y.min().item()} to {y.max().item()}. Expected 0 and 1.")
    if len(x) < _FEWEST:
        raise DataError(f"there are {len(x)} images to train and test a judge with. Expected {_FEWEST} or more.")
