"""Linguistic features of speech, a vector every 5 ms (van den Oord et al. 2016, section 3.2).

The paper conditions its text to speech on features derived from the text, fed every 5 ms: which phone, the stress of
its syllable, counts and positions, the position of the frame, the duration of the phone; and on log F0. It gives no
list. The one used here is what `LinguisticFeatures.feature_names` says.

Speech is brought to a rate of which 5 ms is a whole number of samples: 16 kHz (80 samples), the paper's own. At
espeak-ng's 22,050 Hz it would be 110.25, and frames would drift against the samples they belong to.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np

from reprise.config.errors import ConfigError
from reprise.data.audio.phonemes import Phone
from reprise.metrics.pitch import track_pitch

FRAMES_A_SECOND = 200
F0_LOWEST, F0_HIGHEST = 60.0, 600.0  # Hz: what track_pitch looks for
# What en-us says in 26,000 words of English prose and program text, numbers, and foreign names; pauses first.
EN_US = (
    *("_", "_:", "_!", "_|"),
    *("@", "@-", "@2", "@L", "0", "3", "3:", "a", "a#", "aa", "aI", "aI3", "aI@", "aU", "A:", "A@", "e@", "eI", "E"),
    *("i", "i:", "i@", "i@3", "I", "I#", "I2", "o@", "oU", "O", "O:", "O2", "O@", "OI", "u", "u:", "U", "U@", "V"),
    *("b", "d", "D", "dZ", "f", "g", "h", "j", "k", "l", "l#", "m", "n", "n-", "N", "p", "r", "r-", "s", "S"),
    *("t", "t#", "t2", "tS", "T", "v", "w", "x", "z", "Z", "?", ";"),
)
OTHER = "other"
_VOWELS = frozenset("aeiouyAEIOUVWY03@&")
# A count or a duration is divided by what is large for it, and cut there, so that features lie in [0, 1].
_LARGE = {
    "phone_seconds": 0.3,
    "phones_in_syllable": 6.0,
    "phones_in_word": 12.0,
    "syllables_in_word": 6.0,
    "words_in_sentence": 20.0,
}
_POSITIONS = ("phone_in_syllable", "phone_in_word", "syllable_in_word", "word_in_sentence")
_OF_A_PHONE = ("primary_stress", "secondary_stress", *_LARGE, *_POSITIONS)  # the same in all its frames


def is_vowel(symbol: str) -> bool:
    """Whether a phone is the core of a syllable: a vowel, or a syllabic consonant such as `n-`."""
    return symbol[0] in _VOWELS or (symbol.endswith("-") and symbol != "r-")


def syllables(symbols: Sequence[str]) -> list[int]:
    """Number of the syllable of each phone of a word, from 0.

    espeak-ng does not say where syllables part. Here a vowel has one each; of the consonants between two vowels the
    last opens the second's syllable (the velar nasal `N` never does) and the others close the first's.
    """
    cores = [i for i, symbol in enumerate(symbols) if is_vowel(symbol)]
    numbers = [0] * len(symbols)
    for number, (before, core) in enumerate(pairwise(cores), 1):
        opens = core if core - before == 1 or symbols[core - 1] == "N" else core - 1
        numbers[opens:] = [number] * (len(symbols) - opens)
    return numbers


class LinguisticFeatures:
    """Turns phones with times into frames of features.

    Args:
        sample_rate: of the speech the frames belong to, Hz; a multiple of 200, so that 5 ms are whole samples.
        phones: the phones told apart; any other is `other`.
        neighbours: also give the phone before and the phone after.
        f0: also give log F0 and voicing (the paper's L+F; without them its L).

    Raises:
        ConfigError: a rate that 5 ms do not divide, or a phone named twice.
    """

    def __init__(
        self, sample_rate: int = 16000, phones: Sequence[str] = EN_US, neighbours: bool = True, f0: bool = True
    ) -> None:
        if sample_rate < FRAMES_A_SECOND or sample_rate % FRAMES_A_SECOND:
            raise ConfigError(
                f"data.sample_rate is {sample_rate}. Expected a multiple of {FRAMES_A_SECOND}, so that a frame of 5 ms "
                "is a whole number of samples, e.g. 8000 or 16000."
            )
        if repeated := [phone for phone, count in Counter(phones).items() if count > 1]:
            raise ConfigError(f"the phones name {repeated[0]!r} twice. Expected each once.")
        self.sample_rate = sample_rate
        self.hop = sample_rate // FRAMES_A_SECOND
        self.phones = tuple(phones)
        self.neighbours = neighbours
        self.f0 = f0
        self._column = {phone: i for i, phone in enumerate(self.phones)}

    def feature_names(self) -> list[str]:
        """Names of the channels, in order."""
        slots = ("phone", "previous", "next") if self.neighbours else ("phone",)
        names = [f"{slot}={phone}" for slot in slots for phone in (*self.phones, OTHER)]
        names += [*_OF_A_PHONE, "frame_in_phone"]
        return [*names, "log_f0", "voiced"] if self.f0 else names

    @property
    def channels(self) -> int:
        """Number of features."""
        return len(self.feature_names())

    def of_speech(self, phones: Sequence[Phone], rate: int, audio: np.ndarray) -> np.ndarray:
        """Compute all features of speech.

        Args:
            phones: without gaps, in order.
            rate: of the samples that the phones' times count, Hz.
            audio: (F * hop,) at `sample_rate`.

        Returns:
            (F, channels) float32.

        Raises:
            UserError: a package is missing.
        """
        features = self.of_phones(phones, rate, len(audio) // self.hop)
        return np.concatenate([features, self.of_pitch(audio)], axis=1) if self.f0 else features

    def of_phones(self, phones: Sequence[Phone], rate: int, count: int) -> np.ndarray:
        """Compute the features of the phones, F0 left out, at the centres of the first `count` frames of 5 ms.

        Args:
            phones: without gaps, in order.
            rate: of the samples that the phones' times count, Hz.
            count: frames F.

        Returns:
            (F, channels without F0) float32.
        """
        starts = np.array([phone.start for phone in phones]) / rate
        seconds = np.array([phone.end - phone.start for phone in phones]) / rate
        centres = (np.arange(count) + 0.5) / FRAMES_A_SECOND
        # of phones that begin together the last is heard: the others have no duration
        heard = np.maximum(np.searchsorted(starts, centres, side="right") - 1, 0)
        columns = [self._column.get(phone.symbol, len(self.phones)) for phone in phones]
        silent = self._column.get("_", len(self.phones))
        around = np.array([silent, *columns, silent])
        slots = (around[1:-1], around[:-2], around[2:]) if self.neighbours else (around[1:-1],)
        identity = np.eye(len(self.phones) + 1, dtype=np.float32)
        of_a_phone = _features_of_each(phones, seconds)
        inside = np.clip((centres - starts[heard]) / seconds[heard], 0.0, 1.0)
        parts = [identity[slot[heard]] for slot in slots]
        return np.concatenate([*parts, of_a_phone[heard], inside[:, None]], axis=1).astype(np.float32)

    def of_pitch(self, audio: np.ndarray) -> np.ndarray:
        """Log F0 and voicing of a waveform (F * hop,) at the centres of its frames.

        log F0 runs from 0 at 60 Hz to 1 at 600 Hz, and is cut there. Where the speech has no voice it goes straight
        from the last value to the next, and is level before the first and after the last; 0 without any voice.

        Returns:
            (F, 2) float32: scaled log F0, and 1 where voiced.
        """
        count = len(audio) // self.hop
        # twice as many values as frames: those at even places lie on their borders, the others at their centres
        pitch = track_pitch(audio, self.sample_rate, frame_ms=500.0 / FRAMES_A_SECOND)[1::2][:count]
        voiced = pitch > 0.0
        level = np.zeros(count)
        if voiced.any():
            scaled = np.log(pitch[voiced] / F0_LOWEST) / math.log(F0_HIGHEST / F0_LOWEST)
            level = np.interp(np.arange(count), np.flatnonzero(voiced), np.clip(scaled, 0.0, 1.0))
        return np.stack([level, voiced], axis=1).astype(np.float32)


def hertz_of(log_f0: np.ndarray) -> np.ndarray:
    """F0 in Hz of the scaled log F0 that is among the features."""
    return np.asarray(F0_LOWEST * (F0_HIGHEST / F0_LOWEST) ** log_f0)


def _features_of_each(phones: Sequence[Phone], seconds: np.ndarray) -> np.ndarray:
    """Compute the features that all frames of a phone share, (phones, len(_OF_A_PHONE)).

    The i-th of n (from 0) has the position (i + 0.5) / n. A pause has a duration, its sentence's count of words, and
    the position of the word before it; the rest of it is 0.
    """
    values = {name: np.zeros(len(phones)) for name in _OF_A_PHONE}
    values["phone_seconds"] = seconds
    for _, members in groupby(range(len(phones)), key=lambda i: phones[i].sentence):
        sentence = list(members)
        spoken = [i for i in sentence if not phones[i].is_pause]
        words = [list(word) for _, word in groupby(spoken, key=lambda i: phones[i].word)]
        values["words_in_sentence"][sentence] = len(words)
        for number, word in enumerate(words):
            values["word_in_sentence"][word[0] : sentence[-1] + 1] = (number + 0.5) / len(words)
            _fill_word(values, phones, word)
    for name, large in _LARGE.items():
        values[name] = np.minimum(values[name] / large, 1.0)
    return np.stack([values[name] for name in _OF_A_PHONE], axis=1)


def _fill_word(values: dict[str, np.ndarray], phones: Sequence[Phone], word: list[int]) -> None:
    """Fill in what depends on a word, whose phones are those at `word`, and on its syllables."""
    numbers = syllables([phones[i].symbol for i in word])
    values["phones_in_word"][word] = len(word)
    values["syllables_in_word"][word] = numbers[-1] + 1
    values["phone_in_word"][word] = (np.arange(len(word)) + 0.5) / len(word)
    for number, members in groupby(zip(word, numbers, strict=True), key=lambda pair: pair[1]):
        syllable = [i for i, _ in members]
        stress = max(phones[i].stress for i in syllable)
        values["primary_stress"][syllable] = stress == 2
        values["secondary_stress"][syllable] = stress == 1
        values["phones_in_syllable"][syllable] = len(syllable)
        values["phone_in_syllable"][syllable] = (np.arange(len(syllable)) + 0.5) / len(syllable)
        values["syllable_in_word"][syllable] = (number + 0.5) / (numbers[-1] + 1)
