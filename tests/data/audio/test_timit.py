"""TIMIT: NIST files, phones and their classes, the core test set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.sequences import SequenceDataModule
from reprise.data.audio.timit import TIMIT, read_phones
from reprise.data.audio.timit_phones import CORE_TEST, PHONES, REDUCED
from tests.data.audio.sounds import noise, write

# 0.1 s: silence to 480, sh to 960, ix to 1120, q to 1280, ih to 1400, epi and silence to the end
PHN = "0 480 h#\n480 960 sh\n960 1120 ix\n1120 1280 q\n1280 1400 ih\n1400 1500 epi\n1500 1600 h#\n"


def make(root: Path, small: bool = False) -> Path:
    speakers = {"TRAIN/DR1/FCJF0": 2, "TRAIN/DR2/MABC0": 2, "TEST/DR1/FELC0": 1, "TEST/DR1/FAKS0": 1}
    for number, (place, sentences) in enumerate(speakers.items()):
        for name in ("SA1", *(f"SX{i}" for i in range(sentences))):
            path = root / (place.lower() if small else place) / f"{name.lower() if small else name}"
            seed = 10 * number + len(name) + int(name[2:])
            write(path.with_suffix(".wav" if small else ".WAV"), 1600, 16000, seed, format="NIST")
            path.with_suffix(".phn" if small else ".PHN").write_text(PHN)
    return root


def load(root: Path, cache: Path, recordings: TIMIT | None = None, **settings: Any) -> SequenceDataModule:
    settings = {"grid": 160, **settings}
    data = SequenceDataModule(recordings or TIMIT(), 2, 0, str(cache), 320, 16000, root=str(root), **settings)
    data.prepare_data()
    data.setup("fit")
    return data


def test_there_are_61_labels_39_classes_and_24_core_speakers() -> None:
    assert len(PHONES) == len(set(PHONES)) == 61
    assert set(REDUCED) == set(PHONES) - {"q"}
    assert len(set(REDUCED.values())) == 39
    assert set(REDUCED.values()) - {"sil"} <= set(PHONES)
    assert len(CORE_TEST) == 24
    assert sum(name[0] == "M" for name in CORE_TEST) == 16  # two men and a woman of each of eight regions


def test_a_copy_with_sentences_missing_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "TIMIT")
    timit = TIMIT()
    timit.find(root, tmp_path)
    assert timit.facts == {"missing": {"train": 3696 - 4, "val": 1152 - 1, "test": 192 - 1}}
    assert "it lacks 3692 of 3696 in train, 1151 of 1152 in val, 191 of 192 in test" in timit.complaint
    monkeypatch.setattr("reprise.data.audio.timit.SPEAKERS", {"train": 0, "val": 0, "test": 0})
    timit.find(root, tmp_path)
    assert (timit.facts, timit.complaint) == ({"missing": {}}, "")


@pytest.mark.parametrize("small", [False, True])
def test_official_parts_phones_and_frames(tmp_path: Path, small: bool) -> None:
    root = make(tmp_path / "TIMIT", small)
    data = load(root.parent, tmp_path / "cache", labels=["dialect", "gender"])
    assert data.data_digests()["clips"] == {"train": 4, "val": 1, "test": 1}
    assert data.data_digests()["frame_classes"] == 39
    test = data.eval_set("test")[0]
    assert test["id"] == "TEST/DR1/FELC0/SX0"
    assert data.eval_set("val")[0]["id"] == "TEST/DR1/FAKS0/SX0"
    assert test["labels"].tolist() == [0, 0]
    assert (test["audio"].numpy() == noise(1600, 23)).all()
    names = data.frame_names
    # most of the frame from 1280 on is ih (120 of 160), most of the last one silence
    assert [names[c] if c >= 0 else "-" for c in test["frames"]] == [*["sil"] * 3, *["sh"] * 3, "ih", "-", "ih", "sil"]
    assert [names[c] for c in test["classes"]] == ["sil", "sh", "ih", "sil"]  # ix and ih are one class, and q is none
    item = data.train_set()[0]
    assert item["frames"].shape == (2,)
    part = item["audio"].numpy()
    waves = [noise(1600, 10 * n + 3 + i) for n in (0, 1) for i in (0, 1)]
    (start,) = [s for w in waves for s in range(0, 1281, 160) if (w[s : s + 320] == part).all()]
    assert item["frames"].tolist() == test["frames"].tolist()[start // 160 : start // 160 + 2]


def test_61_phones_and_the_sentences_that_all_read(tmp_path: Path) -> None:
    root = make(tmp_path / "TIMIT")
    data = load(root, tmp_path / "cache", TIMIT(phones=61, with_sa=True))
    assert data.data_digests()["clips"] == {"train": 6, "val": 2, "test": 2}
    found = [data.frame_names[c] for c in data.eval_set("test")[1]["classes"]]
    assert found == ["h#", "sh", "ix", "q", "ih", "epi", "h#"]
    with pytest.raises(ConfigError, match=r"data\.recordings\.phones is 48. Expected 39 or 61"):
        TIMIT(phones=48)


def test_frames_follow_what_was_trimmed(tmp_path: Path) -> None:
    root = make(tmp_path / "TIMIT")
    quiet = noise(1600, 23)
    quiet[:480] = 0.0
    import soundfile

    soundfile.write(root / "TEST/DR1/FELC0/SX0.WAV", quiet, 16000, format="NIST", subtype="PCM_16")
    test = load(root, tmp_path / "cache", trim_silence=-60.0).eval_set("test")[0]
    assert 1100 < test["audio"].shape[0] <= 1120
    assert len(test["frames"]) == 7
    names = TIMIT().frame_names
    assert [names[c] for c in test["classes"]] == ["sh", "ih", "sil"]
    assert names[test["frames"][0]] == "sh"


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.root is missing. TIMIT is sold"):
        TIMIT().find(None, tmp_path)
    root = make(tmp_path / "TIMIT")
    sound = root / "TEST/DR1/FELC0/SX0.WAV"
    whole = sound.read_bytes()
    sound.write_bytes(whole[:-100])
    with pytest.raises(DataError, match=r"SX0\.WAV is truncated: 100 bytes or more are missing"):
        load(root, tmp_path / "cache")
    sound.write_bytes(whole)
    phones = root / "TRAIN/DR1/FCJF0/SX1.PHN"
    for text, message in (
        ("0 10 h#\n10 20 zz\n", r"SX1\.PHN, line 2: 'zz' is no phone of TIMIT"),
        ("0 10\n", r"line 1: expected `begin end phone`"),
        ("10 20 sh\n0 10 ix\n", "line 2: times go back"),
        ("", r"SX1\.PHN is empty"),
    ):
        phones.write_text(text)
        with pytest.raises(DataError, match=message):
            read_phones(phones)
    phones.unlink()
    with pytest.raises(DataError, match=r"SX1\.PHN is missing: the phones of SX1\.WAV"):
        TIMIT().find(root, tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"is not TIMIT: TRAIN/ and TEST/ are missing"):
        TIMIT().find(tmp_path / "none", tmp_path)
