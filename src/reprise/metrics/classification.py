"""How often the most likely class is the right one."""

from __future__ import annotations

from torch import Tensor

from reprise.metrics.base import WeightedMean


class Accuracy(WeightedMean):
    """Share of examples whose class has the largest logit; of equal ones the first class counts."""

    higher_is_better: bool | None = True

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add examples; logits (B, C), labels (B,) in 0 ... C - 1."""
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            raise ValueError(
                f"expected logits (B, C) and labels (B,); received {tuple(logits.shape)}, {tuple(labels.shape)}"
            )
        self.add_each(logits.argmax(1) == labels)
