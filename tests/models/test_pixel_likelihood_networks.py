"""Likelihoods through a whole network: whole-pixel stages and continuous outputs keep the network's promises."""

from __future__ import annotations

import pytest
import torch

from reprise.models.gated_pixelcnn.network import GatedPixelCNN
from reprise.models.pixelcnn_pp.network import PixelCNNPP
from reprise.models.pixelcnn_pp.small import SmallField
from reprise.models.pixelrnn.pixelcnn import PixelCNN
from reprise.nn.images import ImageShape
from reprise.nn.pixels.likelihood import Likelihood
from reprise.nn.pixels.mcgsm import MCGSM
from reprise.nn.pixels.mixture import LogisticMixture
from reprise.nn.pixels.network import PixelNetwork
from reprise.nn.pixels.softmax_linear import LinearSoftmax
from tests.models.pixels import (
    check_cached_sampling,
    check_gradients,
    dependence,
    earlier,
    fixed_storage,
    randomised,
    total_probability,
)

WHOLE = [LogisticMixture, LinearSoftmax]


def network(likelihood: Likelihood, spread: float = 0.3) -> PixelNetwork:
    return randomised(PixelCNN(likelihood, hidden=12, layers=2, head_width=12), spread=spread)


@pytest.mark.parametrize("make", WHOLE)
@pytest.mark.parametrize("shape", [ImageShape(3, 2, 2), ImageShape(1, 3, 2), ImageShape(1, 2, 6), ImageShape(2, 2, 3)])
def test_probabilities_of_all_images_sum_to_one(make: type[Likelihood], shape: ImageShape) -> None:
    assert total_probability(network(make(shape), 1.0)) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("make", [*WHOLE, MCGSM])
def test_sees_no_later_pixel_and_no_colour_of_its_own_stage(make: type[Likelihood]) -> None:
    model = network(make(ImageShape(3, 4, 4)))
    seen = dependence(model)
    assert seen.shape[2] == (1 if make in WHOLE else 3)
    assert not (seen & ~earlier(model)).any()
    assert seen[2, 2, 0, :, :2].all() and seen[2, 2, 0, :, 2, :2].all()


@pytest.mark.parametrize("make", [*WHOLE, MCGSM])
@pytest.mark.parametrize("channels", [1, 3])
def test_cached_sampling_draws_what_full_passes_draw(make: type[Likelihood], channels: int) -> None:
    model = network(make(ImageShape(channels, 5, 8)))
    check_cached_sampling(model)
    assert fixed_storage(model)


@pytest.mark.parametrize("make", [*WHOLE, MCGSM])
def test_gradients_reach_every_parameter(make: type[Likelihood]) -> None:
    check_gradients(PixelCNN(make(ImageShape(3, 5, 256)), hidden=6, layers=2, head_width=6))


@pytest.mark.parametrize("kind", ["pixelcnn", "gated", "pp", "small"])
def test_the_last_layer_keeps_full_precision_under_autocast(kind: str) -> None:
    torch.manual_seed(0)
    likelihood = LogisticMixture(ImageShape(1, 8, 256), components=2)
    network = {
        "pixelcnn": lambda: PixelCNN(likelihood, hidden=4, layers=1, head_width=4),
        "gated": lambda: GatedPixelCNN(likelihood, hidden=4, layers=1, head_width=4),
        "pp": lambda: PixelCNNPP(likelihood, filters=4, resnets=1, levels_down=2, dropout=0.0),
        "small": lambda: SmallField(likelihood, filters=4, dropout=0.0),
    }[kind]()
    with torch.autocast("cpu", torch.bfloat16):
        maps = network(torch.rand(2, 1, 8, 8) * 2 - 1)
    assert maps.dtype == torch.float32
    assert not torch.equal(maps, maps.bfloat16().float())  # computed so, not only called so
