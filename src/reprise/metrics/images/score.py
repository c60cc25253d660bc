"""Inception Score (Salimans et al. 2016) as sums, so that it does not depend on order, chance or processes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class SplitScore(Metric):
    """exp E_x KL(p(y|x) || p(y)) on equal parts of the samples, its mean and standard deviation over the parts.

    Part i holds the samples from floor(i N / splits) up to floor((i + 1) N / splits), by key, and the deviation is that
    of a population (`numpy.std`), both as in the code of Salimans et al.
    torchmetrics' InceptionScore shuffles by the global random state, so that no two computations agree, takes the
    deviation of a sample, and keeps all logits. Here sum p log p and sum p of each part are kept, in float64:
    E_x KL = E_x sum_y p(y|x) log p(y|x) - sum_y p(y) log p(y).

    Args:
        samples: N; keys are 0 ... N - 1.
        classes: K.
        splits: number of parts.
    """

    higher_is_better: bool | None = True
    is_differentiable: bool | None = False
    full_state_update: bool | None = False

    def __init__(self, samples: int, classes: int, splits: int) -> None:
        super().__init__()
        self.samples = samples
        self.splits = splits
        self.add_state("negentropy", torch.zeros(splits, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("probability", torch.zeros(splits, classes, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(splits, dtype=torch.float64), dist_reduce_fx="sum")
        self.negentropy: Tensor
        self.probability: Tensor
        self.count: Tensor

    def update(self, logits: Tensor, keys: Tensor) -> None:
        """Add samples.

        Args:
            logits: (B, K).
            keys: (B,) numbers of the samples, 0 ... N - 1, each once.
        """
        part = ((keys + 1) * self.splits - 1).div(self.samples, rounding_mode="floor")
        log_p = logits.double().log_softmax(1)
        p = log_p.exp()
        self.negentropy.index_add_(0, part, (p * log_p).sum(1))
        self.probability.index_add_(0, part, p)
        self.count.index_add_(0, part, torch.ones_like(p[:, 0]))

    def compute(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation over the parts, NaN where a part is empty."""
        marginal = self.probability / self.count[:, None]
        scores = (self.negentropy / self.count + torch.special.entr(marginal).sum(1)).exp()
        return scores.mean(), scores.std(correction=0)
