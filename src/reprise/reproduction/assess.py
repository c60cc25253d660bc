"""Say where every figure and every claim of a paper stands, from the runs of a ledger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

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


def command_for(recipe: Recipe) -> str:
    """The command that makes the runs a recipe still lacks."""
    extra = "".join(f" {word}" for word in recipe.overrides)
    return f"reprise reproduce {recipe.experiment} --seeds {LEAST_SEEDS}{extra}"


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
        assert target.measure is not None and target.value is not None and target.tolerance is not None
        every = self._evidence.readings(recipe, target.measure, target.pick)
        readings = on_hardware([r for r in every if r.version == target.version], target.hardware)
        exact = [r for r in readings if not r.deviations]
        fresh = [r for r in exact if not r.entry.changed]
        if fresh:
            ours = ours_of(fresh, target.scale)
            verdict = judge([s.value for s in ours.samples], target.value, target.tolerance.value, target.direction)
            undecided = verdict.kind == "inconclusive"
            return Standing(
                target,
                verdict.kind,
                verdict.reason
                + (f"; {len(exact) - len(fresh)} older runs are stale" if len(exact) > len(fresh) else ""),
                ours,
                verdict.difference,
                verdict.p_value,
                verdict.seeds_needed,
                runs=_runs(fresh),
                command=self._more(recipe, verdict.seeds_needed) if undecided else "",
                estimate=self._estimate(recipe, (verdict.seeds_needed or LEAST_SEEDS) - ours.n) if undecided else "",
            )
        command, estimate = command_for(recipe), self._estimate(recipe, LEAST_SEEDS)
        if exact:
            changed = sorted({name for r in exact for name in r.entry.changed})
            reason = f"the code that {_runs_words(len(exact))} depend{'s' * (len(exact) == 1)} on has changed since"
            ours = ours_of(exact, target.scale)
            difference = _difference(ours, target.value)
            return Standing(
                target,
                "stale",
                reason,
                ours,
                difference,
                runs=_runs(exact),
                changed=tuple(changed),
                command=command,
                estimate=estimate,
            )
        if readings:
            chosen = nearest_group(readings)
            ours = ours_of(chosen, target.scale)
            others = len(readings) - len(chosen)
            reason = f"{_runs_words(len(chosen))} with {len(chosen[0].deviations)} deviations from the protocol"
            return Standing(
                target,
                "scaled",
                reason + (f"; {_runs_words(others)} with other deviations" if others else ""),
                ours,
                _difference(ours, target.value),
                deviations=chosen[0].deviations,
                runs=_runs(chosen),
                changed=tuple(sorted({name for r in chosen for name in r.entry.changed})),
                command=command,
                estimate=estimate,
            )
        if every:
            found = sorted({str(r.version) for r in every})
            reason = (
                f"the runs measured it with version {', '.join(found)} of the metric; what compares with the paper is "
                f"version {target.version}: measure them again with reprise evaluate"
            )
            return Standing(
                target,
                "stale",
                reason,
                runs=_runs(every),
                changed=(target.measure,),
                command=command,
                estimate=estimate,
            )
        return Standing(target, "missing", self._why_missing(recipe), command=command, estimate=estimate)

    def _why_missing(self, recipe: Recipe) -> str:
        matches = self._evidence.matches(recipe)
        if not matches:
            return "no run of it yet"
        states = sorted({m.entry.state for m in matches})
        return f"{_runs_words(len(matches))} ({', '.join(states)}), none of which has measured it"

    def _standin(self, target: Target) -> StandIn | None:
        recipe, measure = target.standin, target.standin_measure
        if recipe is None or measure is None:
            return None
        readings = [r for r in self._evidence.readings(recipe, measure, target.pick) if r.version == target.version]
        if not readings:
            return StandIn(
                recipe.experiment,
                "missing",
                command=command_for(recipe),
                estimate=self._estimate(recipe, LEAST_SEEDS),
            )
        exact = [r for r in readings if not r.deviations]
        fresh = [r for r in exact if not r.entry.changed]
        chosen = fresh or exact or nearest_group(readings)
        state = "measured" if fresh else "stale" if exact else "scaled"
        return StandIn(
            recipe.experiment,
            state,  # type: ignore[arg-type]
            ours_of(chosen, target.scale),
            chosen[0].deviations,
            _runs(chosen),
            "" if fresh else command_for(recipe),
            "" if fresh else self._estimate(recipe, LEAST_SEEDS),
        )

    def _more(self, recipe: Recipe, seeds: int | None) -> str:
        return command_for(recipe).replace(f"--seeds {LEAST_SEEDS}", f"--seeds {seeds}") if seeds else ""

    def _estimate(self, recipe: Recipe, seeds: int) -> str:
        if self._estimator is None:
            return ""
        estimate = self._estimator.of_words(recipe.words)
        return estimate.times(seeds).text if estimate is not None else ""


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


def _runs_words(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
