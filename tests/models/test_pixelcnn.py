"""PixelCNN: causality at every position and colour, its receptive field, normalisation, cached sampling, size."""

from __future__ import annotations

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.models.pixelrnn.pixelcnn import PixelCNN
from reprise.nn.images import ImageShape
from reprise.nn.pixels.categorical import Bernoulli, Categorical
from tests.models.pixels import (
    check_cached_sampling,
    check_gradients,
    dependence,
    earlier,
    fixed_storage,
    randomised,
    total_probability,
)

RGB = ImageShape(3, 5, 4)
BINARY = ImageShape(1, 7, 2)
SWITCHES = [{}, {"skip": True}, {"residual": False}, {"residual": False, "skip": True}]


@pytest.mark.parametrize("switches", SWITCHES)
def test_sees_no_later_pixel_or_colour(switches: dict[str, bool]) -> None:
    for shape in (RGB, BINARY):
        network = randomised(PixelCNN(Categorical(shape), hidden=6, layers=2, head_width=6, **switches))
        assert not (dependence(network) & ~earlier(network)).any()


def test_sees_every_earlier_colour_within_reach() -> None:
    network = randomised(PixelCNN(Categorical(RGB), hidden=12, layers=2, head_width=12))
    seen = dependence(network)
    # colours of the pixel itself: green sees red, blue sees both
    assert seen[2, 2, 1, 0, 2, 2] and seen[2, 2, 2, 0, 2, 2] and seen[2, 2, 2, 1, 2, 2]
    # 7x7 and two 3x3: five rows and columns, but to the right only d + 2 columns at d rows above (the blind spot)
    for stage in range(3):
        assert seen[4, 2, stage, :, :4, :].all() and seen[2, 4, stage, :, 2, :4].all()


def test_blind_spot_is_where_the_geometry_says() -> None:
    network = randomised(PixelCNN(Categorical(ImageShape(1, 11, 2)), hidden=8, layers=2, head_width=8, first_kernel=3))
    seen = dependence(network)[8, 3, 0, 0]
    # three 3x3 kernels: d rows above reach d columns to the right, at most three rows up
    for d in range(4):
        row = seen[8 - d]
        assert row[:3].all() or d == 0
        assert not row[3 + d + 1 :].any()
        assert row[3 : 3 + d + 1].all() or d == 0
    assert not seen[:5].any()


@pytest.mark.parametrize("likelihood", [Bernoulli, Categorical])
def test_probabilities_of_all_images_sum_to_one(likelihood: type) -> None:
    network = randomised(PixelCNN(likelihood(ImageShape(1, 3, 2)), hidden=4, layers=2, head_width=4), spread=1.0)
    assert total_probability(network) == pytest.approx(1.0, abs=1e-10)
    colour = randomised(PixelCNN(Categorical(ImageShape(3, 2, 2)), hidden=4, layers=2, head_width=4), spread=1.0)
    assert total_probability(colour) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("switches", SWITCHES)
def test_cached_sampling_draws_what_full_passes_draw(switches: dict[str, bool]) -> None:
    for shape in (RGB, BINARY):
        network = randomised(PixelCNN(Categorical(shape), hidden=7, layers=2, head_width=8, **switches))
        check_cached_sampling(network)
        assert fixed_storage(network)


def test_cached_sampling_with_an_image_sized_condition() -> None:
    network = randomised(PixelCNN(Categorical(RGB), hidden=6, layers=2, head_width=6, condition_maps=2))
    check_cached_sampling(network, torch.randn(3, 2, 5, 5, dtype=torch.float64))


def test_gradients_are_finite() -> None:
    check_gradients(PixelCNN(Categorical(RGB), hidden=6, layers=2, head_width=6, skip=True))


def test_has_the_parameters_of_the_paper() -> None:
    shape = ImageShape(3, 32, 256)
    network = PixelCNN(Categorical(shape), hidden=128, layers=15, head_width=1024)
    block = 256 * 128 + 128 + 9 * 128 * 128 + 128 + 128 * 256 + 256  # 0.213 M
    head = 256 * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 * 768 + 768  # 2.1 M
    first = 49 * 3 * 256 + 256
    assert sum(p.numel() for p in network.parameters()) == 15 * block + head + first


def test_says_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"hidden is 2\. Expected 3 or more"):
        PixelCNN(Categorical(RGB), hidden=2)
    with pytest.raises(ConfigError, match="Expected an odd number"):
        PixelCNN(Categorical(RGB), hidden=6, first_kernel=4)
    with pytest.raises(ConfigError, match="these have 4"):
        PixelCNN(Bernoulli(RGB))
