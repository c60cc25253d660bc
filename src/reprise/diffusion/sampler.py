"""Ancestral sampling: WaveGrad's Algorithm 2, which is Algorithm 2 of Ho et al. 2020 with any short schedule."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from reprise.diffusion.process import reverse_mean
from reprise.diffusion.schedules import NoiseSchedule

# Predicts the noise in x_n. Receives x_n, the step n (N..1) and the level sqrt(alpha_bar_n); a model conditions on one.
NoisePredictor = Callable[[Tensor, int, float], Tensor]


def ancestral(
    predict: NoisePredictor,
    schedule: NoiseSchedule,
    draw: Callable[[], Tensor],
    clamp_x_0: float | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Sample x_0 by N refinement steps.

    Args:
        predict: the noise predictor.
        schedule: inference schedule; the model need not have been trained with it.
        draw: returns a fresh standard normal tensor of the sample's shape; called N times, x_N first.
        clamp_x_0: limit the x_0 implied by each prediction to [-c, c]. Not in the paper; None leaves Algorithm 2 as is.
        on_step: called after each step with n.

    Returns:
        the sample, not clamped.
    """
    x = draw()
    for n in range(len(schedule), 0, -1):
        alpha, alpha_bar = float(schedule.alphas[n - 1]), float(schedule.alpha_bars[n - 1])
        level = alpha_bar**0.5
        noise = predict(x, n, level)
        if clamp_x_0 is not None:
            spread = (1.0 - alpha_bar) ** 0.5
            x_0 = ((x - spread * noise) / level).clamp(-clamp_x_0, clamp_x_0)
            noise = (x - level * x_0) / spread
        x = reverse_mean(x, noise, alpha, alpha_bar)
        if n > 1:
            x = x + float(schedule.sigmas[n - 1]) * draw()
        if on_step is not None:
            on_step(n)
    return x
