"""Labels of the drawn shapes: what their law is meant to show, and that labels and config follow it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reprise.cli.common import compose_checked
from reprise.config.errors import ConfigError
from reprise.config.instantiate import instantiate
from reprise.data.labels.celeba import CelebALabels
from reprise.data.labels.shapes import ShapeLabels, shape_labels, shape_law
from reprise.nn.causal.law import LabelLaw
from reprise.nn.causal.queries import query_table
from tests.nn.causal.test_graph_configs import built

LAW = shape_law()
JOINT = LAW.joint()


def test_the_graph_is_that_of_the_config() -> None:
    assert built("shapes") == LAW.graph


def test_an_effect_never_occurs_without_its_cause() -> None:
    assert JOINT.marginal("Ringed") == pytest.approx(0.45 * (0.4 * 0.2 + 0.6 * 0.35))
    assert JOINT.probability({"Round": 0}, {"Ringed": 1}) == 0
    done = LAW.do({"Ringed": 1})
    assert done.marginal("Round") == pytest.approx(JOINT.marginal("Round")) == 0.45
    unseen = (done.table > 0) & (JOINT.table == 0)
    assert done.table[unseen].sum() == pytest.approx(0.55)


def test_an_effect_tells_of_its_cause_and_does_not_make_it() -> None:
    large = JOINT.marginal("Large")
    assert JOINT.probability({"Large": 1}, {"Striped": 1}) > large + 0.2
    assert LAW.do({"Striped": 1}).marginal("Large") == pytest.approx(large)
    assert LAW.do({"Large": 1}).marginal("Striped") == pytest.approx(0.75)


def test_a_common_cause_ties_its_effects() -> None:
    """Large and Ringed have no arrow between them, and Round and Red point at both."""
    assert JOINT.probability({"Large": 1}, {"Ringed": 1}) > JOINT.marginal("Large") + 0.1
    assert LAW.do({"Ringed": 1}).marginal("Large") == pytest.approx(JOINT.marginal("Large"))
    assert "Ringed" not in LAW.graph.descendants("Large") | LAW.graph.ancestors("Large")


def test_every_query_separates_seeing_from_doing_or_is_a_cause() -> None:
    asked = query_table(LAW.graph.names)
    assert {"p_round/do_ringed", "p_large/given_striped", "p_striped/do_large"} <= {q.name for q in asked}
    for query in asked:
        if query.kind == "given":
            (effect,), (on,) = query.event, query.values
            seen, done = query.answered(JOINT, LAW), LAW.do(query.values).probability(query.event)
            if on not in LAW.graph.ancestors(effect):
                assert abs(seen - done) > 0.1, query.name
                assert done == pytest.approx(JOINT.probability(query.event))


def test_draws_follow_the_law_and_their_number_alone() -> None:
    rows = shape_labels(3, range(4000))
    assert LabelLaw.of_rows(LAW.graph.names, rows).tvd(JOINT) < 0.06  # 64 combinations: about 0.03
    np.testing.assert_array_equal(shape_labels(3, range(17, 29)), rows[17:29])
    assert (shape_labels(4, range(100)) != rows[:100]).any()


def test_the_data_module() -> None:
    data = ShapeLabels(0, count=300, split_seed=3)
    assert data.label_names == list(LAW.graph.names) and data.true_law.graph == LAW.graph
    np.testing.assert_array_equal(data.problem()["labels"].numpy(), shape_labels(3, range(300)))
    assert data.law().tvd(LabelLaw.of_rows(data.label_names, shape_labels(3, range(300)))) == 0
    digests = data.data_digests()
    assert digests["rows"] == 300 and digests["split_seed"] == 3 and digests["name"] == "shapes"
    with pytest.raises(ConfigError, match=r"data\.count is 0"):
        ShapeLabels(0, count=0)


MODEL = ["model=wavegrad", "model.features={_target_:reprise.nn.spectrogram.LogMel,sample_rate:22050,f_max:11025}"]
MODEL += ["model.network.n_mels=128"]


@pytest.mark.parametrize(
    ("words", "kind", "count"),
    [
        (["data=shape_labels"], ShapeLabels, 6),
        (["data=celeba_labels", "data.root=FOLDER"], CelebALabels, 13),
        (["data=celeba_labels", "data.root=FOLDER", "data.attributes=all"], CelebALabels, 40),
    ],
)
def test_configs_are_right_and_build(words: list[str], kind: type, count: int) -> None:
    values: dict[str, Any] = compose_checked([*MODEL, *words]).values["data"]
    data = instantiate(values)
    assert isinstance(data, kind) and len(data.label_names) == count


def test_the_embedded_labels_are_as_many_as_its_pictures() -> None:
    counts = [compose_checked([*MODEL, f"data={n}"]).values["data"] for n in ("shape_labels", "shapes")]
    assert (counts[0]["count"], counts[0]["split_seed"]) == (counts[1]["images"], counts[1]["split_seed"])
    graphs = ("g1", "small", "complete_minimal", "subset1_nodes", "male_causes_beard", "young_causes_gray", "myeso")
    names = compose_checked([*MODEL, "data=celeba_labels", "data.root=FOLDER"]).values["data"]["attributes"]
    assert {name for graph in graphs for name in built(graph).names} == set(names)
