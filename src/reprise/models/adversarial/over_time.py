"""How different images of one label are at chosen iterations of training: the mode-collapse check over time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError

_NOT_MEASURED = -1.0


class DistancesOverTime(nn.Module):
    """Mean distances at iterations of the image networks, kept in a buffer so that they survive a resume.

    Args:
        iterations: when to measure, ascending, from 1.

    Raises:
        ConfigError: they are not ascending, or one is below 1.
    """

    def __init__(self, iterations: Sequence[int]) -> None:
        super().__init__()
        if list(iterations) != sorted(set(iterations)) or any(t < 1 for t in iterations):
            raise ConfigError(f"model.measured_iterations is {list(iterations)}. Expected ascending numbers from 1.")
        self.iterations = [int(t) for t in iterations]
        self.register_buffer("measured", torch.full((len(self.iterations),), _NOT_MEASURED, dtype=torch.float64))
        self.measured: Tensor

    def is_due(self, t: int) -> bool:
        """Whether images are measured after t iterations."""
        return t in self.iterations

    def note(self, t: int, distance: float) -> None:
        """Keep the distance after t iterations; one that is no number, for lack of pairs of images, stays unknown."""
        if distance == distance:
            self.measured[self.iterations.index(t)] = distance

    def found(self) -> dict[str, float]:
        """What was measured, by "step_500" and so on."""
        pairs = zip(self.iterations, self.measured.tolist(), strict=True)
        return {f"step_{t}": value for t, value in pairs if value != _NOT_MEASURED}
