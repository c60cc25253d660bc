"""Pictures of sound: waveform and log-mel of the truth beside the generated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from reprise.nn.samples import AudioSample
from reprise.nn.spectrogram import LogMel


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
