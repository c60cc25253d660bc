"""Say where every figure and every claim of a paper stands, from the runs of a ledger."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from reprise.reproduction.claims import assess_claims
from reprise.reproduction.entry import Entry
from reprise.reproduction.evidence import Evidence, Reading, on_hardware, ours_of
from reprise.reproduction.judging import judge
from reprise.reproduction.paper import Paper, Recipe, Target
from reprise.reproduction.standing import LEAST_SEEDS, Ours, PaperStanding, StandIn, Standing

if TYPE_CHECKING:
    from reprise.reproduction.estimate import Estimator


def assess(papers: Sequence[Paper], evidence: Evidence, estimator: Estimator | None = None) -> list[PaperStanding]:
    """Judge papers.

    Args:
        papers: in the order wanted.
        evidence: of the ledger, made for at least these papers.
        estimator: says what missing runs would cost; None leaves it out.
    """
    assessor = _Assessor(evidence, estimator)
    return [
        PaperStanding(paper, {t.id: assessor.target(t) for t in paper.targets}, assess_claims(paper, evidence))
        for paper in papers
    ]


def command_for(target: Target, seeds: int) -> str:
    """The command that makes the runs a figure, or its stand-in, still lacks."""
    return f"reprise reproduce {target.paper}/{target.table}/{target.row} --seeds {seeds}"


class _Assessor:
    """Judges one target after the other."""

    def __init__(self, evidence: Evidence, estimator: Estimator | None) -> None:
        self._evidence = evidence
        self._estimator = estimator

    def target(self, target: Target) -> Standing:
        if target.quoted:
            return Standing(target, "quoted", "a competitor's figure, quoted for comparison")
        if target.why or target.value is None:
            lost = "the paper gives no figure" if target.blank else "the figure could not be recovered"
            why = target.why or f"{lost}: {target.note}"
            standin = self._standin(target)
            if target.standin is not None:
                why = f"{why}; on public data {target.standin.experiment} comes nearest"
            return Standing(target, "not testable", why, standin=standin)
        if target.recipe is None:
            return Standing(target, "missing", target.pending or "no experiment yields it")
        return self._tested(target, target.recipe)

    def _tested(self, target: Target, recipe: Recipe) -> Standing:
        """A figure that an experiment yields."""
        assert target.measure is not None and target.tolerance is not None and target.value is not None
        every = self._evidence.readings(recipe, target.measure, target.pick)
        readings = on_hardware([r for r in every if r.version == target.version], target.hardware)
        state, chosen = choose(readings)
        if state == "measured":
            return self._judged(target, recipe, chosen, readings)
        command, estimate = command_for(target, LEAST_SEEDS), self._estimate(recipe, LEAST_SEEDS)
        if state == "missing" and every:
            found = ", ".join(sorted({str(r.version) for r in every}))
            reason = (
                f"the runs measured it with version {found} of the metric; what compares with the paper is version "
                f"{target.version}: measure them again with reprise evaluate"
            )
            return Standing(target, "stale", reason, runs=_runs(every), changed=(target.measure,))
        if state == "missing":
            return Standing(target, "missing", self._why_missing(recipe), command=command, estimate=estimate)
        ours = ours_of(chosen, target.scale)
        changed = sorted({name for r in chosen for name in r.changed})
        if state == "stale":
            reason = f"the code that {_depends(len(chosen))} on has changed since"
        else:
            others = len(readings) - len(chosen)
            reason = f"{_count(len(chosen))} with {len(chosen[0].deviations)} deviations from the protocol"
            reason += f"; {_count(others)} with other deviations" if others else ""
        return Standing(
            target,
            state,
            reason,
            ours,
            _difference(ours, target.value),
            deviations=chosen[0].deviations,
            runs=_runs(chosen),
            changed=tuple(changed),
            command=command,
            estimate=estimate,
        )

    def _judged(
        self, target: Target, recipe: Recipe, fresh: Sequence[Reading], readings: Sequence[Reading]
    ) -> Standing:
        """A figure that runs of the exact protocol bear on."""
        assert target.value is not None and target.tolerance is not None
        ours = ours_of(fresh, target.scale)
        verdict = judge([s.value for s in ours.samples], target.value, target.tolerance.value, target.direction)
        exact = [r for r in readings if not r.deviations]
        stale = sum(bool(r.changed) for r in exact)
        elsewhere = len(exact) - stale - len(fresh)
        reason = verdict.reason + (f"; {_count(stale)} of older code left out" if stale else "")
        reason += f"; {_count(elsewhere)} left out that read other data" if elsewhere else ""
        more = verdict.seeds_needed if verdict.kind == "inconclusive" else None
        return Standing(
            target,
            verdict.kind,
            reason,
            ours,
            verdict.difference,
            verdict.p_value,
            verdict.seeds_needed,
            runs=_runs(fresh),
            command=command_for(target, more) if more else "",
            estimate=self._estimate(recipe, more - ours.n) if more else "",
        )

    def _why_missing(self, recipe: Recipe) -> str:
        matches = self._evidence.matches(recipe)
        if not matches:
            return "no run of it yet"
        states = sorted({m.entry.state for m in matches})
        return f"{_count(len(matches))} ({', '.join(states)}), none of which has measured it"

    def _standin(self, target: Target) -> StandIn | None:
        recipe, measure = target.standin, target.standin_measure
        if recipe is None or measure is None:
            return None
        every = self._evidence.readings(recipe, measure, target.pick)
        readings = on_hardware([r for r in every if r.version == target.version], target.hardware)
        state, chosen = choose(readings)
        lacking = state != "measured"
        return StandIn(
            recipe.experiment,
            state,
            ours_of(chosen, target.scale) if chosen else None,
            chosen[0].deviations if chosen else (),
            _runs(chosen),
            command_for(target, LEAST_SEEDS) if lacking else "",
            self._estimate(recipe, LEAST_SEEDS) if lacking else "",
        )

    def _estimate(self, recipe: Recipe, seeds: int) -> str:
        if self._estimator is None:
            return ""
        estimate = self._estimator.of_words(recipe.words)
        return estimate.times(seeds).text if estimate is not None else ""


def choose(readings: Sequence[Reading]) -> tuple[Literal["measured", "stale", "scaled", "missing"], list[Reading]]:
    """Choose the runs that a figure rests on: exact ones of the code of now, else exact ones, else the nearest."""
    exact = [r for r in readings if not r.deviations]
    if fresh := [r for r in exact if not r.changed]:
        return "measured", same_data(fresh)
    if exact:
        return "stale", same_data(exact)
    return ("scaled", nearest_group(readings)) if readings else ("missing", [])


def same_data(readings: Sequence[Reading]) -> list[Reading]:
    """Of readings on different data the largest set that read the same, the newest of several."""
    groups: dict[str, list[Reading]] = {}
    for reading in readings:
        digests = {k: v for k, v in reading.entry.data.items() if k.endswith("sha256")}
        groups.setdefault(json.dumps(digests, sort_keys=True, default=str), []).append(reading)
    return max(groups.values(), key=lambda g: (len(g), max(r.entry.begun for r in g)))


def nearest_group(readings: Sequence[Reading]) -> list[Reading]:
    """Of readings with deviations, those with the fewest; of several such sets the largest, then the newest."""
    groups: dict[str, list[Reading]] = {}
    for reading in readings:
        groups.setdefault(reading.signature, []).append(reading)
    newest_first = sorted(groups.values(), key=lambda g: max(r.entry.begun for r in g), reverse=True)
    return min(newest_first, key=lambda g: (len(g[0].deviations), -len(g)))


def _difference(ours: Ours, value: float) -> float | None:
    difference = ours.mean - value
    return difference if math.isfinite(difference) else None


def _runs(readings: Sequence[Reading]) -> tuple[Entry, ...]:
    return tuple(r.entry for r in sorted(readings, key=lambda r: r.entry.seed))


def _count(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"


def _depends(runs: int) -> str:
    return f"{_count(runs)} depend{'s' if runs == 1 else ''}"
