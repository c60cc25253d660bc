"""Likelihoods of images, and how often Bayes' rule names the right class."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from reprise.metrics.base import WeightedMean
from reprise.nn.images import ImageShape


class NegativeLogLikelihood(WeightedMean):
    """Mean of -log p(x) over examples, in nats per example (PixelRNN, section 5.2 for MNIST)."""

    unit: ClassVar[str] = "nats"

    def update(self, log_prob: Tensor) -> None:
        """Add examples; log_prob (B,) in nats."""
        if log_prob.ndim != 1:
            raise ValueError(f"expected one value an example, (B,); received {tuple(log_prob.shape)}")
        self.add_each(-log_prob)


class BitsPerDim(NegativeLogLikelihood):
    """The same in bits per dimension, an image's dimensions being its colours at all pixels.

    Args:
        shape: of the images.
    """

    unit: ClassVar[str] = "bits/dim"

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        self.shape = shape

    def compute(self) -> Tensor:
        """Return -log2 p(x) a dimension, NaN when nothing was added."""
        return super().compute() * self.shape.bits_per_dim(1.0)


class BayesClassifierAccuracy(WeightedMean):
    """Share of examples whose class maximises log p(x | class) + log p(class).

    Of equal maxima the first class counts.
    """

    higher_is_better: bool | None = True

    def update(self, log_joint: Tensor, labels: Tensor) -> None:
        """Add examples; log_joint (B, K) in nats, labels (B,) in 0 ... K - 1."""
        if log_joint.ndim != 2 or labels.shape != log_joint.shape[:1]:
            raise ValueError(
                f"expected log_joint (B, K) and labels (B,); received {tuple(log_joint.shape)}, {tuple(labels.shape)}"
            )
        self.add_each(log_joint.argmax(1) == labels)
