"""Synthetic speech by espeak-ng, called through ctypes: the same samples on every run of one library version.

espeak-ng keeps state between utterances (the same text sounds different the second time), so each utterance is made
in a process of its own, forked from one that has loaded nothing else. `python -m reprise.data.audio.synthesis FOLDER`
is that process.
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

SENTENCES = Path(__file__).with_name("sentences.txt")
SAMPLE_RATE = 22050
VOICE, WORDS_PER_MINUTE, PITCH = "en-us", 160, 55

_SYNCHRONOUS, _DONT_EXIT, _CHARACTERS, _UTF8, _RATE, _PITCH = 2, 0x8000, 1, 1, 1, 3


def sentences() -> list[str]:
    """Sentences of the embedded corpus, in order."""
    return SENTENCES.read_text(encoding="utf-8").split("\n")[:-1]


def synthetic_speech(cache: Path) -> Path:
    """Return the folder of synthetic recordings (0000.wav, ..., metadata.csv), making it where it is missing.

    Raises:
        UserError: espeak-ng is not installed, or it failed.
    """
    from filelock import FileLock

    from reprise.config.errors import UserError

    recipe = hashlib.sha256(f"{VOICE}|{WORDS_PER_MINUTE}|{PITCH}|".encode() + SENTENCES.read_bytes()).hexdigest()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"synthetic-speech-{recipe[:12]}"
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return folder
        if importlib.util.find_spec("espeakng_loader") is None:
            raise UserError(
                "The embedded speech is made with espeak-ng, which is not installed: pip install 'reprise[speech]' "
                "(GPL-3.0). Or use recordings of your own: data=speech_folder data.root=PATH."
            )
        scratch = folder.with_name(f".{folder.name}.making")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        made = subprocess.run([sys.executable, "-m", __name__, str(scratch)], capture_output=True, text=True)
        if made.returncode:
            raise UserError(f"espeak-ng could not make the embedded speech: {made.stderr.strip()[-400:]}")
        os.replace(scratch, folder)
    return folder


def synthesise(text: str) -> bytes:
    """Speak one sentence: 16-bit little-endian mono samples. Use a fresh process for each call."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _DONT_EXIT)
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"espeak-ng answered {rate} instead of the sample rate {SAMPLE_RATE}")
    if library.espeak_SetVoiceByName(VOICE.encode()) != 0:
        raise RuntimeError(f"espeak-ng has no voice {VOICE}")
    library.espeak_SetParameter(_RATE, WORDS_PER_MINUTE, 0)
    library.espeak_SetParameter(_PITCH, PITCH, 0)
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
    return b"".join(parts)


def _write(job: tuple[Path, str]) -> None:
    path, text = job
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(synthesise(text))


def _make(folder: Path) -> None:
    texts = sentences()
    names = [f"{i:04d}" for i in range(len(texts))]
    jobs = [(folder / f"{name}.wav", text) for name, text in zip(names, texts, strict=True)]
    with get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        pool.map(_write, jobs, chunksize=1)
    rows = "".join(f"{name}|{text}\n" for name, text in zip(names, texts, strict=True))
    (folder / "metadata.csv").write_text(rows, encoding="utf-8")


if __name__ == "__main__":
    _make(Path(sys.argv[1]))
