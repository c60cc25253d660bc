"""Whether a paper's orderings and trends hold over paired seeds. Numbers in, outcomes out; no files.

A claim holds where a test at 5 % shows it, and is contradicted where one shows the opposite:

- ordering: every term differs from the next in the stated direction (largest p of the pairs); the opposite: some pair
  differs in the other one (smallest p, times the number of pairs).
- trend: the mean over seeds of the least-squares slope has the stated sign; the opposite: it has the other.
- equivalence: two one-sided tests show that the terms differ by less than the margin; the opposite: they differ by
  more, either way (smaller p, doubled).
- threshold: the mean lies on the stated side of the bound; the opposite: on the other side. Seeds that all give one
  number, as counts do, have no scatter to test by: there it is the sign test, 1 / 2^n.

Claims and opposites are corrected after Holm, each for all tested claims of the paper. A claim in which a run diverged
shows neither, but counts among the tested ones: which claims are tested must not depend on how they came out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from reprise.config.errors import suggest
from reprise.reproduction.paper import ClaimKind, Relation
from reprise.reproduction.standing import LEAST_SEEDS
from reprise.reproduction.statistics import (
    ALPHA,
    Floats,
    holm,
    p_above,
    p_below,
    p_rising,
    paired_above,
    paired_tost,
    slopes,
)
from reprise.reproduction.wording import say_p

Decided = Literal["holds", "contradicted", "undecided"]
_TERMS: dict[ClaimKind, tuple[int, int]] = {
    "ordering": (2, 99),
    "trend": (3, 99),
    "equivalence": (2, 2),
    "threshold": (1, 1),
}


@dataclass(frozen=True)
class ClaimTest:
    """The tests of one claim.

    Attributes:
        n: paired seeds.
        p_holds: of the claim; None below three seeds.
        p_against: of its opposite; None below three seeds.
        effect: mean step to the next term, of the pair that speaks least for the ordering; mean slope; difference of
            second and first term; or distance to the bound. None without seeds, or where a run diverged.
        diverged: values that are not finite.
    """

    n: int
    p_holds: float | None
    p_against: float | None
    effect: float | None
    diverged: int = 0


class Decision(NamedTuple):
    """The outcome of one claim.

    Attributes:
        outcome: of its tests.
        p_value: of the claim alone, or of its opposite where that is shown; None where it was not tested.
        p_holm: the same, corrected for all tested claims.
        reason: one sentence.
    """

    outcome: Decided
    p_value: float | None
    p_holm: float | None
    reason: str


def measure_claim(
    kind: ClaimKind,
    relation: Relation,
    rows: Sequence[Sequence[float]],
    xs: Sequence[float] = (),
    margin: float | None = None,
    bound: float | None = None,
) -> ClaimTest:
    """Test one claim.

    Args:
        kind: of the claim.
        relation: whether values rise or fall along the terms, or lie above (rises) or below (falls) the bound.
        rows: [term][seed]; the same seeds in each row.
        xs: where the terms of a trend lie.
        margin: of an equivalence.
        bound: of a threshold.

    Raises:
        ValueError: the rows are not paired or are too few, or the kind lacks its margin, bound or places.
    """
    _check(kind, relation, rows, xs, margin, bound)
    values = np.asarray(rows, dtype=np.float64)
    n = values.shape[1]
    if diverged := int((~np.isfinite(values)).sum()):
        p = None if n < LEAST_SEEDS else 1.0
        return ClaimTest(n, p, p, None, diverged)
    if n == 0:
        return ClaimTest(0, None, None, None)
    effect = _effect(kind, relation, values, xs, bound)
    if n < LEAST_SEEDS:
        return ClaimTest(n, None, None, effect)
    holds, against = claim_p_values(kind, relation, values, xs, margin, bound)
    return ClaimTest(n, float(holds), float(against), effect)


def claim_p_values(
    kind: ClaimKind,
    relation: Relation,
    rows: Floats,
    xs: Sequence[float] = (),
    margin: float | None = None,
    bound: float | None = None,
) -> tuple[Floats, Floats]:
    """p-values of a claim and of its opposite, for finite rows of shape [..., term, seed]; all else as above."""
    if kind == "equivalence":
        first, second, margin = rows[..., 0, :], rows[..., 1, :], margin or 0.0
        beyond = np.minimum(paired_above(second, first, margin), paired_above(first, second, margin))
        return paired_tost(second, first, margin).p, np.minimum(1.0, 2 * beyond)
    if kind == "threshold":
        up, down = _beyond(rows[..., 0, :], bound or 0.0)
        return (up, down) if relation == "rises" else (down, up)
    if kind == "trend":
        up, down = p_rising(rows, xs), p_rising(-rows, xs)
        return (up, down) if relation == "rises" else (down, up)
    earlier, later = rows[..., :-1, :], rows[..., 1:, :]
    if relation == "falls":
        earlier, later = later, earlier
    pairs = earlier.shape[-2]
    return paired_above(later, earlier).max(-1), np.minimum(1.0, pairs * paired_above(earlier, later).min(-1))


def _beyond(values: Floats, bound: float) -> tuple[Floats, Floats]:
    """The p of the mean of values [..., seeds] lying above the bound, and below it."""
    found = np.stack([p_above(values, bound), p_below(values, bound)])
    least = np.where(np.ptp(values, axis=-1) == 0, 0.5 ** values.shape[-1], 0.0)
    up, down = np.maximum(found, least)
    return up, down


def decide_claims(tests: Sequence[ClaimTest | None]) -> list[Decision | None]:
    """Decide all claims of a paper, corrected for their number.

    Args:
        tests: one a claim; None for a claim that could not be tested, which gets no decision.
    """
    holds = _corrected([None if t is None else t.p_holds for t in tests])
    against = _corrected([None if t is None else t.p_against for t in tests])
    cases = zip(tests, holds, against, strict=True)
    return [None if test is None else _decide(test, h, a) for test, h, a in cases]


def _decide(test: ClaimTest, holds: float | None, against: float | None) -> Decision:
    seeds = f"{test.n} seed{'' if test.n == 1 else 's'}"
    if test.p_holds is None or test.p_against is None or holds is None or against is None:
        return Decision("undecided", None, None, f"{seeds}; a test needs at least {LEAST_SEEDS}")
    for_it = f"{say_p(test.p_holds)}, corrected {say_p(holds)}"
    against_it = f"{say_p(test.p_against)}, corrected {say_p(against)}"
    if test.diverged:
        which = "1 value is" if test.diverged == 1 else f"{test.diverged} values are"
        reason = f"{which} not finite over {seeds}, so there are no means to compare"
        return Decision("undecided", test.p_holds, holds, reason)
    if holds <= ALPHA:
        return Decision("holds", test.p_holds, holds, f"shown over {seeds} ({for_it})")
    if against <= ALPHA:
        return Decision("contradicted", test.p_against, against, f"the opposite is shown over {seeds} ({against_it})")
    reason = f"{seeds} show neither the claim ({for_it}) nor its opposite ({against_it})"
    return Decision("undecided", test.p_holds, holds, reason)


def _corrected(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm over those that are there."""
    adjusted = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(adjusted) for p in p_values]


