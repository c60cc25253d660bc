"""Claims: p-values against scipy, error rates by simulation, outcomes and words by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reprise.reproduction.claim_tests import ClaimTest, claim_p_values, decide_claims, measure_claim
from reprise.reproduction.standing import OUTCOMES
from reprise.reproduction.statistics import holm

stats = pytest.importorskip("scipy.stats")
NAN, INF = math.nan, math.inf
COUNT = 20_000
BOUND = 0.05 + 3 * math.sqrt(0.05 * 0.95 / COUNT)


def rows(terms: int, n: int, seed: int = 0) -> np.ndarray:
    """Terms that differ somewhat, with seeds that all of them share."""
    rng = np.random.default_rng([seed, terms, n])
    return rng.normal(0, 1, (terms, 1)) + rng.normal(0, 1, (1, n)) + rng.normal(0, 0.5, (terms, n))


def paired(a: np.ndarray, b: np.ndarray) -> float:
    """p of a above b."""
    return float(stats.ttest_rel(a, b, alternative="greater").pvalue)


@pytest.mark.parametrize("n", [3, 8])
@pytest.mark.parametrize("terms", [2, 4])
def test_ordering_is_the_weakest_of_its_pairs(terms: int, n: int) -> None:
    for seed in range(10):
        x = rows(terms, n, seed)
        up = [paired(x[i + 1], x[i]) for i in range(terms - 1)]
        down = [1 - p for p in up]
        steps = np.diff(x.mean(1))
        rises = measure_claim("ordering", "rises", x.tolist())
        falls = measure_claim("ordering", "falls", x.tolist())
        assert (rises.p_holds, falls.p_holds) == pytest.approx((max(up), max(down)), abs=1e-10)
        assert rises.p_against == pytest.approx(min(1.0, (terms - 1) * min(down)), abs=1e-10)
        assert falls.p_against == pytest.approx(min(1.0, (terms - 1) * min(up)), abs=1e-10)
        assert (rises.n, rises.effect, falls.effect) == (n, pytest.approx(steps.min()), pytest.approx(steps.max()))


def test_trend_tests_the_slopes_of_the_seeds() -> None:
    xs = [6.0, 25.0, 50.0, 1000.0]
    for seed in range(10):
        x = rows(4, 5, seed)
        slopes = [stats.linregress(xs, x[:, i]).slope for i in range(5)]
        up = stats.ttest_1samp(slopes, 0, alternative="greater").pvalue
        rises, falls = (measure_claim("trend", r, x.tolist(), xs) for r in ("rises", "falls"))  # type: ignore[arg-type]
        assert (rises.p_holds, rises.p_against) == pytest.approx((up, 1 - up), abs=1e-10)
        assert (falls.p_holds, falls.p_against) == pytest.approx((1 - up, up), abs=1e-10)
        assert rises.effect == falls.effect == pytest.approx(np.mean(slopes))


def test_equivalence_tests_the_difference_of_two_terms() -> None:
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    for seed in range(10):
        x = rows(2, 6, seed)
        test = measure_claim("equivalence", "rises", x.tolist(), margin=0.8)
        assert test.p_holds == pytest.approx(weightstats.ttost_paired(x[0], x[1], -0.8, 0.8)[0], abs=1e-10)
        difference = x[1] - x[0]
        above = stats.ttest_1samp(difference, 0.8, alternative="greater").pvalue
        below = stats.ttest_1samp(difference, -0.8, alternative="less").pvalue
        assert test.p_against == pytest.approx(min(1.0, 2 * min(above, below)), abs=1e-10)
        assert test.effect == pytest.approx(difference.mean())
        assert measure_claim("equivalence", "falls", x.tolist(), margin=0.8) == test


def test_threshold_tests_one_term_against_the_bound() -> None:
    x = rows(1, 6)
    above = stats.ttest_1samp(x[0], 0.25, alternative="greater").pvalue
    rises, falls = (measure_claim("threshold", r, x.tolist(), bound=0.25) for r in ("rises", "falls"))  # type: ignore[arg-type]
    assert (rises.p_holds, rises.p_against) == pytest.approx((above, 1 - above), abs=1e-10)
    assert (falls.p_holds, falls.p_against) == pytest.approx((1 - above, above), abs=1e-10)
    assert rises.effect == pytest.approx(x.mean() - 0.25)


def test_a_count_that_is_the_same_in_every_seed_shows_no_more_than_a_sign_test() -> None:
    three, ten = (measure_claim("threshold", "falls", [[0.0] * n], bound=0.5) for n in (3, 10))
    assert (three.p_holds, three.p_against) == (0.125, 1.0)
    assert (ten.p_holds, ten.p_against) == (2.0**-10, 1.0)
    both = claim_p_values("threshold", "falls", np.array([[[0.0, 0.0, 0.0]], [[0.0, 0.1, 0.2]]]), bound=0.5)
    assert both[0][0] == 0.125
    assert both[0][1] == pytest.approx(stats.ttest_1samp([0.0, 0.1, 0.2], 0.5, alternative="less").pvalue)


def test_pairing_takes_out_what_seeds_share() -> None:
    shared = np.array([0.0, 100.0, -50.0, 30.0])
    test = measure_claim("ordering", "rises", [shared, shared + np.array([1.0, 1.1, 0.9, 1.0])])  # type: ignore[list-item]
    assert test.p_holds is not None and test.p_holds < 1e-4


def test_terms_without_scatter_are_decided_exactly() -> None:
    low, high = [0.1, 0.3, 0.5], [0.3, 0.5, 0.7]  # apart by 0.2 but for the last bit
    assert measure_claim("ordering", "rises", [low, high]).p_holds == 0.0
    assert measure_claim("ordering", "falls", [low, high]).p_against == 0.0
    same = measure_claim("ordering", "rises", [low, low])
    assert (same.p_holds, same.p_against) == (1.0, 1.0)
    margin = measure_claim("equivalence", "rises", [low, high], margin=0.2)
    assert (margin.p_holds, margin.p_against) == (1.0, 1.0)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_size_of_an_ordering(n: int) -> None:
    rng = np.random.default_rng(n)
    noise = rng.normal(0, 0.1, (COUNT, 4, n)) + rng.normal(0, 1, (COUNT, 1, n))
    # One pair is equal, the others are far apart: where an intersection-union test errs most.
    holds, _ = claim_p_values("ordering", "rises", noise + np.array([[0.0], [0.0], [9.0], [18.0]]))
    assert np.mean(holds <= 0.05) == pytest.approx(0.05, abs=BOUND - 0.05)
    # All equal: the ordering is shown hardly ever, its opposite at most at the level.
    holds, against = claim_p_values("ordering", "rises", noise)
    assert np.mean(holds <= 0.05) <= 0.01
    assert 0.02 < np.mean(against <= 0.05) <= BOUND


@pytest.mark.parametrize("n", [3, 5, 10])
def test_size_of_the_other_claims(n: int) -> None:
    noise = np.random.default_rng(n).normal(0, 0.1, (COUNT, 3, n))
    flat = claim_p_values("trend", "falls", noise, [0, 1, 4])
    at_the_bound = claim_p_values("threshold", "rises", noise[:, :1] + 4.4, bound=4.4)
    apart = noise[:, :2] + np.array([[0.0], [1.0]])
    at_the_margin = claim_p_values("equivalence", "rises", apart, margin=1.0)
    for p in (*flat, *at_the_bound, at_the_margin[0]):
        assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=BOUND - 0.05)
    assert np.mean(at_the_margin[1] <= 0.05) == pytest.approx(0.025, abs=3 * math.sqrt(0.025 * 0.975 / COUNT))


@pytest.mark.parametrize("n", [3, 10])
def test_a_paper_errs_in_any_of_its_claims_at_most_at_the_level(n: int) -> None:
    rng = np.random.default_rng(n)
    noise = rng.normal(0, 0.1, (COUNT, 8, n))
    # Seven untrue claims at the limit of what their tests let pass, and a true one that Holm takes out of the way.
    pairs = np.array([[0.0], [0.0], [9.0]])
    tests = [
        claim_p_values("threshold", "rises", noise[:, 0:1]),
        claim_p_values("threshold", "falls", noise[:, 1:2]),
        claim_p_values("trend", "rises", noise[:, 2:5], [0, 1, 2]),
        claim_p_values("ordering", "rises", noise[:, 2:5] + pairs),
        claim_p_values("equivalence", "rises", noise[:, 5:7] + pairs[1:] / 9, margin=1.0),
        claim_p_values("ordering", "falls", noise[:, 6:8]),
        claim_p_values("threshold", "rises", noise[:, 7:8]),
        claim_p_values("threshold", "rises", noise[:, 7:8] + 1e6),
    ]
    for side in (0, 1):
        p = np.stack([t[side] for t in tests], axis=1)
        adjusted = np.array([holm(row) for row in p.tolist()])
        untrue = adjusted[:, :-1]
        rate = np.mean((untrue <= 0.05).any(1))
        assert (0.02 if side == 0 else 0.0) < rate <= BOUND
    assert np.mean((np.stack([t[0] for t in tests[:-1]], axis=1) <= 0.05).any(1)) > 0.2  # without Holm


def test_outcomes_and_reasons() -> None:
    ordered = measure_claim("ordering", "falls", [[5, 5.1, 5.2], [4, 4.2, 4.1], [3, 3.3, 3.1]])
    wrong = measure_claim("trend", "falls", [[5, 5.1, 5.2], [6, 6.2, 6.1], [7, 7.3, 7.1]], [0, 1, 2])
    unclear = measure_claim("threshold", "rises", [[5, 5.1, 5.2]], bound=5)
    diverged = measure_claim("threshold", "rises", [[5, INF, NAN]], bound=1)
    few = measure_claim("threshold", "rises", [[5, 5.1]], bound=1)
    found = decide_claims([ordered, None, wrong, unclear, diverged, few])
    assert found[1] is None
    decisions = [d for d in found if d is not None]
    assert [d.outcome for d in decisions] == ["holds", "contradicted", "undecided", "undecided", "undecided"]
    assert {d.outcome for d in decisions} <= set(OUTCOMES)
    assert [d.reason for d in decisions] == [
        "shown over 3 seeds (p = 0.0017, corrected p = 0.0066)",
        "the opposite is shown over 3 seeds (p < 0.001, corrected p = 0.0038)",
        "3 seeds show neither the claim (p = 0.11, corrected p = 0.34) nor its opposite (p = 0.89, corrected p = 1)",
        "2 values are not finite over 3 seeds, so there are no means to compare",
        "2 seeds; a test needs at least 3",
    ]
    assert [d.p_value for d in decisions] == [ordered.p_holds, wrong.p_against, unclear.p_holds, 1.0, None]
    assert [t.p_holds for t in (ordered, wrong, unclear)] == pytest.approx([0.0016584, 0.9990620, 0.1127017], abs=1e-6)


def test_holm_counts_every_tested_claim_and_no_other() -> None:
    tests = [ClaimTest(5, p, 1.0, 0.0) for p in (0.01, 0.02, 0.03)]
    untested = [None, ClaimTest(2, None, None, 0.0)]
    alone, together = decide_claims(tests[:1])[0], decide_claims([*untested, *tests])
    assert alone is not None and (alone.outcome, alone.p_holm) == ("holds", 0.01)
    assert [d.p_holm for d in together if d is not None] == [None, 0.03, 0.04, 0.04]
    # A diverged claim was tested, though nothing can come of it.
    diverged = measure_claim("ordering", "rises", [[1.0, NAN, 1.0], [2.0, 2.0, 2.0]])
    assert (diverged.p_holds, diverged.p_against, diverged.effect, diverged.diverged) == (1.0, 1.0, None, 1)
    first = decide_claims([tests[1], tests[2], diverged])[0]
    assert first is not None and (first.outcome, first.p_holm) == ("undecided", pytest.approx(0.06))


def test_claims_and_opposites_are_corrected_apart() -> None:
    tests = [ClaimTest(5, 0.04, 0.96, 0.0), ClaimTest(5, 0.96, 0.02, 0.0)]
    assert [d.outcome for d in decide_claims(tests) if d] == ["undecided", "contradicted"]
    assert decide_claims([]) == []


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_seeds_give_no_p(n: int) -> None:
    test = measure_claim("ordering", "rises", [[1.0] * n, [2.0] * n])
    assert test == ClaimTest(n, None, None, 1.0 if n else None)
    diverged = measure_claim("ordering", "rises", [[NAN] * n, [2.0] * n])
    assert diverged == ClaimTest(n, None, None, None, n)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "order"}, "Did you mean 'ordering'"),
        ({"relation": "rise"}, "Did you mean 'rises'"),
        ({"rows": [[1.0] * 3]}, "1 terms. Expected 2 or more"),
        ({"rows": [[1.0] * 3, [1.0] * 2]}, "the same seeds"),
        ({"kind": "trend", "rows": [[1.0] * 3] * 3, "xs": [0, 1]}, "Expected one each"),
        ({"kind": "trend", "rows": [[1.0] * 3] * 3, "xs": [1, 1, 1]}, "two that differ"),
        ({"kind": "equivalence", "rows": [[1.0] * 3] * 3, "margin": 1.0}, "3 terms"),
        ({"kind": "equivalence"}, "margin is None"),
        ({"kind": "equivalence", "margin": -1.0}, "margin is -1.0"),
        ({"kind": "threshold", "rows": [[1.0] * 3]}, "bound is None"),
    ],
)
def test_wrong_input_is_named(arguments: dict, message: str) -> None:
    given = {"kind": "ordering", "relation": "rises", "rows": [[1.0] * 3] * 2, **arguments}
    with pytest.raises(ValueError, match=message):
        measure_claim(**given)
