"""The picture of phones over a spectrogram."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import torch

from reprise.samples.phones import AlignedSpeech


def picture(folder: Path, name: str, begin: float, hertz: float = 1000.0) -> np.ndarray:
    audio = 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(8000) / 8000)
    phones = [("a$_1", 0.0, begin), ("'b", begin, 1.0)]
    sample = AlignedSpeech(name=name, caption="one", audio=audio, sample_rate=8000, phones=phones, f0=[0.0, 100.0])
    (shown,) = sample.write(folder)
    assert shown.path == folder / f"{name}.png" and shown.kind == "image"
    drawn: np.ndarray = matplotlib.image.imread(shown.path)[..., :3]
    return drawn


def test_a_line_stands_where_a_phone_begins(tmp_path: Path) -> None:
    def cyan_columns(drawn: np.ndarray) -> np.ndarray:
        cyan = (drawn[..., 0] < 0.5) & (drawn[..., 1] > 0.55) & (drawn[..., 2] > 0.6)
        return np.flatnonzero(cyan.sum(axis=0) > 0.3 * len(drawn))

    early, late = (cyan_columns(picture(tmp_path, f"at{begin}", begin)) for begin in (0.25, 0.75))
    width = late.max() - late.min()
    assert abs(early.max() - early.min() - width / 3) <= 2  # lines at 0 and at 0.25, at 0 and at 0.75
    assert np.array_equal(picture(tmp_path, "again", 0.25), picture(tmp_path, "twice", 0.25))


def test_a_tone_is_bright_at_its_frequency(tmp_path: Path) -> None:
    low, high = (picture(tmp_path, f"tone{f}", 0.5, f) for f in (1000.0, 3000.0))

    def row(drawn: np.ndarray) -> int:
        return int(drawn.sum(axis=2)[180:440, 300:340].mean(axis=1).argmax())

    assert row(low) - row(high) > 50
