"""A Gaussian copula over the heads: their spectral points are drawn together (MIKAN)."""

from __future__ import annotations

import torch
from torch import Tensor


def factor(u: Tensor) -> Tensor:
    """The copula's factor L_f = stril(u_f u_f') + I of each feature f.

    Args:
        u: (..., H, d) numbers in (-1, 1), one a head and feature.

    Returns:
        (..., d, H, H), lower triangular with a unit diagonal.
    """
    u = u.transpose(-1, -2)
    product = u.unsqueeze(-1) * u.unsqueeze(-2)
    return product.tril(-1) + torch.eye(u.shape[-1], dtype=u.dtype, device=u.device)


def correlation(factors: Tensor) -> Tensor:
    """Correlation of the heads: L L' divided by the roots of its diagonal, both ways.

    Args:
        factors: (..., d, H, H).

    Returns:
        (..., d, H, H).
    """
    deviation = factors.square().sum(-1).sqrt()
    return (factors @ factors.transpose(-1, -2)) / (deviation.unsqueeze(-1) * deviation.unsqueeze(-2))


def couple(factors: Tensor, noise: Tensor) -> Tensor:
    """Standard normal numbers whose heads are correlated: X = L noise / sqrt(diag(L L')).

    The division makes each number standard normal on its own, as the marginals of a copula have to be; a quantile
    function of a normal marginal is then no more than a scale and a shift of it.

    Args:
        factors: (..., d, H, H).
        noise: (H, R, d), standard normal, independent.

    Returns:
        (..., H, R, d).
    """
    rows = factors / factors.square().sum(-1, keepdim=True).sqrt()
    return torch.einsum("...fhg,grf->...hrf", rows, noise)


def couple_as_released(factors: Tensor, noise: Tensor) -> Tensor:
    """What the authors' code makes of the noise: it scales each head by the sum of its row of L, and clamps it to +-2.

    The heads stay independent, and their marginals are not standard normal.

    Args:
        factors: (..., d, H, H).
        noise: (H, R, d), standard normal, independent.

    Returns:
        (..., H, R, d).
    """
    sums = factors.sum(-1).transpose(-1, -2)  # (..., H, d)
    return (sums.unsqueeze(-2) * noise).clamp(-2.0, 2.0)


def entropy(factors: Tensor) -> Tensor:
    """Entropy of the Gaussian copula, 1/2 log det of the correlation, added over features.

    It is at most 0, and 0 where the heads are independent. L has a unit diagonal, so that its determinant is 1 and
    what is left is the standardisation: -1/2 sum_h log (L L')_hh.

    Args:
        factors: (..., d, H, H).

    Returns:
        (...,) in nats.
    """
    return -0.5 * factors.square().sum(-1).log().sum((-1, -2))
