"""Digits that are made on this machine."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from reprise.config.errors import ConfigError
from reprise.data.audio.embedded_sequences import SyntheticDigits, SyntheticSentences
from reprise.data.audio.spoken_digits import spoken_digits, take_settings


def test_digits_are_spoken_by_voices_and_the_same_each_time(tmp_path: Path) -> None:
    digits = SyntheticDigits(voices=2, takes=2)
    found = digits.find(None, tmp_path / "a")
    assert len(found) == 40
    assert [r.split for r in found if r.labels == {"speaker": "en-us", "digit": "3"}] == ["test", "train"]
    assert {r.labels["speaker"] for r in found} == {"en-us", "en-us-f2"}
    sounds = {r.id: hashlib.sha256(r.path.read_bytes()).hexdigest() for r in found}
    assert len(set(sounds.values())) == 40
    assert all(r.path.stat().st_size > 2 * 22050 * 0.15 for r in found)
    time.sleep(1.1)  # espeak-ng takes the seed of its noise from the clock unless told otherwise
    again = spoken_digits(tmp_path / "b", 2, 2)
    assert {p.stem: hashlib.sha256(p.read_bytes()).hexdigest() for p in again.glob("*.wav")} == sounds


def test_takes_differ() -> None:
    settings = [take_settings(take) for take in range(40)]
    assert len(set(settings)) == 40
    assert all(120 <= rate <= 210 and 0 <= pitch <= 99 for rate, pitch in settings)


def test_numbers_out_of_range_and_a_root(tmp_path: Path) -> None:
    for settings, message in (
        ({"voices": 7}, "voices is 7"),
        ({"takes": 1}, "takes is 1"),
        ({"test_takes": 6}, "is 6"),
    ):
        with pytest.raises(ConfigError, match=message):
            SyntheticDigits(**settings)
    for recordings in (SyntheticDigits(), SyntheticSentences()):
        with pytest.raises(ConfigError, match=r"made on this machine"):
            recordings.find(tmp_path, tmp_path)
