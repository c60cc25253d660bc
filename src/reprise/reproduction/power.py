"""Power of the tests of `statistics`: how many seeds would decide.

Given the ratio u = s/σ of sample to true standard deviation, the power of a t-test is a normal probability; u follows
a scaled chi distribution. Both tests are integrated over it with one rule. For the one-sided test that is the upper
tail of the noncentral t; for equivalence no closed form exists.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Callable

import numpy as np

from reprise.reproduction.standing import LEAST_SEEDS
from reprise.reproduction.statistics import ALPHA, Floats

_LIMIT = 1000
_POWER = 0.8


def power_of_difference(excess: float, sd: float, n: int, alpha: float = ALPHA) -> float:
    """Power of the one-sided t-test.

    Args:
        excess: how far the true mean lies beyond the limit.
        sd: true standard deviation.
        n: seeds.
        alpha: level of the test.
    """
    from scipy.special import ndtr, stdtrit

    _check(sd, n, alpha)
    if sd == 0:
        return float(excess > 0)
    shift = excess / sd * np.sqrt(n)
    critical = stdtrit(n - 1, 1 - alpha)
    u, weights = _chi_rule(n - 1, np.inf)
    return float(np.clip(ndtr(shift - critical * u) @ weights, 0, 1))


def power_of_equivalence(difference: float, sd: float, n: int, tolerance: float, alpha: float = ALPHA) -> float:
    """Power of the two one-sided t-tests.

    Args:
        difference: true mean minus reported figure.
        sd: true standard deviation.
        n: seeds.
        tolerance: largest difference that counts as equivalent.
        alpha: level of each test.
    """
    from scipy.special import ndtr, stdtrit

    _check(sd, n, alpha)
    if sd == 0 or tolerance <= 0:
        return float(abs(difference) < tolerance)
    root = np.sqrt(n) / sd
    critical = stdtrit(n - 1, 1 - alpha)
    # Beyond that ratio the interval is wider than the tolerance, and no mean is equivalent.
    u, weights = _chi_rule(n - 1, tolerance * root / critical)
    upper = (tolerance - difference) * root - critical * u
    lower = (-tolerance - difference) * root + critical * u
    return float(np.clip((ndtr(upper) - ndtr(lower)) @ weights, 0, 1))


def seeds_for_difference(
    excess: float, sd: float, power: float = _POWER, alpha: float = ALPHA, limit: int = _LIMIT
) -> int | None:
    """Fewest seeds that show a mean beyond a limit.

    Args:
        excess: how far the true mean lies beyond the limit.
        sd: true standard deviation.
        power: probability of showing it, at least; above alpha.
        alpha: level of the test.
        limit: most seeds to consider.

    Returns:
        The number, 3 at least; None where no number up to the limit would do.
    """
    if not excess > 0:
        return None
    return _fewest(lambda n: power_of_difference(excess, sd, n, alpha), power, alpha, limit)


def seeds_for_equivalence(
    difference: float, sd: float, tolerance: float, power: float = _POWER, alpha: float = ALPHA, limit: int = _LIMIT
) -> int | None:
    """Fewest seeds that show equivalence.

    Args:
        difference: true mean minus reported figure.
        sd: true standard deviation.
        tolerance: largest difference that counts as equivalent.
        power: probability of showing it, at least; above alpha.
        alpha: level of each test.
        limit: most seeds to consider.

    Returns:
        The number, 3 at least; None where no number up to the limit would do.
    """
    if not abs(difference) < tolerance:
        return None
    return _fewest(lambda n: power_of_equivalence(difference, sd, n, tolerance, alpha), power, alpha, limit)


def p_share(failures: int, n: int, tolerated: float) -> float:
    """Exact binomial test of whether runs fail more often than a tolerated share."""
    from scipy.special import bdtrc

    return 1.0 if failures == 0 else float(bdtrc(failures - 1, n, tolerated))


def seeds_for_share(
    share: float, tolerated: float, power: float = _POWER, alpha: float = ALPHA, limit: int = _LIMIT
) -> int | None:
    """Fewest seeds for which that test shows a share of failures, 3 at least; None where no number would do."""
    from scipy.special import bdtrc

    if not share > tolerated:
        return None
    critical = 1  # smallest count that is significant; grows with n, by at most one a step
    for n in range(1, limit + 1):
        critical += p_share(critical, n, tolerated) > alpha
        if n >= LEAST_SEEDS and critical <= n and bdtrc(critical - 1, n, share) >= power:
            return n
    return None


def _fewest(power_at: Callable[[int], float], power: float, alpha: float, limit: int) -> int | None:
    """Smallest n with that power. It grows with n, but for powers below alpha (of equivalence, with three seeds)."""
    if not alpha < power < 1:
        raise ValueError(f"power is {power}. Expected a number between alpha, {alpha}, and 1.")
    if limit < LEAST_SEEDS or power_at(limit) < power:
        return None
    return LEAST_SEEDS + bisect.bisect_left(range(LEAST_SEEDS, limit), power, key=power_at)


@functools.lru_cache(maxsize=1)
def _legendre() -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(128)


def _chi_rule(degrees: int, end: float) -> tuple[Floats, Floats]:
    """Nodes u below `end` and weights, density included, of integrals over s/σ."""
    from scipy.special import gammainccinv, gammaincinv, gammaln

    half = degrees / 2
    low = float(np.sqrt(gammaincinv(half, 1e-17) / half))
    high = min(float(np.sqrt(gammainccinv(half, 1e-17) / half)), end)
    if high <= low:
        return np.zeros(1), np.zeros(1)
    nodes, weights = _legendre()
    u = low + (high - low) * (nodes + 1) / 2
    log_density = np.log(2) + half * np.log(half) - gammaln(half) + (degrees - 1) * np.log(u) - half * u * u
    return u, weights * (high - low) / 2 * np.exp(log_density)


def _check(sd: float, n: int, alpha: float) -> None:
    if n < 2 or not sd >= 0 or not 0 < alpha < 0.5:
        raise ValueError(f"n = {n}, sd = {sd}, alpha = {alpha}. Expected n >= 2, sd >= 0 and 0 < alpha < 0.5.")
