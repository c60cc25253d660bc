"""Where a spectral mixture begins: weights, means and deviations of its components, seen from the data."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from reprise.config.errors import ConfigError

DRAWN = 500  # frequencies that are drawn from the periodogram (Jung et al.'s code)


class Start(NamedTuple):
    """Of S starts.

    Attributes:
        weight: (S, Q).
        mean, deviation: (S, Q, P), in cycles a unit of x.
    """

    weight: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


def periodogram(x: np.ndarray, y: np.ndarray, oversampling: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Periodogram of a series less its mean, by least squares (Lomb and Scargle), so that times need not be even.

    Args:
        x, y: times and values, (N,) each.
        oversampling: frequencies for each one of the N / 2 that an even series has.

    Returns:
        Frequencies (F,), from 1 / range to Nyquist's 1 / (2 least spacing), and the density of y's variance (F,) over
        them.
    """
    from scipy.signal import lombscargle

    order = np.sort(x)
    steps = np.diff(order)
    extent, nyquist = order[-1] - order[0], 0.5 / steps[steps > 0].min()
    count = max(int(oversampling * extent * nyquist), 2)
    frequency = np.arange(1, count + 1) * nyquist / count
    power = lombscargle(x, y - y.mean(), 2.0 * np.pi * frequency)
    # a sine of variance v has power N v / 2 at its frequency, spread over a width of 1 / extent
    return frequency, np.maximum(power, 0.0) * 2.0 * extent / len(y)


def gaussian_starts(x: np.ndarray, y: np.ndarray, components: int, starts: int, rng: np.random.Generator) -> Start:
    """Fit a Gaussian mixture to 500 frequencies drawn from the periodogram, for each start anew (Jung et al.'s code).

    There w = 1. Here the weights are the mixture's shares of y's variance, and the component of the lowest frequency
    has the square of y's mean in addition, which a process of mean zero has to explain.

    Args:
        x: one input (N, 1).
        y: (N,).
        components: Q.
        starts: S.
        rng: of the draws.

    Raises:
        ConfigError: there are several inputs, or scikit-learn is missing.
    """
    if x.shape[1] != 1:
        raise ConfigError("model.start=periodogram is for one input. Use uniform or gpytorch.")
    frequency, power = periodogram(x[:, 0], y)
    nyquist, bin_width = frequency[-1], frequency[1] - frequency[0]
    found = Start(np.empty((starts, components)), *(np.empty((starts, components, 1)) for _ in range(2)))
    for s in range(starts):
        drawn = rng.choice(frequency, DRAWN, p=power / power.sum()) + rng.uniform(-0.5, 0.5, DRAWN) * bin_width
        share, mean, deviation = fit_mixture(drawn.clip(0.0, nyquist)[:, None] / nyquist, components, rng)
        weight = share * y.var()
        weight[mean[:, 0].argmin()] += y.mean() ** 2
        found.weight[s], found.mean[s], found.deviation[s] = weight, mean * nyquist, deviation * nyquist
    return found


def uniform_starts(x: np.ndarray, y: np.ndarray, components: int, starts: int, rng: np.random.Generator) -> Start:
    """Draw means evenly up to Nyquist's frequency and lengths |N(0, range^2)|; equal weights sum up to the mean of y^2.

    So Wilson's examples begin (his later code; the paper says "random").

    Args:
        x: (N, P).
        y: (N,).
        components: Q.
        starts: S.
        rng: of the draws.
    """
    extent, nyquist = _scales(x)
    size = (starts, components, x.shape[1])
    mean = rng.uniform(size=size) * nyquist
    length = np.abs(rng.standard_normal(size)) * extent
    weight = np.full(size[:2], np.square(y).mean() / components)
    return Start(weight, mean, 1.0 / np.maximum(length, 1e-3 * extent))


def gpytorch_starts(x: np.ndarray, y: np.ndarray, components: int, starts: int, rng: np.random.Generator) -> Start:
    """As GPyTorch's initialize_from_data: as `uniform_starts`, but each weight is the deviation of y, divided by Q.

    Args:
        x: (N, P).
        y: (N,).
        components: Q.
        starts: S.
        rng: of the draws.
    """
    found = uniform_starts(x, y, components, starts, rng)
    return found._replace(weight=np.full(found.weight.shape, y.std(ddof=1) / components))


def _scales(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    steps = np.diff(np.sort(x, axis=0), axis=0)
    least = np.where(steps > 0, steps, np.inf).min(0)
    extent = x.max(0) - x.min(0)
    constant = extent == 0
    return np.where(constant, 1.0, extent), 0.5 / np.where(constant, 1.0, least)


def fit_mixture(points: np.ndarray, components: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Weights (Q,), means (Q, P) and deviations (Q, P) of a Gaussian mixture fitted to points (K, P).

    Raises:
        ConfigError: scikit-learn is missing.
    """
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture
    except ImportError as error:
        raise ConfigError("scikit-learn is missing. Install it with pip install 'reprise[kernels]'.") from error
    fitted: Any = GaussianMixture(components, covariance_type="diag", random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct frequencies than components
        fitted.fit(points)
    return fitted.weights_, fitted.means_, np.sqrt(fitted.covariances_)
