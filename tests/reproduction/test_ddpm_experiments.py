"""Experiments of DDPM: their numbers typed a second time, what sets them apart, and what they measure."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch

from reprise.config.check import check_config
from reprise.config.compose import group_choices, read_choice
from reprise.config.errors import ConfigError
from reprise.config.instantiate import instantiate
from reprise.config.protocol import ABSENT, difference, flatten
from reprise.reproduction.assess import assess
from reprise.reproduction.estimate import Estimator
from reprise.reproduction.evidence import Evidence
from reprise.reproduction.paper import Recipe
from reprise.reproduction.planning import make_plan, select
from reprise.training.trainer import build_module
from tests.reproduction.experiments import changed, composed, last, of, paper, protocol
from tests.reproduction.records import HandMade

SAMPLING = "reprise.diffusion.steps.Sampling"
# what each row on CIFAR-10 changes of the one of L_simple
CIFAR: dict[str, dict[str, Any]] = {
    "cifar10_l_simple": {},
    "cifar10_l": {"model.loss": "bound"},
    "cifar10_l_learned": {
        "model.loss": "bound",
        "model.variance": "learned",
        "model.network.learned_variance": True,
    },
    "cifar10_mean_l": {"model.loss": "bound", "model.predicts": "mean"},
    "cifar10_mean_l_learned": {
        "model.loss": "bound",
        "model.predicts": "mean",
        "model.variance": "learned",
        "model.network.learned_variance": True,
    },
    "cifar10_mean_mse": {"model.predicts": "mean"},
    "cifar10_x_0": {"model.predicts": "x_0"},
    "cifar10_small_variance": {"model.variance": "small"},
    "cifar10_no_dropout": {"model.network.dropout": 0.0},
    "cifar10_raw_weights": {"callbacks.ema.decay": 0.0},
    "cifar10_few_steps": {
        "model.few_steps": ABSENT,  # an empty one
    }
    | {
        f"model.few_steps.{name}_{steps}.{key}": value
        for name, choice in (
            ("large", ("variance", "large")),
            ("small", ("variance", "small")),
            ("ddim", ("method", "ddim")),
        )
        for steps in (10, 50)
        for key, value in (("_target_", SAMPLING), ("steps", steps), choice)
    },
}
# thousands of iterations, mirrored, channels
LARGE = {
    "celebahq": (500, True, 128),
    "lsun_church": (1200, True, 128),
    "lsun_bedroom": (2400, False, 128),
    "lsun_bedroom_large": (1150, False, 192),
    "lsun_cat": (1800, True, 128),
}
EXPERIMENTS = sorted(f"ddpm/{name}" for name in (*CIFAR, *LARGE))
SIMPLE = Recipe("ddpm/cifar10_l_simple")
MNIST = "budget=ddpm/mnist_minutes"


@functools.cache
def versions(*words: str) -> dict[str, int]:
    """Metrics of a run's module, which is built with few weights and not kept: FID holds large matrices."""
    built: Any = build_module(composed(*words, "model.network.channels=8", "model.network.blocks=1").values)
    found: dict[str, int] = built.metric_versions()
    return found


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_is_right(experiment: str) -> None:
    for words in ([], ["budget=smoke"], [MNIST]):
        check_config(composed(f"experiment={experiment}", *words).values)


def test_no_experiment_is_forgotten_here() -> None:
    assert {e for e in group_choices("experiment") if e.startswith("ddpm/")} == set(EXPERIMENTS)


def test_table_1_has_the_papers_numbers() -> None:
    found, network = of("ddpm/cifar10_l_simple"), "model.network."
    assert last(found[f"{network}_target_"]) == "UNet"
    assert [found[network + k] for k in ("channels", "blocks", "dropout", "learned_variance")] == [128, 2, 0.1, False]
    assert [found[network + k] for k in ("multipliers", "attention")] == [[1, 2, 2, 2], [16]]
    assert last(found["model.schedule._target_"]) == "linear"
    assert [found[f"model.schedule.{k}"] for k in ("start", "end", "steps")] == [1e-4, 0.02, 1000]
    assert [found[f"model.{k}"] for k in ("predicts", "loss", "variance", "cdf")] == [
        "epsilon",
        "simple",
        "large",
        "tanh",
    ]
    assert found["model.optimizer._target_"] == "torch.optim.Adam" and found["model.optimizer.lr"] == 2e-4
    assert not {"model.optimizer.betas", "model.optimizer.eps"} & found.keys()  # the standard values
    assert (found["model.lr_schedule.total_iters"], found["trainer.gradient_clip_val"]) == (5000, 1.0)
    assert [found[f"callbacks.ema.{k}"] for k in ("decay", "warmup", "evaluate")] == [0.9999, False, True]
    assert (found["trainer.max_steps"], found["data.batch_size"], found["data.flip"]) == (800_000, 128, True)
    assert found["trainer.precision"] == "32-true"
    # trained on all 50,000 images; the training images' bits/dim is in the table too
    assert (last(found["data._target_"]), found["data.val_examples"]) == ("CIFAR10", 0)
    assert found["data.train_images"] > 0


