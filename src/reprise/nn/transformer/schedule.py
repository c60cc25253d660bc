"""Learning rate of Transformers: up in a line, then down by the root of the step."""

from __future__ import annotations

import torch

from reprise.config.errors import ConfigError


class InverseSqrt(torch.optim.lr_scheduler.LambdaLR):
    """min(n / W, sqrt(W / n)) times the optimiser's learning rate in step n = 1, 2, ... (section 5.3, up to a factor).

    Args:
        optimizer: whose learning rate is the highest that is reached.
        warmup: W.

    Raises:
        ConfigError: W is not positive.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, warmup: int = 4000) -> None:
        if warmup < 1:
            raise ConfigError(f"the learning rate's warmup is {warmup}. Expected 1 or more.")
        self.warmup = warmup
        super().__init__(optimizer, self._factor)

    def _factor(self, step: int) -> float:
        return min((step + 1) / self.warmup, (self.warmup / (step + 1)) ** 0.5)
