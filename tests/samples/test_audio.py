"""Sound beside its truth: two wav files and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from reprise.samples.audio import AudioSample
from reprise.samples.base import first_of_each_group


def tone(pitch: float, group: str = "", name: str = "clip") -> AudioSample:
    t = torch.arange(4410) / 22050
    return AudioSample(
        name=name,
        caption="clip, 6 iterations",
        group=group,
        generated=2.0 * torch.sin(2 * torch.pi * pitch * t),
        truth=0.5 * torch.sin(2 * torch.pi * 220.0 * t),
        sample_rate=22050,
    )


def test_files_and_what_is_shown(tmp_path: Path) -> None:
    sample = tone(330.0)
    shown = sample.write(tmp_path / "deep")
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["clip.png", "clip.wav", "clip_truth.wav"]
    assert [(s.key, s.path.name, s.kind, s.caption) for s in shown] == [
        ("clip", "clip.wav", "audio", "clip, 6 iterations"),
        ("clip_truth", "clip_truth.wav", "audio", "truth"),
        ("clip_spectrogram", "clip.png", "image", "clip, 6 iterations"),
    ]
    for item, wave in zip(shown, (sample.generated.clamp(-1.0, 1.0), sample.truth), strict=False):
        heard, rate = soundfile.read(item.path)
        assert rate == 22050
        assert np.abs(heard - wave.numpy()).max() < 1 / 32000
    assert Image.open(shown[2].path).size == (1100, 460)


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError):
        tone(330.0).write(tmp_path / "file")
    (tmp_path / "clip.wav").mkdir()
    with pytest.raises(OSError):
        tone(330.0).write(tmp_path)


def test_the_first_of_each_group_are_kept_in_order() -> None:
    samples = [tone(1.0, g, n) for g, n in (("a", "1"), ("b", "2"), ("a", "3"), ("a", "4"), ("b", "5"), ("c", "6"))]
    assert [s.name for s in first_of_each_group(samples, 2)] == ["1", "2", "3", "5", "6"]
    assert [s.name for s in first_of_each_group(samples, 1)] == ["1", "2", "6"]
    assert first_of_each_group(samples, 0) == []
