"""Losses and measure of the synthetic study."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))), means over the batch: (R,).

    Args:
        real, fake: logits (R, B).
    """
    return functional.softplus(-real).mean(-1) + functional.softplus(fake).mean(-1)


def generator_loss(fake: Tensor) -> Tensor:
    """-log D(G(z)), the mean over the batch: (R,), of logits (R, B)."""
    return functional.softplus(-fake).mean(-1)


def binned(x: Tensor, bins: int) -> Tensor:
    """Shares (R, bins^3) of points (R, N, 3) in equal bins on the unit cube, float64.

    Raises:
        ValueError: a point is not in the cube.
    """
    if not bool(((x >= 0.0) & (x <= 1.0)).all()):
        raise ValueError("a point lies outside of the unit cube, or is not a number.")
    r, n, _ = x.shape
    place = (x * bins).long().clamp_(max=bins - 1)  # 1 itself belongs to the last bin
    cell = (place[..., 0] * bins + place[..., 1]) * bins + place[..., 2]
    cell += torch.arange(r, device=x.device)[:, None] * bins**3
    counts = torch.bincount(cell.flatten(), minlength=r * bins**3)
    return counts.reshape(r, bins**3).double() / n


def tvd(first: Tensor, second: Tensor, bins: int = 10) -> Tensor:
    """Total variation distance of two samples (R, N, 3) in bins^3 equal bins: half the sum of |p - q|, (R,)."""
    return 0.5 * (binned(first, bins) - binned(second, bins)).abs().sum(-1)