def test_samples_are_those_of_algorithm_2_and_measured_as_in_the_paper() -> None:
    found = of("ddpm/cifar10_l_simple")
    way = {k: v for k, v in found.items() if k.startswith("model.sampling.")}
    assert way == {
        "model.sampling._target_": SAMPLING,
        "model.sampling.steps": None,
        "model.sampling.variance": None,
        "model.sampling.method": "ancestral",
        "model.sampling.clip": True,
    }
    measured = {name for name in versions("experiment=ddpm/cifar10_l_simple") if "fid" in name or "score" in name}
    assert {name for name in measured if name.startswith("test/")} == {
        f"test/{name}" for name in ("fid_50k", "fid_50k_test_images", "inception_score", "inception_score_std")
    }
    assert found["model.test_terms"] is None and found["data.limit_test"] is None  # the whole bound, of all test images


@pytest.mark.parametrize("name", CIFAR)
def test_rows_on_cifar10_change_what_they_are_about(name: str) -> None:
    assert changed(SIMPLE, Recipe(f"ddpm/{name}")) == CIFAR[name]


@pytest.mark.parametrize("name", LARGE)
def test_rows_of_256_pixels_have_the_papers_numbers(name: str) -> None:
    found, network = of(f"ddpm/{name}"), "model.network."
    assert (found["trainer.max_steps"] // 1000, found["data.flip"], found[f"{network}channels"]) == LARGE[name]
    assert [found[network + k] for k in ("blocks", "dropout", "learned_variance")] == [2, 0.0, False]
    assert [found[network + k] for k in ("multipliers", "attention")] == [[1, 1, 2, 2, 4, 4], [16]]
    assert [found[f"data.shape.{k}"] for k in ("channels", "side", "levels")] == [3, 256, 256]
    assert (found["data.batch_size"], found["model.optimizer.lr"], found["model.variance"]) == (64, 2e-5, "small")
    same = (
        "model.predicts",
        "model.loss",
        "model.schedule.steps",
        "callbacks.ema.decay",
        "model.lr_schedule.total_iters",
    )
    simple = of("ddpm/cifar10_l_simple")
    assert all(found[key] == simple[key] for key in (*same, "trainer.gradient_clip_val", "model.quality.samples"))


def test_rows_of_bedroom_differ_in_the_network_and_the_iterations() -> None:
    found = changed(Recipe("ddpm/lsun_bedroom"), Recipe("ddpm/lsun_bedroom_large"))
    assert found == {"model.network.channels": 192, "trainer.max_steps": 1_150_000}


# of the authors' code, but for the large one, whose width is a guess
SIZES = {
    "cifar10_l_simple": 35_746_307,
    "cifar10_l_learned": 35_746_307 + 3 * (9 * 128 + 1),
    "celebahq": 113_673_219,
    "lsun_bedroom_large": 255_677_955,
}


@pytest.mark.parametrize("name", SIZES)
def test_networks_have_the_papers_number_of_parameters(name: str) -> None:
    with torch.device("meta"):
        network = instantiate(composed(f"experiment=ddpm/{name}").values["model"]["network"])
    assert sum(p.numel() for p in network.parameters()) == SIZES[name]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_builds_and_knows_its_monitor(experiment: str) -> None:
    for words in ([], ["budget=smoke"]):
        words = [f"experiment={experiment}", *words]
        assert composed(*words).values["monitor"] in versions(*words)


def measured_by(recipe: Recipe, measure: str) -> int | None:
    """The version of a measure that runs yield; runs on MNIST alone measure digits' features."""
    return versions(*recipe.words, *([MNIST] if "digits" in measure else [])).get(measure)


def test_figures_are_measured_by_what_they_name() -> None:
    own = [t for t in paper("ddpm").targets if not t.baseline]
    assert len(own) > 40
    assert {t.table for t in own if t.recipe is None} == {"speed"}
    for target in own:
        if target.recipe is not None and target.measure is not None:
            assert measured_by(target.recipe, target.measure) == target.version, target.id


def test_claims_are_measured_by_what_they_name() -> None:
    assert {c.id for c in paper("ddpm").claims if not c.runnable} == {"like_progressive_gan"}
    for claim in paper("ddpm").claims:
        for term in claim.terms:
            if term.recipe is not None and term.measure is not None:
                assert measured_by(term.recipe, term.measure) is not None, (claim.id, term.measure)


NETWORK_VARIANCE = {"model.variance", "model.network.learned_variance"}


@pytest.mark.parametrize(
    ("claim", "keys"),
    [
        ("simple_beats_bound_on_samples", {"model.loss"}),
        ("bound_beats_simple_on_likelihood", {"model.loss"}),
        ("mu_and_eps_alike_on_bound", {"model.predicts"}),
        ("learned_variance_hurts", NETWORK_VARIANCE),
        ("learned_variance_unstable", NETWORK_VARIANCE),
        ("mu_fails_without_weights", {"model.predicts"}),
        ("x0_worse", {"model.predicts"}),
        ("variances_alike", {"model.variance"}),
        ("dropout_helps", {"model.network.dropout"}),
        ("averaged_weights_help", {"callbacks.ema.decay"}),
        ("larger_bedroom_helps", {"model.network.channels", "trainer.max_steps"}),
    ],
)
def test_compared_runs_differ_in_what_the_claim_is_about(claim: str, keys: set[str]) -> None:
    for name in (claim, f"{claim}_mnist"):
        found = [c for c in paper("ddpm").claims if c.id == name]
        for one in found:
            first, second = (term.recipe for term in one.terms)
            assert first is not None and second is not None
            assert changed(first, second).keys() == keys
            if name != claim:  # which is for runs of that budget
                assert changed(first, second, MNIST).keys() == keys
        assert found or name != claim


def test_the_budget_for_claims_cuts_all_alike_and_not_what_they_compare() -> None:
    cuts = []
    for name in CIFAR.keys() - {"cifar10_few_steps"}:  # which has some of what the budget adds
        word = f"experiment=ddpm/{name}"
        cuts.append({key: now for key, _, now in difference(protocol(word), protocol(word, MNIST))})
    assert all(cut == cuts[0] for cut in cuts)
    compared = {
        "model.loss",
        "model.predicts",
        "model.variance",
        "model.network.learned_variance",
        "model.network.dropout",
    }
    assert not (compared | {"callbacks.ema.decay", "model.sampling.steps", "model.sampling.method"}) & cuts[0].keys()
    assert cuts[0]["data._target_"] == "reprise.data.images.mnist.MNIST"


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_smoke_run_deviates_by_its_budget_only(experiment: str) -> None:
    word = f"experiment={experiment}"
    allowed = {key for choice in ("smoke", "ddpm/_smoke") for key, _ in flatten(read_choice("budget", choice))}
    found = {key for key, _, _ in difference(protocol(word), protocol(word, "budget=smoke"))}
    assert "trainer.max_steps" in found
    assert found <= allowed


def test_the_paper_is_planned_without_what_needs_data_of_ones_own() -> None:
    ddpm, ledger = paper("ddpm"), HandMade()
    (standing,) = assess([ddpm], Evidence(ledger, [ddpm]), Estimator(ledger))
    plan = make_plan(standing, None, 1, [], ledger, Estimator(ledger))
    left_out = {name for name, why in plan.skipped if "data.root is missing" in why}
    assert left_out == {f"ddpm/lsun_{name}" for name in ("bedroom", "bedroom_large", "cat", "church")}
    assert {job.recipe for job in plan.jobs} == {r for r in select(ddpm, None) if r.experiment not in left_out}
    with pytest.raises(ConfigError, match=r"data\.root is missing"):
        make_plan(standing, "table3", 1, [], ledger, Estimator(ledger))
