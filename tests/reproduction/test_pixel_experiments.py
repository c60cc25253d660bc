"""Experiments of PixelRNN, Gated PixelCNN and PixelCNN++: their numbers typed a second time, what sets them apart."""

from __future__ import annotations

import contextlib

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
from tests.reproduction.experiments import changed, composed, last, of, paper, protocol, values
from tests.reproduction.records import HandMade

PAPERS = ("pixelrnn", "gated_pixelcnn", "pixelcnn_pp")
# network, layers, h, width of the head, batch, residual, skip; then the data and the likelihood
PIXELRNN = {
    "mnist_pixelcnn": ("PixelCNN", 15, 16, 32, 16, True, False, "BinarizedMNIST", "Bernoulli"),
    "mnist_row_lstm": ("RowLSTM", 7, 16, 32, 16, True, False, "BinarizedMNIST", "Bernoulli"),
    "mnist_diagonal_bilstm": ("DiagonalBiLSTM", 7, 16, 32, 16, True, False, "BinarizedMNIST", "Bernoulli"),
    "mnist_diagonal_bilstm_1": ("DiagonalBiLSTM", 1, 32, 32, 16, True, False, "BinarizedMNIST", "Bernoulli"),
    "cifar10_pixelcnn": ("PixelCNN", 15, 128, 1024, 16, True, False, "CIFAR10", "Categorical"),
    "cifar10_row_lstm": ("RowLSTM", 12, 128, 1024, 16, True, False, "CIFAR10", "Categorical"),
    "cifar10_row_lstm_batch128": ("RowLSTM", 12, 128, 1024, 128, True, False, "CIFAR10", "Categorical"),
    "cifar10_diagonal_bilstm": ("DiagonalBiLSTM", 12, 128, 1024, 16, True, False, "CIFAR10", "Categorical"),
    "ablation_row_lstm": ("RowLSTM", 12, 128, 1024, 16, True, True, "CIFAR10", "Categorical"),
    "ablation_row_lstm_mcgsm": ("RowLSTM", 12, 128, 1024, 16, True, True, "CIFAR10", "MCGSM"),
    "imagenet32_row_lstm": ("RowLSTM", 12, 384, 1024, 64, True, False, "ImageFolder", "Categorical"),
    "imagenet64_row_lstm": ("RowLSTM", 4, 512, 1024, 32, False, False, "ImageFolder", "Categorical"),
}
# layers, maps, side, classes of the data, conditioning, iterations
GATED = {
    "cifar10": (15, 128, 32, 10, "none", 100_000),
    "imagenet32": (20, 384, 32, 0, "none", 200_000),
    "imagenet32_small": (10, 192, 32, 0, "none", 200_000),
    "imagenet32_class": (20, 384, 32, 1000, "class", 200_000),
    "imagenet64": (20, 384, 64, 0, "none", 200_000),
}
# what each row changes of the one for Table 1
PLUS_PLUS = {
    "cifar10": {},
    "cifar10_released": {"model.network.filters": 160},
    "cifar10_class_conditional": {"model.network.class_conditional": True},
    "no_shortcuts": {"model.network.shortcuts": False},
    "no_dropout": {"model.network.dropout": 0.0, "data.train_images": 10_000},
    "dilation": {"model.network.resample": "dilated"},
    "early_mixture": {"trainer.max_steps": 7812, "trainer.val_check_interval": 1953},
    "early_softmax": {
        "trainer.max_steps": 7812,
        "trainer.val_check_interval": 1953,
        "model.network.likelihood._target_": "reprise.nn.pixels.softmax_linear.LinearSoftmax",
        "model.network.likelihood.components": ABSENT,
    },
}
# layers, rows of the first one, blocks: fields of 4n + 3 by rows + 2n
SMALL = {
    f"small_{field}_{blocks}": (n, rows, blocks)
    for field, n, rows in (("11x5", 2, 1), ("15x8", 3, 2))
    for blocks in ("plain", "nin", "channel")
}
NAMES = {
    "pixelrnn": {*PIXELRNN, "imagenet64_multiscale"},
    "gated_pixelcnn": {*GATED, "blind_spot"},
    "pixelcnn_pp": {*PLUS_PLUS, *SMALL},
}
EXPERIMENTS = sorted(f"{paper}/{name}" for paper, names in NAMES.items() for name in names)
# Figures and claims that no run of this version yields.
NOT_RUN = {
    "gated_pixelcnn/training_time/gated_pixelcnn/hours",
    "pixelcnn_pp/training_time/bpd_3_00/hours",
    "pixelcnn_pp/training_time/bpd_2_92/hours",
}
NOT_TESTED = {
    "pixelrnn": {"multi_scale_coherent"},
    "gated_pixelcnn": {"less_time_than_pixelrnn", "same_person_portraits"},
    "pixelcnn_pp": {
        "mixture_computes_faster",
        "down_sampling_computes_less",
        "no_dropout_overfits_train",
        "small_field_samples",
    },
}


