"""Generators and discriminator of the synthetic study."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reprise.models.polynomial_graphs.draws import uniform
from reprise.models.polynomial_graphs.network import (
    GENERATORS,
    ConnectedGenerator,
    Discriminator,
    GeneratorName,
    build_generator,
)
from reprise.models.polynomial_graphs.network_minibatch import minibatch_features
from reprise.models.polynomial_graphs.objective import discriminator_loss, generator_loss


def literal_features(x: Tensor) -> Tensor:
    """Pair by pair: x (N, B, kernels, dims)."""
    n, b, kernels, _ = x.shape
    rows = [
        sum(torch.exp(-(x[m, i, k] - x[m, j, k]).abs().sum()) for j in range(b))
        for m in range(n)
        for i in range(b)
        for k in range(kernels)
    ]
    return torch.stack([torch.as_tensor(row) for row in rows]).reshape(n, b, kernels)


def test_minibatch_features_and_their_gradient_pair_by_pair() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((2, 6, 3, 4), generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.randn((2, 6, 3), generator=generator, dtype=torch.float64)
    ours, theirs = minibatch_features(x), literal_features(x)
    assert torch.allclose(ours, theirs)
    (mine,) = torch.autograd.grad((ours * weights).sum(), x)
    (expected,) = torch.autograd.grad((theirs * weights).sum(), x)
    assert torch.allclose(mine, expected)


def test_equal_examples_have_no_gradient_between_them() -> None:
    x = torch.ones((1, 3, 1, 2), requires_grad=True)
    features = minibatch_features(x)
    assert torch.equal(features, torch.full((1, 3, 1), 3.0))
    (gradient,) = torch.autograd.grad(features.sum(), x)
    assert torch.equal(gradient, torch.zeros_like(x))


@pytest.mark.parametrize("name, parameters", [
    ("linear", 3 * (10 * 10 + 10 + 10 * 10 + 10 + 10 + 1) + 2 * 10),
    ("collider", 3 * 231 + 2 * 10),
    ("complete", 3 * 231 + 3 * 10),
    ("fc3", 2 * 110 + 33),
    ("fc5", 4 * 110 + 33),
    ("fc10", 9 * 110 + 33),
])  # fmt: skip
def test_sizes_of_the_generators(name: GeneratorName, parameters: int) -> None:
    network = build_generator(name, 0, 2, 10, 10)
    assert sum(p.numel() for p in network.parameters()) == 2 * parameters


@pytest.mark.parametrize("name", GENERATORS)
def test_a_repetition_is_a_function_of_seed_and_number_alone(name: GeneratorName) -> None:
    noise = uniform(3, "noise", 4, 0, 8, 30)
    many = build_generator(name, 3, 4, 10, 10)(noise)
    assert many.shape == (4, 8, 3) and bool(((many > 0.0) & (many < 1.0)).all())
    few = build_generator(name, 3, 2, 10, 10)(noise[:2])
    assert torch.allclose(many[:2], few, atol=1e-6)
    assert not torch.allclose(many[0], many[1], atol=1e-2)
    assert not torch.allclose(build_generator(name, 4, 2, 10, 10)(noise[:2]), few, atol=1e-2)


@pytest.mark.parametrize("name, node, reached", [
    ("linear", 0, {0, 1, 2}), ("linear", 1, {1, 2}), ("linear", 2, {2}),
    ("collider", 0, {0, 1}), ("collider", 1, {1}), ("collider", 2, {1, 2}),
    ("complete", 0, {0, 1, 2}), ("complete", 1, {1, 2}), ("complete", 2, {2}),
])  # fmt: skip
def test_noise_of_a_node_reaches_its_descendants_alone(name: GeneratorName, node: int, reached: set[int]) -> None:
    network = build_generator(name, 0, 1, 10, 10)
    noise = uniform(0, "noise", 1, 0, 1, 30).requires_grad_()
    found = network(noise)
    for variable in range(3):
        (gradient,) = torch.autograd.grad(found[0, 0, variable], noise, retain_graph=True)
        assert bool(gradient[0, 0, 10 * node : 10 * node + 10].abs().sum() > 0) == (variable in reached)


def test_a_connected_generator_sees_a_third_of_the_noise() -> None:
    network = build_generator("fc3", 0, 1, 10, 10)
    assert isinstance(network, ConnectedGenerator)
    noise = uniform(0, "noise", 1, 0, 5, 30).requires_grad_()
    (gradient,) = torch.autograd.grad(network(noise).sum(), noise)
    assert torch.equal(gradient[..., 10:], torch.zeros(1, 5, 20)) and bool((gradient[..., :10] != 0).all())


def test_the_discriminator_by_literal_lines() -> None:
    network = Discriminator(0, 2)
    x = uniform(0, "x", 2, 0, 2 * 7, 3).reshape(2, 2, 7, 3)
    found = network(x)
    for r in range(2):
        for group in range(2):
            w = {n: (getattr(network, n).weight[r], getattr(network, n).bias[r]) for n in ("first", "second", "last")}
            h = torch.relu(x[r, group] @ w["first"][0] + w["first"][1])
            h = torch.relu(h @ w["second"][0] + w["second"][1])
            m = (h @ network.minibatch[r]).reshape(1, 7, 5, 3)
            logits = torch.cat([h, literal_features(m)[0]], -1) @ w["last"][0] + w["last"][1]
            assert torch.allclose(found[r, group], logits[:, 0], atol=1e-5)


def test_losses_are_cross_entropies() -> None:
    real, fake = torch.tensor([[0.3, -1.0]]), torch.tensor([[2.0, -0.5]])
    expected = -torch.log(torch.sigmoid(real)).mean() - torch.log(1 - torch.sigmoid(fake)).mean()
    assert torch.allclose(discriminator_loss(real, fake), expected[None])
    assert torch.allclose(generator_loss(fake), -torch.log(torch.sigmoid(fake)).mean()[None])
