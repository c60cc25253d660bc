"""How much each diffusion step takes away: beta_1 ... beta_T, fixed or learned (section 2.4.1 of the paper).

Symbols: beta_t diffusion rate of step t = 1 ... T, alpha_bar_t = prod_{s<=t} (1 - beta_s), the share of the data's
variance (Gaussian) or of its excess over the prior's rate (binomial) that is left after step t.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError

_BELOW_ONE = 1e-5  # a learned rate stays that far below 1, as in the author's code (model.py, generate_beta_arr)


class DiffusionRates(nn.Module):
    """The rates of a chain of T steps.

    `erase`: beta_t = 1 / (T - t + 1), a constant share 1/T of the signal is erased in each step and none is left (the
    paper's choice for binomial diffusion). `erase_half`: beta_t = 1 / linspace(T, 2, T), the same but for about 1/T
    that is left at the end (the author's code, model.py, for Gaussian diffusion). `geometric`: 1 - alpha_bar_t grows by
    the same factor in every step, from `start` after step 2 to `end`.

    A learned rate is minimum + sigmoid(free number) (1 - minimum - 1e-5), as in the author's code, but with a free
    number for each step, which starts at the chosen schedule; its gradient is the bound's with the noise held fixed.

    Args:
        steps: T.
        initial: schedule to start with, or to stay with.
        learned: beta_2 ... beta_T are parameters; beta_1 is always fixed, so that the model cannot overfit by letting
            its last noise vanish.
        first: beta_1; None for that of the schedule.
        minimum: of a learned rate.
        start, end: 1 - alpha_bar_2 and 1 - alpha_bar_T, for `geometric`.

    Raises:
        ConfigError: a number is out of range, or the options do not fit each other.
    """

    def __init__(
        self,
        steps: int,
        initial: Literal["erase", "erase_half", "geometric"] = "erase",
        learned: bool = False,
        first: float | None = None,
        minimum: float = 1e-6,
        start: float = 1e-3,
        end: float = 0.99,
    ) -> None:
        super().__init__()
        if steps < 2:
            raise ConfigError(f"steps is {steps}. Expected 2 or more: the last reverse step is fixed, not learned.")
        if initial not in ("erase", "erase_half", "geometric"):
            raise ConfigError(f"initial is {initial!r}. Expected 'erase', 'erase_half' or 'geometric'.")
        if first is not None and not 0.0 < first < 1.0:
            raise ConfigError(f"first is {first:g}. Expected a rate between 0 and 1, or null.")
        if first is None and initial == "geometric":
            raise ConfigError("initial=geometric has no beta_1 of its own. Set first to a rate between 0 and 1.")
        if learned and initial == "erase":
            raise ConfigError("initial=erase ends with a rate of 1, which cannot be learned. Use erase_half.")
        if not 0.0 < minimum < 1.0:
            raise ConfigError(f"minimum is {minimum:g}. Expected a rate between 0 and 1.")
        if initial == "geometric" and not (first or 0.0) < start < end < 1.0:
            raise ConfigError(f"first is {first:g}, start {start:g} and end {end:g}. Expected first < start < end < 1.")
        self.steps = steps
        self.minimum = minimum
        betas = _initial(steps, initial, first or 0.0, start, end)
        if first is not None:
            betas[0] = first
        self.free: nn.Parameter | None = None
        if learned:
            share = ((betas[1:] - minimum) / (1.0 - minimum - _BELOW_ONE)).clamp(1e-9, 1.0 - 1e-9)
            self.free = nn.Parameter(torch.logit(share).float())
        self.register_buffer("fixed", betas, persistent=False)
        self.fixed: Tensor

    def forward(self) -> Tensor:
        """Return beta_1 ... beta_T, (T,) in float64; differentiable where they are learned."""
        if self.free is None:
            return self.fixed
        learned = self.minimum + torch.sigmoid(self.free.double()) * (1.0 - self.minimum - _BELOW_ONE)
        return torch.cat([self.fixed[:1], learned])


def _initial(steps: int, initial: str, first: float, start: float, end: float) -> Tensor:
    if initial == "erase":
        return 1.0 / torch.arange(steps, 0, -1, dtype=torch.float64)
    if initial == "erase_half":
        return 1.0 / torch.linspace(steps, 2.0, steps, dtype=torch.float64)
    spread = torch.linspace(math.log(start), math.log(end), steps - 1, dtype=torch.float64).exp()
    spread = torch.cat([spread.new_tensor([first]), spread])
    before = torch.cat([spread.new_zeros(1), spread[:-1]])
    return (spread - before) / (1.0 - before)


class RateTable:
    """What follows from the rates, looked up by step; index 0 of a table is the clean signal.

    Args:
        betas: (T,) in float64.
    """

    def __init__(self, betas: Tensor) -> None:
        zero = betas.new_zeros(1)
        self.betas = torch.cat([zero, betas])
        # a rate of 1 leaves nothing: its logarithm would be -inf, and its gradient not a number
        left = (1.0 - betas).cumprod(0) if bool((betas == 1.0).any()) else torch.log1p(-betas).cumsum(0).exp()
        self.alpha_bars = torch.cat([zero + 1.0, left])

    def beta(self, t: Tensor) -> Tensor:
        """beta_t for steps t (B,)."""
        return self.betas[t]

    def alpha_bar(self, t: Tensor) -> Tensor:
        """alpha_bar_t for steps t (B,), from 0 on."""
        return self.alpha_bars[t]
