"""Multi-scale PixelRNN: the pair is normalised, what is seen of which image, two-stage sampling and completions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.models.pixelrnn.diagonal_bilstm import DiagonalBiLSTM
from reprise.models.pixelrnn.multiscale import MultiScalePixelRNN, upsampling
from reprise.models.pixelrnn.network import PixelRNN
from reprise.models.pixelrnn.pixelcnn import PixelCNN
from reprise.models.pixelrnn.row_lstm import RowLSTM
from reprise.nn.images import ImageShape
from reprise.nn.pixels.categorical import Bernoulli, Categorical
from reprise.nn.pixels.likelihood import Likelihood
from tests.models.pixels import (
    check_cached_sampling,
    check_gradients,
    dependence,
    earlier,
    fixed_storage,
    naive_sample,
    noise_for,
    random_image,
    randomised,
    total_probability,
)

RGB = ImageShape(3, 4, 4)
BODIES = [PixelCNN, RowLSTM, DiagonalBiLSTM]


def multiscale(
    likelihood: Likelihood,
    side: int,
    body: Callable[..., PixelRNN] = PixelCNN,
    spread: float = 0.3,
    hidden: int = 6,
    seed: int = 0,
) -> MultiScalePixelRNN:
    make = partial(body, hidden=hidden, layers=2, head_width=hidden)
    network = MultiScalePixelRNN(likelihood, make, make, side, condition_maps=3, upsampling_width=4)
    randomised(network, seed, spread)
    return network


def small_inputs(network: MultiScalePixelRNN, batch: int, seed: int = 3) -> torch.Tensor:
    s = network.small.shape.side
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, network.shape.channels, s, s, generator=generator, dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(("side", "small"), [(2, 1), (3, 1)])
def test_probabilities_of_all_pairs_sum_to_one(body: Callable[..., PixelRNN], side: int, small: int) -> None:
    network = multiscale(Bernoulli(ImageShape(1, side, 2)), small, body, spread=1.0)
    assert total_probability(network.small) == pytest.approx(1.0, abs=1e-10)
    images = torch.tensor(list(itertools.product(range(2), repeat=side**2))).reshape(-1, 1, side, side)
    total, own = 0.0, 0.0
    with torch.no_grad():
        for value in range(2):
            other = torch.full((1, 1, small, small), value)
            p_small = network.small.log_prob(other).exp()
            maps = network(images.double(), other.double().expand(len(images), -1, -1, -1))
            p_large = network.likelihood.log_prob(maps, images).flatten(1).sum(1).exp()
            total += float((p_small * p_large).sum())
            own += float((p_small * p_large)[images[:, 0, 0, 0] == value].sum())
    assert total == pytest.approx(1.0, abs=1e-10)
    # images with their own small ones: what log_prob says, a bound of each image's probability
    assert own < 0.99
    assert total_probability(network) == pytest.approx(own, abs=1e-10)


def test_log_prob_is_that_of_both_images() -> None:
    network = multiscale(Categorical(RGB), 2)
    image = random_image(network, 3)
    small = image[:, :, [0, 2]][:, :, :, [0, 2]]
    assert torch.equal(network.small_image(image), small)
    scale = network.likelihood.scale
    maps = network(scale(image).double(), scale(small).double())
    expected = network.small.log_prob(small) + network.likelihood.log_prob(maps, image).flatten(1).sum(1)
    torch.testing.assert_close(network.log_prob(image), expected)


@pytest.mark.parametrize("body", BODIES)
def test_large_network_sees_no_later_pixel_of_its_own(body: Callable[..., PixelRNN]) -> None:
    for likelihood in (Categorical(RGB), Bernoulli(ImageShape(1, 6, 2))):
        network = multiscale(likelihood, 2, body)
        assert not (dependence(network, small_inputs(network, 1)) & ~earlier(network)).any()


def test_small_image_is_seen_from_the_first_pixel_on() -> None:
    network = multiscale(Categorical(ImageShape(1, 8, 4)), 4, DiagonalBiLSTM, hidden=12)
    small = small_inputs(network, 1).requires_grad_(True)
    x = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    seen = torch.zeros(8, 8, 4, 4, dtype=torch.bool)
    maps = network(x, small).sum(1)[0]
    for r, c in itertools.product(range(8), range(8)):
        (gradient,) = torch.autograd.grad(maps[r, c], small, retain_graph=True)
        seen[r, c] = gradient[0, 0] != 0
    for r, c in itertools.product(range(8), range(8)):
        assert seen[r, c, r // 2, c // 2]  # the part of the small image that the pixel lies in
    # one layer of upsampling takes from neighbours: an odd row from the one below, pixels to come of the large image
    assert seen[1, 1, 1, 1]
    assert seen[7, 7].all()


@pytest.mark.parametrize("factor", [2, 3, 4, 6, 8])
def test_upsampling_has_the_size_of_the_image_and_uses_every_pixel(factor: int) -> None:
    network = upsampling(1, 5, 2, factor).double()
    for parameter in network.parameters():
        parameter.data.abs_()  # so that ReLU passes everything
    small = torch.rand(1, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    large = network(small)
    assert large.shape == (1, 2, 3 * factor, 3 * factor)
    for r, c in itertools.product(range(3), range(3)):
        block = large[0, :, r * factor : (r + 1) * factor, c * factor : (c + 1) * factor]
        for pixel in block.flatten(1).sum(0):
            (gradient,) = torch.autograd.grad(pixel, small, retain_graph=True)
            assert gradient[0, 0, r, c] != 0


@pytest.mark.parametrize("body", BODIES)
def test_large_image_is_drawn_as_full_passes_draw_it(body: Callable[..., PixelRNN]) -> None:
    network = multiscale(Categorical(RGB), 2, body)
    check_cached_sampling(network, small_inputs(network, 3))
    assert fixed_storage(network, small_inputs(network, 2))


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("completes", [False, True])
def test_small_image_is_drawn_first(body: Callable[..., PixelRNN], completes: bool) -> None:
    network = multiscale(Categorical(RGB), 2, body)
    uniform = noise_for(network, 4)
    assert uniform.shape == (4, 4 + 2, 4, 3)
    given = known = small_given = small_known = None
    if completes:
        given = random_image(network, 4, seed=5)
        known = torch.zeros(given.shape, dtype=torch.bool)
        known[:, :, :1] = True
        known[0, :, :, :2] = True
        small_given, small_known = given[:, :, ::2, ::2], known[:, :, ::2, ::2]
    small = naive_sample(network.small, uniform[:, 4:, :2], None, small_given, small_known)
    expected = naive_sample(network, uniform[:, :4], network.likelihood.scale(small).double(), given, known)
    rows: list[int] = []
    drawn = network.sample(uniform, None, given, known, rows.append)
    assert torch.equal(drawn, expected)
    assert rows == list(range(1, network.sampling_rows() + 1))
    if given is not None:
        assert torch.equal(drawn.long()[known], given[known])
        # what is known of the small image is that of the large one: without it, others would be drawn
        assert not torch.equal(small, naive_sample(network.small, uniform[:, 4:, :2]))


def test_small_image_has_numbers_of_its_own() -> None:
    network = multiscale(Categorical(RGB), 2)
    uniform = noise_for(network, 8)
    unused = uniform.clone()
    unused[:, 4:, 2:] = 0.5
    assert torch.equal(network.sample(unused), network.sample(uniform))
    other = uniform.clone()
    other[:, 4:, :2] = 1 - other[:, 4:, :2]
    assert not torch.equal(network.sample(other), network.sample(uniform))


def test_gradients_are_finite() -> None:
    make = partial(DiagonalBiLSTM, hidden=6, layers=2, head_width=6)
    check_gradients(MultiScalePixelRNN(Categorical(RGB), make, make, 2))


def test_says_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"side is 3\. Expected a divisor of the image's 4: one of 1, 2\."):
        multiscale(Categorical(RGB), 3)
    with pytest.raises(ConfigError, match=r"condition_maps is 0\. Expected 1 or more"):
        MultiScalePixelRNN(Categorical(RGB), PixelCNN, PixelCNN, 2, condition_maps=0)
    network = multiscale(Categorical(RGB), 2)
    with pytest.raises(ValueError, match=r"needs a small one as condition: \(B, 3, 2, 2\)"):
        network(torch.zeros(1, 3, 4, 4, dtype=torch.float64))
