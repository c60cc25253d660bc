"""Where the mixture starts: several starts at once, from the periodogram or at random, and what their prior is."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from reprise.models.spectral_mixture.mixture import Mixture
from reprise.models.spectral_mixture.starts import DRAWN, fit_mixture

Prior = Literal["released", "initial"]
_LEAST = 1e-6  # of a prior's mean and deviation, which may be drawn as 0


class Start(NamedTuple):
    """R starts.

    Attributes:
        mixture: w (R, Q), mu and sigma (R, Q, P).
        prior_mu, prior_sigma: (R, Q, P).
        s: standard deviation of the noise (R,).
    """

    mixture: Mixture
    prior_mu: Tensor
    prior_sigma: Tensor
    s: Tensor


def periodogram(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Welch's periodogram with one segment of all of y (N,), taken as spaced by the median spacing of x (N,).

    Returns:
        Frequencies and densities, (N // 2 + 1,) each.
    """
    from scipy.signal import welch

    order = np.argsort(x)
    spacing = float(np.median(np.diff(x[order])))
    frequencies, density = welch(y[order], fs=1.0 / spacing, nperseg=len(y))
    return frequencies, density


def starts(
    x: np.ndarray,
    y: np.ndarray,
    components: int,
    count: int,
    noise: float,
    prior: Prior,
    rng: np.random.Generator,
    prior_mean: float | None = None,
) -> Start:
    """Draw starts.

    One input: frequencies are drawn from the periodogram, and a Gaussian mixture is fitted to them. Several inputs:
    mu = 0.25 U, sigma = 0.05 + 0.45 U, U uniform in [0, 1). Weights are 1. As released.

    Args:
        x: training inputs (N, P).
        y: training targets (N,).
        components: Q.
        count: R.
        noise: s as a share of the standard deviation of y.
        prior: released, mean 0.5 U and deviation 0.1 U for one input, 0.05 U for several; initial, around the start
            with deviation 1.
        rng: of all draws.
        prior_mean: what takes the place of 0.5 or 0.05 in the prior's mean.
    """
    inputs = x.shape[1]
    shape = (count, components, inputs)
    if inputs == 1:
        fitted = [_fit(*periodogram(x[:, 0], y), components, rng) for _ in range(count)]
        mu, sigma = (np.stack(part)[..., None] for part in zip(*fitted, strict=True))
    else:
        mu, sigma = 0.25 * rng.random(shape), 0.05 + 0.45 * rng.random(shape)
    if prior == "initial":
        prior_mu, prior_sigma = mu, np.ones(shape)
    else:
        top_mean, top_deviation = (0.5, 0.1) if inputs == 1 else (0.05, 0.05)
        top_mean = top_mean if prior_mean is None else prior_mean
        prior_mu, prior_sigma = top_mean * rng.random(shape), top_deviation * rng.random(shape)
    prior_sigma = np.maximum(prior_sigma, _LEAST)
    level = max(float(noise * y.std()), _LEAST)
    made = [torch.from_numpy(np.maximum(a, _LEAST)) for a in (np.ones(shape[:2]), mu, sigma)]
    s = torch.full((count,), level, dtype=torch.float64)
    return Start(Mixture(*made), torch.from_numpy(prior_mu), torch.from_numpy(prior_sigma), s)


def _fit(
    frequencies: np.ndarray, density: np.ndarray, components: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations (Q,) of a Gaussian mixture fitted to frequencies drawn from a density.

    No mean is below half of the lowest frequency: means are positive numbers, and 0 has no logarithm.
    """
    share = density / density.sum() if density.sum() > 0 else np.full(len(density), 1.0 / len(density))
    drawn = rng.choice(frequencies, DRAWN, p=share)
    _, means, deviations = fit_mixture(drawn[:, None], components, rng)
    return np.maximum(means[:, 0], 0.5 * frequencies[1]), deviations[:, 0]
