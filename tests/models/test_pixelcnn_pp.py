"""PixelCNN++: causality at every position, normalisation, cached sampling, weight normalisation, size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from reprise.config.errors import ConfigError
from reprise.models.pixelcnn_pp.layers import POINT, GatedResnet, InputLayers, Maps, concat_elu, down
from reprise.models.pixelcnn_pp.network import PixelCNNPP
from reprise.models.pixelcnn_pp.weight_norm import NormedConv2d, NormedUpsampling, fitted_to_data
from reprise.nn.images import ImageShape
from reprise.nn.pixels.categorical import Bernoulli, Categorical
from reprise.nn.pixels.mixture import LogisticMixture
from reprise.nn.pixels.softmax_linear import LinearSoftmax
from tests.models import pixelcnn_pp_literal as literal
from tests.models.pixels import (
    check_cached_sampling,
    check_gradients,
    dependence,
    earlier,
    fixed_storage,
    random_image,
    randomised,
    total_probability,
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


@pytest.mark.parametrize("switches", SWITCHES)
def test_computes_what_the_paper_writes(switches: dict[str, Any]) -> None:
    network = randomised(made(RGB, **switches))
    label = label_for(network, 2)
    x = network.likelihood.scale(random_image(network, 2)).double()
    torch.testing.assert_close(network(x, label), literal.forward(network, x, label))  # type: ignore[arg-type]


def test_gradients_are_those_of_the_literal_form() -> None:
    network = randomised(made(RGB, resnets=2, class_conditional=True))
    label = label_for(network, 2)
    x = network.likelihood.scale(random_image(network, 2)).double()
    parameters = list(network.parameters())
    weights = torch.randn(2, network.likelihood.maps, 8, 8, dtype=torch.float64)
    fast = torch.autograd.grad((network(x, label) * weights).sum(), parameters)
    slow = torch.autograd.grad((literal.forward(network, x, label) * weights).sum(), parameters)  # type: ignore[arg-type]
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b)


def test_probabilities_of_all_images_sum_to_one() -> None:
    assert total_probability(randomised(made(ImageShape(1, 3, 2), levels_down=1))) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.slow
def test_probabilities_of_all_images_sum_to_one_with_three_resolutions() -> None:
    network = randomised(made(ImageShape(1, 4, 2), filters=3)).float()
    assert total_probability(network) == pytest.approx(1.0, abs=1e-4)


def test_probabilities_of_a_pixel_of_three_colours_sum_to_one() -> None:
    network = randomised(made(ImageShape(3, 2, 2), levels_down=2))
    assert total_probability(network) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("resample", ["strided", "dilated"])
def test_cached_sampling_of_colours(resample: str) -> None:
    check_cached_sampling(randomised(made(RGB, resample=resample, class_conditional=True)), torch.tensor([4, 0, 2]))


@pytest.mark.slow
def test_cached_sampling_of_a_large_image() -> None:
    network = randomised(made(ImageShape(1, 16, 3), levels_down=4))
    check_cached_sampling(network)


@pytest.mark.parametrize("switches", [{}, {"shortcuts": False}, {"class_conditional": True}, {"checkpoint": True}])
def test_gradients_are_finite(switches: dict[str, Any]) -> None:
    network = made(RGB, **(switches | {"dropout": 0.5}))
    check_gradients(network, label_for(network, 2))


def test_has_the_parameters_of_the_released_model() -> None:
    shape = ImageShape(3, 32, 256)
    with torch.device("meta"):
        network = PixelCNNPP(LogisticMixture(shape))
    assert sum(p.numel() for p in network.parameters()) == 53_659_080
    layers = [len(pairs) for pairs in network.decode]  # type: ignore[arg-type]
    assert layers == [6, 6, 5]


@pytest.mark.parametrize("resample", ["dilated", "none"])
def test_resolutions_are_ablated_at_equal_parameters(resample: str) -> None:
    counts = [sum(p.numel() for p in made(RGB, resample=kind).parameters()) for kind in ("strided", resample)]
    assert counts[0] == counts[1]


def test_concat_elu_has_the_margins_of_the_next_convolution() -> None:
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    y = concat_elu(x, down(2))
    wanted = F.pad(F.elu(torch.cat([x, -x], 1)), (2, 2, 2, 0))
    torch.testing.assert_close(y, wanted)
    weights = torch.randn_like(y)
    torch.testing.assert_close(*(torch.autograd.grad((z * weights).sum(), x)[0] for z in (y, wanted)))
    last = x.detach().to(memory_format=torch.channels_last)
    assert concat_elu(last, POINT).is_contiguous(memory_format=torch.channels_last)


def test_first_layers_tell_margins_from_grey_and_shift_in_zeros_without_bias() -> None:
    layers = InputLayers(1, 4, down()).double()
    layers.u.b.data.fill_(3.0)
    layers.row.b.data.fill_(3.0)
    layers.left.b.data.fill_(3.0)
    u, ul = layers(torch.zeros(1, 1, 5, 5, dtype=torch.float64))
    assert not u[:, :, 0].any() and not ul[:, :, 0, 0].any()
    assert not torch.equal(u[:, :, 2, 0], u[:, :, 2, 2])  # a grey image: only the ones differ at its side
    assert not torch.equal(u[:, :, 1], u[:, :, 2])


def test_gate_is_linear_times_sigmoid() -> None:
    layer = GatedResnet(2, POINT).double()
    layer.second.v.data.fill_(1.0)
    layer.second.g.data.fill_(0.0)
    layer.second.b.data.copy_(torch.tensor([5.0, -5.0, 0.0, 0.0]))
    x = torch.zeros(1, 2, 1, 1, dtype=torch.float64)
    y = layer(Maps(x, concat_elu(x)))
    assert y.flatten().tolist() == [2.5, -2.5]  # 5 sigmoid(0); a tanh would be bounded by 1


def test_dropout_drops_single_activations_not_maps() -> None:
    torch.manual_seed(0)
    network = made(GREY, dropout=0.5).train()
    dropped: list[torch.Tensor] = []
    pair = network.encode[0][0]  # type: ignore[index]
    pair.u.second.register_forward_pre_hook(lambda _module, inputs: dropped.append(inputs[0]))
    network(torch.rand(2, 1, 8, 8))
    zeros = (dropped[0][:, :, 1:, 1:-1] == 0).float()
    assert 0.3 < zeros.mean() < 0.7
    assert (zeros.mean((2, 3)) < 1).all() and (zeros.mean((2, 3)) > 0).all()


def test_recomputing_activations_changes_no_gradient() -> None:
    found = []
    for checkpoint in (False, True):
        torch.manual_seed(0)
        network = made(RGB, checkpoint=checkpoint, dropout=0.5)
        torch.manual_seed(1)  # dropout draws from the global generator
        network.log_prob(random_image(network, 2)).sum().backward()
        found.append([p.grad for p in network.parameters()])
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)  # type: ignore[arg-type]


def fitted_outputs(network: PixelCNNPP, image: torch.Tensor, label: torch.Tensor | None) -> dict[str, torch.Tensor]:
    outputs: dict[str, torch.Tensor] = {}
    for name, module in network.named_modules():
        if isinstance(module, NormedConv2d):
            module.register_forward_hook(lambda _m, _i, output, name=name: outputs.update({name: output}))
    network.eval()(network.likelihood.scale(image), network.condition(image, label))
    return outputs


@pytest.mark.parametrize("class_conditional", [False, True])
def test_initialise_gives_outputs_of_mean_zero_and_the_scale_wanted(class_conditional: bool) -> None:
    torch.manual_seed(0)
    network = made(RGB, dropout=0.5, class_conditional=class_conditional).train()
    image, label = random_image(network, 16), label_for(network, 16)
    network.initialise(image, label)
    assert network.training
    layers = dict(network.named_modules())
    outputs = fitted_outputs(network, image, label)
    assert len(outputs) == sum(isinstance(module, NormedConv2d) for module in layers.values())
    for name, output in outputs.items():
        spread, mean = torch.std_mean(output, dim=(0, 2, 3), correction=0)
        scale = 0.1 if name.endswith("second") else 1.0
        torch.testing.assert_close(spread, torch.full_like(spread, scale), rtol=2e-3, atol=0, msg=name)
        assert mean.abs().max() < 2e-3, name


def test_initialise_is_deterministic_and_leaves_directions_alone() -> None:
    states = []
    for seed in (1, 2):
        torch.manual_seed(0)
        network = made(RGB, dropout=0.5)
        directions = {name: p.clone() for name, p in network.named_parameters() if name.endswith(".v")}
        torch.manual_seed(seed)
        network.initialise(random_image(network, 8))
        states.append(network.state_dict())
        assert all(torch.equal(states[-1][name], v) for name, v in directions.items())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_later_batches_and_sampling_do_not_initialise_again() -> None:
    network = made(GREY)
    network.initialise(random_image(network, 4))
    before = {name: p.clone() for name, p in network.state_dict().items()}
    network.log_prob(random_image(network, 4, seed=9)).sum().backward()
    network.sample(torch.rand(1, *network.sampling_noise()))
    assert all(torch.equal(p, before[name]) for name, p in network.state_dict().items())


def test_initialise_keeps_the_length_of_a_constant_map() -> None:
    layer = NormedConv2d(2, 3)
    with fitted_to_data(layer):
        layer(torch.full((4, 2, 3, 3), 0.7))
    assert torch.equal(layer.g, torch.ones_like(layer.g))
    assert layer(torch.full((1, 2, 1, 1), 0.7)).abs().max() < 1e-5
    network = made(GREY)
    black = torch.zeros(4, 1, 8, 8, dtype=torch.long)
    network.initialise(black)
    assert network.log_prob(black).isfinite().all()


def test_works_without_initialisation() -> None:
    network = made(RGB)
    norms = [m.weight.detach().flatten(1).norm(dim=1) for m in network.modules() if isinstance(m, NormedConv2d)]
    assert {round(float(n), 5) for norm in norms for n in norm.detach()} == {0.1, 1.0}
    assert network.log_prob(random_image(network, 2)).isfinite().all()


@pytest.mark.parametrize("kernel", [(2, 3), (2, 2)])
def test_transposed_convolution_is_normalised_over_inputs_and_taps_of_each_output(kernel: tuple[int, int]) -> None:
    layer = NormedUpsampling(3, 4, kernel).double()
    torch.nn.init.normal_(layer.g)
    x = torch.randn(1, 3, 2, 2, dtype=torch.float64)
    wanted = literal.transposed(layer, x)
    torch.testing.assert_close(layer(x), wanted)
    torch.testing.assert_close(layer.weight.flatten(1).norm(dim=1), layer.g.flatten().abs())


@pytest.mark.parametrize(
    ("shape", "switches", "message"),
    [
        (ImageShape(1, 10, 2), {}, r"does not divide by 4\. Expected at most network.levels_down=2"),
        (GREY, {"resnets": 0}, "network.resnets is 0. Expected 1 or more"),
        (GREY, {"filters": 0}, "network.filters is 0"),
        (GREY, {"dropout": 1.0}, "network.dropout is 1.0. Expected 0 or more and less than 1"),
        (GREY, {"resample": "max"}, "Expected strided, dilated or none"),
        (ImageShape(1, 8, 2), {"class_conditional": True}, "the images have no labels"),
    ],
)
def test_says_what_is_wrong(shape: ImageShape, switches: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(shape, **switches)


def test_wants_whole_pixels_and_labels() -> None:
    with pytest.raises(ConfigError, match="predicts whole pixels"):
        PixelCNNPP(Categorical(RGB), filters=4)
    network = made(GREY, class_conditional=True)
    with pytest.raises(ConfigError, match="no labels were given"):
        network.log_prob(random_image(network))


def test_softmax_over_whole_pixels() -> None:
    network = PixelCNNPP(LinearSoftmax(ImageShape(3, 4, 3)), filters=4, resnets=1, dropout=0.0)
    network = randomised(network)
    assert not (dependence(network, seeds=1) & ~earlier(network)).any()
    check_cached_sampling(network)
    with torch.device("meta"):
        assert PixelCNNPP(LinearSoftmax(ImageShape(3, 32, 256))).head.v.shape[0] == 1536


def test_reduced_precision_gives_finite_gradients() -> None:
    network = made(RGB, dropout=0.5)
    with torch.autocast("cpu", torch.bfloat16):
        loss = network.log_prob(random_image(network, 2)).sum()
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in network.parameters())  # type: ignore[union-attr]


def test_binary_images() -> None:
    shape = ImageShape(1, 8, 2)
    check_cached_sampling(randomised(PixelCNNPP(Bernoulli(shape), filters=4, resnets=1, levels_down=2)))
