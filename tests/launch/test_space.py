"""Search spaces: typed, in files and in Hydra's syntax, with conditions, and errors that say what is wrong."""

from __future__ import annotations

import random
from typing import Any

import pytest

from reprise.config.errors import ConfigError
from reprise.launch.parameter import Parameter, from_entry, text
from reprise.launch.space import Space, read_space

LR = {"type": "float", "low": 1e-5, "high": 1e-2, "log": True}


def one(word: str) -> Parameter:
    return read_space({}, [word])[0].parameters[0]


@pytest.mark.parametrize(
    ("word", "kind", "low", "high", "log", "step"),
    [
        ("a=interval(1e-5,1e-2)", "float", 1e-5, 1e-2, False, None),
        ("a=tag(log,interval(1e-5,1e-2))", "float", 1e-5, 1e-2, True, None),
        ("a=int(interval(1,8))", "int", 1, 8, False, None),
        ("a=tag(int,log,interval(1,64))", "int", 1, 64, True, None),
        ("a=range(1,8)", "int", 1, 7, False, 1),
        ("a=range(8,1,-2)", "int", 2, 8, False, 2),
        ("a=range(0,1,0.25)", "float", 0, 0.75, False, 0.25),
    ],
)
def test_numbers_in_hydras_syntax(word: str, kind: str, low: float, high: float, log: bool, step: float | None) -> None:
    parameter = one(word)
    assert (parameter.kind, parameter.low, parameter.high, parameter.log) == (kind, low, high, log)
    assert parameter.step == step
    spread = parameter.distribution()
    assert (spread.low, spread.high, spread.log) == (low, high, log)


@pytest.mark.parametrize("word", ["a=x,[1,2],true,null,1.5", "a=choice(x,[1,2],true,'null',1.5)"])
def test_choices_in_hydras_syntax(word: str) -> None:
    parameter = one(word)
    assert parameter.choices[:3] == ("x", [1, 2], True)
    assert [parameter.word(c) for c in parameter.distribution().choices][:3] == ["a=x", "a=[1,2]", "a=true"]
    assert parameter.word(parameter.choices[3]) == ("a=null" if parameter.choices[3] is None else "a='null'")


