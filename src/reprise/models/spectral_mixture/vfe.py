"""Inducing points with the exact spectral mixture kernel: the collapsed variational bound (Titsias 2009).

N rows, U inducing points, Q_ff = K_fu K_uu^-1 K_uf.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from reprise.models.spectral_mixture.mixture import Mixture, kernel

JITTER = 1e-8  # of the inducing points' matrix, as a share of the kernel's variance


def _factors(mixture: Mixture, s: Tensor, x: Tensor, inducing: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L of K_uu = L L^T; A = L^-1 K_uf / s (U, N); L_B of I + A A^T."""
    eye = torch.eye(len(inducing), dtype=x.dtype, device=x.device)
    k_uu = kernel(mixture, inducing, inducing) + JITTER * mixture.w.sum() * eye
    chol = torch.linalg.cholesky(k_uu)
    a = torch.linalg.solve_triangular(chol, kernel(mixture, inducing, x), upper=False) / s
    return chol, a, torch.linalg.cholesky(eye + a @ a.T)


def negative_bound(mixture: Mixture, s: Tensor, x: Tensor, y: Tensor, inducing: Tensor) -> Tensor:
    """-log N(y; 0, Q_ff + s^2 I) + tr(K_ff - Q_ff) / 2 s^2, which is no less than that of the exact process.

    Args:
        mixture: one, without leading dimensions.
        s: standard deviation of the noise ().
        x: (N, P).
        y: (N,).
        inducing: (U, P).

    Returns:
        () in nats.
    """
    _, a, chol_b = _factors(mixture, s, x, inducing)
    c = torch.linalg.solve_triangular(chol_b, (a @ y)[:, None] / s, upper=False)
    density = 0.5 * len(y) * (2.0 * math.pi * s.square()).log() + chol_b.diagonal().log().sum()
    density = density + 0.5 * (y.square().sum() / s.square() - c.square().sum())
    trace = 0.5 * (len(y) * mixture.w.sum() / s.square() - a.square().sum())
    return density + trace


def predict(mixture: Mixture, s: Tensor, x: Tensor, y: Tensor, inducing: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of y at new inputs (K, P), with the best distribution of the inducing values; (K,) each."""
    chol, a, chol_b = _factors(mixture, s, x, inducing)
    c = torch.linalg.solve_triangular(chol_b, (a @ y)[:, None] / s, upper=False)
    prior = torch.linalg.solve_triangular(chol, kernel(mixture, inducing, new), upper=False)
    known = torch.linalg.solve_triangular(chol_b, prior, upper=False)
    variance = mixture.w.sum() - prior.square().sum(0) + known.square().sum(0)
    return (known.T @ c)[:, 0], variance.clamp(min=0.0) + s.square()


def draw_inducing(x: Tensor, count: int, noise: Tensor, order: Tensor) -> Tensor:
    """Choose inducing points among inputs; where there are too few, inputs are taken again, a little moved.

    Args:
        x: (N, P).
        count: U.
        noise: standard normal (U, P).
        order: a permutation of the rows (N,).
    """
    rows = order.repeat(-(-count // len(x)))[:count]
    again = (torch.arange(count, device=x.device) >= len(x))[:, None]
    moved = 0.5 * x.std(0) / len(x) * noise  # equal points would stay equal and make K_uu singular
    return x[rows] + again * moved
