"""PixelCNN++ with a small field: its size to the pixel, causality, cached sampling, normalisation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.models.pixelcnn_pp.small import SmallField
from reprise.nn.images import ImageShape
from reprise.nn.pixels.categorical import Categorical
from reprise.nn.pixels.mixture import LogisticMixture
from tests.models.pixels import (
    check_cached_sampling,
    check_gradients,
    dependence,
    earlier,
    fixed_storage,
    randomised,
    total_probability,
)

GREY = ImageShape(1, 6, 4, classes=3)
FIELDS = {(11, 5): {"resnets": 2, "first_rows": 1}, (15, 8): {"resnets": 3, "first_rows": 2}}
BLOCKS = ["plain", "nin", "channel"]


def made(shape: ImageShape = GREY, **switches: Any) -> SmallField:
    return SmallField(Categorical(shape), **({"filters": 4, "sets": 2, "dropout": 0.0} | switches))


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize(("width", "height"), FIELDS)
def test_field_is_the_rectangle_of_the_paper(width: int, height: int, blocks: str) -> None:
    network = randomised(made(ImageShape(1, 19, 2), blocks=blocks, **FIELDS[width, height]))
    half = width // 2
    assert network.field == (width, height, half)
    x = torch.randn(1, 1, 19, 19, dtype=torch.float64, requires_grad=True)
    row, column = 15, 9
    network(x)[0, :, row, column].sum().backward()
    assert x.grad is not None
    wanted = torch.zeros(19, 19, dtype=torch.bool)
    wanted[row - height : row, column - half : column + half + 1] = True
    wanted[row, column - half : column] = True
    assert torch.equal(x.grad[0, 0] != 0, wanted)


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("field", FIELDS)
def test_sees_no_later_pixel_and_samples_from_the_cache(field: tuple[int, int], blocks: str) -> None:
    network = randomised(made(blocks=blocks, class_conditional=blocks != "nin", **FIELDS[field]))
    condition = torch.tensor([0, 2, 1]) if network.classes else None
    assert not (dependence(network, None if condition is None else condition[:1], seeds=1) & ~earlier(network)).any()
    check_cached_sampling(network, condition)
    assert fixed_storage(network, None if condition is None else condition[:2])


@pytest.mark.parametrize("blocks", BLOCKS)
def test_probabilities_of_all_images_sum_to_one(blocks: str) -> None:
    network = randomised(made(ImageShape(1, 3, 2), blocks=blocks), spread=1.0)
    assert total_probability(network) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("blocks", BLOCKS)
def test_gradients_are_finite(blocks: str) -> None:
    shape = ImageShape(3, 5, 256, classes=2)
    network = SmallField(LogisticMixture(shape), filters=4, blocks=blocks, class_conditional=True)  # type: ignore[arg-type]
    check_gradients(network, torch.tensor([0, 1]))


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("resnets", [1, 2, 3])
def test_every_weight_is_used(blocks: str, resnets: int) -> None:
    """Else training on several processes waits for gradients that never come."""
    check_gradients(made(blocks=blocks, resnets=resnets))


def test_blocks_follow_every_other_layer() -> None:
    kinds = [[type(block).__name__ for block in made(blocks=blocks, resnets=3).body] for blocks in BLOCKS]
    assert [len(kind) for kind in kinds] == [3, 3 + 2 * 3, 3 + 2]
    assert kinds[2] == ["Pair", "ChannelPair", "Pair", "Pair", "ChannelPair"]


def test_later_sets_of_channels_see_earlier_ones_only() -> None:
    sets = made(blocks="channel", filters=6, sets=3).body[1].ul  # type: ignore[union-attr]
    torch.manual_seed(0)
    x = torch.randn(1, 6, 1, 1, requires_grad=True)
    y = sets(x, None)  # type: ignore[operator]
    sees = torch.stack([torch.autograd.grad(y[0, o, 0, 0], x, retain_graph=True)[0][0, :, 0, 0] != 0 for o in range(6)])
    group = torch.arange(6) // 2
    # the first set is the identity; a later one sees itself and all before
    wanted = (group[None] <= group[:, None]) & ((group[:, None] > 0) | torch.eye(6, dtype=torch.bool))
    assert torch.equal(sees, wanted)


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"resnets": 0}, "resnets is 0. Expected 1 or more"),
        ({"first_rows": 3}, "first_rows is 3. Expected 1 or 2"),
        ({"blocks": "mlp"}, "Expected plain, nin or channel"),
        ({"blocks": "channel", "sets": 3}, "sets is 3. Expected 2 or more that divide the 4 filters"),
    ],
)
def test_says_what_is_wrong(switches: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**switches)
