"""Series that are drawn: the synthetic experiments of Wilson and Adams (2013) and of Jung et al. (2020)."""

from __future__ import annotations

import math

import numpy as np


def sinc_sum(points: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """sinc(x + 10) + sinc(x) + sinc(x - 10) on [-15, 15], with sinc(x) = sin(pi x) / (pi x) (Wilson and Adams, 4.4).

    Returns:
        x and y, (points,) each.
    """
    x = np.linspace(-15.0, 15.0, points)
    return x, np.sinc(x + 10.0) + np.sinc(x) + np.sinc(x - 10.0)


def negative_autoregression(
    rng: np.random.Generator, points: int = 420, sigma: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """y_{x+1} = -exp(-0.01) y_x + sigma e, e ~ N(0, 1) (Wilson and Adams, 4.3), begun in equilibrium.

    Args:
        rng: of the draw.
        points: N.
        sigma: not in the paper; 20 forecasts have a log density of -25 there, which is that of steps of about 1.

    Returns:
        x = 1 ... N and y, (N,) each.
    """
    steps = rng.standard_normal(points)
    y = np.empty(points)
    y[0] = sigma / math.sqrt(-math.expm1(-0.02)) * steps[0]
    for i in range(1, points):
        y[i] = -math.exp(-0.01) * y[i - 1] + sigma * steps[i]
    return np.arange(1.0, points + 1.0), y


def matern32(tau: np.ndarray, length: float = 5.0, amplitude: float = 4.0) -> np.ndarray:
    """a^2 (1 + sqrt(3) tau / l) exp(-sqrt(3) tau / l) at distances tau (Wilson and Adams, 4.2: a = 4, l = 5)."""
    r = math.sqrt(3.0) * np.abs(tau) / length
    values: np.ndarray = amplitude**2 * (1.0 + r) * np.exp(-r)
    return values


def quadratic_and_periodic(tau: np.ndarray) -> np.ndarray:
    """10 RQ + 4 PE: alpha = 2, l_RQ = 40, l_PE = 1, frequency 1/20 (Wilson and Adams, 4.2)."""
    rational = (1.0 + tau**2 / (2.0 * 2.0 * 40.0**2)) ** -2.0
    periodic = np.exp(-2.0 * np.sin(math.pi * tau / 20.0) ** 2)
    values: np.ndarray = 10.0 * rational + 4.0 * periodic
    return values


def two_components(tau: np.ndarray) -> np.ndarray:
    """Spectral mixture of Jung et al.'s SM_Q2: weights 1, 0.5; means 0.2, 0.9; deviations 0.0025, 0.0025."""
    return sum(
        (
            weight * np.exp(-2.0 * (math.pi * tau * 0.0025) ** 2) * np.cos(2.0 * math.pi * tau * mean)
            for weight, mean in ((1.0, 0.2), (0.5, 0.9))
        ),
        np.zeros_like(tau),
    )


def draw_process(covariance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a Gaussian process of mean 0 with covariance (N, N).

    The diagonal is raised by 1e-8 of its mean, without which smooth kernels have no Cholesky factor in doubles.

    Returns:
        (N,)
    """
    raised = covariance + 1e-8 * np.diag(covariance).mean() * np.eye(len(covariance))
    drawn: np.ndarray = np.linalg.cholesky(raised) @ rng.standard_normal(len(covariance))
    return drawn
