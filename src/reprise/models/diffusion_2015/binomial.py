"""Binomial diffusion (Table App.1 of the paper): independent bits that decay towards a common rate.

The network's contract: `forward(x, t) -> raw` with x (B, *shape) of 0 and 1 and t (B,) whole numbers 1 ... T; raw is
(B, *shape). The rate of p(x_{t-1} | x_t) is its sigmoid (`direct`), or its sigmoid after adding the log-odds of the
forward kernel (`perturbed`): outputs of 0 then stand for that kernel, as in Gaussian chains (eqs. 64 and 65), and what
is left to learn is how likely a one was before, whatever x_t has at that place.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.config.errors import ConfigError
from reprise.diffusion.process import per_example
from reprise.models.diffusion_2015.chain import Chain, Known, total
from reprise.models.diffusion_2015.schedule import DiffusionRates, RateTable
from reprise.nn.randomness import ExampleDraws


class BitTable(RateTable):
    """Rates, and the posterior of a bit, which is one of four numbers at each step.

    Attributes:
        log_odds: (4 (T + 1),), entry 4 t + 2 x_t + x_0 is the log-odds of q(x_{t-1} = 1 | x_t, x_0), for t >= 2.
        entropies: likewise, in nats.
    """

    def __init__(self, betas: Tensor, rate: float) -> None:
        super().__init__(betas)
        beta = self.betas[1:, None, None]
        before = self.alpha_bars[:-1, None, None]
        bit = torch.tensor([0.0, 1.0], dtype=betas.dtype, device=betas.device)
        x_t, x_0 = bit.reshape(1, 2, 1), bit.reshape(1, 1, 2)
        prior = before * x_0 + (1.0 - before) * rate  # q(x_{t-1} = 1 | x_0)
        one, zero = (1.0 - beta) + beta * rate, beta * rate  # q(x_t = 1 | x_{t-1} = 1 and 0)
        likelihood_one = torch.where(x_t == 1.0, one, 1.0 - one)
        likelihood_zero = torch.where(x_t == 1.0, zero, 1.0 - zero)
        odds = prior.log() - (1.0 - prior).log() + likelihood_one.log() - likelihood_zero.log()
        padding = odds.new_zeros(1, 2, 2)
        self.log_odds = torch.cat([padding, odds.expand(len(betas), 2, 2)]).flatten().float()
        probability, rest = torch.sigmoid(odds), torch.sigmoid(-odds)
        entropy = -(torch.xlogy(probability, probability) + torch.xlogy(rest, rest))
        self.entropies = torch.cat([padding, entropy.expand(len(betas), 2, 2)]).flatten().float()


class BinomialChain(Chain):
    """Diffusion of bits: q(x_t = 1 | x_{t-1}) = x_{t-1} (1 - beta_t) + beta_t rate.

    Args:
        rates: beta_1 ... beta_T; not learned, since bits drawn with frozen noise have no gradient.
        rate: of ones, in the distribution that the chain ends in.
        reverse: how the network's output stands for the rates of a reverse step.

    Raises:
        ConfigError: the rates are learned, the rate of ones is not between 0 and 1, or `reverse` is unknown.
    """

    def __init__(
        self, rates: DiffusionRates, rate: float = 0.5, reverse: Literal["direct", "perturbed"] = "direct"
    ) -> None:
        super().__init__(rates)
        if rates.free is not None:
            raise ConfigError(
                "rates of binomial diffusion cannot be learned: bits have no gradient. Set learned=false."
            )
        if not 0.0 < rate < 1.0:
            raise ConfigError(f"rate is {rate:g}. Expected a number between 0 and 1.")
        if reverse not in ("direct", "perturbed"):
            raise ConfigError(f"reverse is {reverse!r}. Expected 'direct' or 'perturbed'.")
        self.rate = rate
        self.reverse_form = reverse
        self._table: BitTable | None = None

    def table(self) -> BitTable:
        """Rates and posteriors; they never change."""
        betas = self.rates()
        if self._table is None or self._table.betas.device != betas.device:
            self._table = BitTable(betas, self.rate)
        return self._table

    def noise(self, draws: ExampleDraws, *shape: int) -> Tensor:
        """Numbers from [0, 1)."""
        return draws.uniform(*shape).float()

    def diffuse(self, table: RateTable, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Bits that are 1 where the noise is below alpha_bar_t x_0 + (1 - alpha_bar_t) rate."""
        left = per_example(table.alpha_bar(t), x_0)
        return (noise < self.rate + left * (x_0 - self.rate)).to(x_0)

    def log_prior(self, x: Tensor) -> Tensor:
        """Log-likelihood of independent bits."""
        ones = total(x)
        return ones * math.log(self.rate) + (x[0].numel() - ones) * math.log1p(-self.rate)

    def divergence_from_prior(self, table: RateTable, x_0: Tensor, t: Tensor) -> Tensor:
        """KL of independent bits: each value of x_0 has its own rate."""
        left, ones = table.alpha_bar(t), total(x_0)
        by_bit = [self._divergence(self.rate + left * (bit - self.rate)) for bit in (0.0, 1.0)]
        return (x_0[0].numel() - ones) * by_bit[0] + ones * by_bit[1]

    def _divergence(self, q: Tensor) -> Tensor:
        return torch.xlogy(q, q / self.rate) + torch.xlogy(1.0 - q, (1.0 - q) / (1.0 - self.rate))

    def reverse(self, network: nn.Module, table: RateTable, x_t: Tensor, t: Tensor) -> Tensor:
        """Log-odds of p(x_{t-1} = 1 | x_t) (B, *shape)."""
        raw: Tensor = network(x_t, t)
        if self.reverse_form == "direct":
            return raw
        return raw + self._kernel(table.beta(t), x_t)

    def _kernel(self, beta: Tensor, x: Tensor) -> Tensor:
        """Log-odds of the forward kernel from x."""
        from_one, from_zero = (torch.logit((1.0 - beta) * bit + beta * self.rate) for bit in (1.0, 0.0))
        return torch.where(x > 0.5, per_example(from_one, x), per_example(from_zero, x))

    def term(self, network: nn.Module, table: RateTable, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """KL between independent bits."""
        if not isinstance(table, BitTable):
            raise TypeError(f"a {type(table).__name__} is given. Expected what table() returns.")
        x_t = self.diffuse(table, x_0, t, noise)
        at = (4 * t).reshape(-1, *([1] * (x_0.ndim - 1))) + (2 * x_t + x_0).long()
        odds_q, odds_p = table.log_odds[at], self.reverse(network, table, x_t, t)
        # both probabilities from log-odds: near 0 and 1 a difference from 1 has lost its digits
        crossed = torch.sigmoid(odds_q) * F.softplus(-odds_p) + torch.sigmoid(-odds_q) * F.softplus(odds_p)
        return total(crossed - table.entropies[at])

    def start(self, noise: Tensor, known: Known | None) -> Tensor:
        """x_T from independent bits, times r."""
        odds = torch.full_like(noise, math.log(self.rate) - math.log1p(-self.rate))
        return self._bits(odds, noise, known)

    def step_back(
        self, network: nn.Module, table: RateTable, x_t: Tensor, t: int, noise: Tensor, known: Known | None
    ) -> Tensor:
        """x_{t-1} from p(x_{t-1} | x_t) r; step 1 goes as the forward kernel does."""
        steps = torch.full((len(x_t),), t, dtype=torch.long, device=x_t.device)
        odds = self.reverse(network, table, x_t, steps) if t > 1 else self._kernel(table.beta(steps), x_t)
        return self._bits(odds, noise, known)

    def _bits(self, odds: Tensor, noise: Tensor, known: Known | None) -> Tensor:
        """Draw bits with these log-odds, times r: a known bit is flipped with a probability of known.noise."""
        if known is None:
            return (noise < torch.sigmoid(odds)).to(noise)
        if known.noise >= 1.0:
            raise ValueError(f"noise is {known.noise:g}. Expected the probability of a flipped bit, below 1.")
        if known.noise > 0.0:
            trust = math.log1p(-known.noise) - math.log(known.noise)
            odds = torch.where(known.mask, odds + trust * (2.0 * known.value - 1.0), odds)
        drawn = (noise < torch.sigmoid(odds)).to(noise)
        return torch.where(known.mask, known.value.to(noise), drawn) if known.noise == 0.0 else drawn
