"""How many spectral points each component gets (Jung et al., "weighted sampling").

With m_q points the expected squared error of the kernel matrix is 2 sum_q w_q^2 / m_q G_q, where G_q sums the variances
of cos(2 pi f . tau) over all pairs; it is least at m_q proportional to w_q sqrt(G_q).
"""

from __future__ import annotations

import functools
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.spectral_mixture.mixture import Mixture, cosine_variances

Rule = Literal["equal", "proportional", "neyman", "weighted", "floored"]


class Allocation:
    """Allots M = Q m spectral points to Q components, without gradients.

    Args:
        rule: equal; proportional, to w; neyman, to w sqrt(G), which errs least in the kernel; weighted, half equal,
            half to sigmoid(w / median w) sqrt(G), as released; floored, to w sqrt(G) after m / 2 points each, as
            released before.
        points: m, the mean number a component.
        share: rho, of the rows whose pairs count in G: a block of neighbouring rows that moves on by its length with
            each allocation and wraps around.

    Raises:
        ConfigError: a value is out of range.
    """

    def __init__(self, rule: Rule = "weighted", points: int = 3, share: float = 1.0) -> None:
        if rule not in get_args(Rule):
            raise ConfigError(f"allocation rule {rule!r} is unknown. Expected one of {', '.join(get_args(Rule))}.")
        if points < 1:
            raise ConfigError(f"spectral points a component are {points}. Expected 1 or more.")
        if not 0.0 < share <= 1.0:
            raise ConfigError(f"the share of the rows is {share}. Expected above 0, at most 1.")
        self.rule = rule
        self.points = points
        self.share = share

    @torch.no_grad()
    def __call__(self, mixture: Mixture, x: Tensor, iteration: int) -> Tensor:
        """Counts m_q (..., Q), at least 1 each, with the sum M, on the CPU.

        Args:
            mixture: (..., Q).
            x: training inputs (N, P).
            iteration: which block of rows is looked at.
        """
        if self.rule in ("equal", "proportional"):
            return whole_counts(self.rule, mixture.w.cpu().numpy(), np.ones(1), self.points)
        size = min(len(x), max(2, int(self.share * len(x))))
        rows = torch.arange(iteration * size, (iteration + 1) * size, device=x.device) % len(x)
        return whole_counts(self.rule, mixture.w.cpu().numpy(), pair_sums(mixture, x[rows]).cpu().numpy(), self.points)


def pair_sums(mixture: Mixture, x: Tensor) -> Tensor:
    """G_q (..., Q): sum over i < j of Var cos(2 pi f_q . (x_i - x_j)); x (N, P)."""
    i, j = _pairs(len(x))
    return cosine_variances(mixture, x[i.to(x.device)] - x[j.to(x.device)]).sum(-2)


@functools.lru_cache(maxsize=4)
def _pairs(count: int) -> tuple[Tensor, Tensor]:
    i, j = torch.triu_indices(count, count, 1)
    return i, j


def ratios(rule: Rule, w: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Share of the points beyond the least number that each component gets: (..., Q), with the sum 1.

    Args:
        rule: see `Allocation`.
        w: weights (..., Q).
        sums: G (..., Q).
    """
    root = np.sqrt(np.clip(sums, 1e-16, None))  # rounding can leave a sum below 0
    if rule == "equal":
        raw = np.ones_like(w)
    elif rule == "proportional":
        raw = w
    elif rule == "weighted":
        raw = root / (1.0 + np.exp(-w / np.median(w, -1, keepdims=True)))
    else:
        raw = w * root
    found: np.ndarray = raw / raw.sum(-1, keepdims=True)
    return 0.5 / w.shape[-1] + 0.5 * found if rule == "weighted" else found


def whole_counts(rule: Rule, w: np.ndarray, sums: np.ndarray, points: int) -> Tensor:
    """Round shares to whole counts (..., Q); surplus is taken from the largest shares, deficit given to the smallest.

    Args:
        rule: see `Allocation`.
        w: weights (..., Q).
        sums: G (..., Q).
        points: m, the mean number a component.
    """
    size = w.shape[-1]
    if rule == "equal":
        return torch.full(w.shape, points, dtype=torch.long)
    least = 1
    if rule == "floored":
        least = points // 2 + 1 if points <= 3 else points // 2
    least = min(least, points)
    share = ratios(rule, w, sums)
    left = size * (points - least)
    counts = np.round(left * share).astype(np.int64)
    surplus = counts.sum(-1, keepdims=True) - left
    rank = np.argsort(np.argsort(-share, -1, kind="stable"), -1, kind="stable")
    counts -= rank < surplus
    counts += size - 1 - rank < -surplus
    return torch.from_numpy(counts + least)


def expected_square_error(mixture: Mixture, counts: Tensor, sums: Tensor) -> Tensor:
    """E |K - K_hat|_F^2 = 2 sum_q w_q^2 G_q / m_q, (...), of all pairs' sums G (..., Q)."""
    return 2.0 * (mixture.w.square() * sums / counts).sum(-1)
