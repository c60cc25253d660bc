"""The Free Spoken Digit Dataset, as folder and as archives."""

from __future__ import annotations

import io
import logging
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.fsdd import FSDD
from reprise.data.audio.fsdd import SPEAKERS as SPEAKERS_OF_FSDD
from reprise.data.audio.sequences import SequenceDataModule
from tests.data.audio.sounds import noise, write

SPEAKERS = ("george", "theo")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two digits of two speakers, indices 3 to 7."""
    for s, speaker in enumerate(SPEAKERS):
        for digit in (0, 7):
            for index in range(3, 8):
                name = f"{digit}_{speaker}_{index}.wav"
                write(tmp_path / "fsdd" / "recordings" / name, 300 + index, 8000, seed=100 * s + 10 * digit + index)
    (tmp_path / "fsdd" / "README.md").write_text("a repository\n")
    return tmp_path / "fsdd"


def archives(root: Path, folder: Path, ending: str = "flac") -> Path:
    """The same recordings as one archive a speaker, and a list of them."""
    import soundfile

    folder.mkdir()
    rows = ["clip,samples"]
    for speaker in SPEAKERS:
        with tarfile.open(folder / f"{speaker}.tar.gz", "w:gz") as tar:
            for path in sorted((root / "recordings").glob(f"*_{speaker}_*.wav")):
                audio, rate = soundfile.read(path, dtype="int16")
                made = io.BytesIO()
                soundfile.write(made, audio, rate, format=ending, subtype="PCM_16")
                member = tarfile.TarInfo(f"recordings/{path.stem}.{ending}")
                member.size = len(made.getvalue())
                made.seek(0)
                tar.addfile(member, made)
                rows.append(f"{path.stem},{len(audio)}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    return folder


def load(root: Path | None, cache: Path, recordings: FSDD | None = None, **settings: Any) -> SequenceDataModule:
    data = SequenceDataModule(
        recordings or FSDD(),
        *(2, 0, str(cache), 100, 8000),
        root=None if root is None else str(root),
        labels=["speaker", "digit"],
        val_clips=2,
        **settings,
    )
    data.prepare_data()
    data.setup("fit")
    return data


def test_the_official_split_and_labels(root: Path, tmp_path: Path) -> None:
    data = load(root, tmp_path / "cache")
    assert data.label_names == {"speaker": ["george", "theo"], "digit": ["0", "7"]}
    test = [data.eval_set("test")[i] for i in range(len(data.eval_set("test")))]
    names = [f"{digit}_{speaker}_{index}" for digit in (0, 7) for speaker in SPEAKERS for index in (3, 4)]
    assert [item["id"] for item in test] == names
    assert test[-1]["labels"].tolist() == [1, 1]
    assert np.array_equal(test[-1]["audio"].numpy(), noise(304, 174))
    assert data.data_digests()["clips"] == {"train": 10, "test": 8, "val": 2}
    assert len(load(root, tmp_path / "cache", FSDD(test_indices=4)).eval_set("test")) == 4


def test_archives_hold_the_same_and_nothing_is_unpacked(root: Path, tmp_path: Path) -> None:
    packed = archives(root, tmp_path / "packed")
    before = sorted(packed.iterdir())
    a, b = load(root, tmp_path / "cache"), load(packed, tmp_path / "cache")
    assert sorted(packed.iterdir()) == before
    assert a.splits == b.splits
    for split in ("val", "test"):
        for i in range(len(a.eval_set(split))):
            ours, theirs = a.eval_set(split)[i], b.eval_set(split)[i]
            assert ours["id"] == theirs["id"]
            assert np.array_equal(ours["audio"], theirs["audio"])
            assert ours["labels"].tolist() == theirs["labels"].tolist()


def test_what_is_missing_or_broken_is_named(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(ConfigError, match=r"data\.root is missing.*github\.com.*synthetic_digits"):
        load(None, cache)
    with pytest.raises(DataError, match=r"is not a folder"):
        load(tmp_path / "nowhere", cache)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no recordings"):
        load(tmp_path / "empty", cache)
    packed = archives(root, tmp_path / "packed")
    whole = (packed / "theo.tar.gz").read_bytes()
    (packed / "theo.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"theo\.tar\.gz cannot be read as an archive.*Fetch it again"):
        load(packed, cache)
    (packed / "theo.tar.gz").unlink()
    with pytest.raises(DataError, match=r"clips\.csv lists 20 clips, but 10 are missing.*0_theo_3"):
        load(packed, cache)
    (packed / "clips.csv").write_text("name\n")
    with pytest.raises(DataError, match=r"expected a first column `clip`"):
        load(packed, cache)
    write(root / "recordings" / "seven_theo_1.wav", 10)
    with pytest.raises(DataError, match=r"seven_theo_1\.wav: expected a name DIGIT_SPEAKER_INDEX"):
        load(root, cache)


def test_a_recording_in_two_places_is_an_error(root: Path, tmp_path: Path) -> None:
    packed = archives(root, tmp_path / "packed", "wav")
    (packed / "clips.csv").unlink()
    (packed / "0_theo_3.wav").write_bytes((root / "recordings" / "0_theo_3.wav").read_bytes())
    with pytest.raises(DataError, match=r"0_theo_3\.wav and .*theo\.tar\.gz, member .* are both called '0_theo_3'"):
        load(packed, tmp_path / "cache")


def test_a_copy_with_clips_missing_says_how_many_of_what(root: Path, tmp_path: Path, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        data = load(root, tmp_path / "cache")
    missing = data.data_digests()["missing"]
    # 20 of 3,000 are there: of each speaker and of each digit two times five, of which four are for testing
    assert (missing["recordings"], missing["of"]) == (2980, 3000)
    assert missing["split"] == {"test": 300 - 8, "train": 2700 - 12}
    assert missing["speaker"] == {"george": 490, "theo": 490} | dict.fromkeys(
        set(SPEAKERS_OF_FSDD) - {"george", "theo"}, 500
    )
    assert missing["digit"] == {"0": 290, "7": 290} | dict.fromkeys("12345689", 300)
    (told,) = [r.getMessage() for r in caplog.records if "lacks" in r.getMessage()]  # once, not at each reading
    assert "lacks 2,980 of the 3,000" in told and "test 292, train 2688" in told and "theo 490" in told
    assert "The test split is not the official one" in told
    with pytest.raises(ConfigError, match=r"data\.only\.speaker names 'lucas', which no recording has"):
        load(root, tmp_path / "cache", only={"speaker": ["lucas"]})


def test_of_a_whole_copy_nothing_is_missing(tmp_path: Path) -> None:
    for name in (f"{d}_{s}_{i}" for d in range(10) for s in SPEAKERS_OF_FSDD for i in range(50)):
        (tmp_path / f"{name}.wav").touch()  # listed, not read
    fsdd = FSDD()
    assert len(fsdd.find(tmp_path, tmp_path)) == 3000
    assert fsdd.facts == {"missing": {"recordings": 0, "of": 3000}} and fsdd.complaint == ""
    (tmp_path / "3_lucas_9.wav").unlink()
    fsdd.find(tmp_path, tmp_path)
    assert "split: train 1; speaker: lucas 1; digit: 3 1)" in fsdd.complaint
    assert "official" not in fsdd.complaint
    with pytest.raises(ConfigError, match=r"test_indices is 0\. Expected 1 to 49"):
        FSDD(test_indices=0)
