"""Linguistic features: by hand, in range, and F0 where it should be."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from reprise.cli.common import compose_checked
from reprise.config.errors import ConfigError
from reprise.data.audio.espeak import SAMPLE_RATE
from reprise.data.audio.linguistics import (
    EN_US,
    FRAMES_A_SECOND,
    LinguisticFeatures,
    hertz_of,
    is_vowel,
    syllables,
)
from reprise.data.audio.phonemes import Phone, speak

RATE = 1000  # hand-made phones count milliseconds
# "Lotus, ah": two words, a pause between them, a second sentence with one word
PHONES = (
    Phone("l", 0, 0, 60, 0, 0),
    Phone("oU", 2, 60, 180, 0, 0),
    Phone("t", 0, 180, 180, 0, 0),  # without a duration
    Phone("@", 0, 180, 240, 0, 0),
    Phone("s", 0, 240, 300, 0, 0),
    Phone("_:", 0, 300, 420, -1, 0),
    Phone("A@", 1, 420, 600, 1, 0),
    Phone("k", 0, 600, 630, 2, 1),
)


def column(features: np.ndarray, made: LinguisticFeatures, name: str) -> np.ndarray:
    return features[:, made.feature_names().index(name)]


def test_frames_by_hand() -> None:
    made = LinguisticFeatures(f0=False, phones=("_", "_:", "l", "oU", "t", "@", "s", "A@"))
    frames = made.of_phones(PHONES, RATE, 126)
    assert frames.shape == (126, made.channels)
    values = dict(zip(made.feature_names(), frames[47], strict=True))  # 237.5 ms: near the end of `@`
    expected = {
        "phone=@": 1.0, "previous=t": 1.0, "next=s": 1.0,
        "phone_seconds": 0.06 / 0.3,
        "phones_in_syllable": 3 / 6, "phones_in_word": 5 / 12, "syllables_in_word": 2 / 6, "words_in_sentence": 2 / 20,
        "phone_in_syllable": 0.5, "phone_in_word": 0.7, "syllable_in_word": 0.75, "word_in_sentence": 0.25,
        "frame_in_phone": 57.5 / 60,
    }  # fmt: skip
    assert values == pytest.approx({name: expected.get(name, 0.0) for name in made.feature_names()}, abs=1e-6)


def test_what_lasts_a_phone_and_what_moves_within() -> None:
    made = LinguisticFeatures(f0=False)
    frames = made.of_phones(PHONES, RATE, 126)
    heard = [made.phones[i] for i in frames[:, : len(EN_US)].argmax(axis=1)]
    assert heard == ["l"] * 12 + ["oU"] * 24 + ["@"] * 12 + ["s"] * 12 + ["_:"] * 24 + ["A@"] * 36 + ["k"] * 6
    assert np.allclose(column(frames, made, "frame_in_phone")[12:36], (np.arange(24) + 0.5) / 24, atol=1e-6)
    # `l` and `oU` are the stressed syllable, `A@` has a secondary stress
    assert column(frames, made, "primary_stress").tolist() == [1.0] * 36 + [0.0] * 90
    assert column(frames, made, "secondary_stress").tolist() == [0.0] * 84 + [1.0] * 36 + [0.0] * 6
    assert column(frames, made, "phones_in_word")[60:84].max() == 0.0  # nothing of a word in the pause
    assert column(frames, made, "word_in_sentence")[[60, 100, 125]].tolist() == [0.25, 0.75, 0.5]
    assert column(frames, made, "previous=_")[0] == 1.0
    assert column(frames, made, "next=_")[-1] == 1.0


def test_identity_is_one_hot_and_unknown_phones_are_other() -> None:
    made = LinguisticFeatures(phones=("_", "l", "s"), f0=False)
    frames = made.of_phones(PHONES, RATE, 126)
    names = made.feature_names()
    for slot in ("phone", "previous", "next"):
        columns = [i for i, name in enumerate(names) if name.startswith(f"{slot}=")]
        assert len(columns) == 4
        assert (frames[:, columns].sum(axis=1) == 1.0).all()
    assert column(frames, made, "phone=other").sum() == 126 - 12 - 12


def test_options_leave_columns_out() -> None:
    full, bare = LinguisticFeatures(), LinguisticFeatures(neighbours=False, f0=False)
    assert len(full.feature_names()) == len(set(full.feature_names())) == full.channels == 3 * 75 + 12 + 2
    assert bare.channels == 75 + 12
    assert [n for n in full.feature_names() if n not in bare.feature_names() and "=" not in n] == ["log_f0", "voiced"]
    shared = [full.feature_names().index(name) for name in bare.feature_names()]
    assert np.array_equal(bare.of_phones(PHONES, RATE, 99), full.of_phones(PHONES, RATE, 99)[:, shared])


def test_real_speech_has_features_in_range_and_a_plausible_pitch() -> None:
    utterance = speak(["Nobody expected the small red boat to win the race."])[0]
    made = LinguisticFeatures()
    audio = soxr.resample(utterance.samples / np.float32(32768.0), SAMPLE_RATE, 16000, quality="VHQ")
    audio = audio[: len(audio) // 80 * 80]
    features = made.of_speech(utterance.phones, SAMPLE_RATE, audio)
    assert features.dtype == np.float32
    assert features.shape == (len(audio) // 80, made.channels)
    assert features.min() >= 0.0 and features.max() <= 1.0
    voiced = column(features, made, "voiced")
    assert set(voiced.tolist()) == {0.0, 1.0}
    pitch = hertz_of(column(features, made, "log_f0"))[voiced > 0]
    assert 95.0 < np.median(pitch) < 120.0
    assert np.mean((pitch > 70.0) & (pitch < 160.0)) > 0.95
    # frames in the middle of stressed vowels have a voice, those of `s` none
    middle = np.abs(column(features, made, "frame_in_phone") - 0.5) < 0.3
    stressed = (features[:, [i for i, p in enumerate(EN_US) if is_vowel(p)]].sum(axis=1) > 0) & (
        column(features, made, "primary_stress") > 0
    )
    assert voiced[middle & stressed].mean() > 0.95
    assert voiced[middle & (column(features, made, "phone=s") > 0)].mean() < 0.1


def test_pitch_lies_at_the_centres_of_frames_and_is_bridged_where_there_is_none() -> None:
    made = LinguisticFeatures()
    times = np.arange(16000) / 16000
    glide = 0.5 * np.sin(2 * np.pi * (100.0 * times + 50.0 * times**2))  # 100 Hz to 200 Hz in a second
    glide[6400:8000] = 0.0
    level, voiced = made.of_pitch(glide.astype(np.float32)).T
    assert level.shape == voiced.shape == (200,)
    inner = np.r_[30:70, 110:170]
    assert voiced[inner].all()
    assert np.allclose(hertz_of(level[inner]), 100.0 + 100.0 * (inner + 0.5) / 200, rtol=0.01)
    assert not voiced[86:94].any()
    assert np.allclose(np.diff(level[86:94], n=2), 0.0, atol=1e-6)
    silence = made.of_pitch(np.zeros(1600, dtype=np.float32))
    assert silence.shape == (20, 2) and not silence.any()


@pytest.mark.parametrize(
    ("symbols", "numbers"),
    [
        (["n", "oU", "b", "@", "d", "i"], [0, 0, 1, 1, 2, 2]),
        (["E", "k", "s", "t", "r", "@"], [0, 0, 0, 0, 1, 1]),
        (["s", "I", "N", "3"], [0, 0, 0, 1]),
        (["V", "N", "k", "@L"], [0, 0, 1, 1]),
        (["i", "@"], [0, 1]),
        (["b", "V", "t", "n-"], [0, 0, 1, 1]),
        (["s", "t"], [0, 0]),
    ],
)
def test_syllables(symbols: list[str], numbers: list[int]) -> None:
    assert syllables(symbols) == numbers


@pytest.mark.parametrize("rate", [22050, 0, 100])
def test_a_rate_that_frames_do_not_divide_is_refused(rate: int) -> None:
    with pytest.raises(ConfigError, match="multiple of 200"):
        LinguisticFeatures(sample_rate=rate)


def test_a_phone_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="'a' twice"):
        LinguisticFeatures(phones=("a", "b", "a"))


@pytest.mark.parametrize(
    "preset",
    ["model=wavenet_linguistic", "experiment=wavenet/tts_linguistic", "experiment=wavenet/tts_linguistic_f0"],
)
def test_presets_take_as_many_features_as_there_are(preset: str) -> None:
    values = compose_checked([preset]).values
    given = {key: values["data"][key] for key in ("sample_rate", "neighbours", "f0")}
    made = LinguisticFeatures(**given)
    assert values["model"]["local"]["inputs"] == made.channels
    assert values["model"]["local"]["hop"] * FRAMES_A_SECOND == given["sample_rate"]
