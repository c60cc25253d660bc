"""Distances from the data's law at chosen steps of training, kept in a buffer so that they survive a resume."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reprise.causal.law import LabelLaw
from reprise.config.errors import ConfigError
from reprise.models.causal_controller.measures import Counted

PROTOCOLS = ("tvd", "tvd_all")  # combinations that the data lack are left out, as released; all are counted
_NOT_MEASURED = -1.0


class Distances(nn.Module):
    """Both distances of each replica at each of the steps.

    Args:
        steps: generator steps, ascending.
        replicas: R.

    Raises:
        ConfigError: the steps are not ascending, or below 0.
    """

    def __init__(self, steps: Sequence[int], replicas: int) -> None:
        super().__init__()
        if list(steps) != sorted(set(steps)) or any(step < 0 for step in steps):
            raise ConfigError(f"model.measured_steps is {list(steps)}. Expected ascending steps from 0.")
        self.steps = [int(step) for step in steps]
        shape = (len(PROTOCOLS), replicas, len(self.steps))
        self.register_buffer("measured", torch.full(shape, _NOT_MEASURED, dtype=torch.float64))
        self.measured: Tensor

    def is_due(self, step: int) -> bool:
        """Whether a step is one of those to measure, and was not yet."""
        return step in self.steps and float(self.measured[0, 0, self.steps.index(step)]) == _NOT_MEASURED

    def note(self, step: int, counted: Sequence[Counted], law: LabelLaw) -> None:
        """Keep the distances of each replica's draws at a step; one that is not asked for is passed over."""
        if step in self.steps:
            for r, of_replica in enumerate(counted):
                for p, value in enumerate(distances_of(of_replica, law).values()):
                    self.measured[p, r, self.steps.index(step)] = value

    def of(self, replica: int) -> dict[str, dict[int, float]]:
        """Distances that were measured, by protocol and step."""
        values = self.measured[:, replica].tolist()
        return {
            name: {step: x for step, x in zip(self.steps, row, strict=True) if x != _NOT_MEASURED}
            for name, row in zip(PROTOCOLS, values, strict=True)
        }

    def was_below(self, bound: float, first: int) -> bool:
        """Whether each replica's distance as released was below a bound at a step from `first` on."""
        late = torch.tensor([step >= first for step in self.steps], dtype=torch.bool, device=self.measured.device)
        reached = (self.measured[0] != _NOT_MEASURED) & (self.measured[0] < bound) & late
        return bool(reached.any(1).all())


def distances_of(counted: Counted, law: LabelLaw) -> dict[str, float]:
    """Distances of what was drawn, by protocol."""
    return {name: counted.tvd(law, as_released=name == "tvd") for name in PROTOCOLS}
