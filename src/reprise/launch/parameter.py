"""One parameter of a search space: what it may be, and how its value is said on a command line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, QuotedString, RangeSweep
from hydra.errors import HydraException

from reprise.config.errors import ConfigError, suggest
from reprise.launch.point import quoted

KINDS = ("float", "int", "categorical")
_FIELDS = {
    "float": ("type", "low", "high", "log", "step", "when"),
    "int": ("type", "low", "high", "log", "step", "when"),
    "categorical": ("type", "choices", "when"),
}
_TAGS = {"log", "int"}


@dataclass(frozen=True)
class Parameter:
    """A key of the config that a search may set.

    Attributes:
        key: as on a command line, perhaps with a leading plus.
        kind: float, int or categorical.
        low, high: both included.
        log: spread evenly over the logarithm.
        step: of a grid from low; None for all numbers between.
        choices: of a categorical one.
        when: (name of another parameter, values of it under which this one exists); all must hold.
    """

    key: str
    kind: Literal["float", "int", "categorical"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    @property
    def name(self) -> str:
        """The key without a plus."""
        return self.key.lstrip("+")

    def distribution(self) -> Any:
        """Optuna's object for it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.kind == "categorical":
            return CategoricalDistribution([label(c) for c in self.choices])
        if self.kind == "int":
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def word(self, value: Any) -> str:
        """The override that sets it; a categorical value may be a choice or its label."""
        raw = next((c for c in self.choices if _same(label(c), label(value))), value)
        return f"{self.key}={text(raw)}"

    def samples(self) -> list[Any]:
        """Values that are worth a check before anything runs: all choices, or both ends."""
        if self.kind == "categorical":
            return list(self.choices)
        ends = [int(self.low), int(self.high)] if self.kind == "int" else [float(self.low), float(self.high)]
        return ends if ends[0] != ends[1] else ends[:1]

    def size(self) -> int | None:
        """How many values it has; None for a continuum."""
        if self.kind == "categorical":
            return len(self.choices)
        if self.kind == "int":
            return (int(self.high) - int(self.low)) // int(self.step or 1) + 1
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def to_json(self) -> dict[str, Any]:
        """What it is, for fingerprints and pages."""
        found: dict[str, Any] = {"type": self.kind}
        if self.kind == "categorical":
            found["choices"] = [text(c) for c in self.choices]
        else:
            found |= {"low": self.low, "high": self.high, "log": self.log, "step": self.step}
        if self.when:
            found["when"] = {name: [text(v) for v in values] for name, values in self.when}
        return found


def label(value: Any) -> Any:
    """A choice as Optuna keeps it: a scalar, or the text of a list or mapping."""
    return text(value) if isinstance(value, (list, dict)) else value


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


