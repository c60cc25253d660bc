"""What reading a paper file consists of: strict YAML, and the checks of its parts, each with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml

from reprise.config.compose import group_choices
from reprise.config.errors import ConfigError, suggest
from reprise.config.paths import show_path
from reprise.reproduction import paper as words
from reprise.reproduction.paper import Recipe, Spread, Tolerance

# Keys of a paper, a column, a table, a row, a figure, a claim and a term.
HEAD = {"title", "authors", "venue", "year", "arxiv", "url", "code", "note", "defaults", "columns", "tables", "claims"}
# What a figure inherits: paper defaults < column < table < row < cell.
INHERITED = {
    "dataset": str,
    "split": str,
    "protocol": str,
    "unit": str,
    "digits": int,
    "direction": str,
    "public": bool,
    "sure": str,
    "source": str,
    "spread": dict,
    "tolerance": dict,
    "experiment": str,
    "overrides": list,
    "at": str,
    "measure": str,
    "version": int,
    "pick": str,
    "scale": float,
    "hardware": str,
    "why": str,
    "pending": str,
    "standin": str,
    "standin_at": str,
    "unrecovered": str,
    "blank": str,
}
COLUMN = {"label", "baseline", *INHERITED}
TABLE = {"title", "printed", "note", "facts", "columns", "rows", *INHERITED}
ROW = {"label", "group", "baseline", "note", "facts", "values", *INHERITED}
CELL = {"value", "bound", "note", *INHERITED}
CLAIM = {"text", "kind", "relation", "direction", "measure", "version", "terms", "margin", "bound", "note"} | {
    "sure",
    "source",
    "why",
    "pending",
}
TERM = {"label", "experiment", "overrides", "at", "measure", "x"}
_KINDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "keys and values",
}
_PRINTED = re.compile(
    r"^(<=|>=|~)?\s*(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:\s*(?:±|\+-)\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?))?$"
)
# Fewest and most terms of a claim, and the same in words.
TERMS = {
    "ordering": (2, math.inf, "two or more"),
    "trend": (3, math.inf, "three or more"),
    "equivalence": (2, 2, "two"),
    "threshold": (1, 1, "one"),
}
_ID = re.compile(r"^[a-z0-9][a-z0-9_]*$")


class _Written(float):
    """A number that keeps how it was written, since 3.10 in a table is not 3.1."""

    text: str


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, since the second would silently win, and keeps the decimals of numbers."""


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.MarkedYAMLError(problem=f"{key!r} cannot be a key", problem_mark=key_node.start_mark)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"the key {key!r} is given twice", problem_mark=key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    number = _Written(loader.construct_yaml_float(node))
    number.text = node.value if _PRINTED.match(node.value) else repr(float(number))
    return number


_Loader.add_constructor("tag:yaml.org,2002:float", _number)
_Loader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, lambda loader, node: _mapping(loader, node, True)
)


