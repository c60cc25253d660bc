"""The embedded speech: sentences of this project, spoken by espeak-ng, the same samples on every run.

`python -m reprise.data.audio.synthesis FOLDER` is the process that speaks them.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from reprise.data.audio.espeak import each_alone, folder_of, speak_once, write_wav

SENTENCES = Path(__file__).with_name("sentences.txt")
VOICE, WORDS_PER_MINUTE, PITCH = "en-us", 160, 55


def sentences() -> list[str]:
    """Sentences of the embedded corpus, in order."""
    return SENTENCES.read_text(encoding="utf-8").split("\n")[:-1]


def synthetic_speech(cache: Path) -> Path:
    """Return the folder of synthetic recordings (0000.wav, ..., metadata.csv), making it where it is missing.

    Raises:
        UserError: espeak-ng is not installed, or it failed.
    """
    recipe = hashlib.sha256(f"{VOICE}|{WORDS_PER_MINUTE}|{PITCH}|".encode() + SENTENCES.read_bytes()).hexdigest()
    instead = "Or use recordings of your own: data=speech_folder data.root=PATH."
    return folder_of(__name__, cache / f"synthetic-speech-{recipe[:12]}", [], "sentences", instead)


def synthesise(text: str) -> bytes:
    """Speak one sentence: 16-bit little-endian mono samples. Use a fresh process for each call."""
    return speak_once(text, VOICE, WORDS_PER_MINUTE, PITCH)[0]


def _write(job: tuple[Path, str]) -> None:
    path, text = job
    write_wav(path, synthesise(text))


def _make(folder: Path) -> None:
    named = [(f"{i:04d}", text) for i, text in enumerate(sentences())]
    for _ in each_alone(_write, [(folder / f"{name}.wav", text) for name, text in named]):
        pass
    (folder / "metadata.csv").write_text("".join(f"{name}|{text}\n" for name, text in named), encoding="utf-8")


if __name__ == "__main__":
    _make(Path(sys.argv[1]))
