"""Sound without a truth to lay beside it: a wav file and its picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from reprise.nn.spectrogram import LogMel
from reprise.samples.audio import write_audio
from reprise.samples.base import Sample, Shown


@dataclass(frozen=True, eq=False, kw_only=True)
class SoundSample(Sample):
    """A waveform that was drawn.

    Attributes:
        audio: (T,) in [-1, 1].
        sample_rate: in Hz.
    """

    audio: Tensor
    sample_rate: int

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.wav and NAME.png with waveform and log-mel spectrogram."""
        sound = write_audio(folder / f"{self.name}.wav", self.audio, self.sample_rate)
        picture = self._picture(folder / f"{self.name}.png")
        return [
            Shown(self.name, sound, "audio", self.caption),
            Shown(f"{self.name}_spectrogram", picture, "image", self.caption),
        ]

    def _picture(self, path: Path) -> Path:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        rate, seconds = self.sample_rate, len(self.audio) / self.sample_rate
        hop = max(1, rate // 100)
        mel = LogMel(
            rate, n_mels=64, f_max=rate / 2, hop_length=hop, win_length=3 * hop, n_fft=1 << (4 * hop).bit_length()
        )
        with torch.no_grad():
            level = mel(self.audio).numpy()
        figure = Figure(figsize=(6, 4), layout="constrained")
        FigureCanvasAgg(figure)
        wave, picture = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
        wave.plot((torch.arange(len(self.audio)) / rate).numpy(), self.audio.numpy(), linewidth=0.4, color="#1f4e79")
        wave.set_ylabel("amplitude")
        wave.set_title(self.caption)
        shown = picture.imshow(level, origin="lower", aspect="auto", extent=(0, seconds, 0, 64), cmap="magma")
        picture.set_xlabel("time [s]")
        picture.set_ylabel("mel bin")
        figure.colorbar(shown, ax=picture, label="ln mel magnitude")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100)
        return path
