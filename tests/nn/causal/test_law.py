"""Laws of labels against enumeration in plain Python, on random graphs and random conditionals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given

from reprise.config.errors import ConfigError, DataError
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.causal.law import CausalLaw, LabelLaw, label_codes
from tests.nn.causal.random_laws import RNGS, enumerated, laws, random_law, searched, some_values

NAMES = ("a", "b", "c")
HALF = LabelLaw(NAMES, np.full((2, 2, 2), 1 / 8))


def holds(names: tuple[str, ...], combination: tuple[int, ...], values: dict[str, int]) -> bool:
    return all(combination[names.index(name)] == value for name, value in values.items())


@searched
@given(laws(), RNGS)
def test_joint_and_do_equal_enumeration(law: CausalLaw, rng: np.random.Generator) -> None:
    for values in ({}, some_values(rng, law.graph.names), some_values(rng, law.graph.names, 3)):
        found = law.do(values).table
        for combination, p in enumerated(law, values).items():
            assert found[combination] == pytest.approx(p, abs=1e-12)
    np.testing.assert_array_equal(law.joint().table, law.do({}).table)


@searched
@given(laws(least=2), RNGS)
def test_conditioning_equals_enumeration(law: CausalLaw, rng: np.random.Generator) -> None:
    names, joint, table = law.graph.names, law.joint(), enumerated(law)
    event, known = some_values(rng, names), some_values(rng, names)
    both = sum(p for c, p in table.items() if holds(names, c, event) and holds(names, c, known))
    below = sum(p for c, p in table.items() if holds(names, c, known))
    if below == 0:
        with pytest.raises(DataError, match="has probability 0"):
            joint.probability(event, known)
        return
    assert joint.probability(event, known) == pytest.approx(both / below, abs=1e-12)
    assert joint.given(known).probability(event) == pytest.approx(both / below, abs=1e-12)
    assert joint.probability(known) == pytest.approx(below, abs=1e-12)
    for name in names:
        assert joint.marginal(name) == pytest.approx(joint.probability({name: 1}), abs=1e-12)


@searched
@given(laws(least=2, zeros=False))
def test_intervening_leaves_alone_what_is_no_descendant(law: CausalLaw) -> None:
    """And a root's do() is its conditioning: nothing points into it."""
    joint = law.joint()
    for name in law.graph.names:
        for value in (0, 1):
            done = law.do({name: value})
            for other in set(law.graph.names) - law.graph.descendants(name) - {name}:
                assert done.marginal(other) == pytest.approx(joint.marginal(other), abs=1e-12)
            assert done.probability({name: value}) == pytest.approx(1)
            if not law.graph.parents(name):
                assert done.tvd(joint.given({name: value})) < 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_a_fit_along_the_true_graph_is_the_law_itself(seed: int) -> None:
    law = random_law(np.random.default_rng([3, seed]), 5)
    again = law.joint().fit(law.graph)
    assert again.undefined == ()
    for name, value in law.conditionals.items():
        np.testing.assert_allclose(again.conditionals[name], value, atol=1e-9)


def test_two_laws_of_one_graph_and_one_joint_agree_on_interventions() -> None:
    """Proposition 1, and its limit: a complete graph of the reverse order fits as well and intervenes otherwise."""
    law = CausalLaw(
        CausalGraph({"Male": [], "Mustache": ["Male"]}), {"Male": np.array(0.4), "Mustache": np.array([0.01, 0.1])}
    )
    reverse = law.joint().fit(CausalGraph({"Mustache": [], "Male": ["Mustache"]}))
    assert reverse.joint().tvd(law.joint()) < 1e-12
    male = {"Male": 1}
    assert law.do({"Mustache": 1}).probability(male) == pytest.approx(0.4)
    assert reverse.do({"Mustache": 1}).probability(male) == pytest.approx(0.04 / 0.046)
    assert law.joint().probability(male, {"Mustache": 1}) == pytest.approx(0.04 / 0.046)


