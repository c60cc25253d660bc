"""Sound: the generated waveform beside the true one, as wav files and as a picture of both."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reprise.nn.spectrogram import LogMel
from reprise.samples.base import Sample, Shown


@dataclass(frozen=True, eq=False, kw_only=True)
class AudioSample(Sample):
    """A generated waveform beside the true one.

    Attributes:
        generated, truth: (T,) in [-1, 1].
        sample_rate: in Hz.
    """

    generated: Tensor
    truth: Tensor
    sample_rate: int

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.wav, NAME_truth.wav and NAME.png with waveform and spectrogram of both."""
        truth = f"{self.name}_truth"
        ours = write_audio(folder / f"{self.name}.wav", self.generated, self.sample_rate)
        theirs = write_audio(folder / f"{truth}.wav", self.truth, self.sample_rate)
        picture = audio_picture(self, folder / f"{self.name}.png")
        return [
            Shown(self.name, ours, "audio", self.caption),
            Shown(truth, theirs, "audio", "truth"),
            Shown(f"{self.name}_spectrogram", picture, "image", self.caption),
        ]


def write_audio(path: Path, audio: Tensor, sample_rate: int) -> Path:
    """Write a waveform (T,) as 16-bit wav, clamped to [-1, 1].

    Raises:
        OSError: it cannot be written.
    """
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    wave = audio.detach().float().cpu().clamp(-1.0, 1.0).numpy()
    try:
        soundfile.write(path, wave, sample_rate, subtype="PCM_16")
    except soundfile.SoundFileError as error:  # a full disk is no OSError to this library
        raise OSError(errno.EIO, str(error), str(path)) from None
    return path


def audio_picture(sample: AudioSample, path: Path) -> Path:
    """Draw waveform and log-mel spectrogram, truth on the left, generated on the right, same scales."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rate = sample.sample_rate
    mel = LogMel(rate, n_mels=80, f_max=rate / 2, hop_length=256, win_length=1024, n_fft=2048)
    waves = {"truth": sample.truth, "generated": sample.generated}
    with torch.no_grad():
        mels = {name: mel(wave).numpy() for name, wave in waves.items()}
    low, high = -9.0, max(m.max() for m in mels.values())
    peak = max(0.05, float(max(w.abs().max() for w in waves.values()))) * 1.05
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=[1, 2])
    seconds = len(sample.truth) / rate
    image: Any = None
    for column, (name, wave) in enumerate(waves.items()):
        times = torch.arange(len(wave)) / rate
        axes[0, column].plot(times.numpy(), wave.numpy(), linewidth=0.4, color="#1f4e79")
        axes[0, column].set_title(name)
        axes[0, column].set_ylim(-peak, peak)
        image = axes[1, column].imshow(
            mels[name], origin="lower", aspect="auto", extent=(0, seconds, 0, 80), vmin=low, vmax=high, cmap="magma"
        )
        axes[1, column].set_xlabel("time [s]")
    axes[0, 0].set_ylabel("amplitude")
    axes[1, 0].set_ylabel("mel bin")
    figure.colorbar(image, ax=axes[1, :], label="ln mel magnitude")
    figure.suptitle(sample.caption)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    return path
