"""The reverse process: from noise to a sample, by whatever steps and whatever a network predicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from reprise.diffusion.process import reverse_mean
from reprise.diffusion.schedules import NoiseSchedule
from reprise.diffusion.steps import Step, ancestral_steps

# Predicts the noise in x_n. Receives x_n, the step n (N..1) and the level sqrt(alpha_bar_n); a model conditions on one.
NoisePredictor = Callable[[Tensor, int, float], Tensor]
# Mean and standard deviation of x_before given x_n.
Kernel = Callable[[Tensor, Step], tuple[Tensor, float | Tensor]]


def refine(
    kernel: Kernel,
    steps: Sequence[Step],
    draw: Callable[[], Tensor],
    start: Tensor | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Draw x_0 step by step.

    Args:
        kernel: p(x_before | x_n): its mean, and its standard deviation as a number or (B, ...).
        steps: from the first to be taken to the last.
        draw: returns a fresh standard normal tensor of the sample's shape; called for x_N, then for each step that
            draws: all but the last one, and none with sigma = 0.
        start: x_n of the first step; None to draw it.
        on_step: called after each step with n.

    Returns:
        the sample: the mean of the last step, not clamped.
    """
    x = draw() if start is None else start
    for step in steps:
        x, sigma = kernel(x, step)
        if not step.last and (isinstance(sigma, Tensor) or sigma > 0.0):
            x = x + sigma * draw()
        if on_step is not None:
            on_step(step.index)
    return x


def ancestral(
    predict: NoisePredictor,
    schedule: NoiseSchedule,
    draw: Callable[[], Tensor],
    clamp_x_0: float | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Sample by a noise predictor: WaveGrad's Algorithm 2, which is Algorithm 2 of Ho et al. with any short schedule.

    Args:
        predict: the noise predictor.
        schedule: inference schedule; the model need not have been trained with it.
        draw: returns a fresh standard normal tensor of the sample's shape; called N times, x_N first.
        clamp_x_0: limit the x_0 implied by each prediction to [-c, c]. Not in the paper; None leaves Algorithm 2 as is.
        on_step: called after each step with n.

    Returns:
        the sample, not clamped.
    """

    def kernel(x: Tensor, step: Step) -> tuple[Tensor, float]:
        noise = predict(x, step.index, step.level)
        if clamp_x_0 is not None:
            spread = (1.0 - step.alpha_bar) ** 0.5
            x_0 = ((x - spread * noise) / step.level).clamp(-clamp_x_0, clamp_x_0)
            noise = (x - step.level * x_0) / spread
        return reverse_mean(x, noise, step.alpha, step.alpha_bar), step.sigma

    return refine(kernel, ancestral_steps(schedule), draw, on_step=on_step)