def load(path: Path) -> Any:
    """Read a YAML file; figures keep the text in which they are written.

    Raises:
        ConfigError: it cannot be read, or is no YAML.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(f"{show_path(path)} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{show_path(path)} is no valid YAML: {error}") from None


class PartReader:
    """Checks the parts of a paper file.

    Args:
        name: of the paper.
        file: for messages.
    """

    def __init__(self, name: str, file: str) -> None:
        self.name = name
        self.file = file
        self.experiments = set(group_choices("experiment"))

    def fail(self, where: str, what: str) -> ConfigError:
        """An error with its place."""
        return ConfigError(f"{self.file}: {where + ': ' if where else ''}{what}")

    def mapping(self, raw: Any, where: str, keys: Iterable[str]) -> dict[str, Any]:
        """Check that something is a mapping of known keys, with inherited ones of their type."""
        if not isinstance(raw, Mapping):
            raise self.fail(where, f"is {raw!r}. Expected keys and values.")
        for key, value in raw.items():
            if key not in set(keys):
                raise self.fail(where, f"has an unknown key {key!r}. {suggest(str(key), keys)}")
            kind = INHERITED.get(key)
            if kind is not None and value is not None and not _fits(value, kind):
                raise self.fail(f"{where}.{key}" if where else key, f"is {value!r}. Expected {_KINDS[kind]}.")
        return dict(raw)

    def text(self, raw: Mapping[str, Any], key: str, where: str) -> str:
        """Text that must be there."""
        value = raw.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(where, f"{key} is {value!r}. Expected text.")
        return value.strip()

    def choice(self, value: Any, allowed: Any, where: str) -> Any:
        """One of the values that a Literal allows."""
        if value not in get_args(allowed):
            raise self.fail(where, f"is {value!r}. {suggest(str(value), get_args(allowed))}")
        return value

    def sequence(self, raw: Any, where: str) -> list[Any]:
        """A list; none is an empty one."""
        if raw is not None and not isinstance(raw, list):
            raise self.fail(where, f"is {raw!r}. Expected a list.")
        return raw or []

    def flag(self, raw: Mapping[str, Any], key: str, where: str) -> bool:
        """True or false; false where it is not given."""
        value = raw.get(key, False)
        if not isinstance(value, bool):
            raise self.fail(f"{where}.{key}", f"is {value!r}. Expected true or false.")
        return value

    def number(self, value: Any, where: str) -> float:
        """A finite number."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise self.fail(where, f"is {value!r}. Expected a number.")
        return float(value)

    def items(self, raw: Any, where: str) -> list[tuple[str, Any]]:
        """Members of a mapping whose keys are ids."""
        if not isinstance(raw, Mapping) or not raw:
            raise self.fail(where, "is empty. Expected names with their content.")
        for key in raw:
            if not isinstance(key, str) or not _ID.match(key):
                raise self.fail(where, f"has the name {key!r}. Expected lower case letters, digits and _.")
        return list(raw.items())

    def printed(self, value: Any, where: str) -> tuple[float | None, Any, str | None, int | None]:
        """Read a figure as printed: value, bound, spread, decimals."""
        if value is None:
            return None, "=", None, None
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise self.fail(where, f"is {value!r}. Expected a number, a text such as '4.47 ± 0.04', or null.")
        match = _PRINTED.match(as_written(value).strip())
        if match is None:
            raise self.fail(where, f"is {value!r}. Expected a figure such as 3.14, '<= 5.40' or '4.47 ± 0.04'.")
        bound, number, spread = match.groups()
        return float(number), bound or "=", spread, _decimals(number)

    def spread(self, meaning: Any, printed: str | None, where: str) -> Spread | None:
        """What is printed behind a figure's ±, with its meaning."""
        meaning = self.mapping(meaning or {}, f"{where}.spread", {"value", "kind", "over", "n"})
        kind = self.choice(meaning.get("kind", "unknown"), words.SpreadKind, f"{where}.spread.kind")
        over = self.choice(meaning.get("over", "unknown"), words.Over, f"{where}.spread.over")
        n = meaning.get("n")
        if n is not None and (type(n) is not int or n < 1):
            raise self.fail(f"{where}.spread.n", f"is {n!r}. Expected a count, or null.")
        return None if printed is None else Spread(float(printed), kind, over, n, _decimals(printed))

    def tolerance(self, raw: Any, value: float | None, spread: Spread | None, where: str) -> Tolerance | None:
        """Read a tolerance: `value` in the unit of the figure, `percent` of it, or a number of its `spreads`."""
        if raw is None:
            return None
        given = self.mapping(raw, where, {"value", "percent", "spreads", "reason"})
        reason = self.text(given, "reason", where)
        ways = [w for w in ("value", "percent", "spreads") if given.get(w) is not None]
        if len(ways) != 1:
            raise self.fail(where, "Expected one of value, percent, spreads.")
        amount = given[ways[0]]
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount <= 0:
            raise self.fail(f"{where}.{ways[0]}", f"is {amount!r}. Expected a number above 0.")
        if ways[0] == "value":
            return Tolerance(float(amount), reason)
        one = {
            "percent": None if value is None else abs(value) / 100,
            "spreads": None if spread is None else spread.value,
        }
        base = one[ways[0]]
        if base == 0:
            raise self.fail(f"{where}.{ways[0]}", "gives 0, which nothing can meet. Expected a value.")
        return None if base is None else Tolerance(base * amount, reason)

    def recipe(self, raw: Mapping[str, Any], where: str) -> Recipe | None:
        """An experiment that exists, with the overrides of the row."""
        name = raw.get("experiment")
        if not name:
            return None
        if name not in self.experiments:
            raise self.fail(where, f"names the experiment {name!r}. {suggest(str(name), self.experiments)}")
        return Recipe(str(name), tuple(str(o) for o in raw.get("overrides") or ()))

    def measure(self, pattern: Any, at: Any, where: str) -> str | None:
        """Name of a value in run records, `{at}` filled in; None where it cannot be."""
        if not pattern:
            return None
        if "{at}" in pattern and not at:
            return None
        return str(pattern).replace("{at}", str(at or ""))


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def as_written(value: Any) -> str:
    """A figure as the file has it: 3.10 stays 3.10."""
    return value.text if isinstance(value, _Written) else str(value)


def _decimals(text: str) -> int | None:
    return None if "e" in text else len(text.partition(".")[2])


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """What a figure inherits, the last layer that gives a key wins; a spread's meaning is merged key by key."""
    found: dict[str, Any] = {}
    for layer in layers:
        for key in INHERITED:
            if key not in layer:
                continue
            old, new = found.get(key), layer[key]
            found[key] = {**old, **new} if key == "spread" and isinstance(old, dict) and isinstance(new, dict) else new
    return found
