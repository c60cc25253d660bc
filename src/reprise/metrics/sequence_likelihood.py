"""Likelihood of sequences, a sample."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from reprise.metrics.base import WeightedMean


class NatsPerSample(WeightedMean):
    """Mean of -log p(x_t | x_<t) over all samples of all clips, in nats; a long clip weighs more than a short one."""

    unit: ClassVar[str] = "nats/sample"

    def update(self, log_prob: Tensor, exists: Tensor | None = None) -> None:
        """Add samples.

        Args:
            log_prob: any shape, in nats.
            exists: the same shape, bool; where False, a sample does not count. None: all count.

        Raises:
            ValueError: the shapes differ.
        """
        if exists is not None:
            if exists.shape != log_prob.shape:
                raise ValueError(f"expected one shape; received {tuple(log_prob.shape)} and {tuple(exists.shape)}")
            log_prob = log_prob[exists]
        self.add_each(-log_prob.flatten().double())


class BitsPerSample(NatsPerSample):
    """The same in bits: nats / ln 2. What knows nothing of 256 codes needs 8."""

    unit: ClassVar[str] = "bits/sample"

    def compute(self) -> Tensor:
        """Return the mean in bits, NaN when nothing was added."""
        return super().compute() / math.log(2.0)
