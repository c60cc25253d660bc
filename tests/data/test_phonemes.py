"""Phones of synthetic speech: their times, marks and inventory, and that the sound is the plain synthesis's."""

from __future__ import annotations

from itertools import pairwise
from multiprocessing import get_context

import numpy as np
import pytest

from reprise.config.errors import DataError, UserError
from reprise.data.audio.linguistics import EN_US
from reprise.data.audio.phonemes import Phone, Utterance, phones_of, speak
from reprise.data.audio.synthesis import sentences, synthesise

WORD, SENTENCE, PHONEME = 1, 2, 7
TEXTS = [*sentences()[:5], "Stop. Is the loch empty? Two, three, 1984!"]


@pytest.fixture(scope="module")
def spoken() -> list[Utterance]:
    return speak(TEXTS)


def test_the_sound_is_that_of_the_plain_synthesis(spoken: list[Utterance]) -> None:
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        plain = pool.map(synthesise, TEXTS[3:5], chunksize=1)
    assert plain == [u.samples.astype("<i2").tobytes() for u in spoken[3:5]]


def test_phones_fill_the_clip_in_order(spoken: list[Utterance]) -> None:
    for utterance in spoken:
        phones = utterance.phones
        assert phones[0].start == 0
        assert phones[-1].end == len(utterance.samples)
        assert all(a.end == b.start for a, b in pairwise(phones))
        assert all(p.start < p.end or (p.start == p.end and not p.is_pause) for p in phones)


def test_phones_are_of_a_closed_inventory_and_bear_stress(spoken: list[Utterance]) -> None:
    phones = [p for u in spoken for p in u.phones]
    assert {p.symbol for p in phones} <= set(EN_US)
    assert {p.stress for p in phones} == {0, 1, 2}
    assert [(p.symbol, p.stress) for p in spoken[1].phones[:9]] == [
        ("S", 0), ("i:", 0), ("f", 0), ("oU", 2), ("l", 0), ("d", 0), ("I#", 0), ("d", 0), ("D", 0),
    ]  # fmt: skip  # "She folded the"


def test_words_and_sentences_are_told_apart(spoken: list[Utterance]) -> None:
    said = [p for p in spoken[1].phones if not p.is_pause]
    assert [p.word for p in said] == sorted(p.word for p in said)
    assert max(p.word for p in said) + 1 == len(TEXTS[1].split())
    assert all(p.word == -1 for p in spoken[1].phones if p.is_pause)
    assert [u.phones[-1].sentence for u in spoken] == [0, 0, 0, 0, 0, 2]


def test_voiced_and_silent_phones_sound_so(spoken: list[Utterance]) -> None:
    def loudness(phones: list[tuple[Utterance, Phone]]) -> float:
        return float(np.mean([np.abs(u.samples[p.start : p.end].astype(float)).mean() for u, p in phones]))

    every = [(u, p) for u in spoken for p in u.phones if p.end - p.start > 200]
    vowels = [(u, p) for u, p in every if p.stress == 2]
    pauses = [(u, p) for u, p in every if p.symbol == "_:"]
    assert loudness(vowels) > 20 * loudness(pauses)


def test_each_utterance_is_as_if_it_were_the_first(spoken: list[Utterance]) -> None:
    again = speak([TEXTS[2], TEXTS[2]])
    for utterance in again:
        assert np.array_equal(utterance.samples, spoken[2].samples)
        assert utterance.phones == spoken[2].phones


def test_another_voice_says_it_otherwise(spoken: list[Utterance]) -> None:
    german = speak(["Guten Morgen."], voice="de")[0]
    assert german.phones[-1].end == len(german.samples)
    with pytest.raises(UserError, match=r"no voice 'xx-none'"):
        speak(["Good morning."], voice="xx-none")


def test_events_become_phones() -> None:
    events = [
        (SENTENCE, 0, ""), (WORD, 0, ""), (PHONEME, 3, "h"), (PHONEME, 10, "'aI"),
        (PHONEME, 30, "_:"), (PHONEME, 40, "_"),
        (SENTENCE, 40, ""), (WORD, 40, ""), (WORD, 40, ""), (PHONEME, 40, ",0"), (PHONEME, 60, "l"), (PHONEME, 60, "z"),
        (PHONEME, 80, "_"),
    ]  # fmt: skip
    assert phones_of(events, 80) == (
        Phone("h", 0, 0, 10, 0, 0),
        Phone("aI", 2, 10, 30, 0, 0),
        Phone("_:", 0, 30, 40, -1, 0),
        Phone("0", 1, 40, 60, 1, 1),
        Phone("l", 0, 60, 60, 1, 1),
        Phone("z", 0, 60, 80, 1, 1),
    )


def test_events_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing is said"):
        phones_of([(SENTENCE, 0, "")], 10)
    with pytest.raises(ValueError, match="backwards"):
        phones_of([(PHONEME, 0, "a"), (PHONEME, 9, "b"), (PHONEME, 5, "a")], 20)


@pytest.mark.parametrize("text", ["", "  ", "a\0b"])
def test_what_is_no_sentence_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="Expected a sentence"):
        speak([text])


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"reprise\[speech\]"):
        speak(["Good morning."])
