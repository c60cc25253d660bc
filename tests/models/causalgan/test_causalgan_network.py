"""Sizes of CausalGAN's networks, and what they take and give."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reprise.models.causalgan.network import Networks
from reprise.nn.images import ImageShape


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.fixture(scope="module")
def released() -> Networks:
    return Networks(9, ImageShape(3, 64))


def test_the_released_sizes(released: Networks) -> None:
    assert size(released.generator) == pytest.approx(5.2e6, abs=0.05e6)
    assert size(released.discriminator) == pytest.approx(21.9e6, abs=0.05e6)
    assert size(released.labeler) == size(released.anti_labeler) == pytest.approx(4.4e6, abs=0.05e6)
    narrow, near = released.discriminator.narrow, released.discriminator.near
    assert near is not None
    added = size(narrow) + size(near) + 300 * 256 * 25  # the last are weights of the next convolution
    assert added == pytest.approx(17.6e6, abs=0.05e6)
    assert size(released.discriminator) - added == pytest.approx(4.3e6, abs=0.05e6)


def test_maps_halve_and_double(released: Networks) -> None:
    assert [norm.weight.numel() for norm in released.generator.norms] == [512, 256, 128, 64]
    assert [down.out_channels for down in released.labeler.rest.downs] == [128, 256, 512]
    assert released.generator.linear.in_features == 109


@pytest.mark.parametrize("side", [16, 32])
def test_every_weight_has_a_gradient(side: int) -> None:
    """Adam makes a whole step of a gradient that is 0 but for rounding, and a process more rounds otherwise."""
    torch.manual_seed(0)
    networks = Networks(2, ImageShape(3, side), noise=4, maps=4, kernels=3, dims=2).double()
    z, code = torch.randn(8, 4).double(), torch.randn(8, 2).sign().double()
    images = networks.generator(z, code)
    outputs = [networks.discriminator(images)[:, None], networks.labeler(images), networks.anti_labeler(images)]
    values = torch.cat(outputs, 1)
    (values * torch.randn(values.shape).double()).sum().backward()
    for name, parameter in networks.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().max()) > 1e-12, name


def test_weights_are_as_drawn_there(released: Networks) -> None:
    conv = released.labeler.rest.downs[0].weight.detach()
    linear = released.discriminator.near.linear.weight.detach()  # type: ignore[union-attr]
    assert float(conv.abs().max()) <= 0.04
    assert float(conv.std()) == pytest.approx(0.0176, abs=5e-4)  # of N(0, 0.02^2), cut at two deviations
    assert float(linear.std()) == pytest.approx(0.02, abs=5e-4)
    assert float(linear.abs().max()) > 0.06


@pytest.mark.parametrize("side", [16, 32, 64])
@pytest.mark.parametrize("kernels", [0, 5])
def test_every_size(side: int, kernels: int) -> None:
    networks = Networks(4, ImageShape(3, side), noise=8, maps=4, kernels=kernels, dims=3)
    image = networks.generator(torch.rand(6, 8), torch.rand(6, 4))
    assert image.shape == (6, 3, side, side)
    assert float(image.detach().abs().max()) <= 1
    assert networks.discriminator(image).shape == (6,)
    assert networks.labeler(image).shape == networks.anti_labeler(image).shape == (6, 4)


def test_sides_that_do_not_halve_are_refused() -> None:
    with pytest.raises(ValueError, match=r"side is 48\. Expected a power of two of 16 or more"):
        Networks(4, ImageShape(3, 48))


def test_running_statistics_draw_an_image_alone_as_among_others() -> None:
    z, labels = torch.rand(6, 8), torch.rand(6, 4)
    for statistics, same in (("running", True), ("batch", False)):
        networks = Networks(4, ImageShape(3, 16), 8, 4, 0, 1, statistics).eval()  # type: ignore[arg-type]
        with torch.no_grad():
            drawn = networks.generator(z, labels)
            assert torch.allclose(drawn[:2], networks.generator(z[:2], labels[:2]), atol=1e-6) is same
