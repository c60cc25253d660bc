"""Tests of means against closed forms, scipy and statsmodels; their size by simulation."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest

from reprise.reproduction.statistics import (
    holm,
    mean_interval,
    p_above,
    p_below,
    p_rising,
    paired_above,
    paired_tost,
    slopes,
    tost,
)

stats = pytest.importorskip("scipy.stats")


def samples(n: int, count: int = 20, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, n])
    return rng.normal(rng.normal(0, 1, (count, 1)), rng.uniform(0.1, 3, (count, 1)), (count, n))


def test_interval_in_closed_form() -> None:
    # t quantile of two degrees at 97.5 %: sqrt(2) * 0.95 / sqrt(2 * 0.975 * 0.025) by hand
    quantile = 0.95 / math.sqrt(2 * 0.975 * 0.025)
    interval = mean_interval([1.0, 2.0, 3.0])
    assert (interval.n, interval.mean, interval.sd) == (3, 2.0, 1.0)
    assert interval.half_width == pytest.approx(quantile / math.sqrt(3), rel=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_interval_equals_scipy(level: float) -> None:
    for n in (2, 3, 10, 40):
        for x in samples(n):
            ours = mean_interval(x.tolist(), level)
            low, high = stats.t.interval(level, n - 1, x.mean(), stats.sem(x))
            assert ours.half_width is not None
            assert (ours.mean - ours.half_width, ours.mean + ours.half_width) == pytest.approx((low, high), rel=1e-10)
            assert ours.sd == pytest.approx(x.std(ddof=1), rel=1e-12)


def test_interval_of_one_value_and_of_equal_values() -> None:
    one = mean_interval([0.1])
    assert (one.n, one.mean, one.sd, one.half_width) == (1, 0.1, None, None)
    equal = mean_interval([0.1] * 3)  # whose sum is not 0.3
    assert (equal.n, equal.mean, equal.sd, equal.half_width) == (3, 0.1, 0.0, 0.0)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_one_sided_tests_equal_scipy(n: int) -> None:
    x = samples(n)
    for limit in (-1.0, 0.0, 0.7):
        above = stats.ttest_1samp(x, limit, axis=1, alternative="greater").pvalue
        below = stats.ttest_1samp(x, limit, axis=1, alternative="less").pvalue
        np.testing.assert_allclose(p_above(x, limit), above, rtol=0, atol=1e-10)
        np.testing.assert_allclose(p_below(x, limit), below, rtol=0, atol=1e-10)
        np.testing.assert_allclose(p_above(x[3], limit), above[3], rtol=0, atol=1e-10)


def test_one_sided_test_in_closed_form() -> None:
    # With two degrees of freedom P(T > t) = 1/2 - t / (2 sqrt(2 + t²)).
    t = 2.0 / (1.0 / math.sqrt(3))
    assert p_above([1.0, 2.0, 3.0]) == pytest.approx(0.5 - t / (2 * math.sqrt(2 + t * t)), rel=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_tost_equals_statsmodels(n: int) -> None:
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    for x in samples(n):
        ours = tost(x, 0.3, 0.8)
        p, (_, p_low, _), (_, p_high, _) = weightstats.DescrStatsW(x).ttost_mean(-0.5, 1.1)
        assert (ours.p_low, ours.p_high, ours.p) == pytest.approx((p_low, p_high, p), rel=0, abs=1e-10)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_paired_tests_equal_scipy(n: int) -> None:
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    for a, b in zip(samples(n), samples(n, seed=1), strict=True):
        assert paired_above(a, b) == pytest.approx(stats.ttest_rel(a, b, alternative="greater").pvalue, abs=1e-10)
        assert paired_above(b, a) == pytest.approx(stats.ttest_rel(a, b, alternative="less").pvalue, abs=1e-10)
        assert paired_above(a, b, 0.4) == pytest.approx(stats.ttest_1samp(a - b, 0.4, alternative="greater").pvalue)
        assert paired_above(b, a, -0.4) == pytest.approx(stats.ttest_1samp(a - b, 0.4, alternative="less").pvalue)
        theirs = weightstats.ttost_paired(a, b, -0.7, 0.7)[0]
        assert paired_tost(a, b, 0.7).p == pytest.approx(theirs, abs=1e-10)


def test_slopes_equal_linear_regression() -> None:
    rows, xs = samples(6, count=4), [0.0, 1.0, 3.0, 10.0]
    theirs = [stats.linregress(xs, rows[:, seed]).slope for seed in range(6)]
    np.testing.assert_allclose(slopes(rows, xs), theirs, rtol=1e-10)
    p = stats.ttest_1samp(theirs, 0, alternative="greater").pvalue
    assert p_rising(rows, xs) == pytest.approx(p, abs=1e-10)
    assert p_rising(-rows, xs) == pytest.approx(1 - p, abs=1e-10)
    stacked = np.stack([rows, -rows])
    np.testing.assert_allclose(p_rising(stacked, xs), [p, 1 - p], atol=1e-10)


def test_holm_equals_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 10):
        for _ in range(20):
            p = (rng.uniform(0, 1, count) ** 3).round(2)  # with ties
            np.testing.assert_allclose(holm(p.tolist()), multitest.multipletests(p, method="holm")[1], atol=1e-12)
    assert holm([]) == []


def test_equal_values_are_decided_exactly() -> None:
    assert p_above([0.1] * 3, 0.0999) == 0.0
    assert p_above([0.1] * 3, 0.1001) == 1.0
    assert p_above([0.1] * 3, 0.1) == p_below([0.1] * 3, 0.1) == 1.0
    assert p_above([0.0] * 3) == p_below([0.0] * 3) == 1.0
    assert tost([3.15] * 3, 3.14, 0.02).p == 0.0
    assert tost([3.17] * 3, 3.14, 0.02).p == 1.0
    assert tost([3.15] * 3, 3.15, 0.0).p == 1.0


def test_equal_values_at_the_margin_show_nothing_however_decimals_round() -> None:
    for r, d, n in itertools.product((0.1, 0.7, 2.85, 3.14, 116.3, 1e-7), (0.01, 0.02, 0.3, 1.7), (2, 3, 7)):
        for end in (r + d, r - d, float(f"{r + d:.10g}"), float(f"{r - d:.10g}")):
            assert tost([end] * n, r, d).p == 1.0, (end, r, d)
            assert p_above([end] * n, end) == 1.0


def test_equal_differences_of_unequal_values_have_no_scatter() -> None:
    a, b = [0.3, 0.5, 0.7, 1.1], [0.1, 0.3, 0.5, 0.9]  # differ by 0.2 but for the last bit
    assert len(set(np.subtract(a, b))) > 1
    assert paired_above(a, b, 0.2) == paired_above(b, a, -0.2) == 1.0
    assert paired_above(a, b, 0.199) == 0.0 and paired_above(b, a, -0.199) == 1.0
    assert paired_tost(a, b, 0.2).p == 1.0 and paired_tost(a, b, 0.201).p == 0.0
    steep = [a, np.add(a, 0.1), np.add(a, 0.2)]
    assert p_rising(steep, [0, 1, 2]) == 0.0
    assert p_rising([a, a, a], [0.1, 0.2, 0.4]) == 1.0


@pytest.mark.parametrize("unit", [1e-320, 1e-200, 1e200, 1e307])
def test_units_do_not_matter(unit: float) -> None:
    x = np.array([1.0, 2.0, 4.0])
    tiny = 1e-3 if unit < 1e-300 else 1e-12  # few digits are left of numbers that small
    assert p_above(x * unit, 0.5 * unit) == pytest.approx(p_above(x, 0.5), rel=tiny)
    ours, unscaled = mean_interval((x * unit).tolist()), mean_interval(x.tolist())
    assert ours.sd is not None and unscaled.sd is not None
    assert (ours.mean / unit, ours.sd / unit) == pytest.approx((unscaled.mean, unscaled.sd), rel=max(tiny, 1e-12))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_size_of_the_one_sided_test(n: int) -> None:
    count = 40_000
    x = np.random.default_rng(n).normal(2.0, 0.3, (count, n))
    for p in (p_above(x, 2.0), p_below(x, 2.0)):
        assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / count))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([]), "0 values"),
        (lambda: mean_interval([1.0], 95), "level is 95"),
        (lambda: p_above([1.0]), "1 values. Expected at least 2"),
        (lambda: p_above([1.0, math.nan]), "not finite"),
        (lambda: p_above([1.0, math.inf]), "not finite"),
        (lambda: tost([1.0, 2.0], 1.0, -0.1), "tolerance is -0.1"),
        (lambda: tost([1.0, 2.0], 1.0, math.nan), "tolerance is nan"),
        (lambda: paired_above([1.0, 2.0], [1.0, 2.0, 3.0]), "no pairs"),
        (lambda: slopes([[1.0], [2.0]], [3, 3]), "two places that differ"),
    ],
)
def test_wrong_numbers_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_importing_loads_neither_scipy_nor_torch() -> None:
    code = "import sys, reprise.reproduction.judging; print({'scipy', 'torch', 'pytorch_lightning'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
