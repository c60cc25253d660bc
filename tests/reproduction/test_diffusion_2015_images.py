"""Experiments of diffusion (2015) on images: their numbers typed a second time, what their figures and claims name."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch

from reprise.config.check import check_config
from reprise.config.compose import Composed, compose_config, read_choice
from reprise.config.errors import ConfigError
from reprise.config.instantiate import instantiate
from reprise.config.protocol import difference, flatten, protocol_values
from reprise.models.diffusion_2015.image_module import ImageDiffusion2015
from reprise.reproduction.papers import read_paper

# data, side, batch, form of a reverse step, style of the network, T, first rate, iterations
ROWS = {
    "cifar10": ("CIFAR10", 32, 200, "step", "code", 1000, 2e-3, 425_000),
    "mnist": ("MNIST", 28, 512, "decay", "paper", 1000, 2e-3, 97_000),
    "dead_leaves": ("DeadLeaves", 32, 200, "decay", "paper", 1000, 2e-3, 425_000),
    "bark": ("ImagePatches", 32, 200, "decay", "paper", 500, 3e-3, 425_000),
}
# layers of convolution, filters, scales; dense layers, units, features of a pixel; 1x1 layers, features between
NETWORKS = {
    "cifar10": (6, 100, 1, 6, 1000, 5, 4, 100),
    "mnist": (0, 20, 1, 4, 500, 2, 2, 20),
    "dead_leaves": (6, 100, 4, 0, 500, 2, 4, 100),
    "bark": (6, 100, 4, 0, 500, 2, 4, 100),
}
# 3 -> 100 -> ... -> 100, 3072 -> 1000 -> ... -> 5 * 1024, 105 -> 100 -> 100 -> 100 -> 6 * 10
CIFAR10 = (
    (28 * 100 + 5 * 901 * 100) + (3073 * 1000 + 4 * 1001 * 1000 + 1001 * 5120) + (106 + 101 + 101) * 100 + 101 * 60
)
MNIST = 785 * 500 + 2 * 501 * 500 + 501 * 1568 + 3 * 20 + 21 * 20
TEXTURES = 4 * (10 * 100 + 5 * 901 * 100) + 3 * 101 * 100 + 101 * 20
PARAMETERS = {"cifar10": CIFAR10, "mnist": MNIST, "dead_leaves": TEXTURES, "bark": TEXTURES}


@functools.cache
def composed(*words: str) -> Composed:
    return compose_config([*words, "data.root=FOLDER"])


def of(name: str) -> dict[str, Any]:
    return dict(flatten(composed(f"experiment=diffusion_2015/{name}").values))


def last(name: str) -> str:
    return name.rsplit(".", 1)[-1]


@pytest.mark.parametrize("name", ROWS)
def test_rows_have_their_numbers(name: str) -> None:
    check_config(composed(f"experiment=diffusion_2015/{name}").values)
    found, network = of(name), "model.network."
    assert (
        last(found["data._target_"]),
        found["data.shape.side"],
        found["data.batch_size"],
        found["model.chain.reverse"],
        found[f"{network}style"],
        found["model.chain.rates.steps"],
        found["model.chain.rates.first"],
        found["trainer.max_steps"],
    ) == ROWS[name]
    layers = ("convolution_layers", "filters", "scales")
    dense = ("dense_layers", "dense_hidden", "dense_outputs", "pixel_layers", "pixel_hidden")
    assert tuple(found[network + key] for key in layers + dense) == NETWORKS[name]
    assert (found[f"{network}bumps"], found[f"{network}bump_width"]) == (10, 0.5 if name == "cifar10" else 1.0)
    assert found[f"{network}steps"] == found["model.chain.rates.steps"]
    assert (found["model.chain.rates.initial"], found["model.chain.rates.learned"]) == ("erase_half", False)
    assert last(found["model.optimizer._target_"]) == "RMSprop" and found["model.optimizer.lr"] == 1e-3
    assert (found["model.optimizer.alpha"], found["model.optimizer.eps"]) == (0.9, 1e-10)
    assert found["model.lr_schedule.gamma"] ** 500_000 == pytest.approx(0.1, rel=1e-4)
    assert (found["monitor"], found["monitor_mode"]) == ("val/bound_bits", "max")
    assert (found["model.parzen_samples"], found["model.parzen_validation"]) == (10_000 * (name == "mnist"), 1000)


@pytest.mark.parametrize("name", ROWS)
def test_modules_are_built_and_have_the_parameters_of_their_sizes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.init, "orthogonal_", lambda tensor: tensor)  # takes seconds at these sizes
    found = instantiate(composed(f"experiment=diffusion_2015/{name}").values["model"])
    assert isinstance(found, ImageDiffusion2015)
    assert sum(p.numel() for p in found.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", ROWS)
def test_a_smoke_run_deviates_by_its_budget_only(name: str) -> None:
    word = f"experiment=diffusion_2015/{name}"
    budgets = ("smoke", "diffusion_2015_images/_smoke")
    allowed = {key for budget in budgets for key, _ in flatten(read_choice("budget", budget))}
    protocols = [protocol_values(composed(*words).values) for words in ((word,), (word, "budget=smoke"))]
    found = {key for key, _, _ in difference(*protocols)}
    assert {"trainer.max_steps", "model.chain.rates.steps"} <= found <= allowed | {"model.network.steps"}


def test_figures_and_claims_name_what_yields_them() -> None:
    paper = read_paper("diffusion_2015")
    recipes = {t.id.removeprefix("diffusion_2015/"): t.recipe and t.recipe.experiment for t in paper.targets}
    for row in ("bark", "cifar10"):
        for column in ("bound", "gain"):
            assert recipes[f"bounds/{row}/{column}"] == f"diffusion_2015/{row}"
    leaves = ("bounds/dead_leaves/bound", "bounds/dead_leaves/gain", "dead_leaves/diffusion/log_likelihood")
    for target in paper.targets:  # dead leaves are not the paper's
        if target.id.removeprefix("diffusion_2015/") in leaves:
            assert target.recipe is None and target.why
            assert target.standin is not None and target.standin.experiment == "diffusion_2015/dead_leaves"
    for column in ("parzen_bits", "parzen_nats"):
        assert recipes[f"mnist/diffusion/{column}"] == "diffusion_2015/mnist"
    terms = {c.id: [t.recipe and t.recipe.experiment for t in c.terms] for c in paper.claims}
    for claim, name in (("beats_null_cifar10", "cifar10"), ("beats_gsn", "mnist")):
        assert terms[claim] == [f"diffusion_2015/{name}"]


def test_the_columns_of_table_1_differ_by_the_entropy_of_a_unit_gaussian_a_pixel() -> None:
    """So a pixel is all of its colours, and data have variance 1: what bounds are measured in here."""
    entropy = 0.5 * torch.log2(torch.tensor(2 * torch.pi * torch.e)).item()
    (table,) = (t for t in read_paper("diffusion_2015").tables if t.id == "bounds")
    rows = {row.id: row.targets for row in table.rows}
    for row, colours, rounding in (("bark", 1, 0.06), ("dead_leaves", 1, 0.001), ("cifar10", 3, 0.1)):
        bound, gain = (rows[row][column].value for column in ("bound", "gain"))
        assert bound is not None and gain is not None
        assert gain - bound == pytest.approx(colours * entropy, abs=rounding), row


def test_bark_asks_for_its_photographs() -> None:
    with pytest.raises(ConfigError, match=r"data\.root is missing"):
        check_config(compose_config(["experiment=diffusion_2015/bark"]).values)
