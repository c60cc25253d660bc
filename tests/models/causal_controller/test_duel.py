"""An iteration against a literal one, replicas against runs of their own, and what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reprise.config.errors import ConfigError, DataError
from reprise.models.causal_controller.critic import Critic
from reprise.models.causal_controller.draws import RealRows, draw_iteration
from reprise.models.causal_controller.duel import Duel
from reprise.models.causal_controller.objective import controller_loss, critic_loss
from tests.models.causal_controller.graphs import CHAIN, controller_of, rng

ROWS = torch.from_numpy((np.random.default_rng(0).random((500, 3)) < [0.7, 0.4, 0.03]).astype(np.uint8))


def duel_of(*seeds: int, pack: int = 1, batch_size: int = 8) -> Duel:
    critic = Critic(3 * pack, width=6, layers=3, replicas=len(seeds))
    critic.initialise([rng(seed + 100) for seed in seeds])
    return Duel(controller_of(CHAIN, *seeds), critic, list(seeds), batch_size, 3, 0.1, pack)


def played(duel: Duel, rows: RealRows, iterations: int) -> list[torch.Tensor]:
    """The losses of some iterations."""
    critic, controller = _optimizers(duel)
    return [duel.play(duel.draw(i, rows), rows, critic.step, controller.step) for i in range(iterations)]


def _optimizers(duel: Duel) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    return torch.optim.Adam(duel.critic.parameters(), lr=0.01), torch.optim.Adam(duel.controller.parameters(), lr=0.01)


@pytest.mark.parametrize(("pack", "rare_share"), [(1, 0.0), (2, 0.3)])
def test_an_iteration_is_the_literal_one(pack: int, rare_share: float) -> None:
    rows = RealRows(ROWS, rare_share)
    ours, theirs = duel_of(4, pack=pack), duel_of(4, pack=pack)
    losses = played(ours, rows, 3)
    critic, controller = theirs.critic, theirs.controller
    step_critic, step_controller = _optimizers(theirs)
    for iteration in range(3):
        draws = theirs.draw(iteration, rows)
        for step in range(4):
            real = rows.labels[draws.places[:, step]].reshape(1, 8 // pack, 3 * pack)
            fake = controller(draws.noise[:, step]).reshape(1, 8 // pack, 3 * pack)
            weight = None
            if rows.weights is not None:
                weight = rows.weights[draws.places[:, step]].reshape(1, 8 // pack, pack).prod(2)
            loss = critic_loss(critic, real, fake.detach(), draws.alpha[:, step], 0.1, weight)
            critic.flat.grad = torch.autograd.grad(loss.sum(), critic.flat)[0]
            if step == 3:
                step_controller.zero_grad()
                weights = list(controller.parameters())
                found = torch.autograd.grad(controller_loss(critic, fake).sum(), weights)
                for parameter, gradient in zip(weights, found, strict=True):
                    parameter.grad = gradient
                step_controller.step()
            step_critic.step()
        assert torch.allclose(losses[iteration], loss.detach(), atol=1e-6)
    for a, b in zip(ours.controller.parameters(), controller.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    assert torch.allclose(ours.critic.flat, critic.flat, atol=1e-5)


def test_a_replica_is_the_run_with_its_seed() -> None:
    rows = RealRows(ROWS)
    both, first, second = duel_of(4, 5), duel_of(4), duel_of(5)
    of_both = torch.stack(played(both, rows, 4))
    assert torch.allclose(of_both[:, 0], torch.cat(played(first, rows, 4)), atol=1e-5)
    assert torch.allclose(of_both[:, 1], torch.cat(played(second, rows, 4)), atol=1e-5)
    assert torch.allclose(both.critic.flat[1], second.critic.flat[0], atol=1e-5)
    assert not torch.allclose(both.critic.flat[0], both.critic.flat[1], atol=1e-3)


def test_the_announcement_comes_once_before_the_joint_step() -> None:
    duel, rows = duel_of(0), RealRows(ROWS)
    critic, controller = _optimizers(duel)
    before = duel.controller.noise_weight.detach().clone()
    told: list[float] = []

    def announce(loss: torch.Tensor) -> None:
        assert torch.equal(duel.controller.noise_weight, before)
        told.append(float(loss))

    losses = duel.play(duel.draw(0, rows), rows, critic.step, controller.step, announce)
    assert told == [pytest.approx(float(losses.mean()))]
    assert not torch.equal(duel.controller.noise_weight, before)


def test_draws_follow_seed_and_iteration_alone() -> None:
    rows = RealRows(ROWS)
    both = draw_iteration([3, 4], 7, rows, 2, 8, (3, 10), 2)
    alone = draw_iteration([4], 7, rows, 2, 8, (3, 10), 2)
    for a, b in zip(both, alone, strict=True):
        assert torch.equal(a[1], b[0])
    assert (both.noise.shape, both.alpha.shape) == ((2, 2, 8, 3, 10), (2, 2, 4))
    assert -1.0 <= float(both.noise.min()) < -0.9 and 0.9 < float(both.noise.max()) <= 1.0
    assert not torch.equal(both.noise[1], draw_iteration([4], 8, rows, 2, 8, (3, 10), 2).noise[0])


def test_rare_rows_come_more_often_and_leave_expectations_as_they_are() -> None:
    rows = RealRows(ROWS, 0.5)
    assert rows.weights is not None
    places = rows.draw(rng(0), (200_000,))
    drawn, weights = rows.labels[places], rows.weights[places]
    assert float(drawn[:, 2].mean()) > 0.15 > 4 * float(ROWS[:, 2].float().mean())
    assert torch.allclose((drawn * weights[:, None]).mean(0), ROWS.float().mean(0), atol=0.01)
    assert float(weights.mean()) == pytest.approx(1.0, abs=0.01)
    both = ((drawn[:, 0] * drawn[:, 1]) * weights).mean()
    assert float(both) == pytest.approx(float((ROWS[:, 0] * ROWS[:, 1]).float().mean()), abs=0.01)
    as_they_come = RealRows(ROWS)
    assert as_they_come.weights is None and as_they_come.draw(rng(0), (4, 5)).shape == (4, 5)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model.rare_share is 1.0. Expected 0 or more, and below 1"):
        RealRows(ROWS, 1.0)
    with pytest.raises(DataError, match="the same value in all rows"):
        RealRows(torch.zeros(4, 2, dtype=torch.uint8), 0.5)
    with pytest.raises(ConfigError, match="does not divide into packs"):
        duel_of(0, pack=3)
    with pytest.raises(ConfigError, match=r"model.penalty is -1. Expected 0"):
        Duel(controller_of(CHAIN, 0), Critic(3), [0], 8, 3, -1)
