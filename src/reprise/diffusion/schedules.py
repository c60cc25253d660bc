"""Noise schedules and the tables that follow from them, in float64.

Symbols: beta_n noise schedule, alpha_n = 1 - beta_n, alpha_bar_n = prod_{s<=n} alpha_s, n = 1..N. Index 0 of
`levels` is l_0 = 1, the clean signal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor


class NoiseSchedule:
    """A noise schedule beta_1..beta_N with its derived tables (all float64, on the CPU).

    Attributes:
        betas, alphas, alpha_bars: (N,), entry n - 1 belongs to step n.
        alpha_bars_before: (N,), alpha_bar_{n-1} with alpha_bar_0 = 1.
        levels: (N + 1,), l_n = sqrt(alpha_bar_n) with l_0 = 1 (WaveGrad, Algorithm 1).
        sigmas: (N,), sigma_n = sqrt((1 - alpha_bar_{n-1}) / (1 - alpha_bar_n) beta_n), the posterior's standard
            deviation (Ho et al. 2020, eq. 7); sigma_1 = 0.

    Raises:
        ValueError: no beta, or one outside (0, 1).
    """

    def __init__(self, betas: Sequence[float] | Tensor) -> None:
        self.betas = torch.as_tensor(betas, dtype=torch.float64)
        if self.betas.ndim != 1 or len(self.betas) == 0:
            raise ValueError("a noise schedule needs at least one beta")
        bad = [(i + 1, b) for i, b in enumerate(self.betas.tolist()) if not 0.0 < b < 1.0]
        if bad:
            n, value = bad[0]
            raise ValueError(f"beta_{n} is {value:g}; expected every beta between 0 and 1, both excluded")
        self.alphas = 1.0 - self.betas
        self.alpha_bars = self.alphas.cumprod(0)
        self.levels = torch.cat([torch.ones(1, dtype=torch.float64), self.alpha_bars.sqrt()])
        before = torch.cat([torch.ones(1, dtype=torch.float64), self.alpha_bars[:-1]])
        self.alpha_bars_before = before
        self.sigmas = ((1.0 - before) / (1.0 - self.alpha_bars) * self.betas).sqrt()

    def __len__(self) -> int:
        return len(self.betas)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NoiseSchedule) and torch.equal(self.betas, other.betas)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"NoiseSchedule(N={len(self)}, beta {self.betas[0]:.3g}..{self.betas[-1]:.3g}, l_N={self.levels[-1]:.4g})"
        )


def linear(start: float, end: float, steps: int) -> NoiseSchedule:
    """Linear(start, end, steps): evenly spaced betas, both ends included."""
    if steps < 1:
        raise ValueError(f"steps is {steps}; expected 1 or more")
    return NoiseSchedule(torch.linspace(start, end, steps, dtype=torch.float64))


def quadratic(start: float, end: float, steps: int) -> NoiseSchedule:
    """Squares of evenly spaced roots, both ends included; one that Ho et al. (2020, section 4) tried."""
    return NoiseSchedule(linear(start**0.5, end**0.5, steps).betas ** 2)


def constant(beta: float, steps: int) -> NoiseSchedule:
    """The same beta at every step; another one that was tried."""
    return linear(beta, beta, steps)


def cosine(steps: int, offset: float = 0.008, max_beta: float = 0.999) -> NoiseSchedule:
    """alpha_bar_n = f(n) / f(0), f(n) = cos^2((n / N + s) / (1 + s) pi / 2) (Nichol and Dhariwal 2021, eq. 17).

    Args:
        steps: N.
        offset: s.
        max_beta: limit of every beta.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; expected 1 or more")
    place = (torch.arange(steps + 1, dtype=torch.float64) / steps + offset) / (1.0 + offset)
    alpha_bars = torch.cos(place * math.pi / 2) ** 2
    return NoiseSchedule((1.0 - alpha_bars[1:] / alpha_bars[:-1]).clamp_max(max_beta))


def respaced(schedule: NoiseSchedule, indices: Sequence[int]) -> NoiseSchedule:
    """The schedule of a process that visits only some steps: alpha_bar of these is kept, beta follows from it.

    Args:
        schedule: the full one, of N steps.
        indices: steps to keep, rising, each of 1..N.

    Raises:
        ValueError: an index is out of range, or they do not rise.
    """
    chosen = list(indices)
    if not chosen or chosen[0] < 1 or chosen[-1] > len(schedule) or any(a >= b for a, b in pairwise(chosen)):
        raise ValueError(f"steps {chosen} of a schedule; expected rising numbers from 1 to {len(schedule)}")
    if chosen == list(range(1, len(schedule) + 1)):
        return schedule
    kept = schedule.alpha_bars[torch.tensor(chosen) - 1]
    before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
    return NoiseSchedule(1.0 - kept / before)


def fibonacci(steps: int, first: float = 1e-6, second: float = 2e-6) -> NoiseSchedule:
    """Fibonacci schedule of WaveGrad, Appendix B: beta_n = beta_{n-1} + beta_{n-2}."""
    if steps < 2:
        raise ValueError(f"steps is {steps}; expected 2 or more")
    betas = [first, second]
    while len(betas) < steps:
        betas.append(betas[-1] + betas[-2])
    return NoiseSchedule(betas)


def listed(betas: list[float]) -> NoiseSchedule:
    """A schedule given beta by beta."""
    return NoiseSchedule(betas)
