"""Experiments of diffusion (2015) on generated data: their numbers typed a second time, what figures name them."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from reprise.config.check import check_config
from reprise.config.compose import Composed, compose_config
from reprise.config.instantiate import instantiate
from reprise.config.protocol import flatten
from reprise.models.diffusion_2015.binomial import BinomialChain
from reprise.models.diffusion_2015.gaussian import GaussianChain
from reprise.models.diffusion_2015.module import Diffusion2015
from reprise.reproduction.papers import read_paper

# data, values of an example, T, learned rates, first schedule, units, layers of units
ROWS: dict[str, tuple[Any, ...]] = {
    "swiss_roll": ("SwissRoll", 2, 40, True, "geometric", 16, None),
    "heartbeat": ("BinaryHeartbeat", 20, 2000, False, "erase", 50, 3),
}
PARAMETERS = {
    "swiss_roll": 16 * 2 + 16 + 40 * 16 * 4 + 39,
    "heartbeat": 21 * 50 + 2 * 51 * 50 + 2000 * 51 * 20,
}


@functools.cache
def composed(*words: str) -> Composed:
    return compose_config(list(words))


@pytest.mark.parametrize("name", ROWS)
def test_rows_have_their_numbers(name: str) -> None:
    values = composed(f"experiment=diffusion_2015/{name}").values
    check_config(values)
    found = dict(flatten(values))
    assert (
        found["data.distribution._target_"].rsplit(".", 1)[-1],
        found["data.dims"],
        found["model.chain.rates.steps"],
        found["model.chain.rates.learned"],
        found["model.chain.rates.initial"],
        found["model.network.hidden"],
        found.get("model.network.layers"),
    ) == ROWS[name]
    assert found["model.shape"] == [found["data.dims"]]
    assert (values["monitor"], values["monitor_mode"]) == ("val/bound_bits", "max")


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_built(name: str) -> None:
    module = instantiate(composed(f"experiment=diffusion_2015/{name}").values["model"])
    assert isinstance(module, Diffusion2015)
    assert sum(p.numel() for p in module.parameters()) == PARAMETERS[name]
    if name == "swiss_roll":
        assert isinstance(module.chain, GaussianChain)
        assert float(module.chain.rates().detach()[0]) == 1e-6
    else:
        assert isinstance(module.chain, BinomialChain)
        assert module.chain.rate == 0.2
        assert float(module.chain.rates()[0]) == 1 / 2000 and float(module.chain.rates()[-1]) == 1.0


@pytest.mark.parametrize("words", [["model=diffusion_2015"], ["model=diffusion_2015", "budget=smoke"]])
def test_the_model_runs_without_an_experiment(words: list[str]) -> None:
    check_config(composed(*words).values)


def test_figures_and_claims_name_the_rows() -> None:
    paper = read_paper("diffusion_2015")
    recipes = {t.id.removeprefix("diffusion_2015/"): t.recipe for t in paper.targets}
    terms = {c.id.removeprefix("diffusion_2015/"): c.terms for c in paper.claims}
    for name in ROWS:
        for column in ("bound", "gain"):
            recipe = recipes[f"bounds/{name}/{column}"]
            assert recipe is not None and recipe.experiment == f"diffusion_2015/{name}"
        (term,) = terms[f"beats_null_{name}"]
        assert term.recipe.experiment == f"diffusion_2015/{name}"
