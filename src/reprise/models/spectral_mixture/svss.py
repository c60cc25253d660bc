"""Variational sparse spectrum with a spectral mixture (SVSS): its objective, its restarts, its predictions.

All of it on several models at once, along leading dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reprise.models.spectral_mixture.features import SpectralPoints, belongs, features, spectral_points
from reprise.models.spectral_mixture.initial import Start
from reprise.models.spectral_mixture.likelihood import (
    gaussian_kl,
    negative_log_likelihood,
    predict_kernel,
    predict_weights,
)
from reprise.models.spectral_mixture.mixture import Mixture, kernel

_CELLS = 1 << 24  # most numbers of the features of draws that are made together


class Logs(NamedTuple):
    """What is optimised: logarithms, so that all are positive.

    Attributes:
        w: (..., Q).
        mu: (..., Q, P).
        sigma: (..., Q, P).
        s: (...), of the standard deviation of the noise.
    """

    w: Tensor
    mu: Tensor
    sigma: Tensor
    s: Tensor

    def mixture(self) -> Mixture:
        """The mixture."""
        return Mixture(self.w.exp(), self.mu.exp(), self.sigma.exp())


def groups(logs: Logs) -> list[dict[str, Any]]:
    """Parameter groups for an optimiser; scales before means."""
    return [
        {"params": [logs.sigma], "role": "log_scale"},
        {"params": [logs.mu], "role": "log_mean"},
        {"params": [logs.w, logs.s], "role": "other"},
    ]


def sampled_likelihood(logs: Logs, counts: Tensor, noise: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """-log p(y | f), averaged over draws of f: (...) in nats.

    Args:
        logs: parameters.
        counts: m_q (..., Q).
        noise: standard normal (..., B, M, P), B draws.
        x: (N, P).
        y: (N,).
    """
    mixture, counts = logs.mixture(), counts[..., None, :]
    one = Mixture(mixture.w[..., None, :], mixture.mu[..., None, :, :], mixture.sigma[..., None, :, :])
    points = spectral_points(one, counts, belongs(counts), noise)
    return negative_log_likelihood(features(x, points), y, logs.s.exp()[..., None]).mean(-1)


def divergence(logs: Logs, prior_mu: Tensor, prior_sigma: Tensor) -> Tensor:
    """KL of each component's Gaussian to its prior, summed: (...) in nats. One term a component, not one a point."""
    return gaussian_kl(logs.mu.exp(), logs.sigma.exp(), prior_mu, prior_sigma)


class Chosen(NamedTuple):
    """The start that was kept.

    Attributes:
        logs: its parameters, without the dimension of starts.
        prior_mu, prior_sigma: (Q, P).
        losses: of all starts at the end (R,); NaN where one broke down.
    """

    logs: Logs
    prior_mu: Tensor
    prior_sigma: Tensor
    losses: Tensor


def best_start(
    start: Start,
    loss: Callable[[Logs, Tensor, Tensor, int], Tensor],
    optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
    iterations: int,
) -> Chosen:
    """Train all starts side by side for some iterations and keep the one with the lowest loss.

    Args:
        start: R of them.
        loss: objective (R,) of parameters and prior (means, deviations) in an iteration; the number of iterations
            itself is asked for the comparison at the end.
        optimizer: waiting for parameters.
        iterations: 0: the first start is taken as it is.
    """
    first = (start.mixture.w, start.mixture.mu, start.mixture.sigma, start.s)
    logs = Logs(*(part.log().requires_grad_() for part in first))
    if iterations:
        steps = optimizer(groups(logs))
        with torch.enable_grad():
            for iteration in range(iterations):
                steps.zero_grad()
                value = loss(logs, start.prior_mu, start.prior_sigma, iteration)
                value.nansum().backward()  # type: ignore[no-untyped-call]
                steps.step()
    with torch.no_grad():
        losses = (
            loss(logs, start.prior_mu, start.prior_sigma, iterations) if iterations else start.s.new_zeros(len(start.s))
        )
    best = int(losses.nan_to_num(nan=float("inf")).argmin())
    kept = Logs(*(part.detach()[best] for part in logs))
    return Chosen(kept, start.prior_mu[best], start.prior_sigma[best], losses)


def predict_features(
    logs: Logs, counts: Tensor, noise: Tensor, x: Tensor, y: Tensor, new: Tensor, between: bool
) -> tuple[Tensor, Tensor]:
    """Mean and variance of y at new inputs, from draws of the spectral points.

    Args:
        logs: of one model.
        counts: m_q (Q,).
        noise: standard normal (D, M, P), D draws.
        x: training inputs (N, P).
        y: training targets (N,).
        new: (K, P).
        between: the mixture's variance, which counts that the means of the draws differ; otherwise the mean of the
            draws' variances, as released.

    Returns:
        (K,) each; the variance includes the noise.
    """
    mixture, member, s = logs.mixture(), belongs(counts), logs.s.exp()
    together = max(1, _CELLS // (2 * noise.shape[1] * (len(x) + len(new))))
    found = []
    for part in noise.split(together):
        f, amplitude = spectral_points(mixture, counts, member, part)
        points = SpectralPoints(f, amplitude.expand(f.shape[:-1]))
        found.append(predict_weights(features(x, points), y, s, features(new, points)))
    means, variances = torch.cat([m for m, _ in found]), torch.cat([v for _, v in found])
    variance = variances.mean(0)
    return means.mean(0), variance + means.var(0, correction=0) if between else variance


def predict_exact(logs: Logs, x: Tensor, y: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of y at new inputs (K, P) by the exact Gaussian process of the learnt mixture; (K,) each."""
    mixture = logs.mixture()
    diagonal = mixture.w.sum().expand(len(new))
    return predict_kernel(kernel(mixture, x, x), y, logs.s.exp(), kernel(mixture, new, x), diagonal)
