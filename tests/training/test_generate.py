"""Samples from nothing, from examples and from files, whatever the model and its data are."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
from PIL import Image
from tests.training.painters import Canvas, Completer, Painter, Plain, restored

from reprise.cli.common import defaults_of
from reprise.config.errors import ConfigError, DataError
from reprise.training import generate as room
from reprise.training.generate import Generated


def made(
    module: pl.LightningModule, folder: Path, data: Any = None, options: dict[str, Any] | None = None, **settings: Any
) -> Generated:
    steps: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "restore", lambda *_: restored(module))
        patch.setattr(room, "build_datamodule", lambda values: data or Canvas())
        given = {**defaults_of("generate"), "accelerator": "cpu", **settings}
        found = room.generate(folder, {}, given, options or {}, lambda done, total: steps.append((done, total)))
    assert [done for done, _ in steps] == list(range(1, len(steps) + 1)), "progress counts up"
    assert {total for _, total in steps} <= {len(steps)}, "and ends at its end"
    return found


def test_a_model_that_needs_nothing_makes_as_many_as_asked(tmp_path: Path) -> None:
    module = Painter()
    found = made(module, tmp_path, options={"shade": 7, "seed": 3}, count=7)
    names = [f"sample-{i:03d}" for i in range(7)]
    assert found.files == [tmp_path / "generated" / f"{name}.txt" for name in names]
    assert {f.read_text() for f in found.files} == {"7 7 7 7"}
    assert (found.overview, found.duration, found.step, found.weights) == ([], None, 7, "raw")
    assert [len(conditions) for conditions, _, _ in module.asked] == [3, 3, 1], "generation_batch at once"
    assert [c for conditions, _, _ in module.asked for c in conditions] == [None] * 7
    assert [k for _, keys, _ in module.asked for k in keys] == [zlib.crc32(n.encode()) for n in names]
    assert all(given == {"shade": 7, "seed": 3} for _, _, given in module.asked)
    assert len(made(Painter(), tmp_path, options={"shade": 7}).files) == 16


def test_the_first_examples_are_completed_and_shown_together(tmp_path: Path) -> None:
    found = made(Completer(), tmp_path, options={"shade": 10}, count=4, out=str(tmp_path / "out"))
    assert [f.name for f in found.files] == [f"example-{i}.txt" for i in range(4)]
    assert [f.read_text()[:2] for f in found.files] == ["10", "11", "12", "13"]
    assert found.overview == [tmp_path / "out" / "overview.png"]
    seen = np.asarray(Image.open(found.overview[0]))
    assert [v for v in np.unique(seen) if v != 128] == [0, 1, 2, 3, 10, 11, 12, 13]
    assert seen[5, 5] == 0 and seen[-5, -5] == 13, "originals above, what was made of them below"
    assert made(Completer(), tmp_path, options={"shade": 0}, count=2).overview == []
    with pytest.raises(DataError, match="Canvas has no test example"):
        made(Completer(), tmp_path, Canvas(0), {"shade": 10})


def test_what_a_model_takes_may_depend_on_its_options(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"input is missing\. Expected input=PATH"):
        made(Completer(), tmp_path, options={"shade": 200})


def test_files_are_read_whatever_the_model_would_take_without_them(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"f{i}.txt").write_text(f"{i} and more")
    for module, options in ((Painter(), {"shade": 5}), (Completer(), {"shade": 5})):
        found = made(module, tmp_path, options=options, input=str(tmp_path / "in"), count=1)
        assert [f.read_text() for f in found.files] == [" ".join([str(i + 5)] * 4) for i in range(4)]
        assert [f.name for f in found.files] == ["f0.txt", "f1.txt", "f2.txt", "f3.txt"]


def test_a_model_with_generate_alone_needs_input_and_still_counts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"input is missing\. Expected input=PATH"):
        made(Plain(), tmp_path)
    (tmp_path / "a.txt").write_text("4")
    assert made(Plain(), tmp_path, input=str(tmp_path / "a.txt")).files[0].read_text() == "4 4 4 4"


def test_neither_inputs_nor_samples_are_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "overview.txt").write_text("1")
    with pytest.raises(ConfigError, match=r"overview.txt would be overwritten by its own copy. Choose another folder"):
        made(Painter(), tmp_path, options={"shade": 1}, input=str(folder), out=str(folder))
    found = made(Completer(), tmp_path, options={"shade": 1}, input=str(folder))
    assert [f.name for f in (*found.files, *found.overview)] == ["overview.txt", "overview_.png"]
    again = made(Completer(), tmp_path, options={"shade": 2}, input=str(folder))
    assert again.files == found.files and again.files[0].read_text() == "3 3 3 3"
    (folder / "overview.md").write_text("1")
    with pytest.raises(ConfigError, match=r"two inputs would be written to .*overview.txt. Rename"):
        made(Painter(), tmp_path, options={"shade": 1}, input=str(folder))


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"count=0\. Expected 1 or more"):
        made(Painter(), tmp_path, count=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"is a file\. Expected a folder"):
        made(Painter(), tmp_path, out=str(tmp_path / "file"))


def test_data_that_offer_no_inputs_say_so() -> None:
    from reprise.data.module import StreamDataModule

    class Bare(StreamDataModule):
        train_set = eval_set = epoch_size = data_digests = lambda self: None  # type: ignore[assignment]

    data = Bare(batch_size=1, seed=0)
    with pytest.raises(ConfigError, match="Bare offers no examples to generate from"):
        data.example_inputs(3)
    with pytest.raises(ConfigError, match="Bare offers no input to generate from"):
        data.read_inputs(Path("x"))
    assert data.seconds_of(None) is None
