"""The marginal likelihood of a linear model with Gaussian weights, in weight space and by its kernel matrix.

y = Phi a + noise, a ~ N(0, I), N rows, 2M features, noise of variance s^2. Leading dimensions are several models.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

JITTER = 1e-8  # of released code, added to s^2 everywhere, so that all forms stay those of one model


def in_weight_space(phi: Tensor, y: Tensor, s: Tensor) -> Tensor:
    """Negative log marginal likelihood by A = Phi^T Phi + s^2 I = L L^T, v = L^-1 Phi^T y.

    (|y|^2 - |v|^2) / 2 s^2 + sum log L_ii + (N - 2M) / 2 log s^2 + N / 2 log 2 pi.

    Args:
        phi: (..., N, 2M).
        y: (N,).
        s: (...).

    Returns:
        (...) in nats; NaN where A is not positive definite by its rounding errors.
    """
    s2 = s.square() + JITTER
    return _WeightSpace.apply(phi, y, s2)  # type: ignore[no-any-return]


class _WeightSpace(torch.autograd.Function):
    """The likelihood with its gradient in closed form, which needs no other factor than the value does.

    With b = A^-1 Phi^T y and alpha = (y - Phi b) / s^2: d / d Phi = Phi A^-1 - alpha b^T, and
    d / d s^2 = ((N - 2M) / s^2 + tr A^-1 - |alpha|^2) / 2.
    """

    @staticmethod
    def forward(ctx: Any, phi: Tensor, y: Tensor, s2: Tensor) -> Tensor:
        count, size = phi.shape[-2:]
        chol = _cholesky(phi.mT @ phi, s2)
        b = torch.cholesky_solve((phi.mT @ y)[..., None], chol)
        residual = y - (phi @ b)[..., 0]
        ctx.save_for_backward(phi, s2, chol, b, residual)
        fit = (residual @ y) / (2.0 * s2)  # |y|^2 - |v|^2 = y . (y - Phi b), without the cancellation
        return fit + _log_diagonal(chol) + 0.5 * (count - size) * s2.log() + 0.5 * count * math.log(2.0 * math.pi)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, Tensor]:
        phi, s2, chol, b, residual = ctx.saved_tensors
        count, size = phi.shape[-2:]
        inverse = torch.cholesky_inverse(chol)
        alpha = residual / s2[..., None]
        by_phi = phi @ inverse - alpha[..., None] * b.mT
        trace = inverse.diagonal(dim1=-2, dim2=-1).sum(-1)
        by_s2 = 0.5 * ((count - size) / s2 + trace - alpha.square().sum(-1))
        return grads[0][..., None, None] * by_phi, None, grads[0] * by_s2


def by_kernel_matrix(kernel: Tensor, y: Tensor, s: Tensor) -> Tensor:
    """Negative log density of y (N,) under N(0, K + s^2 I), with K (..., N, N) and s (...); (...) in nats."""
    chol = _cholesky(kernel, s.square() + JITTER)
    v = torch.linalg.solve_triangular(chol, y[:, None].expand(*kernel.shape[:-1], 1), upper=False)[..., 0]
    return 0.5 * v.square().sum(-1) + _log_diagonal(chol) + 0.5 * len(y) * math.log(2.0 * math.pi)


def negative_log_likelihood(phi: Tensor, y: Tensor, s: Tensor) -> Tensor:
    """The same number by the cheaper form: weight space unless there are more features than rows."""
    count, size = phi.shape[-2:]
    return in_weight_space(phi, y, s) if size <= count else by_kernel_matrix(phi @ phi.mT, y, s)


def white_noise(y: Tensor) -> float:
    """Negative log density of y (N,) as white noise of the variance that fits best, mean 0."""
    return 0.5 * len(y) * (math.log(2.0 * math.pi * float(y.square().mean())) + 1.0)


def gaussian_kl(mu: Tensor, sigma: Tensor, prior_mu: Tensor, prior_sigma: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(prior_mu, prior_sigma^2)), summed over the last two dimensions: (..., Q, P) to (...)."""
    squares = (sigma.square() + (mu - prior_mu).square()) / (2.0 * prior_sigma.square())
    return ((prior_sigma / sigma).log() + squares - 0.5).sum((-2, -1))


def predict_weights(phi: Tensor, y: Tensor, s: Tensor, phi_new: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of y at new rows: m = phi* A^-1 Phi^T y, v = s^2 (1 + phi* A^-1 phi*).

    Args:
        phi: (..., N, 2M).
        y: (N,).
        s: (...).
        phi_new: (..., K, 2M).

    Returns:
        (..., K) each; the variance includes the noise.
    """
    s2 = s.square() + JITTER
    chol = _cholesky(phi.mT @ phi, s2)
    mean = phi_new @ torch.cholesky_solve((phi.mT @ y)[..., None], chol)
    spread = torch.linalg.solve_triangular(chol, phi_new.mT, upper=False).square().sum(-2)
    return mean[..., 0], s2[..., None] * (1.0 + spread)


def predict_kernel(kernel: Tensor, y: Tensor, s: Tensor, cross: Tensor, diagonal: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of y at new rows from a Gaussian process.

    Args:
        kernel: of the training rows (N, N).
        y: (N,).
        s: ().
        cross: between new and training rows (K, N).
        diagonal: prior variance at the new rows (K,).

    Returns:
        (K,) each; the variance includes the noise.
    """
    s2 = s.square() + JITTER
    chol = _cholesky(kernel, s2)
    mean = cross @ torch.cholesky_solve(y[:, None], chol)
    known = torch.linalg.solve_triangular(chol, cross.T, upper=False).square().sum(0)
    return mean[:, 0], (diagonal - known).clamp(min=0.0) + s2


def _cholesky(matrix: Tensor, s2: Tensor) -> Tensor:
    size = matrix.shape[-1]
    eye = torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    chol, info = torch.linalg.cholesky_ex(matrix + s2[..., None, None] * eye)
    return torch.where((info > 0)[..., None, None], float("nan"), chol)


def _log_diagonal(chol: Tensor) -> Tensor:
    return chol.diagonal(dim1=-2, dim2=-1).log().sum(-1)
