"""Noise schedules and the tables that follow from them, in float64.

Symbols: beta_n noise schedule, alpha_n = 1 - beta_n, alpha_bar_n = prod_{s<=n} alpha_s, n = 1..N. Index 0 of
`levels` is l_0 = 1, the clean signal.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class NoiseSchedule:
    """A noise schedule beta_1..beta_N with its derived tables (all float64, on the CPU).

    Attributes:
        betas, alphas, alpha_bars: (N,), entry n - 1 belongs to step n.
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
