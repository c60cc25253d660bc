"""Where each figure and each claim of a paper stands: what `show`, `list` and the report print."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from reprise.reproduction.entry import Entry
from reprise.reproduction.paper import Claim, Paper, Target, Term

LEAST_SEEDS = 3  # a verdict needs as many
Kind = Literal[
    "reproduced", "better", "not reproduced", "inconclusive", "scaled", "stale", "missing", "not testable", "quoted"
]
KINDS: dict[Kind, str] = {
    "reproduced": "Two one-sided t-tests at 5 % show our mean within the tolerance of the reported one (n >= 3).",
    "better": "Significantly better than reported, by more than the tolerance. It often means another protocol.",
    "not reproduced": "Significantly worse than reported, by more than the tolerance.",
    "inconclusive": "Runs of the exact protocol exist, but too few or too scattered; it says how many would decide.",
    "scaled": "Only runs that deviate from the protocol exist. They are shown with each deviation and get no verdict.",
    "stale": "The code that the runs depend on has changed since.",
    "missing": "No run yet; the command and its estimated cost are given.",
    "not testable": "Nobody outside can run it (private data, human listeners), or no figure was printed or recovered.",
    "quoted": "A competitor's figure that the paper quotes for comparison.",
}
Outcome = Literal["holds", "contradicted", "undecided", "stale", "missing", "not testable"]
OUTCOMES: dict[Outcome, str] = {
    "holds": "Paired one-sided tests over seeds, corrected after Holm for the paper's tested claims, show it at 5 %.",
    "contradicted": "The same tests show the opposite.",
    "undecided": "Runs exist, but too few or too scattered to decide.",
    "stale": "The code that the runs depend on has changed since.",
    "missing": "Not all of the compared runs exist.",
    "not testable": "Nobody outside can test it.",
}


@dataclass(frozen=True)
class Deviation:
    """A difference between the protocol and what was run.

    Attributes:
        key: dotted key of the config, or `hardware`.
        protocol, run: both values.
    """

    key: str
    protocol: Any
    run: Any


@dataclass(frozen=True)
class Sample:
    """A value that one run gives.

    Attributes:
        seed: of the run.
        value: in the paper's unit.
        run: id of its record.
    """

    seed: int
    value: float
    run: str


@dataclass(frozen=True)
class Ours:
    """Our figure.

    Attributes:
        samples: one a seed, by seed.
        mean: of the values; NaN where a run diverged.
        sd: standard deviation over seeds (n - 1); None for one.
        half_width: of the 95 % t interval of the mean; None for one.
    """

    samples: tuple[Sample, ...]
    mean: float
    sd: float | None
    half_width: float | None

    @property
    def n(self) -> int:
        """Seeds."""
        return len(self.samples)

    @property
    def diverged(self) -> int:
        """Seeds without a finite value."""
        return sum(not math.isfinite(s.value) for s in self.samples)


@dataclass(frozen=True)
class Standing:
    """Where a target stands.

    Attributes:
        target: the reported figure.
        kind: its verdict; `quoted` for a competitor's figure.
        reason: one sentence that explains it.
        ours: our figure, of the runs the verdict rests on; None without any.
        difference: ours minus reported.
        p_value: of the test the verdict rests on.
        seeds_needed: how many in all would decide, where it is inconclusive.
        deviations: of the runs from the protocol.
        runs: the evidence.
        changed: source files that make it stale.
        command: what makes the missing runs; "" where nothing would.
        estimate: of that command's cost, in words; "" where not known.
        standin: our figure on the public stand-in, compared with nothing.
    """

    target: Target
    kind: Kind
    reason: str
    ours: Ours | None = None
    difference: float | None = None
    p_value: float | None = None
    seeds_needed: int | None = None
    deviations: tuple[Deviation, ...] = ()
    runs: tuple[Entry, ...] = ()
    changed: tuple[str, ...] = ()
    command: str = ""
    estimate: str = ""
    standin: StandIn | None = None


@dataclass(frozen=True)
class StandIn:
    """Our figure on public data that stands in for private ones; never a verdict.

    Attributes:
        experiment: that stands in.
        state: measured (exact protocol of the stand-in), scaled, stale or missing.
        ours, deviations, runs, command, estimate: as of a standing.
    """

    experiment: str
    state: Literal["measured", "scaled", "stale", "missing"]
    ours: Ours | None = None
    deviations: tuple[Deviation, ...] = ()
    runs: tuple[Entry, ...] = ()
    command: str = ""
    estimate: str = ""


@dataclass(frozen=True)
class TermStanding:
    """What was measured of a term.

    Attributes:
        term: of the claim.
        ours: over the paired seeds.
    """

    term: Term
    ours: Ours | None


@dataclass(frozen=True)
class ClaimStanding:
    """Where a claim stands.

    Attributes:
        claim: what the paper states.
        outcome: of the tests.
        reason: one sentence.
        terms: what was measured.
        n: paired seeds.
        p_value: of the claim alone.
        p_holm: corrected for all tested claims of the paper.
        deviations: that all compared runs share: the claim was tested at this budget.
        runs: the evidence.
        command: what makes the missing runs.
    """

    claim: Claim
    outcome: Outcome
    reason: str
    terms: tuple[TermStanding, ...] = ()
    n: int = 0
    p_value: float | None = None
    p_holm: float | None = None
    deviations: tuple[Deviation, ...] = ()
    runs: tuple[Entry, ...] = ()
    command: str = ""


@dataclass(frozen=True)
class PaperStanding:
    """Where a paper stands.

    Attributes:
        paper: the publication.
        targets: by id.
        claims: in the paper's order.
    """

    paper: Paper
    targets: dict[str, Standing]
    claims: tuple[ClaimStanding, ...] = ()

    @property
    def counts(self) -> dict[Kind, int]:
        """How many targets have which verdict, every kind named; quoted figures are not counted."""
        found = Counter(s.kind for s in self.targets.values())
        return {kind: found[kind] for kind in KINDS if kind != "quoted"}

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """How many claims have which outcome."""
        found = Counter(c.outcome for c in self.claims)
        return {outcome: found[outcome] for outcome in OUTCOMES}


@dataclass(frozen=True)
class Report:
    """Everything a report shows.

    Attributes:
        root: whose records were read, as the user wrote it.
        version: of reprise.
        papers: in order of name.
        records: how many were read.
        rejected: (path, why) of those that could not be.
        set_aside: re-runs of a run that counts already.
        unclaimed: runs of experiments that no figure or claim names, or of none.
        newest: when the newest record was begun, ISO 8601; "" without records.
    """

    root: str
    version: str
    papers: tuple[PaperStanding, ...]
    records: int
    rejected: tuple[tuple[str, str], ...] = ()
    set_aside: int = 0
    unclaimed: int = 0
    newest: str = ""

    @property
    def counts(self) -> dict[Kind, int]:
        """Verdicts over all papers."""
        return {kind: sum(p.counts[kind] for p in self.papers) for kind in KINDS if kind != "quoted"}

    @property
    def derived(self) -> int:
        """Reproduced figures that no one printed, but that were computed: an answer of theory or of the data."""
        standings = (s for p in self.papers for s in p.targets.values())
        return sum(s.kind == "reproduced" and s.target.sure == "derived" for s in standings)
