"""Sentences spoken by espeak-ng, with the phones it says and the sample at which each begins.

The samples are those of reprise.data.audio.synthesis: phoneme events change none. espeak-ng keeps state between
utterances, so each is spoken in a process of its own, forked from one that has loaded nothing else.
`python -m reprise.data.audio.phonemes VOICE` is that process: a JSON list of texts in, a line of JSON for each out.
"""

from __future__ import annotations

import base64
import ctypes
import functools
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context

import numpy as np

from reprise.data.audio.synthesis import PITCH, SAMPLE_RATE, VOICE, WORDS_PER_MINUTE

_SYNCHRONOUS, _PHONEME_EVENTS, _DONT_EXIT, _CHARACTERS, _UTF8, _RATE, _PITCH = 2, 1, 0x8000, 1, 1, 1, 3
_LIST_ENDS, _WORD, _SENTENCE, _PHONEME = 0, 1, 2, 7
_STRESS = {"'": 2, ",": 1, "%": 0, "=": 0}

Event = tuple[int, int, str]  # kind, sample, the phone where it is one


@dataclass(frozen=True)
class Phone:
    """A phone or a pause of an utterance.

    Attributes:
        symbol: espeak-ng's own name of it, without marks of stress; a pause's begins with `_`.
        stress: of the vowel: 2 primary, 1 secondary, 0 none; of anything else 0.
        start, end: first sample and the one after the last. They are equal where espeak-ng makes a consonant a part
            of the vowel before it (`l` and `r` at times).
        word: which word of the utterance it belongs to, from 0; -1 for a pause.
        sentence: which sentence of the utterance it belongs to, from 0.
    """

    symbol: str
    stress: int
    start: int
    end: int
    word: int
    sentence: int

    @property
    def is_pause(self) -> bool:
        """Whether nothing is said."""
        return self.symbol.startswith("_")


@dataclass(frozen=True, eq=False)
class Utterance:
    """What was said, how it sounds, and when which phone is heard.

    Attributes:
        text: the words.
        samples: (T,) int16 at `SAMPLE_RATE` Hz.
        phones: without gaps from sample 0 to T.
    """

    text: str
    samples: np.ndarray
    phones: tuple[Phone, ...]


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


def speak_once(text: str, voice: str = VOICE) -> tuple[bytes, list[Event]]:
    """Speak a text: 16-bit little-endian mono samples, and what happens at which. Use a fresh process for each call.

    Raises:
        RuntimeError: the library cannot do it.
    """
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS | _DONT_EXIT)
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"espeak-ng answered {rate} instead of the sample rate {SAMPLE_RATE}")
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise RuntimeError(f"espeak-ng has no voice {voice!r}")
    library.espeak_SetParameter(_RATE, WORDS_PER_MINUTE, 0)
    library.espeak_SetParameter(_PITCH, PITCH, 0)
    parts: list[bytes] = []
    heard: list[Event] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))
    def receive(samples: int | None, count: int, events: ctypes._Pointer[_Event]) -> int:
        if samples and count > 0:
            parts.append(ctypes.string_at(samples, 2 * count))
        i = 0
        while events[i].type != _LIST_ENDS:
            event = events[i]
            if event.type in (_WORD, _SENTENCE, _PHONEME):
                phone = event.id.string.decode("utf-8", "replace") if event.type == _PHONEME else ""
                heard.append((event.type, event.sample, phone))
            i += 1
        return 0

    library.espeak_SetSynthCallback(receive)
    raw = text.encode()
    if library.espeak_Synth(raw, len(raw) + 1, 0, _CHARACTERS, 0, _UTF8, None, None) != 0:
        raise RuntimeError(f"espeak-ng refused {text!r}")
    library.espeak_Synchronize()
    return b"".join(parts), heard


def phones_of(events: Sequence[Event], total: int) -> tuple[Phone, ...]:
    """Turn espeak-ng's events into phones that fill `total` samples; each lasts until the next begins.

    Pauses without a duration are left out, and words without a phone are not counted.

    Raises:
        ValueError: no phone, or their times run backwards.
    """
    found: list[tuple[int, str, int, int]] = []
    word = sentence = -1
    word_begins = False
    for kind, sample, name in events:
        if kind == _SENTENCE:
            sentence += 1
        elif kind == _WORD:
            word_begins = True
        else:
            if not name.startswith("_") and word_begins:
                word, word_begins = word + 1, False
            found.append((sample, name, -1 if name.startswith("_") else word, sentence))
    if not found:
        raise ValueError("nothing is said")
    starts = [0, *(sample for sample, *_ in found[1:]), total]  # the few samples before the first phone are its own
    if any(later < earlier for earlier, later in pairwise(starts)):
        raise ValueError("the times of the phones run backwards")
    phones = []
    for (start, end), (_, name, of_word, of_sentence) in zip(pairwise(starts), found, strict=True):
        bare = name if name.startswith("_") else name.lstrip("".join(_STRESS))
        stress = max((_STRESS[mark] for mark in name[: len(name) - len(bare)]), default=0)
        if end > start or not bare.startswith("_"):
            phones.append(Phone(bare, stress, start, end, of_word, max(0, of_sentence)))
    return tuple(phones)


def speak(texts: Sequence[str], voice: str = VOICE) -> list[Utterance]:
    """Speak texts, each as if it were the first: the same samples and phones whatever stands before it.

    Args:
        texts: what to say.
        voice: one of espeak-ng's, e.g. en-us, en-gb, de, en-us+f3.

    Raises:
        UserError: espeak-ng is not installed, or has no such voice.
        DataError: a text of which nothing can be said.
    """
    from reprise.config.errors import DataError, UserError

    if importlib.util.find_spec("espeakng_loader") is None:
        raise UserError(
            "The embedded speech is made with espeak-ng, which is not installed: pip install 'reprise[speech]' "
            "(GPL-3.0)."
        )
    for text in texts:
        if not text.strip() or "\0" in text:
            raise DataError(f"{text!r} cannot be spoken. Expected a sentence.")
    made = subprocess.run(
        [sys.executable, "-m", __name__, voice], input=json.dumps(list(texts)), capture_output=True, text=True
    )
    if made.returncode:
        raise UserError(f"espeak-ng could not speak: {made.stderr.strip().splitlines()[-1][-400:]}")
    utterances = []
    for text, line in zip(texts, made.stdout.splitlines(), strict=True):
        spoken = json.loads(line)
        samples = np.frombuffer(base64.b64decode(spoken["samples"]), dtype="<i2").astype(np.int16)
        try:
            phones = phones_of([(kind, sample, name) for kind, sample, name in spoken["events"]], len(samples))
        except ValueError as error:
            raise DataError(f"{text!r} spoken by {voice}: {error}. Expected a sentence.") from None
        utterances.append(Utterance(text, samples, phones))
    return utterances


def _answers(texts: Sequence[str], voice: str) -> Iterator[str]:
    with get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for samples, events in pool.imap(functools.partial(speak_once, voice=voice), texts, chunksize=1):
            yield json.dumps({"samples": base64.b64encode(samples).decode(), "events": events})


if __name__ == "__main__":
    for answer in _answers(json.load(sys.stdin), sys.argv[1]):
        print(answer)
