"""Test a paper's claims on runs of equal budget, paired by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reprise.reproduction.claim_tests import ClaimTest, Decision, decide_claims, measure_claim
from reprise.reproduction.entry import Entry
from reprise.reproduction.evidence import Evidence, Reading, ours_of
from reprise.reproduction.paper import Claim, Paper
from reprise.reproduction.standing import LEAST_SEEDS, ClaimStanding, TermStanding


@dataclass(frozen=True)
class Comparison:
    """Readings of all terms of a claim, at one budget.

    Attributes:
        seeds: that every term has.
        terms: one reading a seed, for each term.
    """

    seeds: tuple[int, ...]
    terms: tuple[tuple[Reading, ...], ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The runs, each once."""
        return tuple({r.entry.id: r.entry for term in self.terms for r in term}.values())


def assess_claims(paper: Paper, evidence: Evidence) -> tuple[ClaimStanding, ...]:
    """Test all claims of a paper; the correction for many tests is over those that could be tested."""
    found = [_compare(claim, evidence) if claim.runnable else (None, False) for claim in paper.claims]
    tests = [None if best is None else _test(claim, best) for claim, (best, _) in zip(paper.claims, found, strict=True)]
    decisions = decide_claims(tests)
    return tuple(
        _standing(claim, best, stale, decision)
        for claim, (best, stale), decision in zip(paper.claims, found, decisions, strict=True)
    )


def _compare(claim: Claim, evidence: Evidence) -> tuple[Comparison | None, bool]:
    """Find the best comparison of a claim's terms, and whether there would be one but for changed code."""
    readings = []
    for term in claim.terms:
        assert term.recipe is not None
        every = evidence.readings(term.recipe, term.measure)
        readings.append([r for r in every if r.version == claim.version])
    fresh = [[r for r in term if not r.changed] for term in readings]
    best = _best(fresh)
    return best, best is None and _best(readings) is not None


def _best(terms: Sequence[Sequence[Reading]]) -> Comparison | None:
    """Of the budgets at which all terms were run: enough pairs, then the fewest deviations, then the most pairs."""
    by_budget: list[dict[str, dict[int, Reading]]] = []
    for term in terms:
        found: dict[str, dict[int, Reading]] = {}
        for reading in term:
            found.setdefault(reading.signature, {}).setdefault(reading.entry.seed, reading)
        by_budget.append(found)
    candidates = []
    for signature in set.intersection(*(set(found) for found in by_budget)):
        seeds = sorted(set.intersection(*(set(found[signature]) for found in by_budget)))
        if seeds:
            chosen = tuple(tuple(found[signature][s] for s in seeds) for found in by_budget)
            enough = min(len(seeds), LEAST_SEEDS)
            order = (-enough, len(chosen[0][0].deviations), -len(seeds), signature)
            candidates.append((order, Comparison(tuple(seeds), chosen)))
    return min(candidates, key=lambda c: c[0])[1] if candidates else None


def _test(claim: Claim, comparison: Comparison) -> ClaimTest:
    return measure_claim(
        claim.kind,
        claim.relation,
        [[r.value for r in term] for term in comparison.terms],
        [term.x for term in claim.terms],
        claim.margin.value if claim.margin else None,
        claim.bound,
    )


def _standing(claim: Claim, best: Comparison | None, stale: bool, decision: Decision | None) -> ClaimStanding:
    if claim.why is not None:
        return ClaimStanding(claim, "not testable", claim.why)
    if not claim.runnable:
        return ClaimStanding(claim, "missing", claim.pending or "no experiment tests it")
    command = f"reprise reproduce {claim.paper}/{claim.id} --seeds {LEAST_SEEDS}"
    if best is None or decision is None:
        if stale:
            return ClaimStanding(claim, "stale", "the code that the runs depend on has changed since", command=command)
        return ClaimStanding(claim, "missing", "not all of the compared runs exist at one budget", command=command)
    more = f"reprise reproduce {claim.paper}/{claim.id} --seeds {max(LEAST_SEEDS, 2 * len(best.seeds))}"
    deviations = best.terms[0][0].deviations
    budget = f"; all compared runs share {len(deviations)} deviations" if deviations else ""
    return ClaimStanding(
        claim,
        decision.outcome,
        decision.reason + budget,
        tuple(TermStanding(t, ours_of(r)) for t, r in zip(claim.terms, best.terms, strict=True)),
        len(best.seeds),
        decision.p_value,
        decision.p_holm,
        deviations,
        best.entries,
        more if decision.outcome == "undecided" else "",
    )
