"""Algorithm 1: which levels are drawn, and what the loss is."""

from __future__ import annotations

import math

import pytest
import torch

from reprise.config.compose import compose_config
from reprise.config.errors import ConfigError
from reprise.diffusion.schedules import fibonacci, linear
from reprise.models.wavegrad.module import WaveGrad, playable
from reprise.models.wavegrad.objective import ContinuousLevel, DiscreteIndex, l1_loss
from reprise.models.wavegrad.tuning import candidate, coordinate_search
from reprise.training.trainer import build_module
from tests.conftest import SMALL


def build(*more: str) -> WaveGrad:
    torch.manual_seed(0)
    module = build_module(compose_config([*SMALL, *more]).values)
    assert isinstance(module, WaveGrad)
    return module


def test_loss_of_a_zero_network_is_the_mean_magnitude_of_noise() -> None:
    module = build()
    torch.nn.init.zeros_(module.network.out.weight)
    loss = module.loss(torch.zeros(64, 3000), torch.zeros(64, 128, 10), torch.arange(64), "train")
    assert float(loss.detach()) == pytest.approx(math.sqrt(2 / math.pi), abs=3e-3)  # 0.798


def test_l1_loss_by_hand() -> None:
    assert float(l1_loss(torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 1.0]]))) == pytest.approx(1.75)


def test_continuous_levels_lie_in_their_segment_and_are_uniform_there() -> None:
    schedule = linear(1e-6, 0.01, 1000)
    objective = ContinuousLevel(schedule)
    for s in (1, 500, 1000):
        position = torch.linspace(0, 0.999999, 101)
        level, told = objective.draw(torch.full((101,), s), position)
        assert torch.equal(level, told)
        assert float(level.max()) <= float(schedule.levels[s - 1])
        assert float(level.min()) >= float(schedule.levels[s])
        assert float(level.mean()) == pytest.approx(float(schedule.levels[s - 1 : s + 1].mean()), rel=1e-4)
    # the first segment starts at the clean signal: levels above l_1 are trained too
    assert float(objective.draw(torch.tensor([1]), torch.tensor([1.0]))[0]) == 1.0


def test_discrete_index_tells_the_step() -> None:
    objective = DiscreteIndex(fibonacci(25))
    level, told = objective.draw(torch.tensor([1, 25]), torch.tensor([0.3, 0.9]))
    assert torch.equal(level, objective.schedule.levels[[1, 25]])
    assert told.tolist() == [1.0, 25.0]
    with pytest.raises(ValueError, match="only with its own"):
        objective.check("linear50", linear(1e-4, 0.05, 50))


def test_discrete_model_refuses_other_schedules() -> None:
    module = build(
        "model.objective._target_=reprise.models.wavegrad.objective.DiscreteIndex",
        "model.validation_schedule=train",
        "model.evaluation_schedules=[train]",
    )
    with pytest.raises(ConfigError, match="schedule=train"):
        module.generate([torch.zeros(128, 2)], schedule="manual6")
    with pytest.raises(ConfigError, match="no schedule is called 'manual7'"):
        build().generate([torch.zeros(128, 2)], schedule="manual7")


def test_mel_and_network_must_agree() -> None:
    with pytest.raises(ConfigError, match="must be equal"):
        build("model.network.factors=[5,5,2,2,2]")
    with pytest.raises(ConfigError, match="no schedule is called"):
        build("model.validation_schedule=manual9")


def test_draws_belong_to_examples() -> None:
    """A batch of two gives the mean of its halves; order and process do not matter."""
    module = build()
    audio, mel = torch.randn(4, 1200), torch.randn(4, 128, 4)
    module.requires_grad_(False)
    whole = module.loss(audio, mel, torch.arange(4), "train")
    halves = [module.loss(audio[i : i + 2], mel[i : i + 2], torch.arange(i, i + 2), "train") for i in (0, 2)]
    assert float(whole) == pytest.approx(float(sum(halves)) / 2, rel=1e-5)
    assert float(module.loss(audio, mel, torch.arange(4), "val")) != float(whole)


def test_generation_is_deterministic_and_independent_of_company_and_tiles() -> None:
    module = build()
    with torch.no_grad():  # keep the untrained network small enough for finite samples
        module.network.out.weight.mul_(1e-7)
    mels = [torch.randn(128, n) for n in (30, 7, 23)]
    together = module.generate(mels, schedule="manual6", seed=3, keys=[10, 11, 12])
    alone = module.generate([mels[2]], schedule="manual6", seed=3, keys=[12])
    module.tile_frames, module.tile_batch = 5, 3
    tiled = module.generate(mels, schedule="manual6", seed=3, keys=[10, 11, 12])
    assert [len(w) for w in together] == [30 * 300, 7 * 300, 23 * 300]
    assert torch.allclose(together[2], alone[0], atol=1e-5)
    for a, b in zip(together, tiled, strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    again = module.generate(mels, schedule="manual6", seed=3, keys=[10, 11, 12])
    assert all(torch.equal(a, b) for a, b in zip(tiled, again, strict=True))
    assert not torch.equal(module.generate(mels, schedule="manual6", seed=4, keys=[10, 11, 12])[0], again[0])


def test_a_list_of_betas_is_a_schedule() -> None:
    module = build()
    assert len(module.generate([torch.zeros(128, 2)], schedule=[1e-4, 0.1, 0.9])[0]) == 600
    with pytest.raises(ConfigError, match="between 0 and 1"):
        module.generate([torch.zeros(128, 2)], schedule=[0.5, 1.5])


def test_playable_silences_what_is_not_finite() -> None:
    wave, share = playable(torch.tensor([0.5, float("nan"), 3.0, float("-inf")]))
    assert wave.tolist() == [0.5, 0.0, 1.0, 0.0]
    assert share == 0.5


def test_search_grid_is_the_papers() -> None:
    assert candidate([1, 1, 1, 9, 9, 9]) == pytest.approx([1e-6, 1e-5, 1e-4, 9e-3, 9e-2, 9e-1])


def test_coordinate_search_finds_a_separable_optimum() -> None:
    target = [3, 1, 9, 5]

    def score(betas: list[float]) -> float:
        return sum((math.log(b) - math.log(t)) ** 2 for b, t in zip(betas, candidate(target), strict=True))

    digits, value = coordinate_search(score, [1, 1, 1, 1], rounds=3)
    assert digits == target
    assert value == pytest.approx(0.0, abs=1e-20)
    with pytest.raises(ValueError, match="between 1 and 9"):
        coordinate_search(score, [0, 1], rounds=1)


def test_learning_lowers_the_loss() -> None:
    module = build()
    optimizer = module.configure_optimizers()
    audio = torch.sin(torch.arange(1200) * 0.05).repeat(4, 1) * 0.5
    mel = module.features(audio)
    losses = []
    for _ in range(30):
        loss = module.loss(audio, mel, torch.arange(4), "train")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
