"""A judge of labels: a small classifier of real images that never saw a generated one.

It says whether a requested label is visible in a picture. It is trained on images that the model under test was not
trained on, one part of which is held back to judge the judge.

An intervention changes how often labels come and which come together. So a judge must lean neither on how rare a label
was nor on other labels that came with it: an image counts for a label by how open its other labels leave that label
(`open_weights`). Still it knows only what it was shown. Where the data never have two labels apart, a picture that has
them apart is strange to it; where pictures of any labels can be made, as of the drawn shapes, it should be trained on
pictures of labels drawn independently.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from reprise.config.errors import ConfigError, DataError, suggest
from reprise.metrics.labels.judge_file import JudgeFile
from reprise.metrics.labels.judge_network import JudgeNetwork
from reprise.metrics.labels.judge_report import LabelReport
from reprise.metrics.labels.judge_weights import open_weights
from reprise.nn.causal.queries import snake
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
        least: images of either value, with a weight above 0, that it needs to train on to judge a label.
        flip: mirror every other batch left to right, which must change no label.
        independent: weigh images by `open_weights`; false: so that both values of a label weigh the same in all. With
            dozens of labels hardly two images agree in all but one, and only the latter is possible.
        floor: balanced accuracy on the images held back, that it needs to judge a label; 0.5 is that of a guess.
        held_out: what it learns from: the test images, or val_and_test, where these are few and choose nothing.
        version: raised when the same settings give another judge.

    Raises:
        ConfigError: a number is out of range.
    """

    seed: int = 0
    steps: int = 1000
    batch: int = 64
    width: int = 16
    lr: float = 5e-3
    held_back: float = 0.3
    least: int = 20
    flip: bool = True
    independent: bool = True
    floor: float = 0.75
    held_out: Literal["test", "val_and_test"] = "test"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "width", "least"):
            if getattr(self, name) < 1:
                raise ConfigError(f"judge.{name} is {getattr(self, name)}. Expected 1 or more.")
        if not 0.0 < self.held_back < 1.0 or self.lr <= 0.0:
            raise ConfigError(
                f"judge.held_back is {self.held_back}, lr {self.lr}. Expected within (0, 1), and above 0."
            )
        if not 0.0 <= self.floor <= 1.0:
            raise ConfigError(f"judge.floor is {self.floor}. Expected a balanced accuracy within [0, 1].")
        if self.held_out not in ("test", "val_and_test"):
            raise ConfigError(f"judge.held_out is {self.held_out!r}. Expected 'test' or 'val_and_test'.")


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
        """How well it judges: judge/accuracy/male, judge/balanced_accuracy/male; also where it is not enough."""
        found: dict[str, float] = {}
        for report in self.reports:
            for name, value in (("accuracy", report.accuracy), ("balanced_accuracy", report.balanced_accuracy)):
                if report.enough and not math.isnan(value):
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
    used = _weights(y[trained], settings) > 0
    counts = [_counts(y[trained][used[:, i], i]) for i in range(len(names))]
    return Judge(network, _reports(network, x[tested], y[tested], counts, names, levels, settings))


def _weights(labels: Tensor, settings: JudgeSettings) -> Tensor:
    """Weights (N, n) of images in the loss of each label, not scaled yet."""
    if settings.independent:
        return open_weights(labels)
    share = labels.double().mean(0)
    return torch.where(labels > 0, 1.0 - share, share)


def scaled(images: Tensor, levels: int) -> Tensor:
    """Whole numbers 0 ... levels - 1 as values in [-1, 1]."""
    return images.float() * (2.0 / (levels - 1)) - 1.0


def _train(network: nn.Module, x: Tensor, y: Tensor, rows: Tensor, levels: int, settings: JudgeSettings) -> None:
    """Minimise the weighted cross-entropy."""
    weights = torch.zeros(y.shape)
    found = _weights(y[rows], settings)
    weights[rows] = (found / found.mean(0).clamp(min=1e-12)).clamp(max=_MOST).float()
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    generator = _generator(settings.seed, 2)
    left = rows[:0]
    with torch.enable_grad():
        for step in range(settings.steps):
            if len(left) < min(settings.batch, len(rows)):
                left = rows[torch.randperm(len(rows), generator=generator)]
            chosen, left = left[: settings.batch], left[settings.batch :]
            images = scaled(x[chosen], levels)
            logits = network(images.flip(-1) if settings.flip and step % 2 else images)
            loss = functional.binary_cross_entropy_with_logits(logits, y[chosen].float(), weights[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def _reports(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    trained: Sequence[tuple[int, int]],
    names: Sequence[str],
    levels: int,
    settings: JudgeSettings,
) -> list[LabelReport]:
    """How each label of tested images (N, C, S, S) is judged; `trained` counts what each was trained on."""
    unknown = (float("nan"), float("nan"))
    known = [LabelReport(name, trained[i], _counts(y[:, i]), *unknown, settings.least) for i, name in enumerate(names)]
    answers = torch.cat([Judge(network, known).answers(scaled(part, levels)) for part in x.split(_TOGETHER)])
    found = []
    for i, report in enumerate(known):
        right = (answers[:, i] == y[:, i]).double()
        balanced = sum(float(right[y[:, i] == value].mean()) for value in (0, 1)) / 2
        found.append(
            replace(report, accuracy=float(right.mean()), balanced_accuracy=balanced, floor=settings.floor)
            if report.enough
            else report
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
