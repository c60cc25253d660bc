"""Labels as networks see them: noise on them, and the numbers that a generator is given."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

LabelNoise = Literal["none", "as_released", "as_meant"]
# Where a label is moved to, and the widths of what is taken away and added (released code, causal_dcgan).
_HIGH, _INWARDS, _OUTWARDS = 0.7, 0.2, 0.3
# Rates of the truncated exponentials. That code passes width / scale where 1 / scale is wanted: scales are 1/25, 1/50.
_RATES = {"as_released": (5.0, 15.0), "as_meant": (25.0, 50.0)}
_EDGE = 1e-6  # how near to 0 and 1 a noisy label may come, since its logit is taken


def truncated_exponential(u: Tensor, rate: float, width: float) -> Tensor:
    """Draw from the density proportional to exp(-rate x) on [0, width], by its inverse.

    Args:
        u: uniform numbers in [0, 1).
        rate, width: of the law.
    """
    return -torch.log1p(u * math.expm1(-rate * width)) / rate


def noisy(labels: Tensor, u: Tensor, noise: LabelNoise) -> Tensor:
    """Labels of 0 and 1 as a network is to believe them.

    A 1 becomes 0.7, less a truncated exponential on [0, 0.2], plus one on [0, 0.3], and lies in [0.5, 1]; a 0 becomes
    the mirror image of that. With noise="none" they stay as they are.

    Args:
        labels: (B, d) of 0 and 1.
        u: (2, B, d) uniform numbers in [0, 1).
        noise: none, as_released (rates 5 and 15) or as_meant (25 and 50).

    Returns:
        (B, d) float32.
    """
    if noise == "none":
        return labels.float()
    inwards, outwards = _RATES[noise]
    down = truncated_exponential(u[0], inwards, _INWARDS)
    up = truncated_exponential(u[1], outwards, _OUTWARDS)
    one = (_HIGH - down + up).clamp(0.5, 1.0 - _EDGE).to(labels.device)
    return torch.where(labels > 0.5, one, 1.0 - one).float()


def encoded(labels: Tensor, noise: LabelNoise) -> Tensor:
    """The numbers a generator is given for labels in [0, 1]: logits of noisy ones, or -1 to 1 of plain ones."""
    return labels.float() * 2.0 - 1.0 if noise == "none" else labels.clamp(_EDGE, 1.0 - _EDGE).logit()


def moved(labels: Tensor, noise: LabelNoise) -> Tensor:
    """Labels in [0, 1], whole or between, without a draw: where noise would move them on the whole, 0.3 to 0.7."""
    return labels.float() if noise == "none" else (1.0 - _HIGH) + labels.float() * (2.0 * _HIGH - 1.0)