def test_independent_labels_are_fitted_by_their_marginals() -> None:
    rows = np.array([[0, 0], [1, 1], [1, 1], [1, 0]])
    law = LabelLaw.of_rows(["x", "y"], rows)
    fitted = law.fit(CausalGraph({"y": [], "x": []})).joint()
    np.testing.assert_allclose(fitted.of(["x", "y"]).table, [[1 / 8, 1 / 8], [3 / 8, 3 / 8]])
    assert law.tvd(fitted) == fitted.tvd(law) == pytest.approx(1 / 4)


def test_a_fit_lists_what_the_data_cannot_say() -> None:
    law = LabelLaw.of_rows(["x", "y", "z"], np.array([[0, 0, 1], [0, 1, 0], [1, 1, 1], [1, 1, 1]]))
    fitted = law.fit(CausalGraph({"z": ["y", "x"], "y": ["x"], "x": []}))
    assert fitted.undefined == (("z", {"y": 0, "x": 1}),)
    np.testing.assert_allclose(fitted.conditionals["z"], [[1, 0.5], [0, 1]])
    np.testing.assert_allclose(fitted.conditionals["y"], [0.5, 1])


@pytest.mark.parametrize("seed", range(6))
def test_draws_have_the_law(seed: int) -> None:
    rng = np.random.default_rng([4, seed])
    law = random_law(rng, 4, zeros=seed % 2 == 1)
    values = {} if seed < 2 else some_values(rng, law.graph.names)
    labels = law.sample(rng.random((40_000, 4)), do=values)
    assert labels.dtype == np.uint8 and labels.shape == (40_000, 4)
    assert LabelLaw.of_rows(law.graph.names, labels).tvd(law.do(values)) < 0.02  # 16 states, 40,000 draws: about 0.005
    direct = law.do(values).sample(rng.random(40_000))
    assert LabelLaw.of_rows(law.graph.names, direct).tvd(law.do(values)) < 0.02
    impossible = {c for c, p in enumerated(law, values).items() if p == 0}
    for rows in (labels, direct):
        assert not impossible & set(map(tuple, np.unique(rows, axis=0).tolist()))


def test_draws_of_torch_are_those_of_numpy() -> None:
    law = random_law(np.random.default_rng(5), 4)
    noise = torch.rand((50, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = law.sample(noise, do={"l1": 1})
    assert isinstance(found, torch.Tensor) and found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), law.sample(noise.numpy(), do={"l1": 1}))
    drawn = law.joint().sample(noise[:, 0])
    np.testing.assert_array_equal(drawn.numpy(), law.joint().sample(noise[:, 0].numpy()))


def test_the_same_noise_under_an_intervention_changes_descendants_only() -> None:
    law = random_law(np.random.default_rng(11), 6)
    noise = np.random.default_rng(0).random((500, 6))
    plain = law.sample(noise)
    for name in law.graph.names:
        done = law.sample(noise, do={name: 1})
        changed = {law.graph.names[i] for i in np.flatnonzero((plain != done).any(0))}
        assert changed <= law.graph.descendants(name) | {name}


def test_extreme_draws_stay_within_what_can_occur() -> None:
    law = LabelLaw(["x", "y"], np.array([[0, 0.1], [0.9, 0]]))
    np.testing.assert_array_equal(law.sample(np.array([0.0, 0.0999, 0.1, 1 - 1e-16])), [[0, 1], [0, 1], [1, 0], [1, 0]])


def test_codes_are_places_in_the_table() -> None:
    rows = np.array(list(itertools.product((0, 1), repeat=3)), np.uint8)
    np.testing.assert_array_equal(label_codes(rows), np.arange(8))
    counted = LabelLaw.of_rows(NAMES, np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0]]))
    assert counted.table[1, 1, 0] == 0.5 and counted.table[0, 0, 1] == counted.table[1, 0, 0] == 0.25
    by_number = LabelLaw.of_codes(NAMES, np.array([6, 6, 1, 4]))
    np.testing.assert_array_equal(counted.table, by_number.table)


