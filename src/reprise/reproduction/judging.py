"""What the values of some seeds say of a reported figure. Numbers in, a verdict out; no files.

The mean over at least three seeds is tested at 5 % against the reported figure r with its tolerance d:

- `reproduced`: two one-sided t-tests show the mean within d of r.
- `better`, `not reproduced`: a one-sided t-test shows it beyond r by more than d, on the good or the bad side. Where
  neither side is good (`match`), both are bad, and the smaller p-value is doubled.
- `inconclusive`: none of these; says how many seeds in all would decide with a probability of 80 %, if the true mean
  and standard deviation were those observed.

A run without a finite value has diverged. It is never dropped: it is worse than any figure, so there is no mean over
seeds, and neither `reproduced` nor `better` can be had. The verdict is `not reproduced` where more runs diverge than
of a protocol that does so once in 20 runs (exact binomial test), or where the others alone are worse; as these are two
ways to one verdict, each p-value is doubled. A protocol that never diverges is wrongly called `not reproduced` at most
5 % of the time; one that diverges once in 20 runs at most, 7.5 % of the time.

Claims are judged in `claim_tests`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reprise.config.errors import suggest
from reprise.reproduction.paper import Direction
from reprise.reproduction.power import p_share, seeds_for_difference, seeds_for_equivalence, seeds_for_share
from reprise.reproduction.standing import LEAST_SEEDS
from reprise.reproduction.statistics import ALPHA, Floats, Interval, mean_interval, p_above, p_below, tost
from reprise.reproduction.wording import say_mean, say_p, say_seeds, short

Verdict = Literal["reproduced", "better", "not reproduced", "inconclusive"]

# A protocol that diverges no more often than this may still be the paper's.
TOLERATED_DIVERGENCE = 0.05


@dataclass(frozen=True)
class Judgement:
    """The verdict on a figure.

    Attributes:
        kind: the verdict.
        reason: one sentence with the numbers, without a full stop.
        difference: mean minus reported figure; None where a run diverged.
        p_value: of the test that the verdict rests on, or that comes nearest to one; None below three seeds.
        seeds_needed: how many in all would decide; None where decided, or where no number up to 1000 would.
        interval: of the mean of the finite values; None without any.
        diverged: runs without a finite value.
    """

    kind: Verdict
    reason: str
    difference: float | None
    p_value: float | None
    seeds_needed: int | None
    interval: Interval | None
    diverged: int = 0


@dataclass(frozen=True)
class Comparison:
    """p-values of a mean against a reported figure with its tolerance, for any number of samples.

    Attributes:
        p_equivalent: within the tolerance.
        p_better: beyond it on the good side; 1 where neither side is good.
        p_worse: beyond it on the bad side, or on either where neither is good.
    """

    p_equivalent: Floats
    p_better: Floats
    p_worse: Floats

    @property
    def verdicts(self) -> NDArray[np.str_]:
        """One a sample; at most one p-value can be at 5 % or below."""
        return np.select(
            [self.p_equivalent <= ALPHA, self.p_better <= ALPHA, self.p_worse <= ALPHA],
            ["reproduced", "better", "not reproduced"],
            "inconclusive",
        )


def compare(values: ArrayLike, reported: float, tolerance: float, direction: Direction) -> Comparison:
    """Test samples against a reported figure.

    Args:
        values: [..., seeds], finite, at least two seeds.
        reported: the figure.
        tolerance: how far off still counts as reproduced, at least 0.
        direction: which way is better; `match` where neither is.

    Raises:
        ValueError: a value or the figure is not finite, the tolerance is negative, or there is no such direction.
    """
    _check(reported, tolerance, direction)
    above = p_above(values, reported + tolerance)
    below = p_below(values, reported - tolerance)
    equivalent = tost(values, reported, tolerance).p
    if direction == "match":
        return Comparison(equivalent, np.ones_like(equivalent), np.minimum(1.0, 2 * np.minimum(above, below)))
    better, worse = (below, above) if direction == "lower" else (above, below)
    return Comparison(equivalent, better, worse)


def judge(values: Sequence[float], reported: float, tolerance: float, direction: Direction) -> Judgement:
    """Judge a reported figure by the values of seeds that followed the protocol.

    Args:
        values: one a seed; those of diverged runs are not finite.
        reported: the figure.
        tolerance: how far off still counts as reproduced.
        direction: which way is better; `match` where neither is.

    Raises:
        ValueError: there are no values, or the figure, its tolerance or the direction is none.
    """
    _check(reported, tolerance, direction)
    if len(values) == 0:
        raise ValueError("no values to judge by. A figure without runs is missing, not judged.")
    finite = [float(v) for v in values if math.isfinite(v)]
    case = _Case(len(values), finite, reported, tolerance, direction)
    if case.diverged:
        return _judge_diverged(case)
    if case.comparison is None or case.n < LEAST_SEEDS:
        return _judge_few(case)
    return _judge_mean(case, case.comparison)


class _Case:
    """The numbers of one judgement and the words for them."""

    def __init__(self, n: int, finite: list[float], reported: float, tolerance: float, direction: Direction) -> None:
        self.n = n
        self.finite = finite
        self.reported = reported
        self.tolerance = tolerance
        self.direction = direction
        self.diverged = n - len(finite)
        self.interval = mean_interval(finite) if finite else None
        self.comparison = compare(finite, reported, tolerance, direction) if len(finite) > 1 else None

    @property
    def off(self) -> float:
        """Mean minus reported figure."""
        return math.nan if self.interval is None else self.interval.mean - self.reported

    def result(self, kind: Verdict, reason: str, p_value: float | None = None, seeds: int | None = None) -> Judgement:
        off = None if self.diverged else self.off
        return Judgement(kind, reason, off, p_value, seeds, self.interval, self.diverged)

    def seeds(self) -> int | None:
        """How many in all would decide at the observed mean and standard deviation."""
        if self.interval is None or self.interval.sd is None:
            return None
        sd, off = self.interval.sd, abs(self.off)
        if sd == 0:  # undecided only at the very margin, where more of the same changes nothing
            return None
        if off < self.tolerance:
            return seeds_for_equivalence(off, sd, self.tolerance)
        alpha = ALPHA / 2 if self.direction == "match" else ALPHA
        return seeds_for_difference(off - self.tolerance, sd, alpha=alpha)

    @property
    def mean(self) -> str:
        """The mean of the finite values with its interval."""
        return "none" if self.interval is None else say_mean(self.interval, self.tolerance)

    @property
    def worse(self) -> str:
        """Words for where the bad side is."""
        figure = f"the reported {self.reported:.10g} by more than {short(self.tolerance)}"
        return f"off {figure}" if self.direction == "match" else f"worse than {figure}"


def _judge_mean(case: _Case, tests: Comparison) -> Judgement:
    """Three seeds or more, all finite."""
    kind = cast(Verdict, tests.verdicts.item())
    figure, tolerance = f"the reported {case.reported:.10g}", short(case.tolerance)
    start = f"the mean of {case.n} seeds, {case.mean}, is"
    if kind == "reproduced":
        p = float(tests.p_equivalent)
        return case.result(kind, f"{start} within {tolerance} of {figure} (two one-sided t-tests, {say_p(p)})", p)
    if kind == "better":
        p = float(tests.p_better)
        hint = "often a sign of another protocol"
        return case.result(kind, f"{start} better than {figure} by more than {tolerance} ({say_p(p)}): {hint}", p)
    if kind == "not reproduced":
        p = float(tests.p_worse)
        return case.result(kind, f"{start} {case.worse} ({say_p(p)})", p)
    inside = abs(case.off) < case.tolerance or math.isclose(abs(case.off), case.tolerance)
    p = float(tests.p_equivalent) if inside else float(min(tests.p_better, tests.p_worse))
    needed = case.seeds()
    where = f"within {tolerance} of {figure}" if inside else f"more than {tolerance} off {figure}"
    return case.result(kind, f"{start} {where}, but not significantly so ({say_p(p)}); {say_seeds(needed)}", p, needed)


def _judge_few(case: _Case) -> Judgement:
    """One or two seeds, finite."""
    needed = max(LEAST_SEEDS, case.seeds() or LEAST_SEEDS)
    more = f"; at this scatter {say_seeds(needed)}" if needed > LEAST_SEEDS else ""
    seeds = f"one seed, {case.mean}" if case.n == 1 else f"the mean of {case.n} seeds is {case.mean}"
    return case.result("inconclusive", f"{seeds}; a verdict needs at least {LEAST_SEEDS}{more}", None, needed)


def _judge_diverged(case: _Case) -> Judgement:
    """Some run has no finite value."""
    k, n = case.diverged, case.n
    start = f"{k} of {n} runs diverged" if n > 1 else "the only run diverged"
    if n < LEAST_SEEDS:
        reason = f"{start}; a verdict needs at least {LEAST_SEEDS} seeds"
        return case.result("inconclusive", reason, None, LEAST_SEEDS)
    p_often = min(1.0, 2 * p_share(k, n, TOLERATED_DIVERGENCE))
    p_worse = 1.0
    if case.comparison is not None and len(case.finite) >= LEAST_SEEDS:
        p_worse = min(1.0, 2 * float(case.comparison.p_worse))
    if min(p_often, p_worse) <= ALPHA:
        often = f"more than one in {1 / TOLERATED_DIVERGENCE:.0f} ({say_p(p_often)})"
        off = f"and the mean of the others, {case.mean}, is {case.worse} ({say_p(p_worse)})"
        return case.result("not reproduced", f"{start}, {often if p_often <= p_worse else off}", min(p_often, p_worse))
    needed = seeds_for_share(k / n, TOLERATED_DIVERGENCE, alpha=ALPHA / 2)
    others = (
        f"mean of the {len(case.finite)} others: {case.mean}" if len(case.finite) > 1 else f"the other: {case.mean}"
    )
    reason = f"{start}, so there is no mean over seeds ({others}); at this share of diverged runs {say_seeds(needed)}"
    return case.result("inconclusive", reason, min(p_often, p_worse), needed)


def _check(reported: float, tolerance: float, direction: Direction) -> None:
    if direction not in get_args(Direction):
        raise ValueError(f"there is no direction {direction!r}. {suggest(str(direction), get_args(Direction))}")
    if not (math.isfinite(reported) and math.isfinite(tolerance) and tolerance >= 0):
        raise ValueError(f"{reported} ± {tolerance} is no figure with its tolerance. Expected finite numbers.")
