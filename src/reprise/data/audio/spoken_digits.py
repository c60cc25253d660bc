"""Spoken digits made by espeak-ng: several voices, each digit several times, the same samples on every run.

espeak-ng keeps state between utterances, so each is made in a process of its own, forked from one that has loaded
nothing else. `python -m reprise.data.audio.spoken_digits FOLDER VOICES TAKES` is that process.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import wave
from multiprocessing import get_context
from pathlib import Path

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VOICES = ("en-us", "en-us+f2", "en-us+f4", "en-us+m3", "en-us+klatt2", "en-us+m7")
RECIPE = 1  # raised when what is below would sound otherwise

_SYNCHRONOUS, _DONT_EXIT, _CHARACTERS, _UTF8, _RATE, _PITCH = 2, 0x8000, 1, 1, 1, 3


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
    from filelock import FileLock

    from reprise.config.errors import UserError

    recipe = hashlib.sha256(repr((RECIPE, VOICES[:voices], WORDS, takes)).encode()).hexdigest()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"spoken-digits-{recipe[:12]}"
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return folder
        if importlib.util.find_spec("espeakng_loader") is None:
            raise UserError(
                "The embedded digits are made with espeak-ng, which is not installed: pip install 'reprise[speech]' "
                "(GPL-3.0). Or use recordings of your own: data=sequence_folder data.root=PATH."
            )
        scratch = folder.with_name(f".{folder.name}.making")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        command = [sys.executable, "-m", __name__, str(scratch), str(voices), str(takes)]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            raise UserError(f"espeak-ng could not make the embedded digits: {made.stderr.strip()[-400:]}")
        os.replace(scratch, folder)
    return folder


def speak(text: str, voice: str, words_per_minute: int, pitch: int) -> tuple[int, bytes]:
    """Speak a text: sample rate, and 16-bit little-endian mono samples. Use a fresh process for each call."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate: int = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _DONT_EXIT)
    if rate <= 0 or library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise RuntimeError(f"espeak-ng answered {rate} to its start, or has no voice {voice}")
    library.espeak_SetParameter(_RATE, words_per_minute, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    parts: list[bytes] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    def receive(samples: int | None, count: int, events: int | None) -> int:
        if samples and count > 0:
            parts.append(ctypes.string_at(samples, 2 * count))
        return 0

    library.espeak_SetSynthCallback(receive)
    raw = text.encode()
    if library.espeak_Synth(raw, len(raw) + 1, 0, _CHARACTERS, 0, _UTF8, None, None) != 0:
        raise RuntimeError(f"espeak-ng refused {text!r}")
    library.espeak_Synchronize()
    return rate, b"".join(parts)


def _write(job: tuple[Path, str, str, int]) -> None:
    path, word, voice, take = job
    rate, samples = speak(word, voice, *take_settings(take))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)


def _make(folder: Path, voices: int, takes: int) -> None:
    jobs = [
        (folder / f"{digit}_{voice.replace('+', '-')}_{take}.wav", word, voice, take)
        for digit, word in enumerate(WORDS)
        for voice in VOICES[:voices]
        for take in range(takes)
    ]
    with get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        pool.map(_write, jobs, chunksize=1)


if __name__ == "__main__":
    _make(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
