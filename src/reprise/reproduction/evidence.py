"""Which runs of the ledger bear on a recipe, what they deviate in, and what they measured."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reprise.config.compose import compose_config
from reprise.config.protocol import ABSENT, difference, protocol_values
from reprise.reproduction.entry import Entry, Evaluation, Measured
from reprise.reproduction.paper import Paper, Pick, Recipe
from reprise.reproduction.standing import Deviation, Ours, Sample
from reprise.reproduction.statistics import mean_interval

if TYPE_CHECKING:
    from reprise.reproduction.ledger import Ledger


@dataclass(frozen=True)
class Match:
    """A run that belongs to a recipe.

    Attributes:
        entry: the run.
        deviations: from the recipe's protocol.
        signature: what was run, as far as it deviates; equal for runs of one budget.
    """

    entry: Entry
    deviations: tuple[Deviation, ...]
    signature: str


@dataclass(frozen=True)
class Reading:
    """A value that a run gives for a measure.

    Attributes:
        entry: the run.
        value: in our unit.
        deviations: of the run and of the measurement.
        version: protocol version of the metric.
        signature: what was run and measured, as far as it deviates: readings with the same one belong together.
        changed: modules that trained or measured it whose source is another now.
    """

    entry: Entry
    value: float
    deviations: tuple[Deviation, ...]
    version: int | None
    signature: str
    changed: tuple[str, ...]

    def deviating(self, *more: Deviation) -> Reading:
        """The same value, with further deviations."""
        return replace(self, deviations=(*self.deviations, *more), signature=self.signature + _signature(more))


class Evidence:
    """Finds the runs that bear on the recipes of papers.

    Args:
        ledger: the runs.
        papers: whose recipes they may belong to.
    """

    def __init__(self, ledger: Ledger, papers: Iterable[Paper]) -> None:
        self._ledger = ledger
        self._siblings: dict[str, list[Recipe]] = {}
        self._matches: dict[Recipe, list[Match]] = {}
        self._by_experiment: dict[str, list[Entry]] = {}
        for entry in ledger.entries:
            if entry.experiment is not None:
                self._by_experiment.setdefault(entry.experiment, []).append(entry)
        for recipe in sorted({r for paper in papers for r in recipes_of(paper)}, key=lambda r: r.label):
            self._siblings.setdefault(recipe.experiment, []).append(recipe)

    def claims(self, entry: Entry) -> bool:
        """Whether a run belongs to a recipe of the papers."""
        return entry.experiment in self._siblings

    def protocol(self, recipe: Recipe) -> dict[str, Any]:
        """The protocol of a recipe, by dotted key."""
        return _protocol(tuple(recipe.words))

    def matches(self, recipe: Recipe) -> list[Match]:
        """The runs that belong to a recipe.

        Rows may share an experiment and differ by overrides; a run belongs to the row whose values it has.
        """
        if recipe not in self._matches:
            entries = self._by_experiment.get(recipe.experiment, [])
            self._matches[recipe] = list(self._match(recipe, entries)) if entries else []
        return self._matches[recipe]

    def readings(self, recipe: Recipe, measure: str, pick: Pick = "final") -> list[Reading]:
        """What the runs of a recipe measured; of a run that was measured more than once, the newest that counts most.

        A run that did not come to its end deviates by that. At one budget a seed counts once: unchanged code before
        code that has changed since, then the newest run.
        """
        found: dict[tuple[str, int], Reading] = {}
        for match in self.matches(recipe):
            reading = _read(match, measure, pick, self._ledger.protocols[match.entry.digest])
            if reading is None:
                continue
            place = (reading.signature, reading.entry.seed)
            other = found.get(place)
            if other is None or _rank(reading) > _rank(other):
                found[place] = reading
        return list(found.values())

    def _match(self, recipe: Recipe, entries: Sequence[Entry]) -> Iterable[Match]:
        protocol = self.protocol(recipe)
        others = [o for o in self._siblings.get(recipe.experiment, []) if o != recipe]
        telling = {key for other in others for key, _, _ in difference(protocol, self.protocol(other))}

        def off(other: Recipe, run: dict[str, Any]) -> int:
            """In how many of the telling keys a run is not that of a row."""
            return sum(run.get(key) != self.protocol(other).get(key) for key in telling)

        known: dict[str, tuple[tuple[Deviation, ...], str] | None] = {}
        for entry in entries:
            if entry.digest not in known:
                run = self._ledger.protocols[entry.digest]
                # one that is no row's own belongs to the row that comes nearest, the first of several
                nearest = min([recipe, *others], key=lambda o: (off(o, run), o.label))
                belongs = nearest == recipe
                found = tuple(Deviation(k, a, b) for k, a, b in difference(protocol, run) if not _unset(a, b))
                known[entry.digest] = (found, _signature(found)) if belongs else None
            if (kept := known[entry.digest]) is None:
                continue
            more = [*_incomplete(entry)]
            if entry.state != "finished":
                more.append(Deviation("state", "finished", f"{entry.state} after {entry.iteration} iterations"))
            deviations, signature = kept
            yield Match(entry, (*deviations, *more), signature + (_signature(more) if more else ""))


@functools.lru_cache(maxsize=1024)
def _protocol(words: tuple[str, ...]) -> dict[str, Any]:
    """Composing takes a tenth of a second, and config files stay as they are while a process runs."""
    return protocol_values(compose_config(words).values)


def recipes_of(paper: Paper) -> set[Recipe]:
    """All recipes that a paper's targets, stand-ins and claims name."""
    found = {r for t in paper.targets for r in (t.recipe, t.standin) if r is not None}
    return found | {term.recipe for claim in paper.claims for term in claim.terms if term.recipe is not None}


