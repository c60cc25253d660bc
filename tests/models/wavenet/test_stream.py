"""Wav files that grow: right at any time, equal to files that are written at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from reprise.models.wavenet.generate import generate
from reprise.samples.audio import write_audio
from reprise.samples.stream import WavStream
from tests.models.wavenet.naive import network

soundfile = pytest.importorskip("soundfile")


def test_a_stream_is_what_is_written_at_once(tmp_path: Path) -> None:
    audio = torch.cat([torch.linspace(-1.2, 1.2, 999), torch.tensor([0.5 / 32767, -0.5 / 32767, -1e-12])])
    with WavStream(tmp_path / "new" / "a.wav", 8000) as file:
        for part in audio.split(100):
            file.write(part)
    write_audio(tmp_path / "b.wav", audio, 8000)
    a, b = (soundfile.read(tmp_path / name, dtype="int16") for name in ("new/a.wav", "b.wav"))
    assert a[1] == b[1] == 8000
    np.testing.assert_array_equal(a[0], b[0])


def test_an_interrupted_file_holds_what_was_drawn(tmp_path: Path) -> None:
    files = [WavStream(tmp_path / f"{i}.wav", 16000) for i in range(2)]
    seen = []

    def look(done: int, parts: list[torch.Tensor]) -> None:
        for file, part in zip(files, parts, strict=True):
            file.write(part)
        shutil.copy(tmp_path / "0.wav", tmp_path / "copy.wav")  # as another program would see it
        seen.append((done, soundfile.info(tmp_path / "copy.wav").frames))
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(network(), [100, 15], chunk=10, engine="torch", on_chunk=look)
    assert seen == [(10, 10), (20, 20)]
    assert soundfile.info(tmp_path / "1.wav").frames == 15
    for file in files:
        file.close()
    whole = generate(network(), [100, 15], engine="torch")
    kept, rate = soundfile.read(tmp_path / "0.wav", dtype="float32")
    assert rate == 16000
    np.testing.assert_allclose(kept, whole[0][:20], atol=3.1e-5)


def test_an_empty_file_can_be_read(tmp_path: Path) -> None:
    with WavStream(tmp_path / "a.wav", 8000):
        assert soundfile.info(tmp_path / "a.wav").frames == 0