def _effect(kind: ClaimKind, relation: Relation, values: Floats, xs: Sequence[float], bound: float | None) -> float:
    if kind == "trend":
        return float(slopes(values, xs).mean())
    means = values.mean(1)
    if kind == "threshold":
        return float(means[0] - (bound or 0.0))
    steps = np.diff(means)
    return float(steps.min() if relation == "rises" or kind == "equivalence" else steps.max())


def _check(
    kind: ClaimKind,
    relation: Relation,
    rows: Sequence[Sequence[float]],
    xs: Sequence[float],
    margin: float | None,
    bound: float | None,
) -> None:
    if kind not in _TERMS:
        raise ValueError(f"there is no kind of claim {kind!r}. {suggest(str(kind), _TERMS)}")
    if relation not in get_args(Relation):
        raise ValueError(f"there is no relation {relation!r}. {suggest(str(relation), get_args(Relation))}")
    least, most = _TERMS[kind]
    if not least <= len(rows) <= most:
        raise ValueError(f"{len(rows)} terms. Expected {least} or more for the kind {kind}, at most {most}.")
    if len({len(row) for row in rows}) != 1:
        raise ValueError(f"rows of {[len(row) for row in rows]} values. Expected the same seeds in each.")
    if kind == "trend" and (len(xs) != len(rows) or len(set(xs)) < 2):
        raise ValueError(f"x is {list(xs)} for {len(rows)} terms. Expected one each, and two that differ.")
    if kind == "equivalence" and (margin is None or not margin >= 0):
        raise ValueError(f"margin is {margin}. An equivalence needs one, at least 0.")
    if kind == "threshold" and bound is None:
        raise ValueError("bound is None. A threshold needs a number.")
