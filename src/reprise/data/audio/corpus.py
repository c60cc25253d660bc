"""A corpus of clips, read once into memory-mapped arrays: waveforms end to end, and their log-mel features.

Crops are then slices of two arrays, which costs microseconds: one loader process is never the bottleneck. The cache
folder is named by a digest of the files' contents, the features and the format, so it is never stale.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from reprise.config.errors import DataError
from reprise.data.audio.files import is_pcm16, read_audio, scale_to_peak
from reprise.data.cache import build_once, file_digests
from reprise.nn.spectrogram import LogMel

log = logging.getLogger(__name__)
_FORMAT = 1


@dataclass(frozen=True)
class Clip:
    """One recording: its id, its file, and what is said (empty where unknown)."""

    id: str
    path: Path
    text: str = ""


def features_signature(features: LogMel) -> dict[str, float | int | str]:
    """The numbers that define the features."""
    return {
        "sample_rate": features.sample_rate,
        "n_mels": features.n_mels,
        "n_fft": features.n_fft,
        "win_length": features.win_length,
        "hop_length": features.hop_length,
        "floor": features.floor,
        "shift": features.shift,
        "scale": features.scale,
        "filters": hashlib.sha256(features.filters.numpy().tobytes()).hexdigest(),
    }


class Corpus:
    """Clips as two memory-mapped arrays.

    Attributes:
        ids: clip ids in corpus order.
        frames: (clips,) number of frames of each.
        digest: SHA-256 over ids and file contents.
    """

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.ids: list[str] = index["ids"]
        self.frames = np.asarray(index["frames"], dtype=np.int64)
        self.digest: str = index["digest"]
        self.hop: int = index["hop_length"]
        self._starts = np.concatenate([[0], np.cumsum(self.frames)])
        self._waves = np.memmap(folder / "waves.bin", dtype=index["wave_type"], mode="r")
        self._mels = np.memmap(folder / "mels.bin", dtype=np.float32, mode="r").reshape(-1, index["n_mels"])

    def __len__(self) -> int:
        return len(self.ids)

    def crop(self, clip: int, start: int, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Read `frames` frames of a clip from frame `start`; a shorter clip is padded with silence.

        Returns:
            waveform (frames * hop,) in [-1, 1] and log-mel (n_mels, frames).
        """
        first = int(self._starts[clip]) + start
        count = min(frames, int(self.frames[clip]) - start)
        audio = np.zeros(frames * self.hop, dtype=np.float32)
        wave = self._waves[first * self.hop : (first + count) * self.hop]
        audio[: count * self.hop] = wave / np.float32(32768.0) if wave.dtype == np.int16 else wave
        mel = np.array(self._mels[first : first + count].T)
        if count < frames:
            mel = np.concatenate([mel, np.repeat(mel[:, -1:], frames - count, axis=1)], axis=1)
        return torch.from_numpy(audio), torch.from_numpy(mel)


def _digests(clips: Sequence[Clip], cache: Path) -> list[str]:
    """SHA-256 of each clip's file."""
    for clip in clips:
        if not clip.path.is_file():
            raise DataError(
                f"{clip.path} is missing: the list of clips names {clip.id!r}. Restore the file or its row."
            )
    return file_digests([clip.path for clip in clips], cache / "file_digests.json")


def load_corpus(
    clips: Sequence[Clip], features: LogMel, cache: Path, resample: bool, peak: float | None = None
) -> Corpus:
    """Open the cached corpus of these clips, building it first where it is missing.

    Args:
        clips: the recordings.
        features: to compute.
        cache: folder of caches.
        resample: convert recordings of another rate.
        peak: largest magnitude each clip is scaled to; None leaves levels as recorded.

    Raises:
        DataError: no clips, or one of them cannot be read.
    """
    if not clips:
        raise DataError("the corpus has no clips.")
    cache = cache / "corpora"
    cache.mkdir(parents=True, exist_ok=True)
    contents = hashlib.sha256()
    for clip, sha in zip(clips, _digests(clips, cache), strict=True):
        contents.update(f"{clip.id}\0{sha}\n".encode())
    digest = contents.hexdigest()
    key = json.dumps([_FORMAT, digest, resample, peak, features_signature(features)], sort_keys=True)
    folder = cache / hashlib.sha256(key.encode()).hexdigest()[:16]
    return Corpus(build_once(folder, lambda made: _build(clips, features, made, resample, peak, digest)))


def _build(
    clips: Sequence[Clip], features: LogMel, folder: Path, resample: bool, peak: float | None, digest: str
) -> None:
    log.info("reading %d clips and computing their log-mel features, once", len(clips))
    hop = features.hop_length
    # 16-bit sources come back exactly from 16 bits; anything finer keeps float32
    exact = peak is None and all(is_pcm16(clip.path, features.sample_rate) for clip in clips)
    frames: list[int] = []

    def read(clip: Clip) -> np.ndarray:
        audio = scale_to_peak(read_audio(clip.path, features.sample_rate, resample), peak)
        return audio[: len(audio) // hop * hop] if len(audio) >= hop else np.pad(audio, (0, hop - len(audio)))

    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        (folder / "waves.bin").open("wb") as waves,
        (folder / "mels.bin").open("wb") as mels,
        torch.no_grad(),
    ):
        for i in range(0, len(clips), 64):  # in portions, so that a large corpus needs little memory
            for wave in pool.map(read, clips[i : i + 64]):
                waves.write((np.round(wave * 32768.0).astype(np.int16) if exact else wave).tobytes())
                mels.write(features(torch.from_numpy(wave)).T.contiguous().numpy().tobytes())
                frames.append(len(wave) // hop)
    index = {
        "ids": [c.id for c in clips],
        "frames": frames,
        "digest": digest,
        "hop_length": hop,
        "n_mels": features.n_mels,
        "wave_type": "int16" if exact else "float32",
    }
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
