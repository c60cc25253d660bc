"""What a network's output says of x_0 and of the reverse step, for every parameterisation that DDPM compares."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from reprise.diffusion.process import diffuse, per_example, posterior_weights
from reprise.diffusion.schedules import NoiseSchedule
from reprise.diffusion.steps import Variance

Predicts = Literal["epsilon", "mean", "x_0"]


class Reverse(NamedTuple):
    """p(x_{t-1} | x_t).

    Attributes:
        mean: mu (B, ...).
        log_variance: log sigma^2 (B, ...), or (B, 1, ...) where it is the same for all values of an example.
        x_0: the x_0 that the output stands for (B, ...).
    """

    mean: Tensor
    log_variance: Tensor
    x_0: Tensor


class ReverseProcess:
    """The reverse process of a discrete schedule (Ho et al. 2020, section 3.2), t = 1..T.

    Args:
        schedule: beta_1..beta_T.
        predicts: what the network predicts: "epsilon", the noise; "mean", the mean of q(x_{t-1} | x_t, x_0); "x_0".
        variance: "large": sigma_t^2 = beta_t; "small": that of q(x_{t-1} | x_t, x_0), beta_tilde_t; "learned": the
            second half of the network's channels is log sigma_t^2. Of the fixed ones the first entry, which would be
            0 for "small", is beta_tilde_2 as in the released code.

    Raises:
        ValueError: a choice is none of these, or the schedule has a single step.
    """

    def __init__(self, schedule: NoiseSchedule, predicts: Predicts = "epsilon", variance: Variance = "large") -> None:
        if predicts not in ("epsilon", "mean", "x_0"):
            raise ValueError(f"predicts is {predicts!r}; expected epsilon, mean or x_0")
        if variance not in ("large", "small", "learned"):
            raise ValueError(f"variance is {variance!r}; expected large, small or learned")
        if len(schedule) < 2:
            raise ValueError("a schedule of 1 step has no posterior variance; expected 2 steps or more")
        self.schedule: NoiseSchedule = schedule
        self.predicts: Predicts = predicts
        self.variance: Variance = variance
        alpha_bars = schedule.alpha_bars
        weight_0, weight_t, posterior_variances = posterior_weights(alpha_bars, schedule.alpha_bars_before)
        patched = torch.cat([posterior_variances[1:2], posterior_variances[1:]])
        large = torch.cat([posterior_variances[1:2], schedule.betas[1:]])
        tables = {
            "weight_0": weight_0,
            "weight_t": weight_t,
            "inverse_level": alpha_bars.rsqrt(),
            "inverse_snr_root": (1.0 / alpha_bars - 1.0).sqrt(),
            "posterior_log_variance": patched.log(),
            "log_variance": (patched if variance == "small" else large).log(),
        }
        # float64 on every device whatever a model's precision: 1 - alpha_bar loses its digits in less
        self._tables = {torch.device("cpu"): {"level": schedule.levels[1:], **tables}}

    def __len__(self) -> int:
        return len(self.schedule)

    def table(self, name: str, t: Tensor, like: Tensor) -> Tensor:
        """Entries (B, 1, ...) of a table at steps t (B,) in 1..T, in the precision and on the device of `like`."""
        if t.device not in self._tables:
            here = self._tables[torch.device("cpu")]
            self._tables[t.device] = {key: value.to(t.device) for key, value in here.items()}
        return per_example(self._tables[t.device][name][t - 1], like)

    def diffuse(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t of x_0 (B, ...) for t (B,) in 1..T (eq. 4)."""
        return diffuse(x_0, self.table("level", t, t.double()).flatten(), noise)

    def posterior(self, x_0: Tensor, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, ...) and log variance (B, 1, ...) of q(x_{t-1} | x_t, x_0) (eqs. 6 and 7).

        The log variance at t = 1 is that at t = 2, as in the released code.
        """
        mean = self.table("weight_0", t, x_t) * x_0 + self.table("weight_t", t, x_t) * x_t
        return mean, self.table("posterior_log_variance", t, x_t)

    def target(self, x_0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """What the network's first half would put out if it knew x_0."""
        if self.predicts == "epsilon":
            return noise
        return x_0 if self.predicts == "x_0" else self.posterior(x_0, x_t, t)[0]

    def split(self, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """The part of the output that predicts, and log sigma^2 where it is learned."""
        if self.variance != "learned":
            return output, None
        predicted, log_variance = output.chunk(2, dim=1)
        return predicted, log_variance

    def x_0(self, predicted: Tensor, x_t: Tensor, t: Tensor, clip: bool) -> Tensor:
        """The x_0 that a prediction stands for, kept within [-1, 1] where `clip` says so."""
        if self.predicts == "x_0":
            x_0 = predicted
        elif self.predicts == "epsilon":
            x_0 = self.table("inverse_level", t, x_t) * x_t - self.table("inverse_snr_root", t, x_t) * predicted
        else:  # the posterior's mean, solved for x_0
            x_0 = (predicted - self.table("weight_t", t, x_t) * x_t) / self.table("weight_0", t, x_t)
        return x_0.clamp(-1.0, 1.0) if clip else x_0

    def __call__(self, output: Tensor, x_t: Tensor, t: Tensor, clip: bool = False) -> Reverse:
        """The reverse step that a network's output describes.

        Args:
            output: (B, C, ...), or (B, 2C, ...) where the variance is learned.
            x_t: (B, C, ...).
            t: (B,) in 1..T.
            clip: keep x_0 within [-1, 1] before the mean is formed. The released code does so when it samples and
                measures, not when it trains. A predicted mean is taken as it is.
        """
        predicted, log_variance = self.split(output)
        x_0 = self.x_0(predicted, x_t, t, clip)
        mean = predicted if self.predicts == "mean" else self.posterior(x_0, x_t, t)[0]
        if log_variance is None:
            log_variance = self.table("log_variance", t, x_t)
        return Reverse(mean, log_variance, x_0)
