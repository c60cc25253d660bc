"""Diagonal BiLSTM: what it sees, the faults that leak, normalisation, cached sampling, size."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.pixelrnn import diagonal_bilstm
from reprise.models.pixelrnn.diagonal_bilstm import DiagonalBiLSTM, DiagonalBiLSTMLayer
from reprise.models.pixelrnn.diagonal_scan import diagonal_scan
from reprise.nn.images import ImageShape
from reprise.nn.pixels.categorical import Bernoulli, Categorical
from reprise.nn.pixels.masks import colour_groups
from tests.models.pixels import (
    check_cached_sampling,
    check_gradients,
    dependence,
    earlier,
    fixed_storage,
    randomised,
    total_probability,
)

RGB = ImageShape(3, 4, 4)
BINARY = ImageShape(1, 6, 2)
SWITCHES = [{}, {"skip": True}, {"residual": False}, {"residual": False, "skip": True}]


def scanned_by_pixel(into: Tensor, state_to_state: Tensor, h_0: Tensor, c_0: Tensor) -> Tensor:
    """The recurrence pixel by pixel, as the equations stand: each direction reads the states above and before it."""
    _, side, _, batch, width = into.shape
    directions = []
    for k in range(2):
        h: dict[tuple[int, int], Tensor] = {}
        c: dict[tuple[int, int], Tensor] = {}
        for row in range(side):
            h[row, -1], c[row, -1] = (first[k, row].expand(batch, -1) for first in (h_0, c_0))
            for column in range(side):
                above = h[row - 1, column] if row else torch.zeros_like(h[0, -1])
                left = h[row, column - 1]
                pixel = into[k, row, column if k == 0 else side - 1 - column]
                gates = pixel + above @ state_to_state[k, 0] + left @ state_to_state[k, 1]
                o, f, i, g = gates.split(width // 4, 1)
                c[row, column] = torch.sigmoid(f) * c[row, column - 1] + torch.sigmoid(i) * torch.tanh(g)
                h[row, column] = torch.sigmoid(o) * torch.tanh(c[row, column])
        columns = range(side) if k == 0 else range(side - 1, -1, -1)
        directions.append(torch.stack([torch.stack([h[row, column] for column in columns]) for row in range(side)]))
    return torch.stack(directions)


def scan_inputs(side: int, batch: int = 2, hidden: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(side)
    shapes = [(2, side, side, batch, 4 * hidden), (2, 2, hidden, 4 * hidden), (2, side, hidden), (2, side, hidden)]
    return [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]


@pytest.mark.parametrize("side", [1, 2, 5])
def test_scan_is_the_recurrence_of_the_paper(side: int) -> None:
    inputs = scan_inputs(side)
    fast, slow = diagonal_scan(*inputs), scanned_by_pixel(*inputs)
    torch.testing.assert_close(fast, slow)
    weights = torch.randn(fast.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for a, b in zip(*(torch.autograd.grad((y * weights).sum(), inputs) for y in (fast, slow)), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("side", [1, 3])
def test_gradient_of_the_scan_is_right_by_finite_differences(side: int) -> None:
    assert torch.autograd.gradcheck(diagonal_scan, scan_inputs(side, hidden=2))


def unseen(network: DiagonalBiLSTM) -> Tensor:
    """The exception to "every earlier pixel", as `dependence` has it: the last pixel of the row above, or what of it
    mask A hides from its own features, is seen by the columns only that the first convolution brings it to."""
    n, reach = network.shape.side, network.first.kernel_size[0] // 2
    found = torch.zeros(n, n, network.colours, network.shape.channels, n, n, dtype=torch.bool)
    for r, c in itertools.product(range(1, n), range(n - 1 - reach)):
        found[r, c, :, -1, r - 1, n - 1] = True
    return found


@pytest.mark.parametrize("switches", SWITCHES)
def test_sees_no_later_pixel_or_colour(switches: dict[str, bool]) -> None:
    for shape in (RGB, BINARY):
        network = randomised(DiagonalBiLSTM(Categorical(shape), hidden=6, layers=2, head_width=6, **switches))
        assert not (dependence(network) & ~earlier(network)).any()


@pytest.mark.parametrize("shape", [RGB, BINARY])
@pytest.mark.parametrize("kernel", [3, 7])
def test_sees_every_earlier_pixel_save_one(shape: ImageShape, kernel: int) -> None:
    likelihood = Categorical(shape)
    network = randomised(DiagonalBiLSTM(likelihood, hidden=15, layers=2, head_width=24, first_kernel=kernel))
    assert torch.equal(dependence(network), earlier(network) & ~unseen(network))


def not_shifted(maps: Tensor) -> Tensor:
    return maps


def shifted_up(maps: Tensor) -> Tensor:
    """The zero row at the bottom instead of on top, and the first row dropped."""
    return torch.cat([maps[1:], torch.zeros_like(maps[:1])])


@pytest.mark.parametrize("fault", [not_shifted, shifted_up])
def test_a_missing_shift_would_be_noticed(fault: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagonal_bilstm, "shifted_down", fault)
    network = randomised(DiagonalBiLSTM(Categorical(BINARY), hidden=6, layers=1, head_width=6))
    leaks = dependence(network) & ~earlier(network)
    assert leaks[2, 2, 0, 0, 2, 4]  # a pixel to the right, in the same row


def padded_at_the_bottom(into: Tensor, state_to_state: Tensor, h_0: Tensor, c_0: Tensor) -> Tensor:
    """Row r of a skewed column reads rows r and r + 1 of the one before, not r - 1 and r: one to the left, and below.

    In the first direction that is pixel (r + 1, c - 2), in the second one (r + 1, c + 2).
    """
    _, side, _, batch, width = into.shape
    directions = []
    for k in range(2):
        image = into[k] if k == 0 else into[k].flip(1)
        h = [first.expand(batch, -1) for first in h_0[k]]
        c = [first.expand(batch, -1) for first in c_0[k]]
        found: dict[tuple[int, int], Tensor] = {}
        for t in range(2 * side - 1):
            below = [*h[1:], torch.zeros_like(h[0])]
            for row in range(max(0, t - side + 1), min(t, side - 1) + 1):
                gates = image[row, t - row] + h[row] @ state_to_state[k, 0] + below[row] @ state_to_state[k, 1]
                o, f, i, g = gates.split(width // 4, 1)
                c[row] = torch.sigmoid(f) * c[row] + torch.sigmoid(i) * torch.tanh(g)
                found[row, t - row] = h[row] = torch.sigmoid(o) * torch.tanh(c[row])
        rows = [torch.stack([found[row, column] for column in range(side)]) for row in range(side)]
        directions.append(torch.stack(rows) if k == 0 else torch.stack(rows).flip(1))
    return torch.stack(directions)


def test_padding_at_the_bottom_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagonal_bilstm, "diagonal_scan", padded_at_the_bottom)
    network = randomised(DiagonalBiLSTM(Categorical(BINARY), hidden=6, layers=1, head_width=6))
    leaks = dependence(network) & ~earlier(network)
    assert leaks[2, 3, 0, 0, 3, 0]  # a pixel of the row below


def test_the_candidate_passes_a_tanh() -> None:
    into, state_to_state, h_0, c_0 = (x.detach() for x in scan_inputs(1, hidden=1))
    into[..., 3] = -1.0  # a logistic would be positive
    states = diagonal_scan(into, state_to_state * 0, h_0 * 0, c_0 * 0)
    assert (states < 0).all()


def test_the_initial_state_is_beside_the_first_pixel_of_each_row() -> None:
    into, state_to_state, h_0, c_0 = scan_inputs(4)
    states = diagonal_scan(into, state_to_state, h_0, c_0)
    for first, row in itertools.product((h_0, c_0), range(4)):
        for k, r, c in itertools.product(range(2), range(4), range(4)):
            (gradient,) = torch.autograd.grad(states[k, r, c].sum(), first, retain_graph=True)
            # it reaches the rows below too, and never a row above
            assert bool(gradient[k, row].ne(0).all()) == (r >= row)
            assert not gradient[1 - k].any()


def test_input_to_state_maps_of_both_directions_get_the_bias() -> None:
    layer = DiagonalBiLSTMLayer(3, colour_groups(6, 1), 1, side=4).double()
    x = torch.randn(1, 6, 4, 4, dtype=torch.float64)
    bias = torch.randn(1, layer.bias_width, 4, 4, dtype=torch.float64).requires_grad_()
    y = layer(x, bias)
    (gradient,) = torch.autograd.grad(y[0, :, 2, 1].sum(), bias)
    seen = gradient[0].ne(0).any(0)
    expected = torch.zeros(4, 4, dtype=torch.bool)
    expected[:2] = True
    expected[2, :2] = True
    assert torch.equal(seen, expected)
    # an equal bias of all pixels is one of the convolution
    layer.input_to_state.bias.data += bias.detach()[0, :, 0, 0].repeat(2)
    same = bias.detach()[:, :, :1, :1].expand_as(bias)
    moved = layer(x)
    layer.input_to_state.bias.data -= bias.detach()[0, :, 0, 0].repeat(2)
    torch.testing.assert_close(layer(x, same), moved)


@pytest.mark.parametrize("likelihood", [Bernoulli, Categorical])
def test_probabilities_of_all_images_sum_to_one(likelihood: type) -> None:
    network = randomised(DiagonalBiLSTM(likelihood(ImageShape(1, 3, 2)), hidden=4, layers=2, head_width=4), spread=1.0)
    assert total_probability(network) == pytest.approx(1.0, abs=1e-10)
    colour = randomised(DiagonalBiLSTM(Categorical(ImageShape(3, 2, 2)), hidden=4, layers=2, head_width=4), spread=1.0)
    assert total_probability(colour) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("switches", SWITCHES)
def test_cached_sampling_draws_what_full_passes_draw(switches: dict[str, bool]) -> None:
    for shape in (RGB, BINARY):
        network = randomised(DiagonalBiLSTM(Categorical(shape), hidden=7, layers=2, head_width=8, **switches))
        check_cached_sampling(network)
        assert fixed_storage(network)


def test_cached_maps_are_those_of_the_full_pass() -> None:
    # sharper than equal draws: every map of every pixel, to the last bits
    network = randomised(DiagonalBiLSTM(Categorical(RGB), hidden=7, layers=2, head_width=8, condition_maps=2))
    condition = torch.randn(2, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = torch.rand(2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        maps = network(x, condition)
        cache = network.cache(2, condition)
        for row in range(4):
            cache.next_row(0)
            for column, stage in itertools.product(range(4), range(3)):
                part = slice(4 * stage, 4 * stage + 4)
                found = cache.predict(0, column, stage)[:, part]
                torch.testing.assert_close(found, maps[:, part, row, column], rtol=1e-12, atol=1e-12)
                cache.write(column, stage, x[:, stage : stage + 1, row, column])


def test_cached_sampling_with_an_image_sized_condition() -> None:
    network = randomised(DiagonalBiLSTM(Categorical(RGB), hidden=6, layers=2, head_width=6, condition_maps=2))
    check_cached_sampling(network, torch.randn(3, 2, 4, 4, dtype=torch.float64))
    assert fixed_storage(network, torch.randn(2, 2, 4, 4, dtype=torch.float64))


def test_gradients_are_finite() -> None:
    check_gradients(DiagonalBiLSTM(Categorical(RGB), hidden=6, layers=2, head_width=6, skip=True))


def test_keeps_its_states_in_full_precision_under_autocast() -> None:
    network = DiagonalBiLSTM(Bernoulli(BINARY), hidden=8, layers=2, head_width=8)
    image = torch.randint(2, (2, 1, 6, 6), generator=torch.Generator().manual_seed(0))
    exact = network.log_prob(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = network.log_prob(image)
    rough.sum().backward()
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0.0)


def test_learns_after_it_measured_in_inference_mode() -> None:
    # where pixels lie is worked out once for each side: on the first pass, which may be a validation
    network = DiagonalBiLSTM(Bernoulli(ImageShape(1, 9, 2)), hidden=4, layers=1, head_width=4)
    with torch.inference_mode():
        network.log_prob(torch.zeros(1, 1, 9, 9, dtype=torch.uint8))
    check_gradients(network)


def parameters(h: int, layers: int, side: int, head: int, channels: int, maps: int) -> int:
    layer = 2 * h * 8 * h + 8 * h + 2 * (2 * h * 4 * h) + h * 2 * h + 2 * h
    initial = 2 * 2 * side * h
    first = 49 * channels * 2 * h + 2 * h
    return first + layers * (layer + initial) + 2 * h * head + head + head * head + head + head * maps + maps


def test_has_the_parameters_of_the_paper() -> None:
    def count(network: DiagonalBiLSTM) -> int:
        return sum(p.numel() for p in network.parameters())

    mnist = ImageShape(1, 28, 2)
    assert count(DiagonalBiLSTM(Bernoulli(mnist))) == parameters(16, 7, 28, 32, 1, 1) == 78_337
    one = DiagonalBiLSTM(Bernoulli(mnist), hidden=32, layers=1)
    assert count(one) == parameters(32, 1, 28, 32, 1, 1)
    with torch.device("meta"):
        large = DiagonalBiLSTM(Categorical(ImageShape(3, 32, 256)), hidden=128, layers=12, head_width=1024)
    assert count(large) == parameters(128, 12, 32, 1024, 3, 768)


def test_says_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"hidden is 2\. Expected 3 or more"):
        DiagonalBiLSTM(Categorical(RGB), hidden=2)
