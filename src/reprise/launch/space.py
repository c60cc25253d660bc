"""What a search may try: parameters, some of which exist only under a condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from reprise.config.errors import ConfigError, suggest
from reprise.launch.parameter import Parameter, from_entry, from_override, label, plain, text

_CHECKED = 200  # configs that are composed beforehand


@dataclass(frozen=True)
class Space:
    """Parameters in an order in which each comes after those that its conditions name."""

    parameters: tuple[Parameter, ...]

    def draw(self, suggest_value: Callable[[Parameter], Any]) -> dict[str, Any]:
        """Draw a value for each parameter that exists, in order; what exists follows from what was drawn before."""
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            if _holds(parameter, values):
                values[parameter.name] = suggest_value(parameter)
        return values

    def words(self, values: dict[str, Any]) -> list[str]:
        """Overrides that set drawn values."""
        return [p.word(values[p.name]) for p in self.parameters if p.name in values]

    def shown(self, values: dict[str, Any]) -> dict[str, str]:
        """Drawn values as typed, by name."""
        return {p.name: p.word(values[p.name]).partition("=")[2] for p in self.parameters if p.name in values}

    @property
    def conditional(self) -> bool:
        """Whether some parameters exist only under a condition."""
        return any(p.when for p in self.parameters)

    def unordered(self) -> list[str]:
        """Names of the parameters that are categorical or conditional."""
        return [p.name for p in self.parameters if p.kind == "categorical" or p.when]

    def size(self) -> int | None:
        """How many different points there are; None for a continuum, or for more than a million."""

        def count(index: int, values: dict[str, Any]) -> int:
            if index == len(self.parameters):
                return 1
            parameter = self.parameters[index]
            if not _holds(parameter, values):
                return count(index + 1, values)
            if not any(parameter.name == n for p in self.parameters for n, _ in p.when):
                return (parameter.size() or 0) * count(index + 1, values)
            steps = range(int(parameter.low), int(parameter.high) + 1, int(parameter.step or 1))
            options = parameter.choices if parameter.kind == "categorical" else steps
            return sum(count(index + 1, {**values, parameter.name: label(o)}) for o in options)

        if any(p.size() is None for p in self.parameters):
            return None
        found = count(0, {})
        return found if found <= 1_000_000 else None

    def examples(self) -> list[dict[str, Any]]:
        """Points that together hold every choice and both ends of every interval; the first is the base."""
        by_name = {p.name: p for p in self.parameters}

        def forced(parameter: Parameter, value: Any) -> dict[str, Any]:
            found = {parameter.name: value}
            for name, values in parameter.when:
                found |= {k: v for k, v in forced(by_name[name], values[0]).items() if k not in found}
            return found

        wanted: list[dict[str, Any]] = [{}, *(forced(p, v) for p in self.parameters for v in p.samples())]
        points: list[dict[str, Any]] = []
        for fixed in wanted[:_CHECKED]:
            point = self.draw(lambda p, fixed=fixed: label(fixed.get(p.name, p.samples()[0])))  # type: ignore[misc]
            if point not in points:
                points.append(point)
        return points

    def to_json(self) -> dict[str, Any]:
        """What it is, for fingerprints and pages."""
        return {p.key: p.to_json() for p in self.parameters}


def _holds(parameter: Parameter, values: dict[str, Any]) -> bool:
    return all(
        name in values and any(text(v) == text(values[name]) for v in map(label, allowed))
        for name, allowed in parameter.when
    )


def read_space(entries: dict[str, Any], words: Sequence[str], loader: Any = None) -> tuple[Space, list[str]]:
    """Put together the space of a sweep file and of the command line.

    A sweep word of the command line replaces the file's entry, whose condition it keeps; a plain word fixes the
    parameter, so that it is no longer searched.

    Args:
        entries: hydra.sweeper.space.
        words: of the command line, without those of Hydra.
        loader: Hydra's config loader, which knows the choices for glob.

    Returns:
        the space, and the words that all points share.

    Raises:
        ConfigError: the space is empty or wrong.
        HydraException: a word cannot be parsed.
    """
    found = {p.name: p for p in (from_entry(str(k), e, loader) for k, e in entries.items())}
    fixed: list[str] = []
    settled: dict[str, Any] = {}
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(words)):
        name = override.get_key_element().lstrip("+~")
        if override.is_sweep_override():
            parameter = from_override(override)
            if (before := found.get(name)) is not None:
                parameter = replace(parameter, key=before.key, when=before.when)
            found[name] = parameter
            continue
        fixed.append(str(override.input_line))
        if name in found:
            settled[name] = label(plain(override.value()))
    found = {n: p for n, p in ((n, _settle(p, settled)) for n, p in found.items() if n not in settled) if p is not None}
    if not found:
        raise ConfigError(
            "there is nothing to search. Name a space with sweep=NAME, or give one on the command line, e.g. "
            "'model.optimizer.lr=tag(log,interval(1e-5,1e-2))'."
        )
    return Space(_ordered(found)), fixed


def _settle(parameter: Parameter, settled: dict[str, Any]) -> Parameter | None:
    """A parameter without the conditions that the command line has decided; None where one does not hold."""
    for name, allowed in parameter.when:
        if name in settled and not any(text(label(v)) == text(settled[name]) for v in allowed):
            return None
    return replace(parameter, when=tuple((n, v) for n, v in parameter.when if n not in settled))


def _ordered(found: dict[str, Parameter]) -> tuple[Parameter, ...]:
    for parameter in found.values():
        for name, allowed in parameter.when:
            where = f"space: {parameter.key}.when"
            if name not in found:
                raise ConfigError(f"{where} names {name}, which is not in the space. {suggest(name, found)}")
            other = found[name]
            if other.kind == "float":
                raise ConfigError(f"{where} names {name}, a float. Conditions need a categorical or int parameter.")
            for value in allowed:
                if other.kind == "categorical" and text(value) not in (valid := [text(c) for c in other.choices]):
                    raise ConfigError(f"{where}: {text(value)} is no choice of {name}. {suggest(text(value), valid)}")
                if other.kind == "int" and not (isinstance(value, int) and other.low <= value <= other.high):
                    raise ConfigError(f"{where}: {value!r} is no value of {name} ({other.low} to {other.high}).")
    ordered: list[Parameter] = []
    left = dict(found)
    while left:
        ready = [p for p in left.values() if not any(name in left for name, _ in p.when)]
        if not ready:
            raise ConfigError(f"space: the conditions of {', '.join(left)} go in a circle.")
        ordered.append(ready[0])
        del left[ready[0].name]
    return tuple(ordered)
