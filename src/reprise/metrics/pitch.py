"""F0 frame error (Chu and Alwan 2009)."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from reprise.config.errors import UserError
from reprise.metrics.base import WeightedMean, same_shape


def track_pitch(audio: np.ndarray, sample_rate: int, frame_ms: float = 5.0) -> np.ndarray:
    """Fundamental frequency in Hz by WORLD's DIO with StoneMask (Morise 2009), 0 where unvoiced, one value a frame."""
    try:
        import pyworld
    except ImportError:
        raise UserError("FFE tracks pitch with pyworld, which is not installed: pip install 'reprise[audio]'") from None
    audio = np.ascontiguousarray(audio, dtype=np.float64)
    coarse, times = pyworld.dio(audio, sample_rate, f0_floor=60.0, f0_ceil=600.0, frame_period=frame_ms)
    return np.asarray(pyworld.stonemask(audio, coarse, times, sample_rate))


class F0FrameError(WeightedMean):
    """FFE in percent: frames with a voicing error, or voiced in both with F0 off by more than 20 %.

    F0 by WORLD DIO + StoneMask, 60 to 600 Hz, 5 ms frames. The paper's tracker is not known.

    Args:
        sample_rate: in Hz.
    """

    version = 1
    unit = "%"
    GROSS_ERROR = 0.2

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.sample_rate = sample_rate

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Add one clip: predicted and target, (T,) in [-1, 1]."""
        same_shape(predicted, target)
        ours = track_pitch(predicted.detach().cpu().numpy(), self.sample_rate)
        truth = track_pitch(target.detach().cpu().numpy(), self.sample_rate)
        self.add(100.0 * frame_errors(ours, truth).mean(), len(truth))


def frame_errors(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Mark the frames in error, given two F0 tracks in Hz with 0 for unvoiced."""
    voicing = (predicted > 0) != (target > 0)
    both = (predicted > 0) & (target > 0)
    gross = both & (np.abs(predicted - target) > F0FrameError.GROSS_ERROR * target)
    return voicing | gross
