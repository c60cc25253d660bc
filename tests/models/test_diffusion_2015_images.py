"""The image network of Sohl-Dickstein et al. 2015: bumps, pathways, parity with a literal reading, its reach."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.diffusion_2015.image_network import ImageNetwork, MultiScaleConvolution, bump_functions
from reprise.nn.images import ImageShape

GREY, COLOUR = ImageShape(1, 8), ImageShape(3, 8)
SMALL: dict[str, Any] = {"steps": 20, "bumps": 4, "convolution_layers": 2, "filters": 6, "dense_layers": 2}
SMALL |= {"dense_hidden": 10, "dense_outputs": 3, "pixel_layers": 2, "pixel_hidden": 5}
PATHWAYS: dict[str, dict[str, Any]] = {
    "both": {},
    "dense only": {"convolution_layers": 0},
    "convolutions only": {"dense_layers": 0},
    "three scales": {"scales": 3, "dense_layers": 0},
    "readout only behind": {"pixel_layers": 1},
}


def network(shape: ImageShape = COLOUR, seed: int = 0, **changes: Any) -> ImageNetwork:
    torch.manual_seed(seed)
    found = ImageNetwork(shape, **(SMALL | changes))
    for parameter in found.parameters():  # biases too, which begin at zero
        nn.init.normal_(parameter, std=0.5)
    return found


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_bumps_are_the_equation_and_sum_to_one(width: float) -> None:
    steps, bumps = 30, 5
    found = bump_functions(steps, bumps, width).numpy()
    assert found.shape == (steps, bumps) and found.dtype == np.float64
    np.testing.assert_allclose(found.sum(1), 1.0, rtol=1e-12)
    tau = [1 + (steps - 1) * j / (bumps - 1) for j in range(bumps)]
    w = width * (tau[1] - tau[0])
    for t in range(1, steps + 1):
        bump = [math.exp(-((t - centre) ** 2) / (2 * w**2)) for centre in tau]
        np.testing.assert_allclose(found[t - 1], np.array(bump) / sum(bump), rtol=1e-9)
    assert found[0].argmax() == 0 and found[-1].argmax() == bumps - 1
    np.testing.assert_array_equal(bump_functions(7, 1), np.ones((7, 1)))
    for wrong in ({"steps": 0, "bumps": 3}, {"steps": 3, "bumps": 0}, {"steps": 3, "bumps": 3, "width": 0.0}):
        with pytest.raises(ConfigError, match="Expected more than 0"):
            bump_functions(**wrong)  # type: ignore[arg-type]


def literal_layer(layer: MultiScaleConvolution, x: np.ndarray, style: str) -> np.ndarray:
    """The four steps of Appendix D.2.1, pixel by pixel, for one image (C, n, n)."""
    n = x.shape[1]
    total = np.zeros((1, n, n))
    for scale, convolution in enumerate(layer.convolutions):
        block = 2**scale
        small = x.reshape(len(x), n // block, block, n // block, block).mean((2, 4))
        weight, bias = (p.detach().double().numpy() for p in convolution.parameters())
        padded = np.pad(small, ((0, 0), (1, 1), (1, 1)))
        made = np.empty((len(weight), *small.shape[1:]))
        for i in range(small.shape[1]):
            for j in range(small.shape[2]):
                made[:, i, j] = (weight * padded[:, i : i + 3, j : j + 3]).sum((1, 2, 3)) + bias
        if style == "code":
            made = np.where(made > 0, made, 0.05 * made)
        total = total + np.kron(made, np.ones((1, block, block)))
    return np.log1p(np.exp(total)) if style == "paper" else total / len(layer.convolutions)


def literal(net: ImageNetwork, x: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
    """z^mu and z^Sigma of one image, with the coefficients of all bumps written out."""
    tail = np.tanh if net.style == "paper" else lambda a: np.where(a > 0, a, 0.05 * a)
    parts = []
    if len(net.convolutions):
        h = x
        for layer in net.convolutions:
            h = literal_layer(layer, h, net.style)  # type: ignore[arg-type]
        parts.append(h)
    if len(net.dense):
        h = x.ravel()
        for layer in net.dense:
            if isinstance(layer, nn.Linear):
                h = tail(layer.weight.detach().double().numpy() @ h + layer.bias.detach().double().numpy())
        parts.append(h.reshape(-1, *x.shape[1:]))
    if len(parts) == 2:
        parts = [part / math.sqrt(len(part)) for part in parts]
    h = np.concatenate(parts)
    for layer in net.pixels:
        if isinstance(layer, nn.Conv2d):
            weight, bias = (p.detach().double().numpy() for p in layer.parameters())
            h = tail(np.einsum("oi,ihw->ohw", weight[:, :, 0, 0], h) + bias[:, None, None])
    y = np.einsum("ojf,fhw->ojhw", net.readout.weight.detach().double().numpy(), h)
    y += net.readout.bias.detach().double().numpy()[:, :, None, None]
    z = (y * net.readout.g[t - 1].double().numpy()[:, None, None]).sum(1)
    return z[: len(x)], z[len(x) :]


@pytest.mark.parametrize("style", ["paper", "code"])
@pytest.mark.parametrize("changes", PATHWAYS.values(), ids=PATHWAYS)
def test_network_is_its_literal_reading(changes: dict[str, Any], style: str) -> None:
    net = network(style=style, **changes)
    x, t = normal(3, 3, 8, 8), torch.tensor([1, 20, 7])
    with torch.no_grad():
        found = net(x, t)
    assert [z.shape for z in found] == [x.shape, x.shape]
    for i, step in enumerate(t.tolist()):
        for z, expected in zip(found, literal(net, x[i].double().numpy(), step), strict=True):
            np.testing.assert_allclose(z[i].numpy(), expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("style", ["paper", "code"])
@pytest.mark.parametrize("changes", PATHWAYS.values(), ids=PATHWAYS)
def test_every_parameter_is_reached(changes: dict[str, Any], style: str) -> None:
    net = network(style=style, **changes)
    mean, variance = net(normal(4, 3, 8, 8), torch.arange(1, 21, 6))
    (mean.square().mean() + variance.square().mean()).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_an_example_does_not_depend_on_the_others() -> None:
    net = network()
    x, t = normal(4, 3, 8, 8), torch.tensor([3, 1, 20, 12])
    together = net(x, t)
    for i in range(4):
        for z, alone in zip(together, net(x[i : i + 1], t[i : i + 1]), strict=True):
            torch.testing.assert_close(z[i : i + 1], alone, rtol=1e-5, atol=1e-6)


def test_convolutions_follow_shifts_by_their_coarsest_pixel_and_dense_layers_do_not() -> None:
    """Far from the border, an image moved by 2^(scales - 1) pixels gives the output moved by as much."""
    shape, t = ImageShape(1, 64), torch.tensor([5])
    x = torch.zeros(1, 1, 64, 64)
    x[..., 28:36, 28:36] = normal(1, 1, 8, 8)
    for scales in (1, 2, 3):
        net = network(shape, dense_layers=0, scales=scales)
        for moved, same in ((2 ** (scales - 1), True), (2 ** (scales - 1) // 2, False)):
            if not moved:
                continue
            here, there = (net(torch.roll(x, by, dims=3), t)[0] for by in (0, moved))
            there = torch.roll(there, -moved, dims=3)
            close = torch.allclose(here[..., 16:48, 16:48], there[..., 16:48, 16:48], atol=1e-5)
            assert close is same, (scales, moved)
    net = network(ImageShape(1, 8), convolution_layers=0)
    x = normal(1, 1, 8, 8)
    here, there = (net(torch.roll(x, by, dims=3), t)[0] for by in (0, 1))
    assert not torch.allclose(here, torch.roll(there, -1, dims=3), atol=1e-3)


def test_more_scales_see_farther() -> None:
    """Two 3x3 layers reach 2 pixels; at a quarter of the size each reaches 4 pixels and more."""
    x = torch.zeros(1, 1, 32, 32, requires_grad=True)
    reach = {}
    for scales in (1, 3):
        net = network(ImageShape(1, 32), dense_layers=0, scales=scales)
        (gradient,) = torch.autograd.grad(net(x, torch.tensor([3]))[0][0, 0, 16, 16], x)
        rows = gradient[0, 0].abs().sum(1).nonzero().ravel()
        reach[scales] = (int(rows.min()), int(rows.max()))
    assert reach[1] == (14, 18)
    assert reach[3] == (8, 27)


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        # 784 -> 500 -> 500 -> 500 -> 2 * 784, then 2 -> 20 a pixel and 20 -> 2 * 10
        ({"convolution_layers": 0}, 784 * 500 + 500 + 2 * (500 * 500 + 500) + 501 * 1568 + 3 * 20 + 21 * 20),
        # 1 -> 20 -> 20 -> 20 -> 20 at one scale, then 20 -> 20 and 20 -> 2 * 10
        ({"dense_layers": 0}, 10 * 20 + 3 * 181 * 20 + 21 * 20 + 21 * 20),
    ],
)
def test_sizes_of_the_code_give_its_parameters(changes: dict[str, Any], count: int) -> None:
    assert sum(p.numel() for p in ImageNetwork(ImageShape(1, 28), **changes).parameters()) == count


def test_initial_weights_are_those_of_the_code() -> None:
    torch.manual_seed(0)
    net = ImageNetwork(ImageShape(1, 16), dense_hidden=50)
    weight = net.convolutions[2].convolutions[0].weight  # type: ignore[union-attr,index]
    assert weight.std().item() == pytest.approx(math.sqrt(1 / 20) / 9, rel=0.05)
    for layer in (net.dense[2], net.pixels[0]):
        flat = layer.weight.detach().flatten(1)  # type: ignore[union-attr,operator]
        gram = flat @ flat.T if len(flat) <= flat.shape[1] else flat.T @ flat
        torch.testing.assert_close(gram, torch.eye(len(gram)), rtol=0, atol=1e-5)
    assert all((p == 0).all() for name, p in net.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"convolution_layers": 0, "dense_layers": 0}, "one of the two pathways"),
        ({"scales": 5}, "multiple of 16"),
        ({"scales": 0}, "scales is 0"),
        ({"filters": -1}, "filters is -1"),
        ({"dense_layers": -1}, "dense_layers is -1"),
        ({"pixel_layers": 0}, "pixel_layers is 0"),
        ({"bumps": 0}, "bumps of the network is 0"),
        ({"style": "mixed"}, "Expected one of paper, code"),
    ],
)
def test_impossible_networks_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        network(**changes)


def test_scales_matter_only_where_there_are_convolutions() -> None:
    network(ImageShape(1, 5), convolution_layers=0, scales=4)
    with pytest.raises(ConfigError, match="scales is 4"):
        network(ImageShape(1, 5), scales=4)
