"""The Lightning module of DDPM: its objectives and its bound against the paper's equations, number by number."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.diffusion.schedules import linear
from reprise.diffusion.steps import Sampling
from reprise.diffusion.terms import strata, tenths
from reprise.models.ddpm.module import DDPM
from reprise.nn.images import ImageShape
from reprise.nn.randomness import ExampleDraws
from tests.models.ddpm import (
    ADAM,
    SHAPE,
    Formula,
    Literal,
    batch_of,
    formula,
    joined,
    keys_of,
    known,
    lively,
    logged,
    unet,
)

PREDICTS, LOSSES, VARIANCES = ("epsilon", "mean", "x_0"), ("simple", "bound"), ("large", "small", "learned")
OBJECTIVES = [c for c in itertools.product(PREDICTS, LOSSES, VARIANCES) if c[1:] != ("simple", "learned")]


def loss_of(module: DDPM, batch: dict[str, Any]) -> float:
    return float(module.training_step(batch, 0).detach())


def losses_by_hand(module: DDPM, batch: dict[str, Any]) -> list[float]:
    literal, found = Literal(module), []
    for image, position in zip(batch["image"], batch["position"].tolist(), strict=True):
        draws = ExampleDraws(module.seed, "train", [position])
        t = int(draws.integers(1, literal.steps))
        noise, x_0 = draws.normal(*literal.size)[0].double(), literal.scaled(image)
        x = literal.diffused(x_0, t, noise)
        if module.loss == "simple":
            found.append(float(((literal.target(x_0, x, t, noise) - literal.output(x, t)) ** 2).mean()))
        else:
            found.append(literal.term(x_0, x, t, clip=False) / literal.dims / math.log(2))
    return found


@pytest.mark.parametrize(("predicts", "loss", "variance"), OBJECTIVES)
def test_the_loss_is_the_papers(predicts: str, loss: str, variance: str) -> None:
    module = formula(predicts=predicts, loss=loss, variance=variance)
    batch = batch_of(24)
    expected = losses_by_hand(module, batch)
    found = module.training_step(batch, 0)
    assert float(found.detach()) == pytest.approx(sum(expected) / len(expected), rel=1e-4)
    found.backward()
    assert all(p.grad is not None and p.grad.isfinite() and p.grad != 0 for p in module.network.parameters())


def test_every_step_is_trained_the_decoders_too() -> None:
    module, literal = formula(steps=4, loss="bound"), Literal(formula(steps=4))
    batch = batch_of(40)
    drawn = [int(ExampleDraws(3, "train", [p]).integers(1, 4)) for p in range(40)]
    assert set(drawn) == {1, 2, 3, 4}
    expected = losses_by_hand(module, batch)
    alone = [loss_of(module, batch_of(1, first=i)) for i in range(40)]
    assert alone == pytest.approx(expected, rel=1e-4)
    assert literal.steps == 4 and {n for n, _ in known(module).seen} == {0, 1, 2, 3}  # counted from 0 there


def test_simple_loss_of_an_untrained_network_is_one() -> None:
    """The last layer starts at nearly zero, so that the error is the noise itself."""
    module, batch = unet(), batch_of(64)
    drawn = ExampleDraws(3, "train", list(range(64)))
    drawn.integers(1, 12)
    noise = drawn.normal(1, 8, 8)
    first = loss_of(module, batch)
    assert first == pytest.approx(float((noise**2).mean()), abs=1e-3)
    assert first == pytest.approx(1.0, abs=4 * (2 / noise.numel()) ** 0.5)
    assert loss_of(unet(loss="bound"), batch) > 0.1


@pytest.mark.parametrize("variance", VARIANCES)
def test_what_is_drawn_belongs_to_the_example(variance: str) -> None:
    module = lively(unet(loss="bound", variance=variance))
    together = module._losses(batch_of(5)["image"], module._noise(3, "train", [0, 1, 2, 3, 4])).detach()
    for i in range(5):
        assert loss_of(module, batch_of(1, first=i)) == pytest.approx(float(together[i]), rel=1e-4)
    elsewhere = batch_of(1, first=2) | {"position": torch.tensor([7])}
    assert loss_of(module, elsewhere) != pytest.approx(float(together[2]), rel=1e-2)
    assert loss_of(module, batch_of(5)) == pytest.approx(float(together.mean()), rel=1e-5)


def test_global_random_state_and_seed() -> None:
    module, batch = lively(unet()), batch_of(4)
    torch.manual_seed(1)
    first = loss_of(module, batch)
    torch.manual_seed(2)
    assert loss_of(module, batch) == first
    module.seed = 4
    assert loss_of(module, batch) != first


def test_a_few_steps_of_training_bring_the_loss_down() -> None:
    module = unet()
    optimizer = torch.optim.Adam(module.network.parameters(), lr=1e-2)
    losses = []
    for k in range(20):
        loss = module.training_step(batch_of(8) | {"position": torch.arange(8 * k, 8 * k + 8)}, k)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("predicts", PREDICTS)
def test_the_bound_is_the_sum_of_all_terms(predicts: str, variance: str) -> None:
    module, batch = formula(predicts=predicts, loss="bound", variance=variance), batch_of(3)
    found = module.bound(batch["image"], keys_of(batch))
    for image, key, total in zip(batch["image"], keys_of(batch), found.tolist(), strict=True):
        assert total == pytest.approx(sum(Literal(module).bound(image, key)[0]), rel=1e-4)


def measured(module: DDPM, *batches: dict[str, Any]) -> dict[str, float]:
    found = logged(module)
    for i, batch in enumerate(batches):
        module.test_step(batch, i)
    module.on_test_epoch_end()
    return {name: float(value) for name, value in found.items()}


@pytest.mark.parametrize("steps", [2, 3, 7, 12, 23])
def test_a_test_measures_the_terms_and_what_follows_from_them(steps: int) -> None:
    module, batch = formula(steps), batch_of(4)
    found = measured(module, batch)
    several = [Literal(module).bound(i, k) for i, k in zip(batch["image"], keys_of(batch), strict=True)]
    scale = 1 / (4 * SHAPE.dims * math.log(2))
    terms = [sum(column) * scale for column in zip(*(terms for terms, _ in several), strict=True)]
    errors = [sum(column) / 4 / SHAPE.dims for column in zip(*(errors for _, errors in several), strict=True)]
    expected = {"test/bpd": sum(terms), "test/prior_bpd": terms[-1], "test/distortion_bpd": terms[0]}
    times = sorted({steps * k // 10 for k in range(1, 11)} - {0})
    for time in times:
        t = steps - time + 1
        expected[f"test/rate/{time}"] = sum(terms[t:])  # L_t ... L_T: what was sent before x_t is there
        expected[f"test/rmse/{time}"] = errors[t - 1] ** 0.5 * 127.5
    expected["test/late_rate_share"] = 1 - expected[f"test/rate/{times[-2]}"] / expected[f"test/rate/{steps}"]
    expected["test/distortion_share"] = terms[0] / sum(terms)
    expected["test/parameters"] = 2
    assert found == pytest.approx(expected, rel=1e-4)
    assert found.keys() < module.metric_versions().keys()


def test_rates_add_up_and_distortion_falls() -> None:
    module = formula(20, predicts="x_0")
    known(module).a.data.fill_(1.0)
    known(module).b.data.fill_(0.0)
    found = measured(module, batch_of(60))
    rates, errors = ([found[f"test/{name}/{2 * k}"] for k in range(1, 11)] for name in ("rate", "rmse"))
    assert rates == sorted(rates) and rates[0] > 0
    assert errors == sorted(errors, reverse=True)  # it shows what it is given, which gets clearer
    assert found["test/bpd"] == pytest.approx(rates[-1] + found["test/distortion_bpd"], rel=1e-6)
    assert found["test/late_rate_share"] == pytest.approx((rates[-1] - rates[-2]) / rates[-1], rel=1e-5)
    assert 0 < found["test/distortion_share"] < 1


@pytest.mark.parametrize("steps", range(2, 45))
def test_names_of_a_curve_never_collide(steps: int) -> None:
    times = tenths(steps)
    assert list(times) == sorted(set(times)) and list(times)[-1] == steps
    assert all(t == steps - time + 1 for time, t in times.items())
    versions = formula(steps).metric_versions()
    assert sum(name.startswith("test/rate/") for name in versions) == len(times) == min(steps, 10)


def test_held_out_and_training_images_are_measured_apart() -> None:
    module = formula()
    held_out, trained = batch_of(5), batch_of(3, group=1, first=5)
    both = joined(held_out, trained)
    found = measured(module, {k: v[:6] for k, v in both.items()}, {k: v[6:] for k, v in both.items()})
    assert found.keys() == module.metric_versions().keys() - {"val/bpd"}
    for prefix, batch in (("test/", held_out), ("test/train_images/", trained)):
        alone = measured(formula(), batch | {"group": torch.zeros_like(batch["group"])})
        for name in ("bpd", "rate/12", "rmse/3", "late_rate_share"):
            assert found[prefix + name] == pytest.approx(alone[f"test/{name}"], rel=1e-6)
    assert found["test/bpd_gap"] == pytest.approx(found["test/bpd"] - found["test/train_images/bpd"], abs=1e-6)


def test_without_training_images_nothing_is_said_of_them() -> None:
    found = measured(formula(), batch_of(4))
    assert "test/bpd" in found and not [name for name in found if "train_images" in name or "gap" in name]


def test_measuring_twice_gives_the_same_however_images_are_put_together() -> None:
    module = lively(unet())
    whole = measured(module, batch_of(5))
    assert measured(module, batch_of(5)) == whole  # the first is forgotten
    parts = measured(module, batch_of(2), batch_of(3, first=2))
    assert parts == pytest.approx(whole, rel=1e-5)
    renamed = batch_of(5) | {"id": ["a", "b", "c", "d", "e"]}
    assert measured(module, renamed)["test/bpd"] != pytest.approx(whole["test/bpd"], rel=1e-6)


def test_bound_of_some_images_is_what_a_test_says_of_them() -> None:
    module, batch = lively(unet(dropout=0.5)), batch_of(6)
    module.eval()
    found = measured(module, batch)["test/bpd"]
    assert SHAPE.bits_per_dim(float(module.bound(batch["image"], keys_of(batch)).mean())) == pytest.approx(found)
    module.train()  # as after a step of training: what is measured has no dropout
    assert SHAPE.bits_per_dim(float(module.bound(batch["image"], keys_of(batch)).mean())) == pytest.approx(found)
    assert module.network.training


@pytest.mark.parametrize("terms", [1, 5, 30])
def test_fewer_terms_stand_for_all(terms: int) -> None:
    module, batch = formula(30, test_terms=terms, val_terms=terms), batch_of(200)
    found, whole = measured(module, batch), measured(formula(30), batch)
    assert found.keys() == whole.keys()
    estimate = module.bound(batch["image"], keys_of(batch), terms)
    assert found["test/bpd"] == pytest.approx(SHAPE.bits_per_dim(float(estimate.mean())), rel=1e-6)
    assert found["test/bpd"] == pytest.approx(whole["test/bpd"], rel=0.03)
    assert found["test/prior_bpd"] == whole["test/prior_bpd"]
    for time in tenths(30):
        assert found[f"test/rate/{time}"] == pytest.approx(whole[f"test/rate/{time}"], rel=0.15)
        assert found[f"test/rmse/{time}"] == pytest.approx(whole[f"test/rmse/{time}"], rel=0.1)
    calls = len(known(module).seen)
    module.validation_step(batch, 0)
    assert len(known(module).seen) - calls == 1 + len(strata(30, terms))  # one for the loss
    assert float(module.val_bpd.compute()) == pytest.approx(found["test/bpd"], rel=1e-6)
    assert float(module.val_loss.compute()) == pytest.approx(1.0, abs=0.6)


def test_a_validation_draws_what_the_last_one_drew() -> None:
    module = lively(unet(val_terms=4))
    values = []
    for batches in ([batch_of(5)], [batch_of(2), batch_of(3, first=2)]):
        logged(module)
        for batch in batches:
            module.validation_step(batch | {"position": torch.zeros(len(batch["image"]))}, 0)
        values.append([float(module.val_loss.compute()), float(module.val_bpd.compute())])
        module.val_loss.reset()
        module.val_bpd.reset()
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_colours_and_the_papers_levels_count() -> None:
    shape = ImageShape(3, 4, 256)
    module, batch = formula(5, shape=shape), batch_of(2, shape=shape)
    expected = [sum(Literal(module).bound(i, k)[0]) for i, k in zip(batch["image"], keys_of(batch), strict=True)]
    assert measured(module, batch)["test/bpd"] == pytest.approx(sum(expected) / 2 / 48 / math.log(2), rel=1e-4)


def test_the_exact_decoder_can_be_asked_for() -> None:
    batch = batch_of(4)
    tanh, exact = (measured(formula(cdf=cdf), batch) for cdf in ("tanh", "exact"))
    assert tanh["test/distortion_bpd"] != exact["test/distortion_bpd"]
    assert tanh["test/distortion_bpd"] == pytest.approx(exact["test/distortion_bpd"], rel=0.05)
    assert tanh["test/rate/12"] == exact["test/rate/12"]


@pytest.mark.parametrize(
    ("learned", "settings", "message"),
    [
        (False, {"loss": "l2"}, "model.loss is 'l2'. Expected simple or bound"),
        (True, {"loss": "simple", "variance": "learned"}, "model.loss=simple does not train a variance"),
        (False, {"loss": "bound", "variance": "learned"}, "Set model.network.learned_variance=true"),
        (True, {"loss": "bound", "variance": "large"}, "Set model.network.learned_variance=false"),
        (False, {"predicts": "v"}, "model: predicts is 'v'; expected epsilon, mean or x_0"),
        (False, {"variance": "medium"}, "variance is 'medium'; expected large, small or learned"),
        (False, {"schedule": linear(0.1, 0.1, 1)}, "2 steps or more"),
        (False, {"samples": -1}, "model.samples is -1. Expected 0 or more"),
        (False, {"test_samples": -2}, "model.test_samples is -2"),
        (False, {"interpolations": -1}, "model.interpolations is -1"),
        (False, {"val_terms": 0}, "model.val_terms is 0. Expected 1 or more"),
        (False, {"test_terms": 0}, "model.test_terms is 0. Expected 1 or more"),
        (False, {"sampling_batch": 0}, "model.sampling_batch is 0. Expected 1 or more"),
        (False, {"sampling": Sampling(steps=13)}, "sampling: 13 steps of 12; expected 1 to 12"),
        (False, {"val_sampling": Sampling(steps=0)}, "val_sampling: 0 steps of 12"),
        (
            False,
            {"few_steps": {"tiny": Sampling(variance="learned")}},
            "tiny: variance=learned, but it was not learned",
        ),
        (True, {"loss": "bound", "variance": "learned", "val_sampling": Sampling(steps=4)}, "val_sampling: a learned"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(learned: bool, settings: dict[str, Any], message: str) -> None:
    network: Any = Formula(learned)
    defaults: dict[str, Any] = {"schedule": linear(1e-3, 0.3, 12), "optimizer": ADAM, "seed": 0}
    with pytest.raises(ConfigError) as error:
        DDPM(network, **defaults | settings)
    assert message in str(error.value)


def test_the_learning_rate_follows_its_schedule_each_iteration() -> None:
    module = formula()
    assert isinstance(module.configure_optimizers(), torch.optim.Adam)
    module.lr_schedule = lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.25, total_iters=3)
    found = module.configure_optimizers()
    assert found["lr_scheduler"]["interval"] == "step"
    assert found["optimizer"].param_groups[0]["lr"] == pytest.approx(0.25e-3)
    assert SimpleNamespace(**found["lr_scheduler"]).scheduler.optimizer is found["optimizer"]
