"""The synthetic study as a module: learning, measuring, resuming, refusing."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.models.polynomial_graphs import draws
from reprise.models.polynomial_graphs import module as study
from reprise.models.polynomial_graphs.module import PolynomialGraphs
from tests.commands import reprise


def build(**changes: Any) -> PolynomialGraphs:
    settings: dict[str, Any] = {
        "seed": 0, "data": "collider", "generator": "complete", "as_released": False, "repetitions": 2,
        "batch_size": 16, "noise_dims": 10, "hidden": 10, "kernels": 5, "kernel_dims": 3, "measured": 2000,
        "bins": 10, "measure_every": 4, "report_at": [4, 8], "average": None, "updates": 1, "iterations": 12,
        "optimizer": partial(torch.optim.Adam, lr=5e-4, fused=True),
    }  # fmt: skip
    return PolynomialGraphs(**settings | changes)


class Loop:
    """What the training loop does, as far as the module needs it."""

    def __init__(self, module: PolynomialGraphs) -> None:
        self.module = module
        self.losses: list[float] = []
        self.optimizers = module.configure_optimizers()

    def run(self, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
        monkeypatch.setattr(study, "announce", lambda module, loss: self.losses.append(float(loss)))
        monkeypatch.setattr(self.module, "optimizers", lambda **_: self.optimizers)
        monkeypatch.setattr(study, "require_whole_networks", lambda module, name: None)
        self.module.on_fit_start()
        for _ in range(steps):
            self.module.training_step({}, 0)

    def state(self) -> Any:
        return copy.deepcopy([self.module.state_dict(), [o.state_dict() for o in self.optimizers]])

    def load(self, state: Any) -> None:
        self.module.load_state_dict(state[0])
        for optimizer, saved in zip(self.optimizers, state[1], strict=True):
            optimizer.load_state_dict(saved)

    def test(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
        found: dict[str, float] = {}
        monkeypatch.setattr(self.module, "log", lambda name, value, **_: found.__setitem__(name, float(value)))
        self.module.test_step({}, 0)
        return found


def test_resuming_gives_what_an_uninterrupted_run_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "BLOCK", 5)
    monkeypatch.setattr(study, "BLOCK", 5)  # so that blocks end within the run
    whole, first, second = (Loop(build()) for _ in range(3))
    whole.run(monkeypatch, 11)
    first.run(monkeypatch, 7)
    second.load(first.state())
    second.run(monkeypatch, 4)
    assert whole.losses == first.losses + second.losses
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value.nan_to_num(-1.0), second.module.state_dict()[name].nan_to_num(-1.0)), name


def test_steps_of_an_iteration_are_those_of_as_many_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    one, many = Loop(build()), Loop(build(updates=4, iterations=3))
    one.run(monkeypatch, 12)
    many.run(monkeypatch, 3)
    assert many.losses == one.losses[3::4]
    assert many.module.measured_at == one.module.measured_at == [4, 8, 12]
    for name, value in one.module.state_dict().items():
        assert torch.equal(value, many.module.state_dict()[name]), name


def test_repetitions_do_not_know_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    many, one = Loop(build(repetitions=3)), Loop(build(repetitions=1))
    many.run(monkeypatch, 6)
    one.run(monkeypatch, 6)
    for name, value in one.module.state_dict().items():
        if value.dim() == 3 or name.startswith("polynomials"):
            assert torch.allclose(many.module.state_dict()[name][:1], value, atol=1e-5), name
    assert torch.allclose(many.module.distances[0, 0], one.module.distances[0, 0], atol=0.01)


def test_both_networks_learn_from_one_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(build())
    before = loop.state()[0]
    loop.run(monkeypatch, 1)
    after = loop.module.state_dict()
    moved = {name for name in after if not torch.equal(after[name].nan_to_num(0), before[name].nan_to_num(0))}
    assert {name.split(".")[0] for name in moved} == {"generator", "discriminator", "done"}
    # Adam's first step is the learning rate in the gradient's direction
    weight = "discriminator.last.weight"
    assert float((after[weight] - before[weight]).abs().max()) == pytest.approx(5e-4, rel=1e-3)


def test_what_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(build())
    loop.run(monkeypatch, 6)
    found = loop.test(monkeypatch)
    assert set(found) == {"test/tvd", "test/tvd/step_4", "test/tvd_floor", "test/tvd_spread"}  # step 8 lies ahead
    assert found["test/tvd/step_4"] == pytest.approx(float(loop.module.distances[0].mean()), abs=1e-6)
    assert found["test/tvd_floor"] < found["test/tvd"] <= 1.0
    assert set(loop.module.metric_versions()) == {"val/tvd", *found}
    (curve,) = loop.module.samples
    assert curve.x == ("step", [4])  # type: ignore[attr-defined]
    assert Loop(build()).test(monkeypatch).keys() == {"test/tvd", "test/tvd_floor", "test/tvd_spread"}


def test_the_end_of_a_curve_is_one_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(build(average=[3, 8]))
    loop.run(monkeypatch, 7)
    assert not [name for name in loop.test(monkeypatch) if "steps_" in name]  # step 8 lies ahead
    loop.run(monkeypatch, 5)
    found = loop.test(monkeypatch)
    assert found["test/tvd/steps_3_8"] == pytest.approx(float(loop.module.distances[:2].mean()), abs=1e-9)
    assert found["test/tvd/step_4"] != found["test/tvd/step_8"]  # so that it is neither of them


def test_a_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.average is \[5, 7\], and no step"):
        build(average=[5, 7])
    with pytest.raises(ConfigError, match="ascending steps"):
        build(average=[8, 4])


def test_steps_that_are_reported_are_measured() -> None:
    assert build(report_at=[3, 8], measure_every=5).measured_at == [3, 5, 8, 10]


@pytest.mark.parametrize("name", ["repetitions", "batch_size", "measured", "measure_every", "updates"])
def test_a_size_below_1_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"model\.{name} is 0"):
        build(**{name: 0})


def test_accumulation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = build()
    trainer = SimpleNamespace(accumulate_grad_batches=2, strategy=object())
    monkeypatch.setattr(PolynomialGraphs, "trainer", property(lambda self: trainer))
    with pytest.raises(ConfigError, match="Expected 1"):
        module.on_fit_start()


@pytest.mark.slow
def test_the_right_generator_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(
        build(data="linear", generator="linear", batch_size=64, iterations=1500, report_at=[4, 1500], repetitions=1)
    )
    loop.run(monkeypatch, 1500)
    assert float(loop.module.distances[-1].mean()) < float(loop.module.distances[0].mean()) - 0.05


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    done = reprise(
        "train", "experiment=causalgan/synthetic_complete_fc3", "budget=smoke", "evaluate=true", "logger=none",
        f"paths.outputs={tmp_path}",
    )  # fmt: skip
    assert "step_20" in done.stdout