def recipes(claim: str) -> list[Recipe]:
    (found,) = (c for name in PAPERS for c in paper(name).claims if c.id == claim)
    assert all(term.recipe for term in found.terms)
    return [term.recipe for term in found.terms if term.recipe]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_is_right(experiment: str) -> None:
    check_config(composed(f"experiment={experiment}").values)


def test_no_experiment_is_forgotten_here() -> None:
    assert {e for e in group_choices("experiment") if e.startswith(PAPERS)} == set(EXPERIMENTS)


@pytest.mark.parametrize("name", PIXELRNN)
def test_rows_of_pixelrnn_have_the_papers_numbers(name: str) -> None:
    found, network = of(f"pixelrnn/{name}"), "model.network."
    keys = ("layers", "hidden", "head_width")
    assert (
        last(found[f"{network}_target_"]),
        *(found[network + key] for key in keys),
        found["data.batch_size"],
        found[f"{network}residual"],
        found[f"{network}skip"],
        last(found["data._target_"]),
        last(found[f"{network}likelihood._target_"]),
    ) == PIXELRNN[name]
    assert found[f"{network}first_kernel"] == 7
    assert found["model.optimizer._target_"] == "torch.optim.RMSprop"
    assert found["callbacks.checkpoint._target_"] and "callbacks.ema._target_" not in found


def test_learning_rates_of_pixelrnn_all_end_at_a_hundredth() -> None:
    for name in NAMES["pixelrnn"]:
        found = of(f"pixelrnn/{name}")
        assert found["model.lr_schedule.gamma"] ** found["trainer.max_steps"] == pytest.approx(0.01, rel=0.02)


def test_both_scales_are_the_single_scale_network() -> None:
    single, found = of("pixelrnn/imagenet64_row_lstm"), of("pixelrnn/imagenet64_multiscale")
    for scale in ("small", "large"):
        for key in ("_target_", "layers", "hidden", "head_width", "residual", "skip", "first_kernel"):
            assert found[f"model.network.{scale}.{key}"] == single[f"model.network.{key}"], (scale, key)
    for key in ("data.batch_size", "data.shape.side", "trainer.max_steps", "model.lr_schedule.gamma"):
        assert found[key] == single[key]
    assert single["data.batch_size"] == 32


@pytest.mark.parametrize("name", GATED)
def test_rows_of_gated_pixelcnn_have_the_papers_numbers(name: str) -> None:
    found = of(f"gated_pixelcnn/{name}")
    keys = ("model.network.layers", "model.network.hidden", "data.shape.side", "data.shape.classes")
    more = ("model.network.conditioning", "trainer.max_steps")
    assert tuple(found[key] for key in keys + more) == GATED[name]
    assert (found["model.network.kernel"], found["data.batch_size"]) == (5, 128)
    assert (found["model.network.stacks"], found["model.network.activation"]) == ("two", "gate")
    assert found["model.network.vertical_residual"] is False
    assert found["model.optimizer._target_"] == "torch.optim.Adam"


