"""Power against the noncentral t, adaptive integration and simulation; numbers of seeds against a scan."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from reprise.reproduction.power import (
    p_share,
    power_of_difference,
    power_of_equivalence,
    seeds_for_difference,
    seeds_for_equivalence,
    seeds_for_share,
)
from reprise.reproduction.statistics import p_above, tost

stats = pytest.importorskip("scipy.stats")
CASES = [
    (0.3, 1.0, 3),
    (1.0, 0.2, 3),
    (0.5, 1.0, 27),
    (0.02, 0.1, 150),
    (-0.4, 1.0, 5),
    (0.0, 1.0, 2),
    (2.0, 1.0, 1000),
]


def within(rate: float, count: int) -> float:
    return 3 * math.sqrt(max(rate * (1 - rate), 1 / count) / count)


@pytest.mark.parametrize(("excess", "sd", "n"), CASES)
@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.3])
def test_power_of_difference_is_the_noncentral_t(excess: float, sd: float, n: int, alpha: float) -> None:
    power = pytest.importorskip("statsmodels.stats.power")
    ours = power_of_difference(excess, sd, n, alpha)
    assert ours == pytest.approx(stats.nct.sf(stats.t.isf(alpha, n - 1), n - 1, excess / sd * n**0.5), abs=1e-10)
    theirs = power.TTestPower().power(excess / sd, n, alpha, alternative="larger")
    assert ours == pytest.approx(float(theirs), abs=1e-10)


@pytest.mark.parametrize(
    ("difference", "sd", "n", "tolerance"),
    [
        (0.0, 1.0, 3, 1.0),
        (0.3, 1.0, 5, 1.0),
        (-0.3, 1.0, 5, 1.0),
        (0.9, 0.1, 10, 1.0),
        (0.0, 0.01, 3, 1.0),
        (0.2, 2.0, 2, 1.0),
        (0.1, 3.0, 100, 1.0),
        (1.0, 0.3, 8, 1.0),
        (1.2, 0.3, 4, 1.0),
        (0.0, 50.0, 3, 1.0),
    ],
)
def test_power_of_equivalence_equals_adaptive_integration(
    difference: float, sd: float, n: int, tolerance: float
) -> None:
    integrate = pytest.importorskip("scipy.integrate")
    critical, se = stats.t.isf(0.05, n - 1), sd / n**0.5

    def inner(w: float) -> float:  # given the sample variance w sd² / (n - 1)
        reach = tolerance - critical * se * math.sqrt(w / (n - 1))
        inside = stats.norm.cdf((reach - difference) / se) - stats.norm.cdf((-reach - difference) / se)
        return max(0.0, inside) * stats.chi2.pdf(w, n - 1)

    end = min((tolerance / critical / se) ** 2 * (n - 1), stats.chi2.isf(1e-16, n - 1))
    places = [p for p in stats.chi2.ppf([0.01, 0.5, 0.99], n - 1) if p < end]
    theirs, _ = integrate.quad(inner, 0, end, points=places, epsabs=1e-13, epsrel=1e-12, limit=500)
    assert power_of_equivalence(difference, sd, n, tolerance) == pytest.approx(theirs, abs=1e-10)


@pytest.mark.parametrize(("mean", "n"), [(0.0, 3), (0.5, 5), (0.8, 20), (1.0, 10)])
def test_power_equals_simulated_rates(mean: float, n: int) -> None:
    count = 40_000
    x = np.random.default_rng(n).normal(mean, 0.6, (count, n))
    wanted = power_of_equivalence(mean, 0.6, n, 1.0)
    assert np.mean(tost(x, 0.0, 1.0).p <= 0.05) == pytest.approx(wanted, abs=within(wanted, count))
    wanted = power_of_difference(mean - 0.25, 0.6, n)
    assert np.mean(p_above(x, 0.25) <= 0.05) == pytest.approx(wanted, abs=within(wanted, count))


def test_power_at_the_ends() -> None:
    assert power_of_difference(0.0, 1.0, 7) == pytest.approx(0.05, abs=1e-12)
    assert power_of_equivalence(1.0, 0.01, 7, 1.0) == pytest.approx(0.05, abs=1e-12)
    assert (power_of_difference(0.1, 0.0, 3), power_of_difference(0.0, 0.0, 3)) == (1.0, 0.0)
    assert (power_of_equivalence(0.9, 0.0, 3, 1.0), power_of_equivalence(1.0, 0.0, 3, 1.0)) == (1.0, 0.0)
    assert power_of_equivalence(0.0, 1.0, 100, 0.0) == 0.0
    assert power_of_difference(1.0, 1e-200, 3) == power_of_equivalence(0.0, 1e-200, 3, 1.0) == pytest.approx(1.0)
    for sd, n, alpha in ((-1.0, 3, 0.05), (math.nan, 3, 0.05), (1.0, 1, 0.05), (1.0, 3, 0.5)):
        with pytest.raises(ValueError, match="Expected n >= 2"):
            power_of_difference(1.0, sd, n, alpha)


@pytest.mark.parametrize("ratio", [0.05, 0.2, 0.5, 1.0, 3.0, 20.0])
def test_seeds_are_the_first_number_with_enough_power(ratio: float) -> None:
    at = [power_of_difference(ratio, 1.0, n) for n in range(3, 300)]
    first = next((n for n, p in enumerate(at, 3) if p >= 0.8), None)
    assert seeds_for_difference(ratio, 1.0, limit=299) == first
    for share in (0.0, -0.3, 0.8):
        at = [power_of_equivalence(share * ratio, 1.0, n, ratio) for n in range(3, 300)]
        first = next((n for n, p in enumerate(at, 3) if p >= 0.8), None)
        assert seeds_for_equivalence(share * ratio, 1.0, ratio, limit=299) == first
        assert all(b >= a - 1e-12 for a, b in itertools.pairwise(at) if a > 0.05)  # which the search relies on


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 0.6), (0.3, 0.5), (-0.5, 1.0)])
def test_that_many_seeds_do_decide_four_times_of_five(mean: float, sd: float) -> None:
    n = seeds_for_equivalence(mean, sd, 1.0)
    assert n is not None and 3 < n < 60
    count = 20_000
    x = np.random.default_rng(n).normal(mean, sd, (count, n))
    rate, fewer = (np.mean(tost(y, 0.0, 1.0).p <= 0.05) for y in (x, x[:, :-1]))
    assert rate >= 0.8 - within(0.8, count)
    assert fewer < 0.8 + within(0.8, count)


@pytest.mark.parametrize("power", [0.05, 1.0, 80, math.nan])
def test_power_is_a_probability_above_the_level(power: float) -> None:
    with pytest.raises(ValueError, match="Expected a number between alpha"):
        seeds_for_difference(1.0, 1.0, power)


def test_no_number_of_seeds() -> None:
    assert seeds_for_equivalence(1.0, 0.1, 1.0) is None
    assert seeds_for_equivalence(1.5, 0.1, 1.0) is None
    assert seeds_for_equivalence(0.0, 0.1, 0.0) is None
    assert seeds_for_equivalence(0.0, 100.0, 1.0) is None
    assert seeds_for_equivalence(0.0, 1.0, 1.0, limit=2) is None
    assert seeds_for_difference(0.0, 0.1) is None
    assert seeds_for_difference(-1.0, 0.1) is None
    assert seeds_for_difference(0.01, 1.0) is None
    assert seeds_for_difference(0.01, 1.0, limit=100_000) == pytest.approx(61_827, abs=2)  # (1.645 + 0.842)² 10⁴
    assert seeds_for_equivalence(0.0, 0.0, 1.0) == seeds_for_difference(1.0, 0.0) == 3


def test_shares_equal_the_exact_binomial_test() -> None:
    for k, n in ((0, 3), (1, 3), (2, 3), (3, 3), (2, 20), (5, 20)):
        theirs = stats.binomtest(k, n, 0.05, alternative="greater").pvalue
        assert p_share(k, n, 0.05) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("share", [0.06, 0.1, 1 / 3, 0.6, 1.0])
def test_seeds_for_a_share_are_the_first_number_with_enough_power(share: float) -> None:
    def power(n: int) -> float:
        found = [k for k in range(n + 1) if stats.binom.sf(k - 1, n, 0.05) <= 0.025]
        return float(stats.binom.sf(found[0] - 1, n, share)) if found else 0.0

    assert seeds_for_share(share, 0.05, alpha=0.025, limit=150) == next(
        (n for n in range(3, 151) if power(n) >= 0.8), None
    )


def test_a_tolerated_share_is_never_shown() -> None:
    assert seeds_for_share(0.05, 0.05) is None
