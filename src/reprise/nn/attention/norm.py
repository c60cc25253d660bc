"""The squared L^p norm, the magnitude of a query or a key."""

from __future__ import annotations

from torch import Tensor

EPSILON = 1e-12


def squared_norm(x: Tensor, p: float, epsilon: float = EPSILON) -> Tensor:
    """||x||_p^2 = (sum_i |x_i|^p)^(2/p) over the last axis.

    Each |x_i| is taken as sqrt(x_i^2 + epsilon), so that the gradient is finite where numbers are 0; a bare power has
    none there: for p < 1 in the sum, for p > 2 outside of it. For p = 2 it is the plain sum of squares.

    Args:
        x: (..., d).
        p: exponent, above 0.
        epsilon: added to squares.

    Returns:
        (...,).
    """
    if p == 2.0:
        return x.square().sum(-1)
    return (x.square() + epsilon).pow(p / 2).sum(-1).pow(2 / p)
