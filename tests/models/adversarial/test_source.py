"""Labels from data, from a law and from a controller, against the laws they should follow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from reprise.config.errors import ConfigError, DataError, RunError
from reprise.models.adversarial.source import LabelSource
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.causal.law import CausalLaw, LabelLaw

GRAPH = CausalGraph({"Round": [], "Ringed": ["Round"], "Night": []})
TRUTH = CausalLaw(GRAPH, {"Round": np.array(0.4), "Ringed": np.array([0.0, 0.3]), "Night": np.array(0.5)})


def rows(count: int = 4000) -> np.ndarray:
    return np.asarray(TRUTH.sample(np.random.default_rng(0).random((count, 3))))


def uniform(count: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(count, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def frequencies(labels: Tensor) -> LabelLaw:
    return LabelLaw.of_rows(GRAPH.names, labels.numpy())


@pytest.mark.parametrize("labels_from", ["data", "law"])
def test_laws_are_drawn_from(labels_from: str) -> None:
    source = LabelSource(GRAPH, labels_from)  # type: ignore[arg-type]
    source.learn(rows(), TRUTH)
    u = uniform(20000, source.width)
    expected = LabelLaw.of_rows(GRAPH.names, rows()) if labels_from == "data" else TRUTH.joint()
    assert frequencies(source.observed(u)).tvd(expected) < 0.015
    assert (
        frequencies(source.conditioned(len(u), lambda count: u, {"Ringed": 1})).tvd(expected.given({"Ringed": 1}))
        < 0.015
    )
    assert frequencies(source.intervened(u, {"Ringed": 1})).tvd(expected.fit(GRAPH).do({"Ringed": 1})) < 0.015


def test_a_law_is_fitted_where_the_true_one_is_not_known() -> None:
    source = LabelSource(GRAPH, "law")
    source.learn(rows(), None)
    assert source.laws[0].tvd(LabelLaw.of_rows(GRAPH.names, rows()).fit(GRAPH).joint()) < 1e-12


def test_the_law_comes_back_from_a_checkpoint() -> None:
    source, other = LabelSource(GRAPH, "law"), LabelSource(GRAPH, "law")
    with pytest.raises(RunError, match="not known before training"):
        other.observed(uniform(2, 3))
    source.learn(rows(), TRUTH)
    other.load_state_dict(source.state_dict())
    assert other.laws[0].tvd(TRUTH.joint()) < 1e-12


def test_a_condition_that_never_happens_is_refused() -> None:
    source = LabelSource(GRAPH, "law")
    source.learn(rows(), TRUTH)
    with pytest.raises(DataError):
        source.conditioned(4, lambda count: uniform(count, 3), {"Round": 0, "Ringed": 1})


def test_too_many_labels_are_refused() -> None:
    with pytest.raises(ConfigError, match="21 labels"):
        LabelSource(CausalGraph({f"L{i}": [] for i in range(21)}), "data")


class _Controller:
    """Round where its noise is positive; Ringed only if Round and its own noise is; Night never."""

    noise_dims = 2

    def __call__(self, noise: Tensor, do: Mapping[str, Tensor | float] | None = None) -> Tensor:
        do = do or {}
        first = noise[..., 0]
        round_ = torch.full_like(first[..., 0], do["Round"]) if "Round" in do else (first[..., 0] > 0).float()
        ringed = (first[..., 1] > 0).float() * round_
        ringed = torch.full_like(ringed, do["Ringed"]) if "Ringed" in do else ringed
        return torch.stack([round_, ringed, torch.zeros_like(ringed)], -1) * 0.98 + 0.01


def test_a_controller_is_observed_conditioned_and_intervened_on() -> None:
    source = LabelSource(GRAPH, "controller", _Controller())
    assert source.width == 6
    seeds = iter(range(10_000))

    def draw() -> Tensor:
        return uniform(500, 6, next(seeds))

    assert source.observed(draw()).float().mean(0).tolist() == pytest.approx([0.5, 0.25, 0.0], abs=0.07)
    labels = source.conditioned(500, lambda count: uniform(count, 6, next(seeds)), {"Ringed": 1})
    assert labels.float().mean(0).tolist() == [1.0, 1.0, 0.0]
    assert source.intervened(draw(), {"Ringed": 1}).float().mean(0).tolist() == pytest.approx([0.5, 1.0, 0.0], abs=0.07)


def test_a_label_that_the_controller_lost_ends_with_counts_and_remedies() -> None:
    source = LabelSource(GRAPH, "controller", _Controller())
    with pytest.raises(RunError, match=r"^0 of 507904 draws meet .* Round=1 by \d+, Night=1 by 0\.") as refused:
        source.conditioned(2, lambda count: uniform(1, 6).expand(count, 6), {"Round": 1, "Night": 1})
    for remedy in ("model.controller.rare_share", "model.controller.pack", "intervene on these labels (do)"):
        assert remedy in str(refused.value)


def test_every_draw_that_meets_a_condition_is_taken() -> None:
    source = LabelSource(GRAPH, "controller", _Controller())
    asked: list[int] = []

    def draw(count: int) -> Tensor:
        asked.append(count)
        return uniform(count, 6, len(asked))

    labels = source.conditioned(3000, draw, {"Ringed": 1})
    assert labels.shape == (3000, 3) and labels.float().mean(0).tolist() == [1.0, 1.0, 0.0]
    assert sum(asked) < 3 * 8192  # a quarter of the draws is ringed
    everything = torch.cat([source.observed(uniform(8192, 6, seed)) for seed in range(1, len(asked) + 1)])
    assert torch.equal(labels, everything[everything[:, 1] == 1][:3000])


def test_a_condition_on_a_law_is_drawn_at_once() -> None:
    source = LabelSource(GRAPH, "law")
    source.learn(rows(), TRUTH)
    labels = source.conditioned(20000, lambda count: uniform(count, 3), {"Ringed": 0})
    assert frequencies(labels).tvd(TRUTH.joint().given({"Ringed": 0})) < 0.015
    with pytest.raises(DataError):
        source.conditioned(4, lambda count: uniform(count, 3), {"Round": 0, "Ringed": 1})


def test_unknown_conditionals_are_warned_of_where_they_are_used(caplog: pytest.LogCaptureFixture) -> None:
    graph = CausalGraph({"Round": [], "Ringed": ["Round"], "Night": ["Round", "Ringed"]})
    for labels_from, warned in (("data", True), ("law", True), ("controller", False)):
        caplog.clear()
        source = LabelSource(graph, labels_from, _Controller())  # type: ignore[arg-type]
        source.learn(rows(), None)
        said = (
            "of the graph fitted to the data, 1 conditional is undefined" in caplog.text and "(Night 1)" in caplog.text
        )
        assert said is warned, labels_from
    caplog.clear()
    LabelSource(GRAPH, "data").learn(rows(), None)
    assert not caplog.text


@pytest.mark.parametrize("labels_from", ["data", "law"])
@pytest.mark.parametrize("known", [True, False])
def test_a_graph_that_lets_happen_what_the_data_never_show_is_warned_of(
    labels_from: str, known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    independent_causes = CausalGraph({"Round": [], "Ringed": [], "Night": ["Round", "Ringed"]})
    source = LabelSource(independent_causes, labels_from)  # type: ignore[arg-type]
    source.learn(rows(), TRUTH if known else None)
    assert "1 conditional is undefined" in caplog.text and "(Night 1)" in caplog.text
