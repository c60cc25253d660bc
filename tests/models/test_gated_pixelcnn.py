"""Gated PixelCNN: causality at every position and colour, no blind spot, conditions, cached sampling, size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import tests.models.pixels
from reprise.config.errors import ConfigError
from reprise.models.gated_pixelcnn.blind_spot import blind_spot_percent, reach, seen
from reprise.models.gated_pixelcnn.network import GatedPixelCNN
from reprise.nn.images import ImageShape
from reprise.nn.pixels.categorical import Bernoulli, Categorical
from tests.models.pixels import (
    check_cached_sampling,
    check_gradients,
    dependence,
    earlier,
    fixed_storage,
    random_image,
    total_probability,
)

RGB = ImageShape(3, 5, 4, classes=3)
BINARY = ImageShape(1, 7, 2, classes=3)
SWITCHES: list[dict[str, Any]] = [
    {},
    {"skip": False},
    {"vertical_residual": True},
    {"activation": "relu"},
    {"kernel": 5},
    {"stacks": "one"},
    {"stacks": "one", "activation": "relu", "skip": False},
    {"conditioning": "class"},
    {"conditioning": "embedding", "embedding": 2},
    {"conditioning": "spatial"},
    {"conditioning": "spatial", "embedding": 2, "skip": False},
    {"conditioning": "class", "stacks": "one"},
    {"conditioning": "spatial", "stacks": "one", "activation": "relu"},
]


def make(shape: ImageShape = RGB, hidden: int = 7, **switches: Any) -> GatedPixelCNN:
    sizes = {"layers": 2, "head_width": 8, "map_width": 3}
    return GatedPixelCNN(Categorical(shape), hidden=hidden, **(sizes | switches))


def randomised(network: GatedPixelCNN, spread: float = 0.3) -> GatedPixelCNN:
    tests.models.pixels.randomised(network, spread=spread)
    return network


def labels_for(network: GatedPixelCNN, batch: int) -> Tensor | None:
    """Something that the network can be conditioned on, another one for each image."""
    if network.conditioning == "none":
        return None
    if network.by_class:
        return torch.arange(batch) % 3
    return torch.randn(batch, network.vector, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def condition_for(network: GatedPixelCNN, batch: int) -> Tensor | None:
    return network.condition(random_image(network, batch), labels_for(network, batch))


@pytest.mark.parametrize("switches", SWITCHES)
def test_sees_no_later_pixel_or_colour(switches: dict[str, Any]) -> None:
    for shape in (RGB, BINARY):
        network = randomised(make(shape, **switches))
        assert not (dependence(network, condition_for(network, 1), seeds=2) & ~earlier(network)).any()


@pytest.mark.parametrize("switches", [s for s in SWITCHES if s.get("stacks") != "one"])
def test_sees_every_earlier_pixel_and_colour(switches: dict[str, Any]) -> None:
    # 7x7, 3x3, 3x3: five rows and columns to each side, six rows above: all of these images
    network = randomised(make(hidden=36, head_width=60, **switches), spread=0.1)
    assert torch.equal(dependence(network, condition_for(network, 1)), earlier(network))


def test_sees_to_the_edges_of_its_kernels_and_no_further() -> None:
    network = randomised(make(ImageShape(1, 13, 2), first_kernel=3, kernel=5))
    found = dependence(network, seeds=1)[9, 6, 0, 0]
    expected = torch.zeros(13, 13, dtype=torch.bool)
    expected[9 - 6 : 9, 6 - 5 : 6 + 6] = True  # 1 + 2 + 2 columns to each side, one row more above
    expected[9, 6 - 5 : 6] = True
    assert torch.equal(found, expected)


@pytest.mark.parametrize("layers", [1, 3, 6])
def test_one_stack_hides_what_geometry_says(layers: int) -> None:
    def network(**switches: Any) -> GatedPixelCNN:
        return GatedPixelCNN(
            Categorical(BINARY), hidden=6, layers=layers, head_width=4, first_kernel=3, kernel=3, **switches
        )

    count = layers + 1
    one = network(stacks="one")
    assert reach(one) == (count, count)
    hidden = count * (count - 1) / 2
    assert blind_spot_percent(one) == pytest.approx(100 * hidden / (2 * count * (count + 1)))
    # d rows above, count + d columns from the left end are seen
    for d in range(1, count + 1):
        row = seen(one)[count - d]
        assert row[: count + d + 1].all() and not row[count + d + 1 :].any()
    assert blind_spot_percent(network()) == 0.0
    assert bool(seen(network())[:-1].all())


def test_blind_spot_comes_near_a_quarter_and_depends_on_the_stacks_alone() -> None:
    deep: dict[str, Any] = {"hidden": 4, "layers": 39, "head_width": 4, "first_kernel": 3, "kernel": 3}
    assert 23.5 < blind_spot_percent(GatedPixelCNN(Categorical(BINARY), stacks="one", **deep)) < 25
    # a first kernel of 7x7 reaches three columns in a step: 2 pixels one row above are hidden, 1 pixel two rows above
    assert blind_spot_percent(make(stacks="one", activation="relu", hidden=24)) == pytest.approx(100 * 3 / 60)
    assert blind_spot_percent(make(activation="relu", hidden=24)) == 0.0
    network = make(stacks="one")
    before = [p.clone() for p in network.parameters()]
    with torch.no_grad():
        blind_spot_percent(network)
    assert all(
        torch.equal(a, b) and a.dtype == torch.float32 for a, b in zip(before, network.parameters(), strict=True)
    )
    with pytest.raises(ConfigError, match="Expected conditioning=none"):
        blind_spot_percent(make(conditioning="class"))


@pytest.mark.parametrize("switches", [s for s in SWITCHES if "embedding" not in s])
def test_probabilities_of_all_images_sum_to_one(switches: dict[str, Any]) -> None:
    for shape in (ImageShape(1, 3, 2, classes=3), ImageShape(3, 2, 2, classes=3)):
        network = randomised(make(shape, hidden=4, **switches), spread=1.0)
        labels = labels_for(network, 2)
        total = total_probability(network, None if labels is None else labels[1:])
        assert total == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("switches", SWITCHES)
def test_cached_sampling_draws_what_full_passes_draw(switches: dict[str, Any]) -> None:
    for shape in (RGB, BINARY):
        network = randomised(make(shape, **switches))
        check_cached_sampling(network, condition_for(network, 3))
        assert fixed_storage(network, condition_for(network, 2))


def test_cached_sampling_of_a_bernoulli_likelihood() -> None:
    check_cached_sampling(randomised(GatedPixelCNN(Bernoulli(BINARY), hidden=5, layers=2, head_width=4)))


@pytest.mark.parametrize("switches", SWITCHES)
def test_gradients_are_finite_and_reach_everything(switches: dict[str, Any]) -> None:
    network = randomised(make(hidden=12, head_width=30, **switches), spread=0.1)
    check_gradients(network, labels_for(network, 2))
    # nothing is built that the output does not use
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
