"""WaveGrad's two ways to condition on noise, and its loss (Algorithm 1, section 2).

An objective turns two uniform draws per example into a noise level and the number the network is told.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from reprise.diffusion.schedules import NoiseSchedule


def l1_loss(noise: Tensor, predicted: Tensor) -> Tensor:
    """Mean absolute error over all samples (Algorithm 1, line 7; the mean is the convention of public code)."""
    return (noise - predicted).abs().mean()


class Objective(Protocol):
    """What the module needs of a conditioning scheme."""

    schedule: NoiseSchedule

    def draw(self, segment: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B,) segments in 1..S and (B,) positions in [0, 1) to levels (B,) and network conditions (B,)."""
        ...

    def condition(self, n: int, level: float) -> float:
        """What the network is told at step n of an inference schedule with sqrt(alpha_bar_n) = level."""
        ...

    def check(self, name: str, schedule: NoiseSchedule) -> None:
        """Raise ValueError when a model of this objective cannot sample with `schedule`."""
        ...


class ContinuousLevel:
    """Continuous noise level by hierarchical sampling (Algorithm 1): one model for every inference schedule.

    s ~ Uniform{1..S}, sqrt(alpha_bar) ~ Uniform(l_{s-1}, l_s). The square root is drawn, once per crop.

    Args:
        schedule: the training schedule with its S segments.
    """

    def __init__(self, schedule: NoiseSchedule) -> None:
        self.schedule = schedule

    def draw(self, segment: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Level between l_{s-1} and l_s; the network is told the level."""
        levels = self.schedule.levels
        upper, lower = levels[segment - 1], levels[segment]
        level = lower + (upper - lower) * position.double()
        return level, level

    def condition(self, n: int, level: float) -> float:
        """The level."""
        return level

    def check(self, name: str, schedule: NoiseSchedule) -> None:
        """Every schedule will do."""


class DiscreteIndex:
    """Step index n as in DDPM: one model per schedule, trained and sampled with the same one (Table 2, upper half).

    Args:
        schedule: the schedule of training and inference.
    """

    def __init__(self, schedule: NoiseSchedule) -> None:
        self.schedule = schedule

    def draw(self, segment: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Level l_n; the network is told n."""
        return self.schedule.levels[segment], segment.double()

    def condition(self, n: int, level: float) -> float:
        """The step index."""
        return float(n)

    def check(self, name: str, schedule: NoiseSchedule) -> None:
        """Only the schedule of training will do."""
        if schedule != self.schedule:
            raise ValueError(
                f"schedule {name} differs from the one this model was trained with ({self.schedule}); a discrete-index "
                "model samples only with its own: choose schedule=train"
            )
