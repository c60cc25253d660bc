"""Sentences spoken by espeak-ng, with the phones it says and the sample at which each begins.

The samples are those of reprise.data.audio.synthesis. `python -m reprise.data.audio.phonemes VOICE` is the process that
speaks: a JSON list of texts in, a line of JSON for each out.
"""

from __future__ import annotations

import base64
import functools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reprise.data.audio.espeak import SENTENCE, WORD, Event, apart, each_alone, speak_once
from reprise.data.audio.synthesis import PITCH, VOICE, WORDS_PER_MINUTE

_STRESS = {"'": 2, ",": 1, "%": 0, "=": 0}


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
        samples: (T,) int16 at `espeak.SAMPLE_RATE` Hz.
        phones: without gaps from sample 0 to T.
    """

    text: str
    samples: np.ndarray
    phones: tuple[Phone, ...]


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
        if kind == SENTENCE:
            sentence += 1
        elif kind == WORD:
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
    from reprise.config.errors import DataError

    for text in texts:
        if not text.strip() or "\0" in text:
            raise DataError(f"{text!r} cannot be spoken. Expected a sentence.")
    said = apart(__name__, [voice], json.dumps(list(texts)), "sentences")
    utterances = []
    for text, line in zip(texts, said.splitlines(), strict=True):
        spoken = json.loads(line)
        samples = np.frombuffer(base64.b64decode(spoken["samples"]), dtype="<i2").astype(np.int16)
        try:
            phones = phones_of([(kind, sample, name) for kind, sample, name in spoken["events"]], len(samples))
        except ValueError as error:
            raise DataError(f"{text!r} spoken by {voice}: {error}. Expected a sentence.") from None
        utterances.append(Utterance(text, samples, phones))
    return utterances


def _answers(texts: Sequence[str], voice: str) -> Iterator[str]:
    say = functools.partial(speak_once, voice=voice, words_per_minute=WORDS_PER_MINUTE, pitch=PITCH)
    for samples, events in each_alone(say, texts):
        yield json.dumps({"samples": base64.b64encode(samples).decode(), "events": events})


if __name__ == "__main__":
    for answer in _answers(json.load(sys.stdin), sys.argv[1]):
        print(answer)