def test_table_1_of_pixelcnn_pp_has_the_papers_numbers() -> None:
    found, network = of("pixelcnn_pp/cifar10"), "model.network."
    assert [found[network + k] for k in ("filters", "resnets", "levels_down", "dropout")] == [192, 5, 3, 0.5]
    assert (found[f"{network}shortcuts"], found[f"{network}resample"]) == (True, "strided")
    assert last(found[f"{network}likelihood._target_"]) == "LogisticMixture"
    assert found[f"{network}likelihood.components"] == 10
    assert last(found["model.optimizer._target_"]) == "Adam"
    assert [found[f"model.optimizer.{k}"] for k in ("lr", "betas")] == [1e-3, [0.95, 0.9995]]
    assert (found["model.lr_schedule.gamma"], found["callbacks.ema.decay"]) == (0.999995, 0.9995)
    assert found["callbacks.ema.evaluate"] is True
    assert (found["data.batch_size"], found["model.initial_batch"]) == (128, 16)
    # all 50,000 images are trained on, without mirroring
    assert (last(found["data._target_"]), found["data.val_examples"], found["data.flip"]) == ("CIFAR10", 0, False)


@pytest.mark.parametrize("name", PLUS_PLUS)
def test_rows_of_pixelcnn_pp_change_what_they_are_about(name: str) -> None:
    assert changed(Recipe("pixelcnn_pp/cifar10"), Recipe(f"pixelcnn_pp/{name}")) == PLUS_PLUS[name]


@pytest.mark.parametrize("name", SMALL)
def test_small_fields_have_the_papers_size(name: str) -> None:
    found = of(f"pixelcnn_pp/{name}")
    keys = ("resnets", "first_rows", "blocks")
    assert tuple(found[f"model.network.{key}"] for key in keys) == SMALL[name]
    assert changed(Recipe(f"pixelcnn_pp/{name.rsplit('_', 1)[0]}_plain"), Recipe(f"pixelcnn_pp/{name}")).keys() <= {
        "model.network.blocks"
    }


# millions; the papers count without the first convolution's and the output's odds and ends
SIZES = {
    "pixelrnn/mnist_diagonal_bilstm": (0.065, 0.08),
    "pixelrnn/cifar10_pixelcnn": (5.2, 5.5),
    "pixelrnn/cifar10_row_lstm": (9.5, 9.9),
    "pixelrnn/cifar10_diagonal_bilstm": (8.7, 9.2),
    "pixelrnn/imagenet64_row_lstm": (27.0, 45.0),
    "pixelcnn_pp/cifar10_released": (53.5, 53.7),
}


@pytest.mark.parametrize("experiment", SIZES)
def test_networks_have_about_as_many_parameters_as_the_sizes_give(experiment: str) -> None:
    with torch.device("meta"):
        network = instantiate(composed(f"experiment={experiment}").values["model"]["network"])
    low, high = SIZES[experiment]
    assert low < sum(p.numel() for p in network.parameters()) / 1e6 < high


def test_own_figures_and_claims_name_what_yields_them() -> None:
    for name in PAPERS:
        own = [t for t in paper(name).targets if not t.baseline]
        assert {t.id for t in own if t.recipe is None} == {i for i in NOT_RUN if i.startswith(f"{name}/")}
        assert {c.id for c in paper(name).claims if not c.runnable} == NOT_TESTED[name]


def test_connections_differ_in_the_connections_only() -> None:
    (table,) = (t for t in paper("pixelrnn").tables if t.id == "connections")
    keys = ("model.network.residual", "model.network.skip")
    found = {}
    for row in table.rows:
        for column, target in row.targets.items():
            assert target.recipe is not None
            assert changed(Recipe("pixelrnn/ablation_row_lstm"), target.recipe).keys() <= set(keys)
            found[row.id, column] = tuple(values(*target.recipe.words)[key] for key in keys)
    assert found == {
        ("no_residual", "no_skip"): (False, False),
        ("no_residual", "skip"): (False, True),
        ("residual", "no_skip"): (True, False),
        ("residual", "skip"): (True, True),
    }
    claimed = {
        c: [tuple(values(*r.words)[k] for k in keys) for r in recipes(c)]
        for c in ("residual_helps", "skip_helps", "both_best")
    }
    assert claimed == {
        "residual_helps": [(False, False), (True, False)],
        "skip_helps": [(False, False), (False, True)],
        "both_best": [(True, False), (True, True)],
    }


