"""Binary heartbeat sequences: a one in every fifth place."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from reprise.config.errors import ConfigError
from reprise.data.generated.base import Distribution


class BinaryHeartbeat(Distribution):
    """Sequences of bits with a one in every `period`-th place and zeros elsewhere; each phase is as likely as another.

    Args:
        length: bits of a sequence.
        period: places from one to the next.
    """

    name: ClassVar[str] = "heartbeat"

    def __init__(self, length: int = 20, period: int = 5) -> None:
        if not 1 <= period <= length:
            raise ConfigError(f"period is {period} and length {length}. Expected 1 <= period <= length.")
        self.length = length
        self.period = period

    @property
    def dims(self) -> int:
        """Bits of a sequence."""
        return self.length

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One sequence (length,) of 0 and 1."""
        phase = int(rng.integers(self.period))
        return (np.arange(self.length) % self.period == phase).astype(np.uint8)

    def settings(self) -> dict[str, Any]:
        """Length and period."""
        return {"length": self.length, "period": self.period}
