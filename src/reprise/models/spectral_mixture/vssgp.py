"""VSSGP: a variational sparse spectrum with optimal Fourier coefficients (Gal & Turner 2015).

K features sqrt(2 v / K) cos(2 pi w_k . (x - z_k) + b_k) of the prior w ~ N(0, (2 pi l)^-2), which are a squared
exponential kernel of variance v and length-scales l; q(w_k) = N(mu_k, Sigma_k) diagonal, b_k uniform in an interval of
length delta_k around c_k, whose prior is the whole circle. With several kernels each has K features.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from reprise.models.spectral_mixture.likelihood import gaussian_kl

_CIRCLE = 2.0 * math.pi


class Frequencies(NamedTuple):
    """q of the frequencies, and the kernels that they come from: C kernels with K features each, T = C K.

    Attributes:
        variance: v (C,).
        length: l (C, P).
        mu: (T, P), cycles a unit of x.
        sigma: (T, P), standard deviations.
        centre: c (T,).
        width: delta (T,), in (0, 2 pi].
        z: (T, P), inducing inputs.
    """

    variance: Tensor
    length: Tensor
    mu: Tensor
    sigma: Tensor
    centre: Tensor
    width: Tensor
    z: Tensor


def moments(q: Frequencies, x: Tensor) -> tuple[Tensor, Tensor]:
    """E phi_k and E phi_k^2 at x (N, P): (N, T) each."""
    theta, damping, scale = _phases(q, x)
    half = torch.special.sinc(q.width / _CIRCLE)  # sin(delta / 2) / (delta / 2)
    whole = torch.special.sinc(q.width / math.pi)  # sin(delta) / delta
    first = scale.sqrt() * torch.exp(-0.5 * damping) * theta.cos() * half
    second = scale * (0.5 + 0.5 * torch.exp(-2.0 * damping) * (2.0 * theta).cos() * whole)
    return first, second


def _phases(q: Frequencies, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean phase (N, T), its variance (N, T), and 2 v / K (T,)."""
    count = len(q.mu) // len(q.variance)
    d_mu = x @ q.mu.T - (q.z * q.mu).sum(1)
    square = q.sigma.square()
    d_sigma = x.square() @ square.T - 2.0 * x @ (q.z * square).T + (q.z.square() * square).sum(1)
    scale = (2.0 / count * q.variance).repeat_interleave(count)
    return _CIRCLE * d_mu + q.centre, _CIRCLE**2 * d_sigma.clamp(min=0.0), scale


def divergence(q: Frequencies) -> Tensor:
    """KL of frequencies and phases to their priors: () in nats."""
    count = len(q.mu) // len(q.variance)
    prior = (1.0 / (_CIRCLE * q.length)).repeat_interleave(count, 0)
    return gaussian_kl(q.mu, q.sigma, torch.zeros_like(q.mu), prior) + (_CIRCLE / q.width).log().sum()


class Fit(NamedTuple):
    """The optimal q of the coefficients, N(mean, Sigma / tau).

    Attributes:
        chol: of Sigma^-1 = E[Phi^T Phi] + I / tau (T, T).
        mean: Sigma E[Phi]^T y (T,).
        first: E[Phi] (N, T).
    """

    chol: Tensor
    mean: Tensor
    first: Tensor


def fit(q: Frequencies, tau: Tensor, x: Tensor, y: Tensor) -> Fit:
    """The optimal q of the coefficients given that of the frequencies."""
    first, second = moments(q, x)
    gram = first.T @ first
    gram = gram + torch.diag(second.sum(0) - gram.diagonal())
    chol = torch.linalg.cholesky(gram + torch.eye(len(gram), dtype=x.dtype, device=x.device) / tau)
    return Fit(chol, torch.cholesky_solve((first.T @ y)[:, None], chol)[:, 0], first)


def bound(q: Frequencies, tau: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Lower bound on the log likelihood of y (N,), with the optimal q of the coefficients: () in nats.

    -N/2 log(2 pi / tau) - tau/2 y.y + 1/2 log |Sigma / tau| + tau/2 y^T E[Phi] Sigma E[Phi]^T y - KL.
    """
    best = fit(q, tau, x, y)
    density = -0.5 * len(y) * (_CIRCLE / tau).log() - 0.5 * tau * y.square().sum()
    log_volume = -best.chol.diagonal().log().sum() - 0.5 * len(best.mean) * tau.log()
    return density + log_volume + 0.5 * tau * ((best.first.T @ y) @ best.mean) - divergence(q)


def predict(q: Frequencies, tau: Tensor, x: Tensor, y: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of y at new inputs (K, P), the spread of frequencies and phases included; (K,) each."""
    best = fit(q, tau, x, y)
    first, second = moments(q, new)
    mean = first @ best.mean
    coefficients = torch.cholesky_inverse(best.chol) / tau + best.mean[:, None] * best.mean
    square = ((first @ coefficients) * first).sum(1) + (second - first.square()) @ coefficients.diagonal()
    return mean, (square - mean.square()).clamp(min=0.0) + 1.0 / tau
