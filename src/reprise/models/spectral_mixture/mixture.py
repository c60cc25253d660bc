"""A spectral mixture: its kernel and its density (Wilson & Adams 2013, eqs. 9 to 12).

N points x of P inputs, Q components; tau = x - x'. For P > 1 there are two kernels of that name. This one has one
cosine of the inner product, which is what frequencies drawn from the mixture give; GPyTorch's has a product of
cosines. They agree for P = 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

_CELLS = 1 << 22  # most numbers of one chunk of a kernel matrix, components included


class Mixture(NamedTuple):
    """Mixtures of Gaussians over frequencies in cycles a unit of x; leading dimensions are several mixtures.

    Attributes:
        w: weights (..., Q), positive; the variance of the process is their sum.
        mu: means (..., Q, P).
        sigma: standard deviations (..., Q, P).
    """

    w: Tensor
    mu: Tensor
    sigma: Tensor


def kernel(mixture: Mixture, x: Tensor, other: Tensor) -> Tensor:
    """k(tau) = sum_q w_q exp(-2 pi^2 |sigma_q tau|^2) cos(2 pi mu_q . tau) of one mixture.

    Args:
        mixture: without leading dimensions.
        x: (N, P).
        other: (M, P).

    Returns:
        (N, M), made in chunks of rows.
    """
    rows = max(1, _CELLS // max(1, len(mixture.w) * len(other)))
    return torch.cat([_rows(mixture, part, other) for part in x.split(rows)])


def _rows(mixture: Mixture, x: Tensor, other: Tensor) -> Tensor:
    w, mu, sigma = mixture
    if x.shape[1] == 1:
        tau = x - other.T
        square = sigma.square()[:, :, None] * tau.square()
        phase = mu[:, :, None] * tau
    else:
        a, b = x * sigma[:, None], other * sigma[:, None]  # (Q, N, P), (Q, M, P)
        square = a.square().sum(-1)[:, :, None] + b.square().sum(-1)[:, None] - 2.0 * a @ b.mT
        square = square.clamp(min=0.0)
        phase = (mu @ x.T)[:, :, None] - (mu @ other.T)[:, None]
    parts = torch.exp(-2.0 * math.pi**2 * square) * torch.cos(2.0 * math.pi * phase)
    return torch.tensordot(w, parts, dims=1)


def cosine_variances(mixture: Mixture, tau: Tensor) -> Tensor:
    """Var cos(2 pi f . tau) of a frequency f of each component: (1 + kappa(2 tau) - 2 kappa(tau)^2) / 2.

    Args:
        mixture: Q components.
        tau: differences (T, P).

    Returns:
        (..., T, Q).
    """
    square = 2.0 * math.pi**2 * tau.square() @ mixture.sigma.square().mT
    phase = 2.0 * math.pi * tau @ mixture.mu.mT
    once = torch.exp(-square) * torch.cos(phase)
    twice = torch.exp(-4.0 * square) * torch.cos(2.0 * phase)
    return 0.5 * (1.0 + twice - 2.0 * once.square())


def power(mixture: Mixture, edges: Tensor) -> Tensor:
    """Share of the power between neighbouring frequencies, of a mixture of one input with its mirror image.

    Args:
        mixture: P = 1, without leading dimensions.
        edges: ascending frequencies (F + 1,).

    Returns:
        (F,), its sum at most 1.
    """
    w, mu, sigma = mixture.w, mixture.mu[:, 0], mixture.sigma[:, 0]
    below = torch.special.ndtr((edges[:, None] - mu) / sigma) + torch.special.ndtr((edges[:, None] + mu) / sigma)
    return ((below[1:] - below[:-1]) * w).sum(1) / w.sum()
