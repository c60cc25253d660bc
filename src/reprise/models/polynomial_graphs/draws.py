"""Random numbers that belong to a repetition and a step: neither resuming nor other repetitions change them."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor

BLOCK = 200  # steps whose numbers are drawn together: one generator a step would take longer than the step


def repetition_rng(seed: int, purpose: str, repetition: int, number: int) -> np.random.Generator:
    """The generator of one repetition for one purpose."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), repetition, number])


def uniform(seed: int, purpose: str, repetitions: int, number: int, *shape: int) -> Tensor:
    """Numbers (R, *shape) from [0, 1), float32; those of repetition r are a function of seed, purpose, r and number."""
    drawn = [repetition_rng(seed, purpose, r, number).random(shape, np.float32) for r in range(repetitions)]
    return torch.from_numpy(np.stack(drawn))
