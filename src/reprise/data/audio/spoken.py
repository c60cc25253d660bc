"""Spoken sentences with their linguistic features, made once and kept as two memory-mapped arrays."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reprise.config.errors import DataError
from reprise.data.audio.linguistics import EN_US, LinguisticFeatures
from reprise.data.audio.phonemes import speak
from reprise.data.audio.synthesis import PITCH, VOICE, WORDS_PER_MINUTE
from reprise.data.cache import build_once, remember

log = logging.getLogger(__name__)
_FORMAT = 1
_PORTION = 64  # sentences spoken at a time, so that a long text needs little memory


def read_sentences(path: Path) -> list[str]:
    """Read a text file, one sentence a line; empty lines are passed over.

    Raises:
        DataError: it is not there, no text, or empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text in UTF-8. Expected a sentence a line.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Expected a text file, a sentence a line.") from None
    if not (found := [line.strip() for line in lines if line.strip()]):
        raise DataError(f"{path} has no sentence. Expected one a line.")
    return found


def _recipe(texts: Sequence[str], voice: str) -> list[str | int]:
    """All that the sound depends on. Another version of the library may speak otherwise."""
    try:
        version = metadata.version("espeakng-loader")
    except metadata.PackageNotFoundError:
        version = "none"
    words = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    return [_FORMAT, version, voice, WORDS_PER_MINUTE, PITCH, words]


def phones_of_voice(texts: Sequence[str], voice: str, cache: Path) -> tuple[str, ...]:
    """The phones that are told apart: the fixed inventory of en-us, of any other voice what it says of the texts."""
    if voice.partition("+")[0] == VOICE:  # a variant such as en-us+f3 has the same phones
        return EN_US

    def find() -> str:
        parts = (texts[i : i + _PORTION] for i in range(0, len(texts), _PORTION))
        return " ".join(sorted({p.symbol for part in parts for u in speak(part, voice) for p in u.phones} | {"_"}))

    key = hashlib.sha256(json.dumps(_recipe(texts, voice)).encode()).hexdigest()[:16]
    return tuple(remember(cache / "spoken" / f"phones-{key}.json", find).split())


class Spoken:
    """Spoken sentences and their features.

    Attributes:
        texts: the sentences.
        samples: (clips,) length of each.
        digest: SHA-256 over sentences and samples.
        hop: samples of a frame.
    """

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.texts: list[str] = index["texts"]
        self.samples = np.asarray(index["samples"], dtype=np.int64)
        self.digest: str = index["digest"]
        self.hop: int = index["hop"]
        self._first_samples = np.concatenate([[0], np.cumsum(self.samples)])
        self._first_frames = np.concatenate([[0], np.cumsum(-(-self.samples // self.hop))])
        self._waves = np.memmap(folder / "waves.bin", dtype=np.float32, mode="r")
        self._local = np.memmap(folder / "local.bin", dtype=np.float32, mode="r").reshape(-1, index["channels"])

    def __len__(self) -> int:
        return len(self.texts)

    def frames(self, clip: int) -> int:
        """Frames of a clip, the last of which may lack samples."""
        return -(-int(self.samples[clip]) // self.hop)

    def audio(self, clip: int, start: int, count: int) -> tuple[Tensor, Tensor]:
        """Samples [start, start + count) of a clip, 0 where it has none, and which of them it has: (count,) each."""
        first, length = int(self._first_samples[clip]), int(self.samples[clip])
        audio, exists = torch.zeros(count), torch.zeros(count, dtype=torch.bool)
        low, high = max(start, 0), min(start + count, length)
        if high > low:
            audio[low - start : high - start] = torch.from_numpy(self._waves[first + low : first + high].copy())
            exists[low - start : high - start] = True
        return audio, exists

    def local(self, clip: int, start: int, count: int) -> Tensor:
        """Frames [start, start + count) of a clip, (count, channels), 0 where it has none."""
        first, length = int(self._first_frames[clip]), self.frames(clip)
        local = torch.zeros(count, self._local.shape[1])
        low, high = max(start, 0), min(start + count, length)
        if high > low:
            local[low - start : high - start] = torch.from_numpy(self._local[first + low : first + high].copy())
        return local


def load_spoken(texts: Sequence[str], voice: str, features: LinguisticFeatures, cache: Path) -> Spoken:
    """Open the cached speech of these sentences, making it first where it is missing.

    Raises:
        UserError: espeak-ng or a package is missing.
        DataError: a sentence of which nothing can be said.
    """
    key = json.dumps([*_recipe(texts, voice), features.sample_rate, features.feature_names()])
    folder = cache / "spoken" / hashlib.sha256(key.encode()).hexdigest()[:16]
    return Spoken(build_once(folder, lambda made: _build(texts, voice, features, made)))


def _build(texts: Sequence[str], voice: str, features: LinguisticFeatures, folder: Path) -> None:
    log.info("speaking %d sentences and computing their linguistic features, once", len(texts))
    samples: list[int] = []
    digest, unknown = hashlib.sha256(), set()
    with (folder / "waves.bin").open("wb") as waves, (folder / "local.bin").open("wb") as local:
        for i in range(0, len(texts), _PORTION):
            for utterance in speak(texts[i : i + _PORTION], voice):
                audio, frames = features.of_utterance(utterance)
                digest.update(utterance.text.encode() + b"\0" + utterance.samples.astype("<i2").tobytes())
                waves.write(audio.tobytes())
                local.write(frames.tobytes())
                samples.append(len(audio))
                unknown |= {p.symbol for p in utterance.phones} - set(features.phones)
    if unknown:
        log.warning("phones that are not told apart from one another: %s", ", ".join(sorted(unknown)))
    index = {
        "texts": list(texts),
        "samples": samples,
        "digest": digest.hexdigest(),
        "hop": features.hop,
        "channels": features.channels,
    }
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
