"""Lists of tags in two forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reprise.cli.common import compose_checked
from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.music import _FOLDERS, TaggedMusic
from reprise.data.audio.sequences import SequenceDataModule
from tests.data.audio.sounds import write
from tests.data.audio.test_sequence_configs import MODEL

HEADING = ["clip_id", "no voice", "guitar", "slow", "vocals", "voice", "mp3_path"]
ROWS = {
    "0/a-0-29.mp3": "01100",
    "1/b-0-29.mp3": "01010",
    "b/c-0-29.mp3": "01101",
    "c/d-0-29.mp3": "10000",
    "f/e-0-29.mp3": "10110",
}


@pytest.fixture
def magna(tmp_path: Path) -> Path:
    root = tmp_path / "magna"
    for seed, file in enumerate(ROWS):
        write(root / file, 3000, 16000, seed, format="MP3", subtype="MPEG_LAYER_III")
    lines = [HEADING, *([str(i), *values, file] for i, (file, values) in enumerate(ROWS.items(), 2))]
    text = "\n".join("\t".join(f'"{value}"' for value in line) for line in lines)
    (root / "annotations_final.csv").write_text(text + "\n")
    return root


def test_magnatagatune(magna: Path, tmp_path: Path) -> None:
    data = SequenceDataModule(TaggedMusic(most_frequent=3), 2, 0, str(tmp_path / "cache"), 500, 16000, root=str(magna))
    data.prepare_data()
    data.setup("fit")
    # of training clips guitar has 3, slow 2, vocals and voice 1 each: the alphabet decides
    assert data.label_names == {"tag": ["guitar", "slow", "vocals"]}
    assert data.data_digests()["clips"] == {"train": 3, "val": 1, "test": 1}
    (batch,) = data.test_dataloader()
    assert batch["id"] == ["f/e-0-29.mp3"]
    assert batch["tags"].tolist() == [[0.0, 1.0, 1.0]]
    assert batch["labels"].shape == (1, 0)
    crops = next(iter(data.train_dataloader()))
    assert crops["tags"].shape == (2, 3)
    assert (crops["tags"][:, 0] == 1).all()
    assert crops["audio"].abs().max() > 0.01
    assert dict(data.example_inputs(1))["f-e-0-29.mp3"]["tags"].tolist() == [0.0, 1.0, 1.0]


def test_tags_can_be_named_and_merged(magna: Path, tmp_path: Path) -> None:
    music = TaggedMusic(tags=["vocal", "slow"], merge={"vocal": ["vocals", "voice"]})
    assert [sorted(r.tags) for r in music.find(magna, tmp_path)][1:3] == [
        ["guitar", "vocal"],
        ["guitar", "slow", "vocal"],
    ]
    assert list(music.tag_names) == ["vocal", "slow"]
    with pytest.raises(ConfigError, match=r"tags names 'guitars', which no clip has. Did you mean 'guitar'"):
        TaggedMusic(tags=["guitars"]).find(magna, tmp_path)
    with pytest.raises(ConfigError, match=r"merge names 'voices', no tag of any clip"):
        TaggedMusic(merge={"vocal": ["voices"]}).find(magna, tmp_path)
    with pytest.raises(ConfigError, match=r"most_frequent is 0"):
        TaggedMusic(most_frequent=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"merge": {"vocals": ["voice"], "vocal": ["vocals"]}},
            r"'voice' as 'vocals', and that as 'vocal'\. Name 'voice'",
        ),
        ({"merge": {"a": ["b"], "b": ["a"]}}, r"counts 'b' as 'a', and that as 'b'"),
        ({"merge": {"vocal": ["voice"], "song": ["voice"]}}, r"counts 'voice' as 'vocal' and as 'song'"),
        ({"merge": {"vocal": ["voice", "voice"]}}, r"counts 'voice' as 'vocal' and as 'vocal'"),
        ({"merge": {"vocal": ["vocal"]}}, r"counts 'vocal' as itself"),
        ({"tags": ["slow", "guitar", "slow"]}, r"tags names 'slow' twice"),
        ({"tags": ["voice"], "merge": {"vocal": ["voice"]}}, r"tags names 'voice', which merge counts as 'vocal'"),
    ],
)
def test_tags_that_are_merged_on_or_twice_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TaggedMusic(**settings)


def test_files_that_are_published_empty_are_left_out(magna: Path, tmp_path: Path) -> None:
    (magna / "0" / "a-0-29.mp3").write_bytes(b"")
    music = TaggedMusic(tags=["guitar"], known_empty=["0/a-0-29.mp3", "9/of-another-list.mp3"])
    assert [r.id for r in music.find(magna, tmp_path)] == sorted(ROWS)[1:]
    config = compose_checked([*MODEL, "data=tagged_music"]).values["data"]["recordings"]
    assert len(config["known_empty"]) == 3
    assert {_FOLDERS[file.split("/")[0]] for file in config["known_empty"]} == {"train"}


def test_a_list_of_your_own(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for i in range(4):
        write(root / f"{i}.wav", 600, 8000, i)
    (root / "tags.csv").write_text("0.wav,loud; fast\n1.wav,fast\n2.wav,\n3.wav,loud;fast\n")
    values = {"root": str(root), "val_clips": 1, "test_clips": ["2.wav"]}
    data = SequenceDataModule(TaggedMusic(), 2, 0, str(tmp_path / "cache"), 500, 8000, **values)
    data.prepare_data()
    data.setup("fit")
    assert data.label_names["tag"] == ["fast", "loud"]
    assert data.eval_set("test")[0]["tags"].tolist() == [0.0, 0.0]


def test_what_is_missing_or_broken_is_named(magna: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"holds no annotations_final\.csv or tags\.csv"):
        TaggedMusic().find(tmp_path / "none", tmp_path)
    (magna / "0" / "a-0-29.mp3").write_bytes(b"")  # as three clips of the published files are
    data = SequenceDataModule(TaggedMusic(), 2, 0, str(tmp_path / "cache"), 500, 16000, root=str(magna))
    with pytest.raises(DataError, match=r"a-0-29\.mp3 cannot be read.*empty.*data\.skip=\[0/a-0-29\.mp3\]"):
        data.prepare_data()
    (magna / "0" / "a-0-29.mp3").unlink()
    with pytest.raises(DataError, match=r"a-0-29\.mp3 is missing: the list of recordings names"):
        data.prepare_data()
    for text, message in (
        ("a.wav,x\na.wav,y\n", r"my\.csv lists a\.wav twice"),
        ("a.wav,x,y\n", "line 1: expected `file,tag;tag`"),
        ("", "lists no clip"),
        ("clip_id\tx\tfile\n1\t0\ta.mp3\n", "expected columns clip_id, tags and mp3_path"),
        ("clip_id\tx\tmp3_path\n1\t2\t0/a.mp3\n", "line 2: expected 1 values 0 or 1"),
        ("clip_id\tx\tmp3_path\n1\t1\tz/a.mp3\n", "Expected it in one of the folders 0 to 9"),
    ):
        (magna / "my.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            TaggedMusic("my.csv").find(magna, tmp_path)
