"""Queries: their names, their answers, and the table of those that fit some labels."""

from __future__ import annotations

import numpy as np
import pytest

from reprise.config.errors import ConfigError
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.causal.law import CausalLaw
from reprise.nn.causal.queries import Query, query_table

LAW = CausalLaw(
    CausalGraph({"Male": [], "Mustache": ["Male"]}), {"Male": np.array(0.4), "Mustache": np.array([0.0, 0.1])}
)
MUSTACHE = {"Mustache": 1}


@pytest.mark.parametrize(
    ("query", "name", "answer"),
    [
        (Query("marginal", {"Male": 1}), "p_male/marginal", 0.4),
        (Query("given", {"Male": 1}, MUSTACHE), "p_male/given_mustache", 1.0),
        (Query("do", {"Male": 1}, MUSTACHE), "p_male/do_mustache", 0.4),
        (Query("do", {"Male": 0}, {"Mustache": 0}), "p_not_male/do_not_mustache", 0.6),
        (Query("given", {"Male": 1}, {"Mustache": 0}), "p_male/given_not_mustache", 0.36 / 0.96),
        (Query("marginal", {"Male": 1, "Mustache": 0}), "p_male_and_not_mustache/marginal", 0.36),
        (Query("do", MUSTACHE, {"Male": 1}), "p_mustache/do_male", 0.1),
    ],
)
def test_names_and_exact_answers(query: Query, name: str, answer: float) -> None:
    assert query.name == name
    assert query.answered(LAW.joint(), LAW) == pytest.approx(answer)


def test_the_table_holds_what_the_labels_allow() -> None:
    assert [q.name for q in query_table(["Young", "Mustache", "Male"])] == [
        "p_male/marginal",
        "p_male/given_mustache",
        "p_male/do_mustache",
        "p_mustache/marginal",
        "p_mustache/given_male",
        "p_mustache/do_male",
    ]
    assert query_table(["Male"]) == []
    names = [q.name for q in query_table(["Male", "Wearing_Lipstick", "Mouth_Slightly_Open", "Smiling"])]
    assert {"p_male/do_wearing_lipstick", "p_smiling/given_mouth_slightly_open"} <= set(names)
    assert len(names) == len(set(names))


def test_labels_of_a_query() -> None:
    assert Query("given", {"Male": 1}, {"Mustache": 1, "Male": 0}).labels == ("Male", "Mustache")


@pytest.mark.parametrize(
    ("kind", "event", "values", "words"),
    [
        ("see", {"Male": 1}, {}, "of the kind 'see'"),
        ("marginal", {"Male": 1}, MUSTACHE, "unless it is a marginal"),
        ("given", {"Male": 1}, {}, "Expected an event, and values"),
        ("do", {}, MUSTACHE, "Expected an event"),
        ("do", {"Male": 2}, MUSTACHE, "'Male' cannot be 2"),
    ],
)
def test_what_is_no_query_is_refused(kind: str, event: dict[str, int], values: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Query(kind, event, values)  # type: ignore[arg-type]
