"""Recordings of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.sequence_folder import SequenceFolder
from tests.data.audio.sounds import write


def test_folders_are_labels_and_splits(tmp_path: Path) -> None:
    for place in ("train/anna/x/1.wav", "train/ben/1.flac", "val/anna/2.wav", "test/ben/3.ogg"):
        settings = {"subtype": "VORBIS"} if place.endswith("ogg") else {}
        write(tmp_path / "set" / place, 100, 8000, **settings)
    found = SequenceFolder(["split", "speaker"]).find(tmp_path / "set", tmp_path)
    assert [(r.id, r.labels, r.split) for r in found] == [
        ("test/ben/3", {"speaker": "ben"}, "test"),
        ("train/anna/x/1", {"speaker": "anna"}, "train"),
        ("train/ben/1", {"speaker": "ben"}, "train"),
        ("val/anna/2", {"speaker": "anna"}, "val"),
    ]
    assert SequenceFolder().find(tmp_path / "set", tmp_path)[0].labels == {}
    with pytest.raises(DataError, match=r"the folder ben/ is no split. Expected train, val or test"):
        SequenceFolder(["part", "split"]).find(tmp_path / "set", tmp_path)
    with pytest.raises(DataError, match=r"3\.ogg lies 2 folders below data\.root. Expected .*/SPLIT/SPEAKER/BOOK/FILE"):
        SequenceFolder(["split", "speaker", "book"]).find(tmp_path / "set", tmp_path)


def test_a_table_has_labels_and_splits(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "unlisted.wav"):
        write(tmp_path / name, 100)
    table = tmp_path / "labels.csv"
    table.write_text("file,speaker,split\nb.wav,,test\na.wav,anna,\n")
    found = SequenceFolder().find(tmp_path, tmp_path)
    assert [(r.id, r.labels, r.split) for r in found] == [("a", {"speaker": "anna"}, ""), ("b", {}, "test")]
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())  # as spreadsheets write it
    assert SequenceFolder().find(tmp_path, tmp_path) == found
    with pytest.raises(ConfigError, match=r"Set data\.recordings\.folders=\[\]"):
        SequenceFolder(["speaker"]).find(tmp_path, tmp_path)
    for text, message in (
        ("name,speaker\n", "expected a heading with a column `file`"),
        ("file,speaker\na.wav\n", "line 2: expected 2 values, found 1"),
        ("file\nc.wav\n", r"line 2: .*c\.wav is missing"),
        ("file\na.wav\na.wav\n", r"line 3: a\.wav is listed before"),
        ("file,split\na.wav,dev\n", "line 2: 'dev' is no split"),
        ("file\n", "lists no file"),
        ("file,speaker,speaker\na.wav,anna,bob\n", "two columns are called 'speaker'"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            SequenceFolder().find(tmp_path, tmp_path)


def test_a_folder_without_sound_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no sound file"):
        SequenceFolder().find(tmp_path, tmp_path)
    with pytest.raises(ConfigError, match=r"data\.root=PATH"):
        SequenceFolder().find(None, tmp_path)
