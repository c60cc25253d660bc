"""The callback that shows samples of any kind: on the disk, and in W&B."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from reprise.samples.audio import AudioSample
from reprise.samples.base import Sample, Shown
from reprise.samples.images import ImageGrid
from reprise.tracking.wandb import RunLogger, close
from reprise.training.callbacks.samples import Samples


def grid(name: str) -> ImageGrid:
    return ImageGrid(name=name, caption=f"{name}, 16 at once", images=torch.zeros(4, 1, 8, 8).long(), levels=2)


class Unwritable(Sample):
    def write(self, folder: Path) -> list[Shown]:
        raise OSError(28, "No space left on device")


class Logger:
    def __init__(self) -> None:
        self.calls: list[tuple[list[Shown], int]] = []

    def log_samples(self, shown: list[Shown], step: int) -> None:
        self.calls.append((shown, step))


def validated(samples: list[Sample], folder: Path, logger: Any, count: int = 2) -> None:
    callback = Samples(count)
    callback.bind(SimpleNamespace(directory=folder), SimpleNamespace(iteration=30))  # type: ignore[arg-type]
    trainer: Any = SimpleNamespace(is_global_zero=True, state=SimpleNamespace(fn="fit"), loggers=[object(), logger])
    module: Any = SimpleNamespace(samples=samples)
    callback.on_validation_end(trainer, module)


def test_samples_of_any_kind_are_written_and_shown(tmp_path: Path) -> None:
    logger = Logger()
    validated([grid("one"), grid("two"), grid("three")], tmp_path, logger)
    folder = tmp_path / "samples" / "step-00000030"
    assert sorted(p.name for p in folder.iterdir()) == ["one.png", "two.png"]
    ((shown, step),) = logger.calls
    assert step == 30
    assert [(s.key, s.path, s.kind) for s in shown] == [
        (name, folder / f"{name}.png", "image") for name in ("one", "two")
    ]


def test_a_sample_that_cannot_be_written_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = Logger()
    with caplog.at_level(logging.WARNING):
        validated([Unwritable(name="lost", caption=""), grid("kept")], tmp_path, logger)
    assert "sample lost could not be written" in caplog.text and "training goes on" in caplog.text
    assert [[s.key for s in shown] for shown, _ in logger.calls] == [["kept"]]
    validated([Unwritable(name="lost", caption="")], tmp_path, logger)
    assert len(logger.calls) == 1


def test_wandb_gets_sounds_and_pictures_from_their_files(tmp_path: Path) -> None:
    import wandb
    from tests.wandb_log import read_log

    logger = RunLogger(mode="offline")
    logger._experiment = wandb.init(dir=tmp_path, mode="offline", id="shown")
    tone = torch.sin(torch.arange(8000) / 10)
    sound = AudioSample(name="clip", caption="6 iterations", generated=tone, truth=tone, sample_rate=22050)
    validated([sound, grid("made")], tmp_path, logger)
    close()
    wandb.teardown()  # an offline log is on the disk when W&B's process has ended, which may be after finish()
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    (row,) = [h for h in read_log(folder).history if "trainer/global_step" in h]
    assert row["trainer/global_step"] == 30
    kinds = {k.removesuffix("/_type"): v for k, v in row.items() if k.endswith("/_type")}
    assert kinds == {
        "samples/clip": "audio-file",
        "samples/clip_truth": "audio-file",
        "samples/clip_spectrogram": "image-file",
        "samples/made": "image-file",
    }
    assert row["samples/made/caption"] == "made, 16 at once" and row["samples/clip_truth/caption"] == "truth"
    files = tmp_path / "samples" / "step-00000030"
    media = {p.read_bytes() for p in (folder / "files" / "media").rglob("*") if p.is_file()}
    assert media == {p.read_bytes() for p in files.iterdir()}
