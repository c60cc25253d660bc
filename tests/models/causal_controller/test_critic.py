"""The closed form of the critic's gradient against differentiation, and the losses against their formulas."""

from __future__ import annotations

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.models.causal_controller.critic import Critic
from reprise.models.causal_controller.objective import controller_loss, critic_loss, gradient_penalty, mixed_rows
from tests.models.causal_controller.graphs import rng


def _critic(replicas: int, inputs: int = 5, **sizes: int) -> Critic:
    critic = Critic(inputs, replicas=replicas, **sizes).double()
    critic.flat.data = torch.from_numpy(rng(replicas).standard_normal(critic.flat.shape)) * 0.4
    return critic


def _batch(replicas: int, rows: int, inputs: int) -> list[torch.Tensor]:
    generator = rng(7)
    real = (generator.random((replicas, rows, inputs)) < 0.4).astype(float)
    others = generator.random((replicas, rows, inputs)), generator.random((replicas, rows))
    return [torch.from_numpy(x) for x in (real, *others)]


@pytest.mark.parametrize(("replicas", "layers", "weighted"), [(1, 6, False), (3, 6, True), (2, 2, False)])
def test_the_closed_form_is_what_differentiating_twice_gives(replicas: int, layers: int, weighted: bool) -> None:
    critic = _critic(replicas, layers=layers)
    real, fake, alpha = _batch(replicas, 11, 5)
    weight = torch.from_numpy(rng(1).random((replicas, 11))) if weighted else None
    loss = critic_loss(critic, real, fake, alpha, 0.7, weight)
    (expected,) = torch.autograd.grad(loss.sum(), critic.flat)
    fake.requires_grad_()
    (of_fake,) = torch.autograd.grad(-controller_loss(critic, fake).sum(), fake)
    found = critic.gradient(real, fake.detach(), alpha, 0.7, weight)
    assert torch.allclose(found.loss, loss, atol=1e-12)
    assert torch.allclose(found.weights, expected, atol=1e-12)
    assert torch.allclose(found.fake, of_fake, atol=1e-12)
    assert float(expected.abs().max()) > 0.05


def test_views_of_the_layers_follow_the_weights() -> None:
    critic = _critic(1)
    real, fake, alpha = _batch(1, 4, 5)
    with torch.no_grad():
        layers = critic.layers()
        critic.flat += 0.1
    assert torch.equal(
        critic.gradient(real, fake, alpha, 0.1, layers=layers).weights, critic.gradient(real, fake, alpha, 0.1).weights
    )


def test_the_penalty_by_hand() -> None:
    """Two layers, one unit: the slope of D is w2 w1, times 0.2 where the unit's sum is negative."""
    critic = Critic(1, width=1, layers=2).double()
    critic.flat.data = torch.tensor([[2.0, -1.0, 1.5, 0.3]], dtype=torch.float64)  # w1, b1, w2, b2
    rows = torch.tensor([[[1.0], [0.0]]], dtype=torch.float64)  # sums 1 and -1
    assert critic(rows).tolist() == [[pytest.approx(1.8), pytest.approx(0.2 * -1.0 * 1.5 + 0.3)]]
    assert gradient_penalty(critic, rows).item() == pytest.approx(((3.0 - 1.0) ** 2 + (0.6 - 1.0) ** 2) / 2)


def test_the_losses_by_hand() -> None:
    critic = Critic(1, width=1, layers=2).double()
    critic.flat.data = torch.tensor([[1.0, 0.0, 1.0, 0.0]], dtype=torch.float64)  # D(x) = x for x > 0, slope 1
    real = torch.tensor([[[1.0], [0.5]]], dtype=torch.float64)
    fake = torch.tensor([[[0.2], [0.4]]], dtype=torch.float64)
    alpha = torch.tensor([[0.25, 1.0]], dtype=torch.float64)
    assert mixed_rows(real, fake, alpha).flatten().tolist() == pytest.approx([0.4, 0.5])
    assert critic_loss(critic, real, fake, alpha, 10.0).item() == pytest.approx(0.3 - 0.75)
    assert controller_loss(critic, fake).item() == pytest.approx(-0.3)


def test_sizes_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"critic.layers is 1. Expected 2"):
        Critic(3, layers=1)