def text(value: Any) -> str:
    """A value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return "[" + ",".join(text(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{k}:{text(v)}" for k, v in value.items()) + "}"
    written = quoted(str(value))
    if written == value and not isinstance(plain(OverridesParser.create().parse_override(f"x={value}").value()), str):
        return f"'{value}'"  # a string that reads like a number, a boolean or null
    return written


def plain(value: Any) -> Any:
    """A parsed value without Hydra's own types."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [plain(v) for v in value]
    return {str(k): plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def from_entry(key: str, entry: Any, loader: Any = None) -> Parameter:
    """Read one entry of `hydra.sweeper.space`.

    Args:
        key: its key.
        entry: a mapping with `type`; a list of choices; or a text in Hydra's syntax, e.g. `interval(0,1)`.
        loader: Hydra's config loader, which knows the choices for glob.

    Raises:
        ConfigError: a field is missing, unknown or wrong.
    """
    where = f"space: {key}"
    if isinstance(entry, str):
        try:
            parsed = OverridesParser.create(config_loader=loader).parse_override(f"{key}={entry}")
        except HydraException as error:
            raise ConfigError(f"{where}: {entry!r} cannot be read: {str(error).splitlines()[0]}.") from None
        if not parsed.is_sweep_override():
            raise ConfigError(f"{where} is the single value {entry!r}. Expected e.g. interval(0,1), or a,b,c.")
        return from_override(parsed)
    if isinstance(entry, list):
        entry = {"type": "categorical", "choices": entry}
    if not isinstance(entry, dict):
        raise ConfigError(f"{where} is {entry!r}. Expected {{type: float, low: ..., high: ...}} or a list of choices.")
    kind = entry.get("type", "categorical" if "choices" in entry else None)
    if kind not in KINDS:
        hint = f"there is no type {kind!r}. {suggest(str(kind), KINDS)}" if kind is not None else "type is missing. "
        raise ConfigError(f"{where}: {hint}" + ("" if kind is not None else f"Expected one of {', '.join(KINDS)}."))
    for field in entry:
        if field not in _FIELDS[kind]:
            raise ConfigError(f"{where}.{field} is not a field of type {kind}. {suggest(field, _FIELDS[kind])}")
    when = _when(entry.get("when"), where)
    if kind == "categorical":
        return _categorical(key, entry.get("choices"), when)
    for field in ("low", "high"):
        if field not in entry:
            raise ConfigError(f"{where}.{field} is missing. Expected a number.")
    return _numeric(key, kind, entry["low"], entry["high"], entry.get("log", False), entry.get("step"), when)


def from_override(override: Override) -> Parameter:
    """Read a sweep word of the command line.

    Raises:
        ConfigError: it has tags or a form that no search knows.
    """
    key, value = override.get_key_element(), override.value()
    where = f"space: {key}"
    tags: set[str] = set(getattr(value, "tags", ()))
    if tags - _TAGS:
        raise ConfigError(f"{where} has the tag {sorted(tags - _TAGS)[0]!r}. {suggest(min(tags - _TAGS), _TAGS)}")
    if isinstance(value, IntervalSweep):
        whole = "int" in tags or (isinstance(value.start, int) and isinstance(value.end, int))
        start, end = value.start, value.end
        if whole and float(start or 0).is_integer() and float(end or 0).is_integer():
            start, end = int(start or 0), int(end or 0)
        return _numeric(key, "int" if whole else "float", start, end, "log" in tags, None, ())
    if tags:
        raise ConfigError(f"{where}: the tag {min(tags)!r} is for intervals, e.g. {key}=tag(log,interval(1e-5,1e-2)).")
    if isinstance(value, RangeSweep):
        values: list[Any] = [plain(v) for v in override.sweep_iterator()]
        if not values:
            raise ConfigError(f"{where}: the range is empty.")
        step = abs(value.step or 1)
        low = min(values)
        kind = "int" if all(isinstance(v, int) for v in (*values, step)) else "float"
        return _numeric(key, kind, low, low + (len(values) - 1) * step, False, step, ())
    choices = value.list if isinstance(value, ChoiceSweep) else list(override.sweep_iterator())  # the latter: a glob
    return _categorical(key, [plain(c) for c in choices], ())


def _when(value: Any, where: str) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict) or not value:
        raise ConfigError(f"{where}.when is {value!r}. Expected {{other.key: value}} or {{other.key: [values]}}.")
    return tuple((str(k).lstrip("+"), tuple(v) if isinstance(v, list) else (v,)) for k, v in value.items())


def _categorical(key: str, choices: Any, when: tuple[tuple[str, tuple[Any, ...]], ...]) -> Parameter:
    if not isinstance(choices, list) or not choices:
        raise ConfigError(f"space: {key}.choices is {choices!r}. Expected a list of one or more values.")
    seen: list[str] = [text(c) for c in choices]
    if doubled := [s for i, s in enumerate(seen) if s in seen[:i]]:
        raise ConfigError(f"space: {key}.choices has {doubled[0]} twice.")
    return Parameter(key, "categorical", choices=tuple(choices), when=when)


def _numeric(key: str, kind: Any, low: Any, high: Any, log: Any, step: Any, when: Any) -> Parameter:
    where = f"space: {key}"
    expected = "a whole number" if kind == "int" else "a number"
    for field, value in (("low", low), ("high", high), *((("step", step),) if step is not None else ())):
        right = isinstance(value, int) if kind == "int" else isinstance(value, (int, float)) and math.isfinite(value)
        if isinstance(value, bool) or not right:
            raise ConfigError(f"{where}.{field} is {value!r} ({type(value).__name__}). Expected {expected}.")
    if not isinstance(log, bool):
        raise ConfigError(f"{where}.log is {log!r}. Expected true or false.")
    if high < low:
        raise ConfigError(f"{where}: low={low} is above high={high}.")
    if log and low <= 0:
        raise ConfigError(f"{where}: log: true needs a low above 0, not {low}.")
    if log and step is not None:
        raise ConfigError(f"{where}: log and step exclude each other.")
    if step is not None:
        if step <= 0:
            raise ConfigError(f"{where}.step is {step}. Expected more than 0.")
        count = (high - low) / step
        if abs(count - round(count)) > 1e-6:
            last = low + math.floor(count) * step
            raise ConfigError(
                f"{where}: high={high} is not reached by steps of {step} from {low}. Set high={last:.12g}."
            )
    return Parameter(key, kind, low, high, log, step, (), when)
