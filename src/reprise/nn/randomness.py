"""Random draws that belong to an example, not to a process.

Every training example has a position in the run's endless stream of examples. What is drawn for it (crop, noise level,
noise) is a function of (seed, stream name, position) alone. So a resumed run draws what the uninterrupted one would
have drawn, two processes draw together what one would, and data workers need no random state.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def example_rng(seed: int, stream: str, position: int) -> np.random.Generator:
    """Return the generator of one example for one purpose, e.g. stream "crop"."""
    return np.random.default_rng([seed, zlib.crc32(stream.encode()), position])


def rank_seed(seed: int, rank: int) -> int:
    """Seed of a rank's own global generators, of which dropout draws."""
    return int(np.random.SeedSequence([seed, rank]).generate_state(1, np.uint64)[0] >> 1)


class ExampleDraws:
    """Draws for a batch of examples, one generator each, on the CPU.

    Args:
        seed: the run's seed.
        stream: purpose of the draws; streams are independent.
        positions: position of each example of the batch, length B.
    """

    def __init__(self, seed: int, stream: str, positions: Sequence[int]) -> None:
        self._generators = [example_rng(seed, stream, int(p)) for p in positions]

    def integers(self, low: int, high: int) -> Tensor:
        """Draw (B,) whole numbers from low to high, high included."""
        return torch.tensor([int(g.integers(low, high, endpoint=True)) for g in self._generators])

    def uniform(self, *shape: int) -> Tensor:
        """Draw (B, *shape) numbers from [0, 1) in float64."""
        return torch.from_numpy(np.stack([np.asarray(g.random(shape or None)) for g in self._generators]))

    def normal(self, *shape: int) -> Tensor:
        """Draw (B, *shape) standard normal numbers in float32."""
        out = np.empty((len(self._generators), *shape), dtype=np.float32)
        for row, generator in zip(out, self._generators, strict=True):
            generator.standard_normal(dtype=np.float32, out=row)
        return torch.from_numpy(out)
