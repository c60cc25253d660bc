"""What a generative module hands to those who show its samples."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class AudioSample:
    """A generated waveform beside the true one.

    Attributes:
        name: e.g. the clip's id.
        generated, truth: (T,) in [-1, 1].
        sample_rate: in Hz.
        caption: how it was made.
    """

    name: str
    generated: Tensor
    truth: Tensor
    sample_rate: int
    caption: str
