"""Which reverse steps a sampler takes, and the Gaussian each of them draws from.

Every sampler here is a list of steps, each of which draws x_before = w_0 x_0 + w_n x_n + sigma z from the x_0 that the
network predicts in x_n (Ho et al. 2020, eq. 7; Song et al. 2021, eq. 12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reprise.diffusion.process import posterior_weights
from reprise.diffusion.schedules import NoiseSchedule, respaced

FixedVariance = Literal["small", "large"]
Variance = Literal["large", "small", "learned"]


@dataclass(frozen=True)
class Step:
    """One reverse step, from x_n to the x before it on the way back.

    Attributes:
        index: n in the schedule of training, N..1: what a network of a step index is told.
        level: sqrt(alpha_bar_n), what a network of a noise level is told.
        alpha: alpha_bar_n / alpha_bar_before.
        alpha_bar: alpha_bar_n.
        weight_0, weight_n: the mean is weight_0 * x_0 + weight_n * x_n.
        sigma: standard deviation; not used in the last step, which shows its mean.
        last: whether it ends at x_0.
        trained: whether its mean is that of training: the posterior's, of n - 1.
    """

    index: int
    level: float
    alpha: float
    alpha_bar: float
    weight_0: float
    weight_n: float
    sigma: float
    last: bool
    trained: bool


def evenly(total: int, count: int) -> list[int]:
    """`count` of the steps 1..total, both ends among them, as evenly spaced as whole numbers allow.

    Raises:
        ValueError: count is not from 1 to total.
    """
    if not 1 <= count <= total:
        raise ValueError(f"{count} steps of {total}; expected 1 to {total}")
    if count == 1:
        return [total]
    return [1 + round(i * (total - 1) / (count - 1)) for i in range(count)]


def ancestral_steps(
    schedule: NoiseSchedule, variance: FixedVariance = "small", indices: Sequence[int] | None = None
) -> list[Step]:
    """Steps that draw from the posterior of the predicted x_0 (Ho et al. 2020, Algorithm 2).

    Args:
        schedule: the schedule of training.
        variance: "small": sigma_n^2 is the posterior's, beta_tilde_n; "large": it is beta_n (section 3.2).
        indices: steps to visit, rising; None for all. The schedule of these alone decides the variance.

    Returns:
        the steps in the order in which they are taken, N first.

    Raises:
        ValueError: indices are none of the schedule, or variance is neither.
    """
    if variance not in ("small", "large"):
        raise ValueError(f"variance is {variance!r}; expected 'small' or 'large'")
    chosen = list(range(1, len(schedule) + 1)) if indices is None else list(indices)
    short = respaced(schedule, chosen)
    weight_0, weight_n, _ = posterior_weights(short.alpha_bars, short.alpha_bars_before)
    sigma = short.sigmas if variance == "small" else short.betas.sqrt()
    return _listed(chosen, short, weight_0.tolist(), weight_n.tolist(), sigma.tolist(), posterior=True)


def ddim_steps(schedule: NoiseSchedule, indices: Sequence[int] | None = None, eta: float = 0.0) -> list[Step]:
    """Steps of DDIM: eta = 0 draws nothing, eta = 1 is ancestral sampling with the small variance (Song et al. 2021).

    Args:
        schedule: the schedule of training.
        indices: steps to visit, rising; None for all.
        eta: share of the posterior's standard deviation, from 0 to 1.

    Returns:
        the steps in the order in which they are taken, N first.

    Raises:
        ValueError: indices are none of the schedule, or eta is out of range.
    """
    if not 0.0 <= eta <= 1.0:
        raise ValueError(f"eta is {eta}; expected 0 to 1")
    chosen = list(range(1, len(schedule) + 1)) if indices is None else list(indices)
    short = respaced(schedule, chosen)
    before, after = short.alpha_bars_before, short.alpha_bars
    sigma = eta * short.sigmas
    weight_n = ((1.0 - before - sigma**2).clamp_min(0.0) / (1.0 - after)).sqrt()
    weight_0 = before.sqrt() - after.sqrt() * weight_n
    return _listed(chosen, short, weight_0.tolist(), weight_n.tolist(), sigma.tolist(), posterior=False)


def _listed(
    chosen: list[int],
    short: NoiseSchedule,
    weight_0: list[float],
    weight_n: list[float],
    sigma: list[float],
    posterior: bool,
) -> list[Step]:
    alphas, alpha_bars = short.alphas.tolist(), short.alpha_bars.tolist()
    return [
        Step(
            index=chosen[i],
            level=alpha_bars[i] ** 0.5,
            alpha=alphas[i],
            alpha_bar=alpha_bars[i],
            weight_0=weight_0[i],
            weight_n=weight_n[i],
            sigma=sigma[i],
            last=i == 0,
            trained=posterior and chosen[i] - (chosen[i - 1] if i else 0) == 1,
        )
        for i in reversed(range(len(chosen)))
    ]


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn from a trained model.

    Attributes:
        steps: how many of the schedule's steps are visited, evenly spaced; None for all.
        variance: sigma of ancestral sampling: "large", "small", or "learned" by a network that learns it; None for
            that of training.
        method: "ancestral" (Ho et al. 2020, Algorithm 2) or "ddim" (Song et al. 2021).
        eta: of DDIM.
        clip: keep each predicted x_0 within [-1, 1], as the released code does before it forms the mean.

    Raises:
        ValueError: a choice is none of these.
    """

    steps: int | None = None
    variance: Variance | None = None
    method: Literal["ancestral", "ddim"] = "ancestral"
    eta: float = 0.0
    clip: bool = True

    def __post_init__(self) -> None:
        if self.variance not in (None, "large", "small", "learned"):
            raise ValueError(f"variance is {self.variance!r}; expected large, small, learned or null")
        if self.method not in ("ancestral", "ddim"):
            raise ValueError(f"method is {self.method!r}; expected ancestral or ddim")
        if self.method == "ddim" and self.variance is not None:
            raise ValueError("method=ddim has a variance of its own, set by eta; expected variance=null")
        if self.method == "ancestral" and self.eta != 0.0:
            raise ValueError(f"eta is {self.eta}, which ancestral sampling has none of; expected method=ddim")

    def plan(self, schedule: NoiseSchedule, trained: Variance, top: int | None = None) -> list[Step]:
        """The steps to take.

        Args:
            schedule: of training.
            trained: variance of training, for variance=None.
            top: step to begin at; None for the last of the schedule.

        Raises:
            ValueError: more steps than the schedule has, or a learned variance with steps left out.
        """
        first = len(schedule) if top is None else top
        if not 1 <= first <= len(schedule):
            raise ValueError(f"step {first} of a schedule; expected 1 to {len(schedule)}")
        if self.steps is not None and top is not None and self.steps <= len(schedule):
            indices = evenly(first, min(self.steps, first))
        else:
            indices = evenly(first, first if self.steps is None else self.steps)
        if self.method == "ddim":
            return ddim_steps(schedule, indices, self.eta)
        variance = self.variance or trained
        if variance == "learned":
            if trained != "learned":
                raise ValueError(f"variance=learned, but it was not learned; expected {trained}, or null")
            if len(indices) < first:
                raise ValueError(
                    "a learned variance is that of single steps; expected steps=null, or variance=large or small"
                )
            variance = "large"  # not used: the network's own takes its place
        return ancestral_steps(schedule, variance, indices)
