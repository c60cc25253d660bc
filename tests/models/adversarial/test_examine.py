"""The examination of a model that makes just what is asked for, of one that does not, and of one that lost a label."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from reprise.causal.graph import CausalGraph
from reprise.causal.law import CausalLaw
from reprise.causal.queries import Query
from reprise.config.errors import ConfigError, RunError
from reprise.metrics.labels.judge import Judge, JudgeSettings, train_judge
from reprise.models.adversarial.examine import Examination, Kind, examine
from reprise.samples.images import ImageGrid
from reprise.samples.labels import DoGivenGrid
from tests.metrics.labels.drawn import picture_of, pictures, scaled

NAMES = ("Bright", "Barred", "Rare")
GRAPH = CausalGraph({"Bright": [], "Barred": ["Bright"], "Rare": []})
LAW = CausalLaw(GRAPH, {"Bright": np.array(0.6), "Barred": np.array([0.1, 0.8]), "Rare": np.array(0.01)})
QUERIES = [
    Query("marginal", {"Bright": 1}),
    Query("do", {"Bright": 1}, {"Barred": 1}),
    Query("given", {"Bright": 1}, {"Barred": 1}),
    Query("do", {"Bright": 1}, {"Rare": 1}),
]


class Honest:
    """Pictures of just the labels that are asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Kind, dict[str, int]]] = []
        self.batches: list[int] = []

    def draw_labels(self, count: int, kind: Kind, values: dict[str, int], generator: torch.Generator) -> Tensor:
        self.asked.append((count, kind, values))
        law = LAW.do(values) if kind == "do" else LAW.joint().given(values) if values else LAW.joint()
        uniform = torch.rand(count, generator=generator, dtype=torch.float64)
        codes = torch.searchsorted(torch.from_numpy(law.table.ravel().cumsum()), uniform).clamp(max=7)
        return torch.stack([codes >> 2 & 1, codes >> 1 & 1, codes & 1], 1).to(torch.uint8)

    def images_of(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        self.batches.append(len(labels))
        rng = np.random.default_rng(int(torch.randint(1 << 30, (), generator=generator)))
        return scaled(picture_of(labels.round().numpy().astype(np.uint8), rng))


class Blind(Honest):
    """Pictures that have nothing to do with the labels."""

    def images_of(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        return super().images_of(torch.zeros_like(labels), generator)


class Forgetful(Honest):
    """A sampler of labels that lost one."""

    def draw_labels(self, count: int, kind: Kind, values: dict[str, int], generator: torch.Generator) -> Tensor:
        if kind == "given":
            raise RunError("Barred = 1 was met by none of 4000 draws.")
        return super().draw_labels(count, kind, values, generator)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return train_judge(*pictures(300, 0), NAMES, JudgeSettings(steps=50, width=8))


@pytest.fixture(scope="module")
def found(judge: Judge) -> Examination:
    return examine(Honest(), judge, NAMES, QUERIES, seed=0, count=400, batch=150, shown=5, distances=100)


def test_an_honest_model_shows_the_law(found: Examination) -> None:
    law = LAW.joint()
    for query in QUERIES[:3]:
        exact = query.answered(law, LAW)
        assert found.metrics[query.name] == pytest.approx(exact, abs=0.08)
        assert found.metrics[f"images_{query.name}"] == pytest.approx(found.metrics[query.name], abs=0.03)
    assert found.metrics["images_p_bright/do_barred"] < 0.7 < 0.85 < found.metrics["images_p_bright/given_barred"]
    assert min(found.metrics[f"agreement/{kind}_barred"] for kind in ("do", "given")) > 0.97
    assert min(found.metrics[f"agreement/observe/{name}"] for name in ("bright", "barred")) > 0.97


def test_what_cannot_be_judged_is_no_metric_but_a_note(found: Examination) -> None:
    assert "images_p_bright/do_rare" in found.metrics  # brightness is judged
    assert "agreement/do_rare" not in found.metrics and "agreement/do_rare: not measured" in found.notes
    assert any(note.startswith("Rare: not judged") for note in found.notes)
    assert not [name for name, value in found.metrics.items() if math.isnan(value)]
    assert "judge/accuracy/bright" in found.metrics


def test_distances_are_of_observed_labels(found: Examination) -> None:
    assert 0.0 < found.metrics["intra_label_distance/bright"] < found.metrics["intra_label_distance/not_barred"]
    assert 0.0 < found.metrics["intra_label_distance"] < 1.0


def test_pictures(found: Examination) -> None:
    grid, sweep = found.samples
    assert isinstance(grid, DoGivenGrid) and isinstance(sweep, ImageGrid)
    words = [[row.words for row in block] for block in grid.blocks]
    assert words == [["do(Barred = 1)", "given Barred = 1"], ["do(Rare = 1)"]]
    assert all(row.images is not None and len(row.images) == 5 for block in grid.blocks for row in block)
    assert [figure.words for figure in grid.blocks[0][0].found] == ["Bright", "Barred"]
    assert grid.blocks[1][0].found[1].judged is None
    assert sweep.row_titles == ["Bright", "Barred", "Rare"]


def test_a_sweep_changes_one_label_and_no_noise(found: Examination) -> None:
    sweep = found.samples[1]
    assert isinstance(sweep, ImageGrid)
    bright = sweep.images[:5].int()
    assert torch.equal(bright[0], bright[1]) and torch.equal(bright[3], bright[4])  # rounded to 0 and to 1
    assert not torch.equal(bright[0], bright[4])


def test_a_blind_model_fails_the_judge(judge: Judge) -> None:
    found = examine(Blind(), judge, NAMES, QUERIES, seed=0, count=100, batch=50)
    assert found.metrics["agreement/do_barred"] < 0.05
    assert found.metrics["images_p_bright/do_barred"] < 0.05 < found.metrics["p_bright/do_barred"]


def test_a_condition_that_is_never_met_is_said_so(judge: Judge) -> None:
    found = examine(Forgetful(), judge, NAMES, QUERIES, seed=0, count=50, batch=50)
    assert "given barred: Barred = 1 was met by none of 4000 draws." in found.notes
    assert not [name for name in found.metrics if "given_barred" in name]
    (grid, _) = found.samples
    assert isinstance(grid, DoGivenGrid)
    assert grid.blocks[0][1].images is None and "none of 4000" in grid.blocks[0][1].trouble


def test_draws_of_one_kind_do_not_depend_on_what_else_is_asked(judge: Judge) -> None:
    model = Honest()
    one = examine(model, judge, NAMES, QUERIES[2:3], seed=3, count=60, batch=25)
    assert model.asked == [(60, "observe", {}), (60, "given", {"Barred": 1})]
    assert model.batches[:6] == [25, 25, 10] * 2
    many = examine(Honest(), judge, NAMES, QUERIES, seed=3, count=60, batch=25)
    assert all(many.metrics[name] == value for name, value in one.metrics.items())
    other = examine(Honest(), judge, NAMES, QUERIES[2:3], seed=4, count=60, batch=25)
    assert other.metrics["intra_label_distance"] != one.metrics["intra_label_distance"]


def test_without_queries_there_are_no_pictures(judge: Judge) -> None:
    found = examine(Honest(), judge, NAMES, [], seed=0, count=20)
    assert not found.samples and "agreement/observe/bright" in found.metrics


def test_another_judge_is_refused(judge: Judge) -> None:
    with pytest.raises(ConfigError, match="in the same order"):
        examine(Honest(), judge, ("Barred", "Bright", "Rare"), QUERIES, seed=0)
    with pytest.raises(ConfigError, match="count of an examination is 0"):
        examine(Honest(), judge, NAMES, QUERIES, seed=0, count=0)
