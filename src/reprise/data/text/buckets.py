"""Batches of about so many tokens: sentences of like lengths together, another division in each epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Buckets:
    """Divides sentences into buckets whose padded size is at most so many tokens.

    Sentences are sorted by length, those of equal length in an order that the epoch decides, and cut where the longest
    times the number would exceed the size. Cuts depend on the lengths alone, so every epoch has as many buckets; their
    order is drawn anew.

    Args:
        lengths: of the sentences, none above `tokens`.
        tokens: size of a bucket.
    """

    def __init__(self, lengths: Sequence[int], tokens: int) -> None:
        self.lengths = np.asarray(lengths)
        ordered = np.sort(self.lengths, kind="stable")
        starts = [0]
        for end in range(1, len(ordered) + 1):
            if end == len(ordered) or ordered[end] * (end + 1 - starts[-1]) > tokens:
                starts.append(end)
        self.cuts = starts
        self._plan: tuple[tuple[int, int], np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def __call__(self, position: int, seed: int) -> list[int]:
        """Sentences of the bucket at a position of the stream: a function of both alone."""
        epoch, i = divmod(position, len(self))
        if self._plan is None or self._plan[0] != (seed, epoch):
            rng = np.random.default_rng([seed, epoch])
            shuffled = rng.permutation(len(self.lengths))
            by_length = shuffled[np.argsort(self.lengths[shuffled], kind="stable")]
            self._plan = (seed, epoch), by_length, rng.permutation(len(self))
        _, sentences, order = self._plan
        bucket = int(order[i])
        return sentences[self.cuts[bucket] : self.cuts[bucket + 1]].tolist()  # type: ignore[no-any-return]
