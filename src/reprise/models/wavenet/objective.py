"""What WaveNets are trained for: the likelihood of the next sample."""

from __future__ import annotations

from torch import Tensor


def next_sample_loss(log_prob: Tensor, exists: Tensor) -> Tensor:
    """-log p of a sample in nats: the mean over examples of the mean over their samples that exist.

    An example counts the same however many samples it has, so that a batch may be divided among processes.

    Args:
        log_prob: (B, T).
        exists: (B, T), bool.
    """
    return -((log_prob * exists).sum(1) / exists.sum(1).clamp(min=1)).mean()
