"""Spoken digits made by espeak-ng: several voices, each digit several times, the same samples on every run.

`python -m reprise.data.audio.spoken_digits FOLDER VOICES TAKES` is the process that speaks them.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from reprise.data.audio.espeak import each_alone, folder_of, speak_once, write_wav

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VOICES = ("en-us", "en-us+f2", "en-us+f4", "en-us+m3", "en-us+klatt2", "en-us+m7")
RECIPE = 2  # raised when what is below would sound otherwise


def take_settings(take: int) -> tuple[int, int]:
    """Words per minute (120 to 192) and pitch (30 to 72 of 0 to 99) of a take; takes 0 to 39 differ from each other."""
    return 120 + 24 * (take % 4) + 3 * (take // 8 % 5), 30 + 36 * (take // 4 % 2) + take // 8 % 7


def spoken_digits(cache: Path, voices: int, takes: int) -> Path:
    """Return the folder of recordings DIGIT_VOICE_TAKE.wav, making it where it is missing.

    Args:
        cache: folder of caches.
        voices: how many of VOICES.
        takes: recordings of each digit by each voice.

    Raises:
        UserError: espeak-ng is not installed, or it failed.
    """
    recipe = hashlib.sha256(repr((RECIPE, VOICES[:voices], WORDS, takes)).encode()).hexdigest()
    instead = "Or use recordings of your own: data=sequence_folder data.root=PATH."
    folder = cache / f"spoken-digits-{recipe[:12]}"
    return folder_of(__name__, folder, [str(voices), str(takes)], "digits", instead)


def _write(job: tuple[Path, str, str, int]) -> None:
    path, word, voice, take = job
    write_wav(path, speak_once(word, voice, *take_settings(take))[0])


def _make(folder: Path, voices: int, takes: int) -> None:
    jobs = [
        (folder / f"{digit}_{voice.replace('+', '-')}_{take}.wav", word, voice, take)
        for digit, word in enumerate(WORDS)
        for voice in VOICES[:voices]
        for take in range(takes)
    ]
    for _ in each_alone(_write, jobs):
        pass


if __name__ == "__main__":
    _make(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
