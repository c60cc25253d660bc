"""VCTK's two layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.sequences import SequenceDataModule
from reprise.data.audio.vctk import VCTK
from tests.data.audio.sounds import write

OLD = "ID  AGE  GENDER  ACCENTS  REGION\n225  23  F    English    Southern  England\n226  22  M    English    Surrey\n"
NEW = (
    "ID  AGE  GENDER  ACCENTS  REGION COMMENTS \np225  23  F    English    Southern England\n"
    "p315  18  M    American    New England  (mic2 files unavailable)\ns5  24  F    British\n"
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    root = tmp_path / "VCTK-Corpus"
    for speaker in ("p225", "p226", "p280"):
        for number in (1, 2):
            name = f"{speaker}_{number:03d}"
            write(root / "wav48" / speaker / f"{name}.wav", 4800, 48000, seed=number)
            (root / "txt" / speaker).mkdir(parents=True, exist_ok=True)
            (root / "txt" / speaker / f"{name}.txt").write_text("Please call Stella.\n")
    (root / "speaker-info.txt").write_text(OLD)
    return root


@pytest.fixture
def new(tmp_path: Path) -> Path:
    root = tmp_path / "VCTK-Corpus-0.92"
    for speaker in ("p225", "p315", "s5"):
        for microphone in (1, 2)[: 1 if speaker == "p315" else 2]:
            write(root / "wav48_silence_trimmed" / speaker / f"{speaker}_001_mic{microphone}.flac", 480, 48000)
    (root / "wav48_silence_trimmed" / "log.txt").write_text("p225_001 0.1 0.5\n")
    (root / "speaker-info.txt").write_text(NEW)
    return root


def test_version_080_at_16_khz(old: Path, tmp_path: Path) -> None:
    kinds = ["speaker", "gender", "accent"]
    values = {"labels": kinds, "resample": True, "val_clips": 1, "test_clips": ["p280_002"]}
    for root in (old, old.parent):  # the folder itself, or the one above it
        data = SequenceDataModule(VCTK(), 2, 0, str(tmp_path / "cache"), 100, 16000, root=str(root), **values)
        data.prepare_data()
        data.setup("fit")
        assert data.label_names["speaker"] == ["p225", "p226", "p280"]
        assert (data.label_names["gender"], data.label_names["accent"]) == (["F", "M"], ["English"])
        item = data.eval_set("test")[0]
        assert item["labels"].tolist() == [2, -1, -1]  # speaker-info.txt has no 280
        assert item["audio"].shape == (1600,)
        assert data.data_digests()["clips"] == {"train": 4, "val": 1, "test": 1}


def test_version_092_has_two_microphones(new: Path, tmp_path: Path) -> None:
    found = VCTK().find(new, tmp_path)
    assert [r.id for r in found] == ["p225_001", "p315_001", "s5_001"]
    assert found[1].labels == {"speaker": "p315", "gender": "M", "accent": "American"}
    assert found[2].labels == {"speaker": "s5", "gender": "F", "accent": "British"}
    second = VCTK(microphone=2)
    assert [r.labels["speaker"] for r in second.find(new, tmp_path)] == ["p225", "s5"]
    assert {r.path.name for r in second.find(new, tmp_path)} == {"p225_001_mic2.flac", "s5_001_mic2.flac"}
    assert second.facts == {"version": "0.92", "microphone": 2}
    assert "without a recording of microphone 2 are left out: p315" in second.complaint


def test_a_speaker_of_any_name_can_be_chosen(new: Path, tmp_path: Path) -> None:
    values = {"labels": ["speaker"], "val_clips": ["p225_001"], "test_clips": ["s5_001"]}
    data = SequenceDataModule(VCTK(), 2, 0, str(tmp_path / "cache"), 100, 48000, root=str(new), **values)
    data.prepare_data()
    data.setup("fit")
    assert data.label_names == {"speaker": ["p225", "p315", "s5"]}
    assert data.eval_set("test")[0]["labels"].tolist() == [2]
    assert data.data_digests()["microphone"] == 1


def test_what_is_missing_is_named(old: Path, new: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.root is missing. Get VCTK from https://datashare"):
        VCTK().find(None, tmp_path)
    (tmp_path / "other" / "deep").mkdir(parents=True)
    with pytest.raises(DataError, match=r"is not VCTK: neither wav48/ nor wav48_silence_trimmed/"):
        VCTK().find(tmp_path / "other", tmp_path)
    with pytest.raises(ConfigError, match=r"microphone is 3. Expected 1 or 2"):
        VCTK(microphone=3).find(new, tmp_path)
    (new / "speaker-info.txt").write_text("p225 old F\n")
    with pytest.raises(DataError, match=r"speaker-info\.txt, line 1: expected ID AGE GENDER ACCENT"):
        VCTK().find(new, tmp_path)
    (new / "speaker-info.txt").unlink()
    with pytest.raises(DataError, match=r"speaker-info\.txt is missing"):
        VCTK().find(new, tmp_path)
    (old / "wav48" / "p226" / "p226_001.wav").rename(old / "wav48" / "p225" / "p226_001.wav")
    with pytest.raises(DataError, match=r"p226_001\.wav lies in the folder of speaker p225"):
        VCTK().find(old, tmp_path)
