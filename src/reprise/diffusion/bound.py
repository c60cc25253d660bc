"""The variational bound term by term, in nats (Ho et al. 2020, eq. 5), with the discrete decoder (eq. 13)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from reprise.diffusion.process import per_example
from reprise.diffusion.reverse import ReverseProcess
from reprise.diffusion.schedules import NoiseSchedule

Cdf = Literal["tanh", "exact"]

_FLOOR = 1e-12  # least probability of a pixel in the released code
_FAR = 1e4  # standard deviations beyond which nothing lies; infinite ones would have no gradient


def normal_kl(mean: Tensor, log_variance: Tensor, mean_p: Tensor, log_variance_p: Tensor) -> Tensor:
    """KL(N(mean, ...) || N(mean_p, ...)) of each value, in nats; tensors that broadcast."""
    difference = log_variance - log_variance_p
    return 0.5 * (-1.0 - difference + difference.exp() + (mean - mean_p) ** 2 * (-log_variance_p).exp())


def discretised_gaussian(x_0: Tensor, mean: Tensor, log_variance: Tensor, levels: int, cdf: Cdf = "tanh") -> Tensor:
    """Log-probability of each value's bin under a Gaussian (eq. 13), in nats.

    Args:
        x_0: values on the grid 2 v / (levels - 1) - 1, v = 0 ... levels - 1. The outer bins reach to infinity.
        mean, log_variance: of the Gaussian; tensors that broadcast.
        levels: number of bins.
        cdf: "exact": the integral; "tanh": the released code's approximation, which gives no bin less than 1e-12.
    """
    half = 1.0 / (levels - 1)
    precision = (-0.5 * log_variance).exp()
    upper, lower = precision * (x_0 + half - mean), precision * (x_0 - half - mean)
    first, last = x_0 < half - 1.0, x_0 > 1.0 - half
    if cdf == "exact":
        upper = torch.where(last, torch.full_like(upper, _FAR), upper)
        lower = torch.where(first, torch.full_like(lower, -_FAR), lower)
        return _log_difference(upper, lower)
    above, below = _tanh_cdf(upper), _tanh_cdf(lower)
    inside = (above - below).clamp_min(_FLOOR).log()
    edges = torch.where(last, (1.0 - below).clamp_min(_FLOOR).log(), inside)
    return torch.where(first, above.clamp_min(_FLOOR).log(), edges)


def _tanh_cdf(x: Tensor) -> Tensor:
    """Page's approximation of the normal distribution function, as in the released code."""
    return 0.5 * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _log_difference(upper: Tensor, lower: Tensor) -> Tensor:
    """log(Phi(upper) - Phi(lower)), exact far out too: both are taken from the tail in which they lie."""
    flip = upper + lower > 0
    a, b = torch.where(flip, -lower, upper), torch.where(flip, -upper, lower)  # a > b, in the lower tail
    log_a, log_b = torch.special.log_ndtr(a), torch.special.log_ndtr(b)
    return log_a + torch.log1p(-(log_b - log_a).exp())


def prior_kl(x_0: Tensor, schedule: NoiseSchedule) -> Tensor:
    """L_T of each example, KL(q(x_T | x_0) || N(0, I)) (B,) in nats, float64."""
    alpha_bar = float(schedule.alpha_bars[-1])
    variance = 1.0 - alpha_bar
    values = 0.5 * (variance + alpha_bar * x_0.double() ** 2 - 1.0 - math.log(variance))
    return values.flatten(1).sum(1)


def bound_term(
    reverse: ReverseProcess,
    output: Tensor,
    x_0: Tensor,
    x_t: Tensor,
    t: Tensor,
    levels: int,
    clip: bool = True,
    cdf: Cdf = "tanh",
) -> tuple[Tensor, Tensor]:
    """L_{t-1} of each example for the x_t that was drawn: a KL divergence for t > 1, -log p(x_0 | x_1) for t = 1.

    Args:
        reverse: the reverse process.
        output: of the network for x_t.
        x_0, x_t: (B, ...).
        t: (B,) in 1..T.
        levels: of the discrete decoder.
        clip: see ReverseProcess.forward.
        cdf: see discretised_gaussian.

    Returns:
        the term (B,) in nats, and the predicted x_0.
    """
    model = reverse(output.float(), x_t, t, clip)
    mean, log_variance = reverse.posterior(x_0, x_t, t)
    divergence = normal_kl(mean, log_variance, model.mean, model.log_variance)
    # where no example is at t = 1 the decoder is not needed, but its shape would not tell: it costs little
    decoder = -discretised_gaussian(x_0, model.mean, model.log_variance, levels, cdf)
    term = torch.where(per_example(t, x_0) == 1, decoder, divergence)
    return term.flatten(1).sum(1), model.x_0
