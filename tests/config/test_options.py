"""Options of a model's `generate`, read from its source."""

from __future__ import annotations

from typing import Any

import pytest

from reprise.config.errors import ConfigError
from reprise.config.options import argument_texts, check_generate_options, generate_options

PAINTER = "tests.training.painters.Painter"


def test_names_defaults_and_texts_of_options() -> None:
    found = [(o.name, o.default, o.text) for o in generate_options(PAINTER)]
    assert found == [
        ("shade", None, "the colour of all pixels, from 0 to 255."),
        ("seed", "0", "what every image begins with."),
        ("lines", "null", "what every image begins with."),
        ("quick", "true", ""),
    ]


def test_an_inherited_generate_is_found() -> None:
    assert generate_options("tests.training.painters.Completer") == generate_options(PAINTER)


def test_wavegrads_options() -> None:
    found = {o.name: o for o in generate_options("reprise.models.wavegrad.module.WaveGrad")}
    assert list(found) == ["seed", "schedule"]
    assert found["schedule"].default == "fibonacci25" and "tune-schedule" in found["schedule"].text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "shade is missing. Expected shade=VALUE"),
        ({"shade": 1, "shades": 2}, "shades is not an option of generate.*'shade'"),
        ({"shade": "red"}, "shade"),
        ({"shade": 1, "seed": -1}, "seed is -1. Expected 0 or more"),
        ({"shade": 1, "conditions": []}, "conditions is not an option"),
        ({"shade": 1, "keys": [1]}, "keys is not an option"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_generate_options(PAINTER, options)


CONTROLLER = "reprise.models.causal_controller.module.CausalController"


def test_a_label_is_not_asked_for_and_set_to_another_value() -> None:
    with pytest.raises(ConfigError, match=r"^given asks for Ringed=1, and do sets it to 0: .* leave Ringed out\.$"):
        check_generate_options(CONTROLLER, {"given": {"Round": 1, "Ringed": 1}, "do": {"Ringed": 0}})
    for given, do in (({"Ringed": 1}, {"Ringed": 1}), ({"Ringed": 1}, {"Round": 0}), ("Ringed", {"Ringed": 0})):
        check_generate_options(CONTROLLER, {"given": given, "do": do})


def test_a_label_that_is_swept_is_not_set_or_asked_for() -> None:
    model = "reprise.models.causalgan.module.CausalGAN"
    for word in ("given", "do"):
        with pytest.raises(ConfigError, match=f"^sweep moves Red from 0 to 1, and {word} has it at 0: .* to leave Red"):
            check_generate_options(model, {"sweep": "Red", word: {"Red": 0}})
        check_generate_options(model, {"sweep": "Red", word: {"Ringed": 1}})


def test_right_options_pass_and_models_without_generate_do_not() -> None:
    check_generate_options(PAINTER, {"shade": 1, "lines": [1, 2], "quick": False})
    with pytest.raises(ConfigError, match=r"Canvas has no generate\(\): it makes no samples"):
        generate_options("tests.training.painters.Canvas")


def test_texts_of_a_docstring() -> None:
    doc = (
        "One.\n\nArgs:\n    a: first\n        line: two\n    b, c (int): both.\n\n    d: last.\n\nReturns:\n    e: no."
    )
    assert argument_texts(doc) == {"a": "first line: two", "b": "both.", "c": "both.", "d": "last."}
    assert argument_texts("One.") == {}
