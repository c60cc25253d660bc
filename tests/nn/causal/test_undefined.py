"""Undefined conditionals are told with their number and labels."""

from __future__ import annotations

import numpy as np

from reprise.nn.causal.graph import CausalGraph
from reprise.nn.causal.law import LabelLaw
from reprise.nn.causal.undefined import undefined_in_words

GRAPH = CausalGraph({"a": [], "b": ["a"], "c": ["a", "b"]})


def _law(*rows: tuple[int, int, int]) -> LabelLaw:
    return LabelLaw.of_rows(GRAPH.names, np.array(rows))


def test_each_label_is_named_with_its_number() -> None:
    said = undefined_in_words(_law((1, 1, 0), (1, 1, 1)).fit(GRAPH))
    assert said is not None
    assert said.startswith("4 conditionals are undefined") and "(b 1, c 3)" in said


def test_one_is_one() -> None:
    said = undefined_in_words(_law((0, 0, 0), (1, 0, 0), (1, 1, 0)).fit(GRAPH))
    assert said is not None and said.startswith("1 conditional is undefined") and "(c 1)" in said


def test_nothing_is_said_where_all_are_defined() -> None:
    assert undefined_in_words(_law((0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0)).fit(GRAPH)) is None
