"""Options that a model's `generate` takes, read from its signature and docstring without importing it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

from reprise.config.check import check_parameters
from reprise.config.errors import ConfigError
from reprise.config.signatures import Parameter, Signature, Unresolvable, signature

_PASSED_BY_CODE = ("keys", "on_step")


@dataclass(frozen=True)
class Option:
    """A `key=value` word of `reprise generate`.

    Attributes:
        name: the key.
        default: as a user would type it; None where a value has to be given.
        text: what the docstring says of it, in one line.
    """

    name: str
    default: str | None
    text: str


def generate_options(model: str) -> list[Option]:
    """Options of a model's `generate`: its keyword-only parameters but those that the code passes.

    Args:
        model: dotted name of the class.

    Raises:
        ConfigError: it has no `generate`.
    """
    found = _generate(model)
    texts = argument_texts(found.doc)
    return [Option(p.name, _typed(p.default), texts.get(p.name, "")) for p in _own(found)]


def check_generate_options(model: str, options: dict[str, Any]) -> None:
    """Check `key=value` words against a model's `generate`, before anything heavy is imported.

    Args:
        model: dotted name of the class.
        options: the words.

    Raises:
        ConfigError: it has no `generate`, a name is none of its options, a value is of another type or missing, or a
            label is asked for with one value and set to another, or set and swept at once.
    """
    found = _generate(model)
    own = _own(found)
    check_parameters(
        f"{model}.generate", options, "generate", hidden=[n for n in found.parameters if n not in _names(own)]
    )
    if missing := [p.name for p in own if p.required and p.name not in options]:
        raise ConfigError(f"{missing[0]} is missing. Expected {missing[0]}=VALUE: `reprise generate RUN_DIR --help`.")
    seed = options.get("seed", 0)
    if isinstance(seed, int) and seed < 0:
        raise ConfigError(f"seed is {seed}. Expected 0 or more.")
    _check_labels(options.get("given"), options.get("do"), options.get("sweep"))


def _check_labels(given: object, do: object, sweep: object) -> None:
    """Refuse to wait for labels that an intervention keeps from having the values asked for, or to move one of them."""
    for word, labels in (("given", given), ("do", do)):
        if isinstance(labels, dict) and sweep in labels:
            raise ConfigError(
                f"sweep moves {sweep} from 0 to 1, and {word} has it at {labels[sweep]}: one of the two only. Expected "
                f"{word} to leave {sweep} out."
            )
    if not isinstance(given, dict) or not isinstance(do, dict):
        return
    for name in given:
        if name in do and given[name] != do[name]:
            raise ConfigError(
                f"given asks for {name}={given[name]}, and do sets it to {do[name]}: no draw can meet both. Expected "
                f"one of them to leave {name} out."
            )


def argument_texts(doc: str) -> dict[str, str]:
    """What the section `Args:` of a Google-style docstring says of each name, line breaks taken out."""
    section = re.search(r"^Args:\n((?:[ ]{4}.*\n?|\n)*)", doc, re.MULTILINE)
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in section.group(1).splitlines() if section else []:
        head = re.match(r"    ([\w*]+(?:, [\w*]+)*)(?: \([^)]*\))?:\s*(.*)", line)
        if head is not None:
            names = head.group(1).split(", ")
            texts |= dict.fromkeys(names, head.group(2))
        elif line.strip():
            texts |= {name: f"{texts[name]} {line.strip()}" for name in names}
    return texts


def _generate(model: str) -> Signature:
    try:
        return signature(f"{model}.generate")
    except Unresolvable:
        raise ConfigError(f"{model} has no generate(): it makes no samples.") from None


def _own(found: Signature) -> list[Parameter]:
    return [p for p in found.parameters.values() if p.keyword_only and p.name not in _PASSED_BY_CODE]


def _names(parameters: list[Parameter]) -> set[str]:
    return {p.name for p in parameters}


def _typed(default: ast.expr | None) -> str | None:
    """A default as it stands in a command."""
    if default is None:
        return None
    try:
        value = ast.literal_eval(default)
    except ValueError:
        return ast.unparse(default)
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return value if isinstance(value, str) else str(value).replace(" ", "")
