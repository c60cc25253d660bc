"""Gaussian diffusion (Table App.1 of the paper): kernel, posterior, bound and reverse steps.

The network's contract: `forward(x, t) -> (raw_mean, raw_variance)` with x (B, *shape) and t (B,) whole numbers 1 ... T;
both outputs are (B, *shape). The chain makes of them the mean and the variance of p(x_{t-1} | x_t), as perturbations of
the forward process, so that outputs of 0 stand for the forward kernel:

    variance = sigmoid(raw_variance / sqrt(T) + logit(beta_t))
    mean = x sqrt(1 - beta_t) + raw_mean unit_t

`step`, the author's code (model.py, get_mu_sigma), has unit_t = sqrt(beta_t): raw_mean is in units of the step's noise.
`signal` has unit_t = beta_t / (1 - alpha_bar_t): a raw_mean of E[x_0 | x_t] - x_t comes near the best mean of a short
step, so that it is of the size of the data, however short. Where each step has a readout of its own both units give the
same set of models, but weights that differ by orders of magnitude between steps are slow to learn.

`decay`, the paper's form for images (eqs. 64 and 65), has raw_mean as what x decays to:

    variance = sigmoid(raw_variance + logit(beta_t))
    mean = (x - raw_mean) (1 - variance) + raw_mean
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.diffusion.process import diffuse, per_example, posterior
from reprise.models.diffusion_2015.chain import Chain, Known, total
from reprise.models.diffusion_2015.schedule import DiffusionRates, RateTable
from reprise.nn.randomness import ExampleDraws


class GaussianChain(Chain):
    """Diffusion towards a standard Gaussian: q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t).

    Args:
        rates: beta_1 ... beta_T, all below 1.
        reverse: how the network's outputs stand for a reverse step.

    Raises:
        ConfigError: a rate is 1, after which a Gaussian chain has no way back, or `reverse` is unknown.
    """

    def __init__(self, rates: DiffusionRates, reverse: Literal["step", "signal", "decay"] = "step") -> None:
        super().__init__(rates)
        if reverse not in ("step", "signal", "decay"):
            raise ConfigError(f"reverse is {reverse!r}. Expected 'step', 'signal' or 'decay'.")
        self.reverse_form = reverse
        if bool((rates().detach() == 1.0).any()):
            raise ConfigError("a rate is 1, which erases everything in one step. Set initial=erase_half, or geometric.")

    def noise(self, draws: ExampleDraws, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return draws.normal(*shape)

    def diffuse(self, table: RateTable, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise; with frozen noise, a function of the rates."""
        return diffuse(x_0, table.alpha_bar(t).sqrt(), noise)

    def log_prior(self, x: Tensor) -> Tensor:
        """Log N(x; 0, I)."""
        return -0.5 * (total(x.double() ** 2) + x[0].numel() * math.log(2.0 * math.pi))

    def divergence_from_prior(self, table: RateTable, x_0: Tensor, t: Tensor) -> Tensor:
        """KL(N(sqrt(alpha_bar_t) x_0, 1 - alpha_bar_t) || N(0, I))."""
        left = table.alpha_bar(t)
        return 0.5 * (left * total(x_0.double() ** 2) - x_0[0].numel() * (left + torch.log1p(-left)))

    def reverse(self, network: nn.Module, table: RateTable, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of p(x_{t-1} | x_t), both (B, *shape)."""
        raw_mean, raw_variance = network(x_t, t)
        beta = table.beta(t)
        if self.reverse_form == "decay":
            variance = torch.sigmoid(raw_variance + per_example(torch.logit(beta), x_t))
            return (x_t - raw_mean) * (1.0 - variance) + raw_mean, variance
        unit = beta.sqrt() if self.reverse_form == "step" else beta / (1.0 - table.alpha_bar(t))
        mean = x_t * per_example((1.0 - beta).sqrt(), x_t) + raw_mean * per_example(unit, x_t)
        variance = torch.sigmoid(raw_variance / math.sqrt(self.steps) + per_example(torch.logit(beta), x_t))
        return mean, variance

    def term(self, network: nn.Module, table: RateTable, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """KL between two diagonal Gaussians (eq. 14 with Appendix A's kernels)."""
        x_t = self.diffuse(table, x_0, t, noise)
        mean_q, variance_q = posterior(x_0, x_t, table.alpha_bar(t), table.alpha_bar(t - 1))
        mean_p, variance_p = self.reverse(network, table, x_t, t)
        return normal_kl(mean_q, per_example(variance_q, x_t), mean_p, variance_p)

    def start(self, noise: Tensor, known: Known | None) -> Tensor:
        """x_T from N(0, I) r."""
        mean, variance = multiplied(torch.zeros_like(noise), torch.ones_like(noise), known)
        return mean + variance.sqrt() * noise

    def step_back(
        self, network: nn.Module, table: RateTable, x_t: Tensor, t: int, noise: Tensor, known: Known | None
    ) -> Tensor:
        """x_{t-1} from p(x_{t-1} | x_t) r; step 1 goes as the forward kernel does."""
        if t > 1:
            steps = torch.full((len(x_t),), t, dtype=torch.long, device=x_t.device)
            mean, variance = self.reverse(network, table, x_t, steps)
        else:
            beta = float(table.betas[1])
            mean, variance = math.sqrt(1.0 - beta) * x_t, torch.full_like(x_t, beta)
        mean, variance = multiplied(mean, variance, known)
        return mean + variance.sqrt() * noise


def normal_kl(mean_q: Tensor, variance_q: Tensor, mean_p: Tensor, variance_p: Tensor) -> Tensor:
    """KL(N(mean_q, variance_q) || N(mean_p, variance_p)) (B,) in nats, summed over all dimensions but the first."""
    excess = (
        variance_q - variance_p
    ) / variance_p  # near 0 for short steps, where a logarithm of the ratio loses digits
    return 0.5 * total(excess - excess.log1p() + (mean_q - mean_p) ** 2 / variance_p)


def multiplied(mean: Tensor, variance: Tensor, known: Known | None) -> tuple[Tensor, Tensor]:
    """Mean and variance of N(mean, variance) r, normalised (section 2.5; author's code, sampler.py).

    r is a Gaussian around what is known, the same at every step; where it is known exactly nothing is drawn.
    """
    if known is None:
        return mean, variance
    if known.noise == 0.0:
        return torch.where(known.mask, known.value, mean), variance.masked_fill(known.mask, 0.0)
    gain = variance / (variance + known.noise**2)
    return (
        torch.where(known.mask, mean + gain * (known.value - mean), mean),
        torch.where(known.mask, gain * known.noise**2, variance),
    )
