"""What is chosen of labels, held against what there is."""

from __future__ import annotations

import pytest

from reprise.config.errors import ConfigError
from reprise.nn.causal.choices import columns_of, require_table, values_of
from reprise.nn.causal.graph import CausalGraph

GRAPH = CausalGraph({"Round": [], "Ringed": ["Round"]})


def test_columns_are_found_by_name() -> None:
    assert columns_of(["Male", "Young"], ["Young", "Bald", "Male"]) == [2, 0]


def test_a_label_that_the_data_lack_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'Mustach', which the data lack\. Did you mean 'Mustache'"):
        columns_of(["Male", "Mustach"], ["Male", "Mustache"])
    with pytest.raises(ConfigError, match=r"'Young', which the data lack\..*data\.attributes leaves it out, name it"):
        columns_of(["Male", "Young"], ["Male", "Mustache"])
    with pytest.raises(ConfigError, match="no labels by name"):
        columns_of(["Male"], None)


def test_data_and_graph_of_different_worlds_are_told_apart() -> None:
    """Of Young and Round the nearest name would be no help."""
    with pytest.raises(ConfigError, match=r"data=celeba_labels data\.root=PATH .*graph=shapes") as refused:
        columns_of(["Young", "Male"], ["Round", "Red"], celeba="data=celeba_labels")
    assert "Did you mean" not in str(refused.value)
    assert "the labels Young, Male, and the data have others: Round, Red." in str(refused.value)


def test_too_many_labels_are_refused() -> None:
    require_table(CausalGraph({f"L{i}": [] for i in range(20)}))
    with pytest.raises(ConfigError, match="21 labels"):
        require_table(CausalGraph({f"L{i}": [] for i in range(21)}))


def test_values_are_those_asked_for() -> None:
    assert values_of("do", {"Ringed": 1, "Round": 0}, GRAPH) == {"Ringed": 1, "Round": 0}
    assert values_of("do", None, GRAPH) == {}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"Ringed": "x"}, r"'Ringed' cannot be 'x'\. Expected 0 or 1"),
        ("Round=1", r"do=Round=1 is not understood.*: do=\{Round:1\}$"),
        ("1", r"do=\{Ringed:1\}$"),
        ({"Rnged": 1}, "Did you mean 'Ringed'"),
    ],
)
def test_other_values_are_refused_with_the_form(asked: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        values_of("do", asked, GRAPH)
