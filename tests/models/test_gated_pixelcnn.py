"""Gated PixelCNN: causality at every position and colour, no blind spot, conditions, cached sampling, size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import tests.models.pixels
from reprise.config.errors import ConfigError, DataError
from reprise.models.gated_pixelcnn.blind_spot import blind_spot_percent, reach, seen
from reprise.models.gated_pixelcnn.layer import GatedLayer, HorizontalConv2d, Stacks, VerticalConv2d
from reprise.models.gated_pixelcnn.network import GatedPixelCNN
from reprise.models.pixels.bayes import log_joint
from reprise.nn.images import ImageShape
from reprise.nn.pixels.categorical import Bernoulli, Categorical
from reprise.nn.pixels.mixture import LogisticMixture
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


def test_cached_sampling_of_other_likelihoods() -> None:
    check_cached_sampling(randomised(GatedPixelCNN(Bernoulli(BINARY), hidden=5, layers=2, head_width=4)))
    # whole pixels, without colour masks
    whole = randomised(GatedPixelCNN(LogisticMixture(RGB, 2), hidden=5, layers=2, head_width=4))
    check_cached_sampling(whole)
    assert not (dependence(whole, seeds=1) & ~earlier(whole)).any()


@pytest.mark.parametrize("switches", SWITCHES)
def test_gradients_are_finite_and_reach_everything(switches: dict[str, Any]) -> None:
    network = randomised(make(hidden=12, head_width=30, **switches), spread=0.1)
    check_gradients(network, labels_for(network, 2))
    # nothing is built that the output does not use
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def literal_layer(layer: GatedLayer, v: Tensor, u: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """The paper's Figure 2 in a few lines, pixel by pixel."""
    assert layer.vertical is not None and layer.link is not None and layer.residual is not None
    assert layer.vertical_condition is not None and layer.horizontal_condition is not None
    assert layer.vertical.bias is not None and layer.horizontal.bias is not None
    p, reach = len(layer.groups), layer.kernel // 2
    side = v.shape[-1]
    vertical, horizontal = layer.vertical.weight, layer.horizontal.masked
    V = torch.zeros(1, 2 * p, side, side, dtype=v.dtype)
    U = torch.zeros_like(V)
    padded_v, padded_u = F.pad(v, (reach,) * 4), F.pad(u, (reach,) * 4)
    for r in range(side):
        for c in range(side):
            rows = padded_v[0, :, r : r + reach + 1, c : c + 2 * reach + 1]
            V[0, :, r, c] = (vertical * rows).sum((1, 2, 3)) + layer.vertical.bias
            left = padded_u[0, :, r + reach, c : c + reach + 1]
            U[0, :, r, c] = (horizontal[:, :, 0] * left).sum((1, 2)) + layer.horizontal.bias
            if r:
                U[0, :, r, c] += layer.link.weight[:, :, 0, 0] @ V[0, :, r - 1, c]
    V = V + torch.einsum("oi,birc->borc", layer.vertical_condition.weight[:, :, 0, 0], h)
    U = U + torch.einsum("oi,birc->borc", layer.horizontal_condition.weight[:, :, 0, 0], h)
    gated = torch.tanh(U[:, :p]) * torch.sigmoid(U[:, p:])
    residual = torch.einsum("oi,birc->borc", layer.residual.masked[:, :, 0, 0], gated)
    residual = residual + (0 if layer.residual.bias is None else layer.residual.bias[None, :, None, None])
    return torch.tanh(V[:, :p]) * torch.sigmoid(V[:, p:]), residual if layer.first else u + residual