def test_depths_differ_in_the_depth_only() -> None:
    first, *others = recipes("depth_helps")
    assert [values(*r.words)["model.network.layers"] for r in (first, *others)] == [1, 2, 3, 6, 9, 12]
    for other in others:
        assert changed(first, other).keys() == {"model.network.layers"}


@pytest.mark.parametrize(
    ("claim", "keys"),
    [
        ("few_components_suffice", {"model.network.likelihood.components"}),
        ("mixture_learns_faster", {"model.network.likelihood._target_", "model.network.likelihood.components"}),
        ("shortcuts_needed", {"model.network.shortcuts"}),
        ("down_sampling_costs_nothing", {"model.network.resample"}),
        ("class_does_not_help", {"model.network.class_conditional"}),
        ("vertical_residual_brings_nothing", {"model.network.vertical_residual"}),
        ("no_blind_spot", {"model.network.stacks"}),
        ("larger_is_better", {"model.network.layers", "model.network.hidden"}),
        ("class_hardly_changes_likelihood", {"model.network.conditioning"}),
    ],
)
def test_compared_networks_differ_in_what_the_claim_is_about(claim: str, keys: set[str]) -> None:
    one, other = recipes(claim)
    assert changed(one, other).keys() == keys


@pytest.mark.parametrize("claim", ["residual_helps", "skip_helps", "both_best", "depth_helps"])
def test_the_budget_for_claims_cuts_all_alike_and_not_what_they_compare(claim: str) -> None:
    budget, cuts = "budget=row_lstm/mnist_minutes", []
    for recipe in recipes(claim):
        found = difference(protocol(*recipe.words), protocol(*recipe.words, budget))
        cuts.append({key: now for key, _, now in found})
        check_config(composed(*recipe.words, budget).values)
    assert all(cut == cuts[0] for cut in cuts)
    assert not {f"model.network.{k}" for k in ("layers", "residual", "skip")} & cuts[0].keys()
    assert cuts[0]["data._target_"] == "reprise.data.images.binarized_mnist.BinarizedMNIST"
    assert "data.batch_size" not in cuts[0]  # 16 in the experiment too


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_smoke_run_deviates_by_its_budget_only(experiment: str) -> None:
    word = f"experiment={experiment}"
    allowed = {key for key, _ in flatten(read_choice("budget", "smoke"))}
    with contextlib.suppress(ConfigError):  # a model that is small enough as it is has none
        allowed |= {key for key, _ in flatten(read_choice("budget", f"{composed(word).choices['model']}/_smoke"))}
    found = {key for key, _, _ in difference(protocol(word), protocol(word, "budget=smoke"))}
    assert "trainer.max_steps" in found
    assert found <= allowed


def test_a_paper_is_planned_without_what_needs_data_of_ones_own() -> None:
    pixelrnn, ledger = paper("pixelrnn"), HandMade()
    (standing,) = assess([pixelrnn], Evidence(ledger, [pixelrnn]), Estimator(ledger))
    plan = make_plan(standing, None, 1, [], ledger, Estimator(ledger))
    left_out = {name: why for name, why in plan.skipped if "data.root is missing" in why}
    assert set(left_out) == {f"pixelrnn/imagenet{x}" for x in ("32_row_lstm", "64_row_lstm", "64_multiscale")}
    assert {job.recipe for job in plan.jobs} == {r for r in select(pixelrnn, None) if r.experiment not in left_out}
    with pytest.raises(ConfigError, match=r"data\.root is missing"):
        make_plan(standing, "imagenet", 1, [], ledger, Estimator(ledger))
    with pytest.raises(ConfigError, match=r"model\.network\.nosuch"):
        make_plan(standing, None, 1, ["model.network.nosuch=3"], ledger, Estimator(ledger))
