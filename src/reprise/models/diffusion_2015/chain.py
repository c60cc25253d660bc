"""What Gaussian and binomial diffusion have in common: the bound K on the log-likelihood, and sampling.

Symbols: x_0 data, x_t after t of T steps, q forward process, p reverse process, pi the distribution it starts from,
K the bound (eqs. 10 to 14 of the paper; Appendix B).

The paper writes eq. 14 as

    K = -sum_{t=2}^T E_q KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)) + H_q(X_T | X_0) - H_q(X_1 | X_0) - H_p(X_T),

with the last reverse step fixed, p(x_0 | x_1) = q(x_1 | x_0) pi(x_0) / pi(x_1) (eq. 44), and with cross-entropies
E_q[-log pi(x_t)] that are the same for all t, since the data are scaled to variance 1, or have the rate of ones of pi
(Appendices A and B.1). Here they are taken for each example as they are, which gives the same mean where that holds,
and a bound where it does not:

    K(x_0) = log pi(x_0) + KL(q(x_1 | x_0) || pi) - KL(q(x_T | x_0) || pi)
             - sum_{t=2}^T E_q KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)).

log pi(x_0) is the log-likelihood under the null model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reprise.models.diffusion_2015.schedule import DiffusionRates, RateTable
from reprise.nn.randomness import ExampleDraws


@dataclass(frozen=True, eq=False)
class Known:
    """A second distribution r(x) that the chain is multiplied with (section 2.5): some values are known.

    Attributes:
        value: (B, *shape) what is known; elsewhere whatever it is.
        mask: (B, *shape) of bool, True where it is known.
        noise: how well it is known. Gaussian chain: standard deviation of r around the value; binomial chain:
            probability that a bit was flipped. 0: exactly.
    """

    value: Tensor
    mask: Tensor
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.value.shape != self.mask.shape or self.mask.dtype != torch.bool:
            raise ValueError(
                f"the mask is {tuple(self.mask.shape)} of {self.mask.dtype}. Expected {tuple(self.value.shape)} of "
                "bool, the shape of the values."
            )
        if self.noise < 0.0:
            raise ValueError(f"noise is {self.noise:g}. Expected 0 or more.")


class Chain(nn.Module, ABC):
    """A diffusion chain of T steps, forward and reverse.

    Args:
        rates: beta_1 ... beta_T.
    """

    def __init__(self, rates: DiffusionRates) -> None:
        super().__init__()
        self.rates = rates

    @property
    def steps(self) -> int:
        """T."""
        return self.rates.steps

    def table(self) -> RateTable:
        """Rates and what follows from them, as they are now."""
        return RateTable(self.rates())

    @abstractmethod
    def noise(self, draws: ExampleDraws, *shape: int) -> Tensor:
        """Draw what a step consumes, (B, *shape) on the CPU."""

    @abstractmethod
    def diffuse(self, table: RateTable, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Draw x_t (B, *shape) from q(x_t | x_0) for steps t (B,)."""

    @abstractmethod
    def log_prior(self, x: Tensor) -> Tensor:
        """Log pi(x) (B,) in nats."""

    @abstractmethod
    def divergence_from_prior(self, table: RateTable, x_0: Tensor, t: Tensor) -> Tensor:
        """KL(q(x_t | x_0) || pi) (B,) in nats for steps t (B,)."""

    @abstractmethod
    def term(self, network: nn.Module, table: RateTable, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)) (B,) in nats at an x_t drawn with `noise`; t >= 2 (B,)."""

    @abstractmethod
    def start(self, noise: Tensor, known: Known | None) -> Tensor:
        """Draw x_T from pi, multiplied with r where values are known."""

    @abstractmethod
    def step_back(
        self, network: nn.Module, table: RateTable, x_t: Tensor, t: int, noise: Tensor, known: Known | None
    ) -> Tensor:
        """Draw x_{t-1} from p(x_{t-1} | x_t), times r where values are known; step 1 is fixed (Appendix B.2)."""

    def ends(self, table: RateTable, x_0: Tensor) -> Tensor:
        """KL(q(x_1 | x_0) || pi) - KL(q(x_T | x_0) || pi) (B,) in nats: K without the null model and its terms."""
        first = torch.ones(len(x_0), dtype=torch.long, device=x_0.device)
        return self.divergence_from_prior(table, x_0, first) - self.divergence_from_prior(
            table, x_0, first * self.steps
        )

    def terms(self, network: nn.Module, table: RateTable, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """KL terms of several steps for each example.

        Args:
            network: of the reverse process.
            table: of this chain.
            x_0: (B, *shape).
            t: (B, S) steps from 2 to T.
            noise: (B, S, *shape).

        Returns:
            (B, S) in nats.
        """
        count, steps = t.shape
        # step by step rather than example by example, so that a readout of its own for each step serves a whole block
        rows = x_0.expand(steps, *x_0.shape).reshape(steps * count, *x_0.shape[1:])
        noises = noise.transpose(0, 1).reshape(rows.shape)
        return self.term(network, table, rows, t.T.reshape(-1), noises).reshape(steps, count).T

    @torch.no_grad()
    def sample(
        self,
        network: nn.Module,
        draw: Callable[[], Tensor],
        known: Known | None = None,
        on_step: Callable[[int, Tensor], Any] | None = None,
    ) -> Tensor:
        """Draw x_0 from the reverse process, or from its product with r(x) where values are known.

        Args:
            network: of the reverse process.
            draw: returns fresh noise for all samples, as `noise` makes it; called T + 1 times, x_T first.
            known: the second distribution.
            on_step: called with t and x_t, from x_T to x_0.

        Returns:
            (B, *shape).
        """
        table = self.table()
        x = self.start(draw(), known)
        for t in range(self.steps, 0, -1):
            if on_step is not None:
                on_step(t, x)
            x = self.step_back(network, table, x, t, draw(), known)
        if on_step is not None:
            on_step(0, x)
        return x


def strata(uniform: Tensor, steps: int) -> Tensor:
    """Steps from 2 to T, one from each of S equal parts of them; each step is as likely as any other.

    Args:
        uniform: (B, S) from [0, 1).
        steps: T.

    Returns:
        (B, S) whole numbers; with S = T - 1 every step once.
    """
    parts = uniform.shape[1]
    place = (torch.arange(parts, dtype=torch.float64) + uniform) * ((steps - 1) / parts)
    return 2 + place.long().clamp_max(steps - 2)


def total(values: Tensor) -> Tensor:
    """Sum all but the first dimension, in float64."""
    return values.double().flatten(1).sum(1)
