"""STOI and PESQ, present when their packages are."""

from __future__ import annotations

import importlib.util

import numpy as np
from torch import Tensor

from reprise.config.errors import UserError
from reprise.metrics.base import WeightedMean, same_shape


def available(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


class STOI(WeightedMean):
    """Short-time objective intelligibility (Taal et al. 2011), mean over clips, by pystoi (0.4).

    Args:
        sample_rate: in Hz.
    """

    version = 1
    higher_is_better = True
    package = "pystoi"

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        if not available(self.package):
            raise UserError(f"STOI needs {self.package}: pip install 'reprise[audio]'")
        self.sample_rate = sample_rate

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Add one clip: predicted and target, (T,) in [-1, 1]."""
        from pystoi import stoi

        same_shape(predicted, target)
        self.add(float(stoi(target.cpu().numpy(), predicted.cpu().numpy(), self.sample_rate, extended=False)))


class PESQ(WeightedMean):
    """Wide-band PESQ (ITU-T P.862.2), mean over clips, by pesq (0.0.4) after resampling to 16 kHz.

    Args:
        sample_rate: in Hz.
    """

    version = 1
    higher_is_better = True
    package = "pesq"

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        if not available(self.package):
            raise UserError(f"PESQ needs {self.package}: pip install 'reprise[audio,pesq]' (it compiles a C extension)")
        self.sample_rate = sample_rate

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Add one clip: predicted and target, (T,) in [-1, 1]."""
        import soxr
        from pesq import pesq

        same_shape(predicted, target)

        def resample(audio: Tensor) -> np.ndarray:
            return np.asarray(soxr.resample(audio.cpu().numpy(), self.sample_rate, 16000, quality="VHQ"))

        self.add(float(pesq(16000, resample(target), resample(predicted), "wb")))
