"""Row LSTM: the recurrence against its formula, causality and its triangle, normalisation, cached sampling, size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.pixelrnn.row_lstm import RowLSTM, RowLSTMLayer
from reprise.models.pixelrnn.row_recurrence import row_lstm
from reprise.nn.images import ImageShape
from reprise.nn.pixels.categorical import Bernoulli, Categorical
from reprise.nn.pixels.masks import colour_groups
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

RGB = ImageShape(3, 4, 4)
BINARY = ImageShape(1, 6, 2)
SWITCHES = [{}, {"skip": True}, {"residual": False}, {"residual": False, "skip": True}]


def as_printed(layer: RowLSTMLayer, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """The layer row by row as the paper writes it, with library convolutions and automatic differentiation."""
    from_input = layer.input_to_state(x) + (0 if bias is None else bias)
    h = layer.h_0.expand(len(x), -1, -1)
    c = layer.c_0.expand(len(x), -1, -1)
    rows = []
    for r in range(x.shape[2]):
        from_above = F.conv1d(h, layer.state_to_state.weight[:, :, 0], padding=1)
        o, f, i, g = (from_input[:, :, r] + from_above).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        rows.append(h)
    return layer.up(torch.stack(rows, 2))  # type: ignore[no-any-return]


def random_layer(hidden: int, colours: int, side: int, kernel: int = 3) -> RowLSTMLayer:
    layer = RowLSTMLayer(hidden, colour_groups(2 * hidden, colours), colours, side, kernel).double()
    generator = torch.Generator().manual_seed(1)
    for parameter in layer.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    return layer


@pytest.mark.parametrize(("colours", "kernel"), [(1, 3), (3, 3), (1, 5), (3, 1)])
def test_layer_is_the_printed_recurrence_and_so_are_its_gradients(colours: int, kernel: int) -> None:
    layer = random_layer(5, colours, 6, kernel)
    x = torch.randn(2, 10, 4, 6, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(2, 20, 4, 6, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 10, 4, 6, dtype=torch.float64)
    inputs = [x, bias, *layer.parameters()]
    expected, found = as_printed(layer, x, bias), layer(x, bias)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    expected_gradients = torch.autograd.grad((expected * weights).sum(), inputs)
    found_gradients = torch.autograd.grad((found * weights).sum(), inputs)
    for a, b in zip(found_gradients, expected_gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_gradients_of_the_recurrence_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64).requires_grad_(True)

    h, side = 2, 3
    assert torch.autograd.gradcheck(
        row_lstm, (draw(3, 2, side, 4 * h), draw(3 * h, 4 * h), draw(side, h), draw(side, h))
    )


def test_recurrence_leaves_its_arguments_as_they_were() -> None:
    gates, weight = torch.randn(3, 2, 4, 8), torch.randn(6, 8)
    before = gates.clone()
    states = row_lstm(gates, weight, torch.zeros(4, 2), torch.zeros(4, 2))
    assert torch.equal(gates, before)
    assert states.shape == (3, 2, 4, 2)


def test_images_of_a_batch_do_not_meet() -> None:
    network = randomised(RowLSTM(Categorical(RGB), hidden=6, layers=2, head_width=6))
    images = random_image(network, 3)
    together = network.log_prob(images)
    alone = torch.cat([network.log_prob(image[None]) for image in images])
    torch.testing.assert_close(together, alone)


def test_initial_states_are_learned_per_column_and_shared_over_the_batch() -> None:
    network = RowLSTM(Categorical(RGB), hidden=6, layers=2, head_width=6)
    network.log_prob(random_image(network, 2)).sum().backward()
    for layer in network.layers:
        assert layer.h_0.shape == layer.c_0.shape == (6, 4)
        assert isinstance(layer, RowLSTMLayer)
        for state in (layer.h_0, layer.c_0):
            assert state.grad is not None and (state.grad != 0).all()


@pytest.mark.parametrize("switches", SWITCHES)
def test_sees_no_later_pixel_or_colour(switches: dict[str, bool]) -> None:
    for shape in (RGB, BINARY):
        network = randomised(RowLSTM(Categorical(shape), hidden=7, layers=2, head_width=6, **switches))
        assert not (dependence(network) & ~earlier(network)).any()


def test_sees_no_later_pixel_after_steps_of_an_optimiser_with_momentum() -> None:
    network = RowLSTM(Categorical(BINARY), hidden=4, layers=2, head_width=4).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for seed in range(3):
        optimizer.zero_grad()
        (-network.log_prob(random_image(network, 4, seed)).mean()).backward()
        optimizer.step()
    assert not (dependence(network, seeds=1) & ~earlier(network)).any()


@pytest.mark.parametrize("residual", [True, False])
def test_sees_a_triangle_above_and_the_left_as_far_as_the_masked_convolutions_reach(residual: bool) -> None:
    n, layers, reach = 9, 2, 1
    network = randomised(
        RowLSTM(
            Categorical(ImageShape(1, n, 2)),
            hidden=6,
            layers=layers,
            head_width=8,
            first_kernel=2 * reach + 1,
            residual=residual,
        )
    )
    seen = dependence(network)[:, :, 0, 0]
    for r in range(n):
        for c in range(n):
            expected = torch.zeros(n, n, dtype=torch.bool)
            # every layer reaches one pixel to the left, and the first convolution `reach`
            expected[r, max(0, c - layers - reach) : c] = True
            for d in range(1, r + 1):
                # a state row up reaches one pixel to either side; the last row up is the first convolution's
                expected[r - d, max(0, c - d - layers - reach) : c + d + reach] = True
            assert torch.equal(seen[r, c], expected), (r, c)


def test_sees_left_of_the_pixel_one_column_a_layer_and_three_of_the_first_convolution() -> None:
    for layers in (1, 2):
        network = randomised(RowLSTM(Categorical(ImageShape(1, 8, 2)), hidden=6, layers=layers, head_width=6))
        seen = dependence(network)[0, 7, 0, 0, 0]
        assert seen.nonzero().flatten().tolist() == list(range(7 - layers - 3, 7))


def test_colours_of_a_pixel_see_the_earlier_ones() -> None:
    network = randomised(RowLSTM(Categorical(RGB), hidden=9, layers=2, head_width=9))
    seen = dependence(network)
    assert seen[2, 2, 1, 0, 2, 2] and seen[2, 2, 2, 0, 2, 2] and seen[2, 2, 2, 1, 2, 2]
    for stage in range(3):
        assert seen[3, 2, stage, :, :3, :].all() and seen[2, 3, stage, :, 2, :3].all()


@pytest.mark.parametrize("likelihood", [Bernoulli, Categorical])
def test_probabilities_of_all_images_sum_to_one(likelihood: type) -> None:
    network = randomised(RowLSTM(likelihood(ImageShape(1, 3, 2)), hidden=4, layers=2, head_width=4), spread=1.0)
    assert total_probability(network) == pytest.approx(1.0, abs=1e-10)
    colour = randomised(RowLSTM(Categorical(ImageShape(3, 2, 2)), hidden=4, layers=2, head_width=4), spread=1.0)
    assert total_probability(colour) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("switches", SWITCHES)
def test_cached_sampling_draws_what_full_passes_draw(switches: dict[str, bool]) -> None:
    for shape in (RGB, BINARY):
        network = randomised(RowLSTM(Categorical(shape), hidden=7, layers=2, head_width=8, **switches))
        check_cached_sampling(network)
        assert fixed_storage(network)


def test_cached_sampling_with_an_image_sized_condition() -> None:
    network = randomised(RowLSTM(Categorical(RGB), hidden=7, layers=2, head_width=6, condition_maps=2))
    condition = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    check_cached_sampling(network, condition)
    assert fixed_storage(network, condition[:2])


@pytest.mark.parametrize("switches", SWITCHES)
def test_gradients_are_finite(switches: dict[str, bool]) -> None:
    check_gradients(RowLSTM(Categorical(RGB), hidden=6, layers=2, head_width=6, **switches))


def test_trains_under_autocast() -> None:
    network = RowLSTM(Categorical(BINARY), hidden=8, layers=2, head_width=8)
    image = random_image(network, 4)
    exact = network.log_prob(image)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network.log_prob(image)
    rough.sum().backward()
    assert exact.dtype == rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.01, atol=0.0)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(("hidden", "side", "layers", "millions"), [(128, 32, 12, 9.6), (384, 32, 12, 70.0)])
def test_has_the_parameters_of_the_paper(hidden: int, side: int, layers: int, millions: float) -> None:
    with torch.device("meta"):
        network = RowLSTM(Categorical(ImageShape(3, side, 256)), hidden=hidden, layers=layers, head_width=1024)
    h = hidden
    layer = (3 * 2 * h * 4 * h + 4 * h) + 3 * h * 4 * h + (h * 2 * h + 2 * h) + 2 * h * side
    head = 2 * h * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 * 768 + 768
    count = sum(p.numel() for p in network.parameters())
    assert count == layers * layer + head + 49 * 3 * 2 * h + 2 * h
    assert count / 1e6 == pytest.approx(millions, rel=0.03)


def test_says_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"hidden is 2\. Expected 3 or more"):
        RowLSTM(Categorical(RGB), hidden=2)
    with pytest.raises(ConfigError, match=r"layers is 0\. Expected 1 or more"):
        RowLSTM(Categorical(RGB), hidden=6, layers=0)
