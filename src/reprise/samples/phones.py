"""Phones over the spectrogram of the speech they are said in, to look at how they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reprise.samples.base import Sample, Shown


@dataclass(frozen=True, eq=False, kw_only=True)
class AlignedSpeech(Sample):
    """Speech and when which phone is heard in it.

    Attributes:
        audio: (T,) in [-1, 1].
        sample_rate: in Hz.
        phones: symbol, begin and end in seconds of each, in order.
        f0: fundamental frequency in Hz at the centres of equal frames, 0 where unvoiced; None leaves it out.
    """

    audio: Tensor
    sample_rate: int
    phones: Sequence[tuple[str, float, float]]
    f0: Sequence[float] | None = None

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.png: waveform and spectrogram, a line where a phone begins, its symbol above."""
        picture = folder / f"{self.name}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        self._draw(picture)
        return [Shown(self.name, picture, "image", self.caption)]

    def _draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        seconds = len(self.audio) / self.sample_rate
        figure = Figure(figsize=(max(6.0, 5.0 * seconds), 5.0), layout="constrained")
        wave, picture = figure.subplots(2, 1, sharex=True, height_ratios=[1, 3])
        wave.plot(np.arange(len(self.audio)) / self.sample_rate, self.audio.numpy(), linewidth=0.4, color="#1f4e79")
        wave.set_ylabel("amplitude")
        wave.set_title(self.caption)
        extent = (0.0, seconds, 0.0, self.sample_rate / 2000.0)
        level = _decibels(self.audio, self.sample_rate)
        picture.imshow(level, origin="lower", aspect="auto", extent=extent, vmin=-70.0, vmax=0.0, cmap="magma")
        picture.set_xlabel("time [s]")
        picture.set_ylabel("frequency [kHz]")
        for row, (symbol, begin, end) in enumerate(self.phones):
            for axes in (wave, picture):
                axes.axvline(begin, color="tab:cyan", linewidth=0.6)
            height = 0.97 if row % 2 else 0.91  # neighbours at two heights, so that short ones can be read
            x, y = (begin + end) / 2.0, height * extent[3]
            picture.text(x, y, symbol, color="white", fontsize=8, ha="center", va="center", parse_math=False)
        if self.f0 is not None:
            pitch = np.asarray(self.f0, dtype=float)
            times = (np.arange(len(pitch)) + 0.5) * seconds / len(pitch)
            right = picture.twinx()
            right.plot(times, np.where(pitch > 0.0, pitch, np.nan), color="tab:green", linewidth=1.2)
            right.set_ylabel("F0 [Hz]")
            right.set_ylim(0.0, 600.0)
        picture.set_xlim(0.0, seconds)
        figure.savefig(path, dpi=100, metadata={"Software": None})


def _decibels(audio: Tensor, sample_rate: int) -> np.ndarray:
    """Spectrogram in dB below its largest value: windows of 10 ms every millisecond, (frequencies, frames)."""
    window = max(16, sample_rate // 100)
    hop = max(1, sample_rate // 1000)
    padded = torch.nn.functional.pad(audio.float(), (window // 2, window // 2))
    power = torch.stft(padded, 512, hop, window, torch.hann_window(window), center=False, return_complex=True)
    power = power.abs().square()
    scaled: np.ndarray = (10.0 * torch.log10(power / power.max().clamp(min=1e-12) + 1e-12)).numpy()
    return scaled