def test_some_labels_in_another_order() -> None:
    table = np.random.default_rng(0).dirichlet(np.ones(16)).reshape(2, 2, 2, 2)
    law = LabelLaw(["a", "b", "c", "d"], table)
    part = law.of(["d", "a", "c"])
    assert part.names == ("d", "a", "c")
    for d, a, c in itertools.product((0, 1), repeat=3):
        assert part.table[d, a, c] == pytest.approx(table[a, :, c, d].sum())
    assert law.tvd(law.of(["c", "d", "a", "b"])) < 1e-12


def test_a_condition_without_support_is_named() -> None:
    law = LabelLaw.of_rows(["Male", "Mustache"], np.array([[0, 0], [1, 0], [1, 1]]))
    for ask in (lambda c: law.probability({"Male": 1}, c), law.given):
        with pytest.raises(DataError, match=r"The condition Male = 0, Mustache = 1 has probability 0"):
            ask({"Male": 0, "Mustache": 1})
    assert law.probability({"Male": 0}, {"Male": 1}) == 0


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda: LabelLaw(["a"], np.ones(3) / 3), DataError, r"has the shape \(3,\)"),
        (lambda: LabelLaw(["a"], np.array([0.5, 0.6])), DataError, "sums to 1.1"),
        (lambda: LabelLaw(["a"], np.array([1.5, -0.5])), DataError, "values from -0.5"),
        (lambda: LabelLaw(["a"], np.array([np.nan, 1.0])), DataError, "sums to nan"),
        (lambda: LabelLaw(["a", "a"], np.ones((2, 2)) / 4), ConfigError, "'a' is named twice"),
        (lambda: LabelLaw.of_rows(["a"], np.array([[0.3]])), DataError, "Expected 0 and 1; round them"),
        (lambda: LabelLaw.of_rows(["a"], np.zeros((3, 2))), DataError, r"shape \(3, 2\). Expected \(N, 1\)"),
        (lambda: LabelLaw.of_rows(["a"], np.zeros((0, 1))), DataError, "N of 1 or more"),
        (lambda: LabelLaw.of_rows([f"l{i}" for i in range(21)], np.zeros((1, 21))), ConfigError, r"2\^21 prob"),
        (lambda: LabelLaw.of_codes(["a"], np.array([2])), DataError, "numbered 0 to 1"),
        (lambda: HALF.marginal("d"), ConfigError, "no label 'd'"),
        (lambda: HALF.probability({"a": 2}), ConfigError, "'a' cannot be 2"),
        (lambda: HALF.probability({"a": 1, "b": 2}, {"a": 0}), ConfigError, "'b' cannot be 2"),
        (lambda: HALF.tvd(HALF.of(["a", "b"])), DataError, "different labels do not compare"),
        (lambda: HALF.fit(CausalGraph({"a": [], "e": []})), ConfigError, "no label 'e'"),
        (lambda: CausalLaw(CausalGraph({"a": []}), {}), ConfigError, "'a' has no conditional"),
        (lambda: CausalLaw(CausalGraph({"a": []}), {"b": np.array(0.5)}), ConfigError, "no label 'b'"),
        (lambda: CausalLaw(CausalGraph({"a": []}), {"a": np.array([0.5])}), DataError, r"has the shape \(1,\)"),
        (lambda: CausalLaw(CausalGraph({"a": []}), {"a": np.array(1.5)}), DataError, "from 0 to 1"),
        (lambda: HALF.fit(CausalGraph({"a": []})).do({"b": 1}), ConfigError, "no label 'b'"),
        (lambda: HALF.fit(CausalGraph({"a": []})).do({"a": -1}), ConfigError, "'a' cannot be -1"),
        (lambda: HALF.fit(CausalGraph({"a": []})).sample(np.zeros((3, 2))), DataError, r"Expected \(B, 1\)"),
    ],
)
def test_what_makes_no_sense_is_refused(ask: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ask()  # type: ignore[operator]