@pytest.mark.parametrize("conditioning", ["class", "spatial"])
@pytest.mark.parametrize("k", [0, 1])
def test_a_layer_is_the_papers(conditioning: str, k: int) -> None:
    # link before the vertical gate and a row down; h in both halves of both gates; residual in one stack, not at first
    network = randomised(make(conditioning=conditioning))
    layer: GatedLayer = network.layers[k]  # type: ignore[assignment]
    generator = torch.Generator().manual_seed(0)
    v, u = (torch.randn(1, 7 if k else 3, 5, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    h = network.spread(condition_for(network, 1))
    assert h is not None
    with torch.no_grad():
        got_v, got_u, _ = layer(v, u, h)
        expected_v, expected_u = literal_layer(layer, v, u, h)
    assert torch.allclose(got_v, expected_v, atol=1e-12) and torch.allclose(got_u, expected_u, atol=1e-12)


@pytest.mark.parametrize("conditioning", ["class", "spatial"])
def test_classes_change_every_pixel(conditioning: str) -> None:
    network = randomised(make(conditioning=conditioning))
    x = torch.zeros(3, 3, 5, 5, dtype=torch.float64)
    maps = network(x, condition_for(network, 3))
    assert (maps[0] != maps[1]).any(0).all() and (maps[1] != maps[2]).any(0).all()


def test_likelihoods_of_all_classes_at_once_are_those_one_by_one() -> None:
    network = randomised(make(conditioning="class"))
    image = random_image(network, 4)
    with torch.no_grad():
        one_by_one = torch.stack([network.log_prob(image, torch.full((4,), k)) for k in range(3)], 1)
        expanded = network.log_prob(image.repeat_interleave(3, 0), torch.arange(3).repeat(4)).reshape(4, 3)
        joint = log_joint(network, image)
    assert torch.allclose(expanded, one_by_one)
    # what a class tells of an image is at most the label's entropy: p(x | y) <= K p(x)
    marginal = joint.logsumexp(1)
    assert torch.allclose(joint, one_by_one - torch.tensor(3.0).log())
    assert (one_by_one.amax(1) <= marginal + torch.tensor(3.0).log() + 1e-9).all()
    assert (one_by_one.std(1) > 0).all()


def test_one_hot_classes_are_a_bias() -> None:
    # the same network given its class as a vector
    by_class = randomised(make(conditioning="class"))
    by_vector = randomised(make(conditioning="embedding", embedding=3))
    by_vector.load_state_dict(by_class.state_dict())
    image, label = random_image(by_class, 3), torch.tensor([2, 0, 1])
    assert torch.equal(by_class.log_prob(image, label), by_vector.log_prob(image, torch.eye(3)[label]))


def test_has_the_parameters_that_follow_from_the_paper() -> None:
    def body(stacks: Stacks) -> int:
        with torch.device("meta"):
            network = GatedPixelCNN(
                Categorical(ImageShape(3, 32)), 384, 20, 5, head_width=1024, stacks=stacks, skip=False
            )
        return sum(p.numel() for layer in list(network.layers)[1:] for p in layer.parameters() if p.ndim > 1)

    p = 384
    # 3x5 and 1x3 kernels from p to 2p, the link from 2p to 2p, the residual from p to p: 121 M
    assert body("two") == 20 * (15 * p * 2 * p + 3 * p * 2 * p + 4 * p * p + p * p) == pytest.approx(121e6, rel=0.005)
    assert body("one") == 20 * (25 * p * 2 * p + p * p)


def test_relu_has_half_the_maps_before_it() -> None:
    gate, relu = make(), make(activation="relu")
    for network, maps in ((gate, 14), (relu, 7)):
        convolutions = [m for m in network.modules() if isinstance(m, HorizontalConv2d | VerticalConv2d)]
        assert [m.out_channels for m in convolutions] == [maps] * 6


def test_says_what_is_wrong() -> None:
    plain = ImageShape(1, 5, 4)
    cases: list[tuple[ImageShape, dict[str, Any], str]] = [
        (RGB, {"hidden": 2}, r"hidden is 2\. Expected 3 or more"),
        (RGB, {"layers": 0}, r"layers is 0\. Expected 1 or more"),
        (RGB, {"first_kernel": 4}, "Expected an odd number"),
        (RGB, {"kernel": 1}, "Expected an odd number from 3 on"),
        (RGB, {"stacks": "one", "vertical_residual": True}, "stacks=two"),
        (plain, {"conditioning": "class"}, "these data have none"),
        (plain, {"conditioning": "spatial"}, "these data have none"),
        (RGB, {"conditioning": "embedding"}, "Expected the size of the vectors"),
        (RGB, {"embedding": 3}, "Expected network.embedding=0"),
    ]
    for shape, switches, message in cases:
        with pytest.raises(ConfigError, match=message):
            make(shape, **switches)


def test_says_what_is_wrong_with_labels() -> None:
    network = make(conditioning="class")
    image = random_image(network, 2)
    with pytest.raises(ConfigError, match="no labels were given"):
        network.log_prob(image)
    for label in (torch.tensor([0, 3]), torch.tensor([-1, 0])):
        with pytest.raises(DataError, match="Expected 0 to 2"):
            network.log_prob(image, label)
    with pytest.raises(DataError, match=r"Expected whole numbers \(2,\)"):
        network.log_prob(image, torch.eye(3)[:2])
    with pytest.raises(ConfigError, match=r"network\.condition\(image, label\)"):
        network(torch.zeros(2, 3, 5, 5))
    vectors = make(conditioning="embedding", embedding=2)
    with pytest.raises(ConfigError, match="in place of labels"):
        vectors.log_prob(image)
    with pytest.raises(DataError, match=r"Expected \(B, 2\)"):
        vectors.log_prob(image, torch.tensor([0, 1]))
    assert (network.conditions_on, vectors.conditions_on, make().conditions_on) == ("label", "nothing", "nothing")
