"""Verdicts: their error rates by simulation of the code that judges, their words and numbers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reprise.reproduction.judging import compare, judge
from reprise.reproduction.power import power_of_difference, power_of_equivalence
from reprise.reproduction.standing import KINDS

stats = pytest.importorskip("scipy.stats")
NAN, INF = math.nan, math.inf
COUNT = 20_000


def three_errors(rate: float, count: int = COUNT) -> float:
    return 3 * math.sqrt(rate * (1 - rate) / count)


def rates(mean: float, sd: float, n: int, direction: str) -> dict[str, float]:
    """How often each verdict is given on 3.0 ± 1.0."""
    x = np.random.default_rng([n, int(mean * 100)]).normal(mean, sd, (COUNT, n))
    verdicts = compare(x, 3.0, 1.0, direction).verdicts  # type: ignore[arg-type]
    return {kind: float(np.mean(verdicts == kind)) for kind in ("reproduced", "better", "not reproduced")}


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("mean", [2.0, 4.0])
def test_at_the_margin_each_verdict_is_given_five_times_of_a_hundred(n: int, mean: float) -> None:
    beyond = {"lower": ("better", "not reproduced"), "higher": ("not reproduced", "better")}
    for direction, (below, above) in beyond.items():
        found = rates(mean, 0.1, n, direction)
        assert found["reproduced"] == pytest.approx(0.05, abs=three_errors(0.05))
        this, other = (below, above) if mean < 3 else (above, below)
        assert found[this] == pytest.approx(0.05, abs=three_errors(0.05))
        assert found[other] == 0
    found = rates(mean, 0.1, n, "match")
    assert found["reproduced"] == pytest.approx(0.05, abs=three_errors(0.05))
    assert found["not reproduced"] == pytest.approx(0.025, abs=three_errors(0.025))
    assert found["better"] == 0


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("sd", [0.3, 3.0, 30.0])
def test_wrong_verdicts_are_never_more_frequent(n: int, sd: float) -> None:
    bound = 0.05 + three_errors(0.05)
    for mean in (4.0, 4.5):  # off by the tolerance or more
        for direction in ("lower", "higher", "match"):
            assert rates(mean, sd, n, direction)["reproduced"] <= bound
    for mean in (2.0, 3.5, 4.0):  # within the tolerance
        found = rates(mean, sd, n, "lower")
        assert found["not reproduced"] <= bound and found["better"] <= bound
        assert rates(mean, sd, n, "match")["not reproduced"] <= bound


@pytest.mark.parametrize("n", [3, 10])
def test_verdicts_of_samples_are_those_of_judge(n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(rng.uniform(1, 5, (200, 1)), 0.4, (200, n))
    for direction in ("lower", "higher", "match"):
        many = compare(x, 3.0, 1.0, direction)  # type: ignore[arg-type]
        one = [judge(row.tolist(), 3.0, 1.0, direction) for row in x]  # type: ignore[arg-type]
        assert many.verdicts.tolist() == [j.kind for j in one]
        assert len(set(many.verdicts.tolist())) == (3 if direction == "match" else 4)


@pytest.mark.parametrize("n", [3, 6])
def test_p_values_are_those_of_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    for x in rng.normal(rng.uniform(1, 5, (40, 1)), 0.6, (40, n)):
        verdict = judge(x.tolist(), 3.0, 1.0, "lower")
        above = stats.ttest_1samp(x, 4.0, alternative="greater").pvalue
        below = stats.ttest_1samp(x, 2.0, alternative="less").pvalue
        equivalent = max(1 - above, 1 - below)
        expected = {"reproduced": equivalent, "better": below, "not reproduced": above}.get(
            verdict.kind, equivalent if abs(x.mean() - 3) < 1 else min(above, below)
        )
        assert verdict.p_value == pytest.approx(expected, abs=1e-10)
        assert (verdict.kind == "inconclusive") == (expected > 0.05)
        assert verdict.difference == pytest.approx(x.mean() - 3.0)
        assert verdict.interval is not None and verdict.interval.n == n
        if verdict.kind == "inconclusive" and abs(x.mean() - 3) > 1:
            either = judge(x.tolist(), 3.0, 1.0, "match")
            assert either.p_value == pytest.approx(min(1, 2 * expected), abs=1e-10)


def test_mirrored_numbers_get_mirrored_verdicts() -> None:
    for values in ([2.9, 3.1, 3.3], [4.5, 4.6, 4.4], [1.0, 1.1, 1.3], [3.8, 4.6, 4.4]):
        low, high = judge(values, 3.0, 1.0, "lower"), judge([-v for v in values], -3.0, 1.0, "higher")
        assert (low.kind, low.p_value, low.seeds_needed) == (high.kind, high.p_value, high.seeds_needed)
        scaled = judge([1e6 * v for v in values], 3e6, 1e6, "lower")
        assert (scaled.kind, scaled.seeds_needed) == (low.kind, low.seeds_needed)
        assert scaled.p_value == pytest.approx(low.p_value, rel=1e-9)


@pytest.mark.parametrize(
    ("values", "direction", "kind", "reason"),
    [
        (
            [3.141, 3.139, 3.142],
            "lower",
            "reproduced",
            "the mean of 3 seeds, 3.141 ± 0.0038, is within 0.02 of the reported 3.14 (two one-sided "
            "t-tests, p = 0.001)",
        ),
        (
            [3.10, 3.102, 3.098],
            "lower",
            "better",
            "the mean of 3 seeds, 3.100 ± 0.005, is better than the reported 3.14 by more than 0.02 (p = 0.0017): "
            "often a sign of another protocol",
        ),
        (
            [3.10, 3.102, 3.098],
            "higher",
            "not reproduced",
            "the mean of 3 seeds, 3.100 ± 0.005, is worse than the reported 3.14 by more than 0.02 (p = 0.0017)",
        ),
        (
            [3.10, 3.102, 3.098],
            "match",
            "not reproduced",
            "the mean of 3 seeds, 3.100 ± 0.005, is off the reported 3.14 by more than 0.02 (p = 0.0033)",
        ),
        (
            [3.15, 3.16, 3.13],
            "lower",
            "inconclusive",
            "the mean of 3 seeds, 3.147 ± 0.038, is within 0.02 of the reported 3.14, but not significantly so "
            "(p = 0.13); about 10 seeds in all would decide",
        ),
        (
            [3.17, 3.15, 3.18],
            "lower",
            "inconclusive",
            "the mean of 3 seeds, 3.167 ± 0.038, is more than 0.02 off the reported 3.14, but not significantly so "
            "(p = 0.26); about 34 seeds in all would decide",
        ),
        ([3.15], "lower", "inconclusive", "one seed, 3.150; a verdict needs at least 3"),
        (
            [3.15, 3.16],
            "lower",
            "inconclusive",
            "the mean of 2 seeds is 3.155 ± 0.064; a verdict needs at least 3; at this scatter about 14 seeds in all "
            "would decide",
        ),
    ],
)
def test_reasons(values: list[float], direction: str, kind: str, reason: str) -> None:
    verdict = judge(values, 3.14, 0.02, direction)  # type: ignore[arg-type]
    assert (verdict.kind, verdict.reason) == (kind, reason)
    assert verdict.kind in KINDS


@pytest.mark.parametrize("direction", ["lower", "match"])
def test_seeds_needed_are_the_fewest_with_enough_power(direction: str) -> None:
    values = [3.15, 3.16, 3.13]
    verdict = judge(values, 3.14, 0.02, direction)  # type: ignore[arg-type]
    sd, n = float(np.std(values, ddof=1)), verdict.seeds_needed
    assert n is not None and verdict.difference is not None
    off = np.mean(values) - 3.14
    assert power_of_equivalence(off, sd, n, 0.02) >= 0.8 > power_of_equivalence(off, sd, n - 1, 0.02)
    values = [3.17, 3.15, 3.18]
    verdict = judge(values, 3.14, 0.02, direction)  # type: ignore[arg-type]
    sd, n, alpha = float(np.std(values, ddof=1)), verdict.seeds_needed, 0.05 if direction == "lower" else 0.025
    assert n is not None and verdict.difference is not None
    excess = verdict.difference - 0.02
    assert power_of_difference(excess, sd, n, alpha) >= 0.8 > power_of_difference(excess, sd, n - 1, alpha)


def test_undecided_always_asks_for_more_seeds() -> None:
    rng = np.random.default_rng(0)
    asked = 0
    for n in (1, 2, 3, 4, 8):
        for _ in range(60):
            x = rng.normal(rng.uniform(1, 5), 0.8, n)
            x[rng.random(n) < 0.05] = NAN
            verdict = judge(x.tolist(), 3.0, 1.0, "lower")
            if verdict.kind != "inconclusive":
                assert verdict.seeds_needed is None and n >= 3
            elif verdict.seeds_needed is not None:
                assert verdict.seeds_needed >= max(3, n + 1)
                asked += 1
    assert asked > 100


def test_fewer_than_three_seeds_decide_nothing() -> None:
    for values in ([3.0], [3.0, 3.0], [9.0, 9.0], [9.0, 9.0001], [4.0, 4.0]):
        verdict = judge(values, 3.0, 1.0, "lower")
        assert (verdict.kind, verdict.p_value, verdict.seeds_needed) == ("inconclusive", None, 3)
        assert verdict.difference == pytest.approx(np.mean(values) - 3.0)


def test_seeds_without_scatter() -> None:
    kinds = {3.14: "reproduced", 3.159: "reproduced", 3.161: "not reproduced", 3.119: "better"}
    for value, kind in kinds.items():
        assert judge([value] * 3, 3.14, 0.02, "lower").kind == kind
    for value in (3.16, 3.12, 3.14 + 0.02, 3.14 - 0.02):  # at the very margin
        verdict = judge([value] * 3, 3.14, 0.02, "lower")
        assert (verdict.kind, verdict.p_value, verdict.seeds_needed) == ("inconclusive", 1.0, None)
        assert "no number of seeds up to 1000 would decide" in verdict.reason


def test_without_tolerance_only_differences_can_be_shown() -> None:
    assert judge([3.0, 3.0, 3.0], 3.0, 0.0, "lower").kind == "inconclusive"
    assert judge([3.0, 3.1, 3.2], 3.0, 0.0, "lower").kind == "inconclusive"
    assert judge([3.1, 3.11, 3.12], 3.0, 0.0, "lower").kind == "not reproduced"
    assert judge([3.1, 3.11, 3.12], 3.0, 0.0, "higher").kind == "better"


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_diverged_run_is_counted_and_never_dropped(bad: float) -> None:
    good = [3.0, 3.0001, 2.9999, 3.0]
    assert judge(good, 3.0, 0.1, "lower").kind == "reproduced"
    for direction in ("lower", "higher", "match"):
        verdict = judge([bad, *good], 3.0, 0.1, direction)  # type: ignore[arg-type]
        assert (verdict.kind, verdict.diverged, verdict.difference) == ("inconclusive", 1, None)
        assert verdict.reason.startswith(
            "1 of 5 runs diverged, so there is no mean over seeds (mean of the 4 others: 3.00"
        )
        assert verdict.interval is not None and verdict.interval.n == 4
        better = judge([bad, 1.0, 1.01, 1.02, 1.0], 3.0, 0.1, direction)  # type: ignore[arg-type]
        assert better.kind == ("inconclusive" if direction == "lower" else "not reproduced")


def test_runs_that_diverge_too_often_do_not_reproduce() -> None:
    kinds = {(0, 3): "reproduced", (1, 3): "inconclusive", (2, 3): "not reproduced", (3, 3): "not reproduced"}
    kinds |= {(1, 20): "inconclusive", (3, 20): "inconclusive", (4, 20): "not reproduced"}
    for (k, n), kind in kinds.items():
        verdict = judge([NAN] * k + [3.0] * (n - k), 3.0, 0.1, "lower")
        assert verdict.kind == kind, (k, n)
        if k:
            twice = min(1.0, 2 * stats.binomtest(k, n, 0.05, alternative="greater").pvalue)
            assert verdict.p_value == pytest.approx(twice, abs=1e-12)
    assert judge([NAN] * 3, 3.0, 0.1, "lower").reason == "3 of 3 runs diverged, more than one in 20 (p < 0.001)"
    assert judge([NAN] * 3, 3.0, 0.1, "lower").interval is None


def test_seeds_needed_at_the_share_that_diverged() -> None:
    needed = judge([NAN, 3.0, 3.0, 3.0], 3.0, 0.1, "lower").seeds_needed
    assert needed is not None

    def chance(n: int) -> float:
        verdicts = [judge([NAN] * k + [3.0] * (n - k), 3.0, 0.1, "lower").kind for k in range(n + 1)]
        return sum(stats.binom.pmf(k, n, 1 / 4) for k, kind in enumerate(verdicts) if kind == "not reproduced")

    assert chance(needed) >= 0.8 > max(chance(n) for n in range(3, needed))
    assert judge([NAN] + [3.0] * 19, 3.0, 0.1, "lower").seeds_needed is None


def test_the_others_may_be_worse_by_themselves() -> None:
    worse = [3.30, 3.31, 3.32, 3.31]
    verdict = judge([NAN, *worse], 3.14, 0.02, "lower")
    p = 2 * stats.ttest_1samp(worse, 3.16, alternative="greater").pvalue
    assert (verdict.kind, verdict.diverged) == ("not reproduced", 1)
    assert verdict.p_value == pytest.approx(p, abs=1e-10)
    assert verdict.reason == (
        "1 of 5 runs diverged, and the mean of the others, 3.310 ± 0.013, is worse than the reported 3.14 by more "
        "than 0.02 (p < 0.001)"
    )


def test_fewer_than_three_with_a_diverged_run() -> None:
    for values, reason in (
        ([NAN], "the only run diverged; a verdict needs at least 3 seeds"),
        ([INF, 3.0], "1 of 2 runs diverged; a verdict needs at least 3 seeds"),
        ([NAN, NAN], "2 of 2 runs diverged; a verdict needs at least 3 seeds"),
    ):
        verdict = judge(values, 3.0, 1.0, "lower")
        assert (verdict.kind, verdict.reason, verdict.seeds_needed) == ("inconclusive", reason, 3)


@pytest.mark.parametrize("n", [3, 4, 5, 8, 12, 20, 40])
def test_error_rate_with_diverging_runs(n: int) -> None:
    # A mean at the very margin, and a run in 20 diverges: the worst protocol that may still be the paper's.
    wrong = 0.05 * stats.binom.pmf(0, n, 0.05)
    for k in range(1, n + 1):
        by_count = judge([NAN] * k + [3.0] * (n - k), 3.0, 1.0, "lower").kind == "not reproduced"
        wrong += stats.binom.pmf(k, n, 0.05) * (1.0 if by_count else 0.025 if n - k >= 3 else 0.0)
    assert wrong <= 0.075


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: judge([], 1.0, 1.0, "lower"), "no values"),
        (lambda: judge([1.0], 1.0, -1.0, "lower"), "1.0 ± -1.0"),
        (lambda: judge([1.0], NAN, 1.0, "lower"), "nan ± 1.0"),
        (lambda: judge([1.0], 1.0, 1.0, "lowr"), "Did you mean 'lower'"),
    ],
)
def test_wrong_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