def test_what_is_written_is_read_back() -> None:
    values: list[Any] = ["x", "1e-3", "true", "a b", "it's", "", None, True, 3, 1e-7, [1, "2", None], {"a": [0.5]}]
    assert list(one("k=choice(0,1)").choices) == [0, 1]
    for value in values:
        read = read_space({"k": {"type": "categorical", "choices": [value, 17]}}, [f"k={text(value)}", "z=1,2"])[1]
        from hydra.core.override_parser.overrides_parser import OverridesParser

        from reprise.launch.parameter import plain

        assert plain(OverridesParser.create().parse_override(read[0]).value()) == value


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (3, "is 3. Expected {type"),
        ({"low": 1, "high": 2}, "type is missing"),
        ({"type": "flot", "low": 1, "high": 2}, "Did you mean 'float'"),
        ({"type": "float", "low": 1, "hihg": 2}, "hihg is not a field of type float. Did you mean 'high'"),
        ({"type": "float", "low": 1}, "high is missing"),
        ({"type": "float", "low": "a", "high": 2}, "low is 'a' (str). Expected a number"),
        ({"type": "float", "low": True, "high": 2}, "low is True (bool)"),
        ({"type": "int", "low": 1, "high": 2.5}, "high is 2.5 (float). Expected a whole number"),
        ({"type": "float", "low": 3, "high": 2}, "low=3 is above high=2"),
        ({"type": "float", "low": 0, "high": 2, "log": True}, "needs a low above 0, not 0"),
        ({"type": "float", "low": 1, "high": 2, "log": True, "step": 0.5}, "exclude each other"),
        ({"type": "float", "low": 0, "high": 1, "step": 0.3}, "not reached by steps of 0.3 from 0. Set high=0.9"),
        ({"type": "int", "low": 0, "high": 4, "step": 0}, "step is 0"),
        ({"type": "categorical"}, "choices is None"),
        ({"type": "categorical", "choices": ["a", "b", "a"]}, "has a twice"),
        ({"type": "categorical", "choices": [1], "when": "x"}, "when is 'x'"),
        ("3", "is the single value '3'"),
        ("interval(0", "cannot be read"),
        ("tag(lgo,interval(0,1))", "tag 'lgo'. Did you mean 'log'"),
        ("tag(log,choice(1,2))", "is for intervals"),
    ],
)
def test_a_wrong_entry_says_what_is_right(entry: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_entry("k", entry)
    assert words in str(caught.value)
    assert "space: k" in str(caught.value)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (
            {"a": [1, 2], "b": {"choices": [1], "when": {"aa": 1}}},
            "names aa, which is not in the space. Did you mean 'a'",
        ),
        ({"a": ["x", "y"], "b": {"choices": [1], "when": {"a": "xx"}}}, "xx is no choice of a. Did you mean 'x'"),
        ({"a": LR, "b": {"choices": [1], "when": {"a": 0.1}}}, "names a, a float"),
        (
            {"a": {"type": "int", "low": 1, "high": 3}, "b": {"choices": [1], "when": {"a": 4}}},
            "4 is no value of a (1 to 3)",
        ),
        ({"a": {"choices": [1], "when": {"b": 1}}, "b": {"choices": [1], "when": {"a": 1}}}, "a, b go in a circle"),
        ({}, "there is nothing to search"),
    ],
)
def test_a_wrong_space_says_what_is_right(entries: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_space(entries, ["model=wavegrad"])
    assert words in str(caught.value)


NESTED = {
    "decay": {"type": "float", "low": 0.9, "high": 0.99, "when": {"ema": True, "layers": [2, 3]}},
    "ema": [True, False],
    "layers": {"type": "int", "low": 1, "high": 3},
    "warm": {"choices": ["a", "b"], "when": {"ema": True}},
}


def draws(space: Space, count: int) -> list[dict[str, Any]]:
    rng = random.Random(0)

    def suggest(p: Parameter) -> Any:
        return rng.choice(p.choices) if p.kind == "categorical" else rng.choice([p.low, p.high, (p.low + p.high) // 2])

    return [space.draw(suggest) for _ in range(count)]


def test_conditional_parameters_exist_only_under_their_condition() -> None:
    space, _ = read_space(NESTED, [])
    assert space.conditional
    found = draws(space, 60)
    for values in found:
        assert ("warm" in values) == values["ema"]
        assert ("decay" in values) == (values["ema"] and values["layers"] in (2, 3))
        assert len(space.words(values)) == len(values)
    assert len({frozenset(v) for v in found}) == 3


def test_what_the_command_line_fixes_is_not_searched_and_decides_conditions() -> None:
    space, fixed = read_space(NESTED, ["ema=true", "x=1"])
    assert fixed == ["ema=true", "x=1"]
    assert {p.name: p.when for p in space.parameters} == {
        "layers": (),
        "warm": (),
        "decay": (("layers", (2, 3)),),
    }
    assert [p.name for p in read_space(NESTED, ["ema=false"])[0].parameters] == ["layers"]


def test_a_sweep_on_the_command_line_replaces_the_entry_and_keeps_its_condition() -> None:
    space, _ = read_space(NESTED, ["decay=interval(0.5,0.6)"])
    decay = next(p for p in space.parameters if p.name == "decay")
    assert (decay.low, decay.high, decay.when) == (0.5, 0.6, (("ema", (True,)), ("layers", (2, 3))))


def test_examples_hold_every_choice_and_both_ends() -> None:
    space, _ = read_space(NESTED, [])
    examples = space.examples()
    for parameter in space.parameters:
        for value in parameter.samples():
            assert any(e.get(parameter.name) == value and parameter.name in e for e in examples), (parameter, value)


def test_size_counts_the_points_that_conditions_allow() -> None:
    space, _ = read_space(NESTED | {"decay": {**NESTED["decay"], "step": 0.03}}, [])  # type: ignore[dict-item]
    # with averages: layers 1 has two warm values, layers 2 and 3 have two warm values times four decays; without: 3
    assert space.size() == 2 + 2 * 2 * 4 + 3
    assert read_space(NESTED, [])[0].size() is None
    listed = {tuple(sorted(v.items())) for v in draws(read_space({"a": [1, 2], "b": ["x", "y", "z"]}, [])[0], 200)}
    assert len(listed) == 6 == read_space({"a": [1, 2], "b": ["x", "y", "z"]}, [])[0].size()


def test_a_glob_is_a_choice_of_configs() -> None:
    from hydra.core.global_hydra import GlobalHydra

    from reprise.config.compose import hydra_on_conf

    with hydra_on_conf("train"):
        loader = GlobalHydra.instance().config_loader()
        space, _ = read_space({}, ["budget=glob(*)"], loader)
    (budget,) = space.parameters
    assert {"smoke", "quick"} <= set(budget.choices)
