"""Sentences that espeak-ng speaks, as recordings whose phones and their times are known."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from importlib import metadata
from pathlib import Path

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.espeak import SAMPLE_RATE, write_wav
from reprise.data.audio.linguistics import EN_US
from reprise.data.audio.phonemes import Phone, Utterance, speak
from reprise.data.audio.recordings import Recording, Recordings
from reprise.data.audio.synthesis import PITCH, VOICE, WORDS_PER_MINUTE, sentences
from reprise.data.cache import build_once

log = logging.getLogger(__name__)
_FORMAT = 2
_PORTION = 64  # sentences spoken at a time, so that a long text needs little memory


def read_sentences(path: Path) -> list[str]:
    """Read a text file, one sentence a line; empty lines are passed over.

    Raises:
        DataError: it is not there, no text, or empty.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text in UTF-8. Expected a sentence a line.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Expected a text file, a sentence a line.") from None
    if not (found := [line.strip() for line in lines if line.strip()]):
        raise DataError(f"{path} has no sentence. Expected one a line.")
    return found


def wav_bytes(utterance: Utterance) -> bytes:
    """The sound of an utterance as a wav file."""
    buffer = io.BytesIO()
    write_wav(buffer, utterance.samples.astype("<i2").tobytes())
    return buffer.getvalue()


def phones_file(recording: Recording) -> Path:
    """Where the phones of a recording of `SpokenSentences` are."""
    return recording.path.with_suffix(".json")


def phones_of_recording(recording: Recording) -> tuple[Phone, ...]:
    """The phones of a recording of `SpokenSentences`; their times count its samples.

    Raises:
        DataError: their file is missing or damaged.
    """
    file = phones_file(recording)
    try:
        if phones := tuple(Phone(*row) for row in json.loads(file.read_text(encoding="utf-8"))):
            return phones
    except (OSError, ValueError, TypeError):
        pass
    raise DataError(f"{file} does not hold the phones of {recording.id}. Delete {file.parent}: it will be made again.")


class SpokenSentences(Recordings):
    """Sentences spoken on this machine at first use: 0000.wav, ... at 22,050 Hz, with segments that are phones.

    Args:
        texts: path of a file with a sentence a line; None for the sentences of this project (5.6 minutes).
        voice: one of espeak-ng's. Other languages need texts of their own.
        phone_classes: whether the phones are classes of frames, for recognition.
    """

    def __init__(self, texts: str | None = None, voice: str = VOICE, phone_classes: bool = False) -> None:
        self.texts = None if texts is None else Path(texts).expanduser()
        self.voice = voice
        self.phone_classes = phone_classes

    def find(self, root: Path | None, cache: Path) -> list[Recording]:
        """Speak the sentences where the cache has them not, and list them."""
        if root is not None:
            raise ConfigError(
                f"data.root={root} is not read by synthetic speech, which is made on this machine. "
                "Use data.text=PATH for sentences of your own."
            )
        folder = self.make(cache)
        if self.phone_classes:
            self.frame_names = self.phones(cache)
        listed = [Recording(path.stem, path) for path in sorted(folder.glob("*.wav"))]
        return [Recording(r.id, r.path, segments=_segments(phones_of_recording(r))) for r in listed]

    @property
    def fixed_phones(self) -> tuple[str, ...] | None:
        """The inventory of en-us; None for other voices, whose phones are known when they have spoken."""
        return EN_US if self.voice.partition("+")[0] == VOICE else None  # a variant such as en-us+f3 has the same

    def phones(self, cache: Path) -> tuple[str, ...]:
        """The phones that are told apart: the fixed inventory of en-us, of other voices all they say of the texts."""
        if (fixed := self.fixed_phones) is not None:
            return fixed
        return tuple(json.loads((self.make(cache) / "phones.txt").read_text(encoding="utf-8")))

    def make(self, cache: Path) -> Path:
        """Return the folder of the speech, made where it is missing."""
        texts = sentences() if self.texts is None else read_sentences(self.texts)
        try:
            version = metadata.version("espeakng-loader")  # another one may speak otherwise
        except metadata.PackageNotFoundError:
            version = "none"
        recipe = json.dumps([_FORMAT, version, self.voice, WORDS_PER_MINUTE, PITCH, texts])
        folder = cache / f"spoken-sentences-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
        return build_once(folder, lambda made: self._build(texts, made))

    def _build(self, texts: Sequence[str], folder: Path) -> None:
        log.info("speaking %d sentences, once", len(texts))
        said = {"_"}
        rows = []
        for i, utterance in enumerate(self._speak_all(texts)):
            name = f"{i:04d}"
            (folder / f"{name}.wav").write_bytes(wav_bytes(utterance))
            (folder / f"{name}.json").write_text(json.dumps([astuple(p) for p in utterance.phones]), encoding="utf-8")
            said |= {phone.symbol for phone in utterance.phones}
            rows.append(f"{name}|{utterance.text}\n")
        (folder / "metadata.csv").write_text("".join(rows), encoding="utf-8")
        (folder / "phones.txt").write_text(json.dumps(sorted(said)), encoding="utf-8")

    def _speak_all(self, texts: Sequence[str]) -> Iterator[Utterance]:
        for i in range(0, len(texts), _PORTION):
            yield from speak(texts[i : i + _PORTION], self.voice)


def _segments(phones: Sequence[Phone]) -> tuple[tuple[float, float, str], ...]:
    """Phones as segments in seconds; those without a duration are none."""
    return tuple((p.start / SAMPLE_RATE, p.end / SAMPLE_RATE, p.symbol) for p in phones if p.end > p.start)