def _read(match: Match, measure: str, pick: Pick, protocol: dict[str, Any]) -> Reading | None:
    entry = match.entry
    measurements = [(_changes(e, protocol), e) for e in entry.evaluations if measure in e.metrics]
    if not measurements:
        measured = entry.metrics.get(measure)
        if measured is None:
            return None
        value = _value(measured, pick)
        return Reading(entry, value, match.deviations, measured.version, match.signature, entry.changed)
    # one without changes counts more than a newer one with changes
    changes, best = max(measurements, key=lambda m: (not m[0], not m[1].changed, m[1].time))
    found = best.metrics[measure]
    changed = tuple(dict.fromkeys((*entry.changed, *best.changed)))
    reading = Reading(entry, found.value, match.deviations, found.version, match.signature, changed)
    return reading.deviating(*changes) if changes else reading


def _rank(reading: Reading) -> tuple[bool, str]:
    return not reading.changed, reading.entry.begun


def _value(measured: Measured, pick: Pick) -> float:
    return measured.best if pick == "best" and measured.best is not None else measured.value


def _changes(evaluation: Evaluation, protocol: dict[str, Any]) -> tuple[Deviation, ...]:
    """What a measurement departs in from the run's own."""
    before = {"checkpoint": "best", "weights": "the run's own", "data": "the run's own", **protocol}
    changed = [(k, before.get(k), v) for k, v in sorted(evaluation.changes.items()) if before.get(k) != v]
    return tuple(Deviation(f"evaluation: {k}", was, now) for k, was, now in changed)


def on_hardware(readings: Sequence[Reading], wanted: str | None) -> list[Reading]:
    """Note as a deviation where a speed was measured on another device than the paper's."""
    if wanted is None:
        return list(readings)
    found = []
    for reading in readings:
        names = devices_of(reading.entry)
        if not any(wanted.lower() in name.lower() for name in names):
            reading = reading.deviating(Deviation("hardware", wanted, ", ".join(dict.fromkeys(names))))
        found.append(reading)
    return found


def ours_of(readings: Sequence[Reading], scale: float = 1.0) -> Ours:
    """Sum up what runs measured, one value a seed; where a run diverged there is no mean."""
    ordered = sorted(readings, key=lambda r: r.entry.seed)
    samples = tuple(Sample(r.entry.seed, r.value * scale, r.entry.id) for r in ordered)
    if not all(math.isfinite(s.value) for s in samples):
        return Ours(samples, math.nan, None, None)
    interval = mean_interval([s.value for s in samples])
    return Ours(samples, interval.mean, interval.sd, interval.half_width)


def devices_of(entry: Entry) -> list[str]:
    """Names of the devices that a run computed on."""
    environment = entry.environment
    hardware = environment.get("hardware") or {}
    gpus = [] if environment.get("accelerator") == "cpu" else hardware.get("gpus") or []
    return [str(g) for g in gpus] or [str(hardware.get("cpu") or "unknown")]


def _incomplete(entry: Entry) -> Iterable[Deviation]:
    """A deviation where the data set had fewer examples than it was published with, as its reader counted them.

    The record has {"recordings": how many, "of": all, ...} or {split: how many}.
    """
    missing = entry.data.get("missing") or {}
    counts = {missing.get("of", ""): missing["recordings"]} if "recordings" in missing else missing
    lacking = ", ".join(f"{count}{f' of {of}' if of else ''}" for of, count in counts.items() if count)
    if lacking:
        yield Deviation("data", "the whole data set", f"without {lacking}")


def _unset(protocol: Any, run: Any) -> bool:
    """Whether an option is off in both: null on one side, and not known yet, or no more, on the other."""
    return (protocol, run) in ((None, ABSENT), (ABSENT, None))


def _signature(deviations: Sequence[Deviation]) -> str:
    """Keys and values of what was run, in order, as text."""
    return json.dumps(sorted((d.key, json.dumps(d.run, sort_keys=True, default=str)) for d in deviations))
