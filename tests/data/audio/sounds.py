"""Sounds that data sets of the tests consist of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile


def noise(samples: int, seed: int = 0) -> np.ndarray:
    """Whole 16-bit numbers as float32, different at every sample, so that a crop is found in one place only."""
    drawn = np.random.default_rng(seed).integers(-9000, 9000, samples)
    return (drawn / 32768.0).astype(np.float32)


def write(path: Path, samples: int = 1000, rate: int = 8000, seed: int = 0, **settings: Any) -> Path:
    """Write noise to a sound file, in 16 bits unless told otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(samples, seed), rate, **{"subtype": "PCM_16", **settings})
    return path
