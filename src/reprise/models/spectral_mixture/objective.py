"""Densities of Gaussian processes, of several covariances at once."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

_RAISED = (0.0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4)  # shares of the mean of the diagonal


def factor(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Cholesky factors of covariances (S, N, N).

    The diagonal of one that has none is raised by 1e-12 to 1e-4 of its mean, as little as does.

    Returns:
        Factors (S, N, N), and which are right (S,); those of hopeless ones are the identity.
    """
    usable = covariance.isfinite().all(-1).all(-1)
    diagonal = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)
    identity = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    matrix = torch.where(usable[:, None, None], covariance, identity)
    lower, info = torch.linalg.cholesky_ex(matrix)
    for share in _RAISED[1:]:
        failed = info > 0
        if not failed.any():
            break
        lower[failed], info[failed] = torch.linalg.cholesky_ex(
            matrix[failed] + share * diagonal[failed, None, None] * identity
        )
    usable = usable & (info == 0)
    return torch.where(usable[:, None, None], lower, identity), usable


def log_density(covariance: Tensor, residual: Tensor) -> Tensor:
    """The log of N(r; 0, K) of covariances (S, N, N), noise included, and residuals (S, N): (S,), in nats.

    It is -inf, with gradients of 0, where K has no Cholesky factor.
    """
    found: Tensor = _LogDensity.apply(covariance, residual)  # type: ignore[no-untyped-call]
    return found


class _LogDensity(torch.autograd.Function):
    """The density with its gradient in closed form: (alpha alpha^T - K^-1) / 2, alpha = K^-1 r."""

    @staticmethod
    def forward(ctx: Any, covariance: Tensor, residual: Tensor) -> Tensor:
        lower, usable = factor(covariance)
        alpha = torch.cholesky_solve(residual[..., None], lower)[..., 0]
        ctx.save_for_backward(lower, alpha, usable)
        log_det = 2.0 * lower.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        found = -0.5 * ((residual * alpha).sum(-1) + log_det + residual.shape[-1] * math.log(2.0 * math.pi))
        return torch.where(usable, found, -torch.inf)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        lower, alpha, usable = ctx.saved_tensors
        gradient = torch.where(usable, gradients[0], 0.0)
        by_covariance = torch.cholesky_inverse(lower).neg_()
        by_covariance.baddbmm_(alpha[:, :, None], alpha[:, None, :])
        return by_covariance.mul_(0.5 * gradient[:, None, None]), -gradient[:, None] * alpha


def condition(covariance: Tensor, cross: Tensor, variance: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of a process given N of its noisy values.

    Args:
        covariance: of the values (N, N), noise included.
        cross: covariance of M points with them (M, N).
        variance: prior variance of the points (M,), noise left out.
        residual: the values less the prior mean (N,).

    Returns:
        Mean, less the prior mean, and variance, noise left out: (M,) each.
    """
    lower, _ = factor(covariance[None])
    alpha = torch.cholesky_solve(residual[:, None], lower[0])[:, 0]
    half = torch.linalg.solve_triangular(lower[0], cross.T, upper=False)
    return cross @ alpha, (variance - half.square().sum(0)).clamp_min(0.0)
