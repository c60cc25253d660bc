"""PixelCNN++: causality at every position, normalisation, cached sampling, weight normalisation, size."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from reprise.models.pixelcnn_pp.network import PixelCNNPP
from reprise.nn.images import ImageShape
from reprise.nn.pixels.categorical import Categorical
from reprise.nn.pixels.mixture import LogisticMixture
from tests.models.pixels import (
    check_cached_sampling,
    dependence,
    earlier,
    fixed_storage,
    randomised,
)

RGB = ImageShape(3, 8, 256, classes=5)
GREY = ImageShape(1, 8, 5, classes=5)
SMALL: dict[str, Any] = {"filters": 5, "resnets": 1, "dropout": 0.0}
SWITCHES: list[dict[str, Any]] = [
    {},
    {"resnets": 2},
    {"shortcuts": False},
    {"class_conditional": True},
    {"levels_down": 1},
    {"levels_down": 2},
    {"resample": "dilated"},
    {"resample": "none"},
    {"resample": "dilated", "shortcuts": False},
]


def made(shape: ImageShape = RGB, **switches: Any) -> PixelCNNPP:
    likelihood = LogisticMixture(shape, components=2) if shape.channels == 3 else Categorical(shape)
    return PixelCNNPP(likelihood, **(SMALL | switches))


def label_for(network: PixelCNNPP, batch: int) -> torch.Tensor | None:
    return torch.arange(batch) % network.classes if network.classes else None


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("shape", [RGB, GREY])
def test_sees_no_later_pixel(shape: ImageShape, switches: dict[str, Any]) -> None:
    network = randomised(made(shape, **switches))
    seen = dependence(network, label_for(network, 1), seeds=1)
    assert not (seen & ~earlier(network)).any()


def test_sees_every_earlier_pixel() -> None:
    network = randomised(made(GREY, resnets=2))
    assert torch.equal(dependence(network, seeds=2), earlier(network))


@pytest.mark.parametrize("switches", SWITCHES)
def test_cached_sampling_draws_what_full_passes_draw(switches: dict[str, Any]) -> None:
    network = randomised(made(GREY, **switches))
    condition = label_for(network, 3)
    check_cached_sampling(network, condition)
    assert fixed_storage(network, None if condition is None else condition[:2])
