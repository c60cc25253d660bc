"""The images that a judge of labels learns from: none that the model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reprise.metrics.labels.judge import Judge, JudgeSettings, train_judge

_DRAWN = 12000  # images where the data can be drawn with any labels
_NOISE = 0.15  # share of the range; at most so much is the noise on such images, since generated images are not clean


def judge_of(datamodule: Any, columns: Sequence[int], names: Sequence[str], settings: JudgeSettings) -> Judge:
    """Train a judge, or read the one that was trained on the same images before.

    It learns from the test images, or these and the validation images. Where the data module draws pictures of any
    labels, it learns from such, every combination equally often: labels that always come together in the data could not
    be told apart otherwise. To these noise is added, of a size drawn for each image: a judge that knows clean edges
    alone takes the rough ones of a generated disc for a cross.

    Args:
        datamodule: of images, after its `setup`.
        columns: of its labels that are judged, in order.
        names: of these labels.
        settings: how the judge is trained.
    """
    images, labels = (
        _drawn(datamodule, settings.seed) if hasattr(datamodule, "draw") else _held_out(datamodule, settings)
    )
    folder = Path(datamodule.cache) / "judges"
    return train_judge(images, labels[:, list(columns)], names, settings, datamodule.shape.levels, folder)


def _drawn(datamodule: Any, seed: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng([seed, _DRAWN])
    labels = rng.integers(0, 2, (_DRAWN, len(datamodule.attributes)), np.uint8)
    clean, top = datamodule.draw(labels, seed), datamodule.shape.levels - 1
    noise = rng.standard_normal(clean.shape, np.float32) * rng.uniform(0, _NOISE * top, (_DRAWN, 1, 1, 1))
    images = (clean + noise).round().clip(0, top).astype(clean.dtype)
    return torch.from_numpy(images), torch.from_numpy(labels)


def _held_out(datamodule: Any, settings: JudgeSettings) -> tuple[Tensor, Tensor]:
    splits = ("val", "test") if settings.held_out == "val_and_test" else ("test",)
    items = [part[i] for part in map(datamodule.reference_set, splits) for i in range(len(part))]
    return torch.stack([item["image"] for item in items]), torch.stack([item["attributes"] for item in items])
