"""Samples that grow while they are made, and texts that are to be said."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from tests.training.painters import Canvas, restored
from torch import Tensor

from reprise.cli.common import defaults_of
from reprise.config.errors import ConfigError
from reprise.samples.audio import write_audio
from reprise.training import generate as room
from reprise.training.generate import Generated

soundfile = pytest.importorskip("soundfile")


class Speaker(pl.LightningModule):
    """Says ten samples for every letter, ten at a time."""

    generation_batch = 2
    takes = "given"

    def inputs_for(self) -> str:
        return self.takes

    def generate_steps(self, conditions: Sequence[int]) -> int:
        return 10 * max(conditions)

    def generate(
        self, conditions: Sequence[int], *, keys: list[int], on_step: Callable[[int, int, list[Tensor]], None]
    ) -> list[Tensor]:
        waves = [torch.full((10 * n,), (key % 7) / 8) for n, key in zip(conditions, keys, strict=True)]
        for first in range(0, 10 * max(conditions), 10):
            on_step(first + 10, 10, [wave[first : first + 10] for wave in waves])
        return waves


class Speech(Canvas):
    sample_rate = 8000

    def inputs_of_text(self, text: str) -> int:
        return len(text)

    def read_inputs(self, path: Path) -> list[tuple[str, int]]:
        return [("abc", 3), ("de", 2), ("f", 1)]

    def sample_path(self, name: str, folder: Path) -> Path:
        return folder / f"{name}.wav"

    def write_sample(self, name: str, sample: Tensor, folder: Path) -> Path:
        return write_audio(self.sample_path(name, folder), sample, self.sample_rate)


def said(folder: Path, monkeypatch: pytest.MonkeyPatch, on_progress: Any = None, **settings: Any) -> Generated:
    module = settings.pop("module", None) or Speaker()
    data = settings.pop("data", None) or Speech()
    monkeypatch.setattr(room, "restore", lambda *_: restored(module))
    monkeypatch.setattr(room, "build_datamodule", lambda values: data)
    given = {**defaults_of("generate"), "accelerator": "cpu", **settings}
    return room.generate(folder, {}, given, {}, on_progress or (lambda done, total: None))


def test_files_grow_while_samples_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.txt").write_text("")
    seen: list[tuple[int, int, dict[str, int]]] = []

    def look(done: int, total: int) -> None:
        files = sorted((tmp_path / "generated").glob("*.wav"))
        seen.append((done, total, {f.stem: soundfile.info(f).frames for f in files}))

    found = said(tmp_path, monkeypatch, look, input=str(tmp_path / "in.txt"))
    # 30 samples of the longer of the first two, 10 of the third
    assert seen == [
        (10, 40, {"abc": 10, "de": 10}),
        (20, 40, {"abc": 20, "de": 20}),
        (30, 40, {"abc": 30, "de": 20}),
        (40, 40, {"abc": 30, "de": 20, "f": 10}),
    ]
    wave, rate = soundfile.read(found.files[0])
    assert (len(wave), rate) == (30, 8000)
    assert wave[0] == pytest.approx((zlib.crc32(b"abc") % 7) / 8, abs=1e-4)


def test_a_text_is_said_and_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = said(tmp_path, monkeypatch, text="Hello, world: it's 7 o'clock now!").files
    assert file.name == "hello-world-it-s-7-o.wav"
    assert soundfile.info(file).frames == 10 * len("Hello, world: it's 7 o'clock now!")


def test_texts_that_cannot_be_said_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="text and input were both given"):
        said(tmp_path, monkeypatch, text="a", input=str(tmp_path))
    with pytest.raises(ConfigError, match="Canvas, the data of this run, makes no inputs of texts"):
        said(tmp_path, monkeypatch, text="a", data=Canvas())
    with pytest.raises(ConfigError, match=r"text='\.\.\.' has no word to say"):
        said(tmp_path, monkeypatch, text="...")
    deaf = Speaker()
    deaf.takes = "none"
    with pytest.raises(ConfigError, match="a model that is not conditioned on any"):
        said(tmp_path, monkeypatch, text="a", module=deaf)
