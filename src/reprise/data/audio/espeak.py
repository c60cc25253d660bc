"""espeak-ng, called through ctypes: the same samples on every run of one library version.

espeak-ng keeps state between utterances (the same text sounds different the second time), so each is made in a process
of its own (`each_alone`), forked from one that has loaded nothing else (`apart`). So this module imports little.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
import wave
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import IO, TypeVar

SAMPLE_RATE = 22050
WORD, SENTENCE, PHONEME = 1, 2, 7
"""Kinds of events."""
Event = tuple[int, int, str]
"""Kind, sample, and the phone where it is one."""

_SYNCHRONOUS, _PHONEME_EVENTS, _DONT_EXIT, _CHARACTERS, _UTF8, _RATE, _PITCH = 2, 1, 0x8000, 1, 1, 1, 3
_LIST_ENDS = 0
_SEED = 1  # of the noise in the breath of voices such as en-us+f2

Job = TypeVar("Job")
Answer = TypeVar("Answer")


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


def speak_once(text: str, voice: str, words_per_minute: int, pitch: int) -> tuple[bytes, list[Event]]:
    """Speak a text. Use a fresh process for each call, see `each_alone`.

    Args:
        text: what to say.
        voice: one of espeak-ng's, e.g. en-us, de, en-us+f3.
        words_per_minute: how fast.
        pitch: 0 to 99.

    Returns:
        16-bit little-endian mono samples at `SAMPLE_RATE` Hz, and which words, sentences and phones begin at which.

    Raises:
        RuntimeError: the library cannot do it.
    """
    library = _library(voice)
    library.espeak_SetParameter(_RATE, words_per_minute, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    parts: list[bytes] = []
    heard: list[Event] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))
    def receive(samples: int | None, count: int, events: ctypes._Pointer[_Event]) -> int:
        if samples and count > 0:
            parts.append(ctypes.string_at(samples, 2 * count))
        i = 0
        while events[i].type != _LIST_ENDS:
            event = events[i]
            if event.type in (WORD, SENTENCE, PHONEME):
                phone = event.id.string.decode("utf-8", "replace") if event.type == PHONEME else ""
                heard.append((event.type, event.sample, phone))
            i += 1
        return 0

    library.espeak_SetSynthCallback(receive)
    raw = text.encode()
    if library.espeak_Synth(raw, len(raw) + 1, 0, _CHARACTERS, 0, _UTF8, None, None) != 0:
        raise RuntimeError(f"espeak-ng refused {text!r}")
    library.espeak_Synchronize()
    return b"".join(parts), heard


def _library(voice: str) -> ctypes.CDLL:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    # events change no sample
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS | _DONT_EXIT)
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"espeak-ng answered {rate} instead of the sample rate {SAMPLE_RATE}")
    library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))  # the start takes it from the clock
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise RuntimeError(f"espeak-ng has no voice {voice!r}")
    return library


def each_alone(work: Callable[[Job], Answer], jobs: Iterable[Job]) -> Iterator[Answer]:
    """Do each job in a fresh process, forked from this one; answers in their order."""
    with get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        yield from pool.imap(work, jobs, chunksize=1)


def folder_of(module: str, folder: Path, arguments: Iterable[str], what: str, instead: str) -> Path:
    """Return a folder of speech, which a module makes where it is missing: its command line is FOLDER and arguments.

    Args:
        module: name of the module, run with `python -m`.
        folder: where it is to be.
        arguments: further ones.
        what, instead: see `apart`.

    Raises:
        UserError: espeak-ng is not installed, or it failed.
    """
    from reprise.data.cache import build_once

    def make(made: Path) -> None:
        apart(module, [str(made), *arguments], "", what, instead)

    return build_once(folder, make)


def apart(module: str, arguments: Iterable[str], given: str, what: str, instead: str = "") -> str:
    """Run a module that speaks as a process that has loaded nothing else.

    Args:
        module: name of the module, run with `python -m`.
        arguments: of its command line.
        given: its standard input.
        what: that it makes, for messages.
        instead: what to do without espeak-ng, for messages.

    Returns:
        its standard output.

    Raises:
        UserError: espeak-ng is not installed, or it failed.
    """
    from reprise.config.errors import UserError

    if importlib.util.find_spec("espeakng_loader") is None:
        raise UserError(
            f"The embedded {what} are made with espeak-ng, which is not installed: pip install 'reprise[speech]' "
            f"(GPL-3.0).{instead and ' '}{instead}"
        )
    command = [sys.executable, "-m", module, *arguments]
    made = subprocess.run(command, input=given, capture_output=True, text=True)
    if made.returncode:
        reason = (made.stderr.strip().splitlines() or [f"exit status {made.returncode}"])[-1]
        raise UserError(f"espeak-ng could not make the embedded {what}: {reason[-400:]}")
    return made.stdout


def write_wav(file: Path | IO[bytes], samples: bytes) -> None:
    """Write 16-bit little-endian mono samples at `SAMPLE_RATE` Hz."""
    with wave.open(str(file) if isinstance(file, Path) else file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLE_RATE)
        sound.writeframes(samples)
