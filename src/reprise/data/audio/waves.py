"""Waveforms end to end in one memory map, with local features beside them where a model is conditioned on such.

The cache folder is named by a digest of the files' contents, of what is done to them and of the features, so it is
never stale. Crops are slices: one loader process is never the bottleneck.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reprise.config.errors import DataError
from reprise.data.audio.corpus import features_signature
from reprise.data.audio.recordings import Recording
from reprise.data.audio.sounds import Archives, Sound, SoundSettings, read_sound
from reprise.data.cache import build_once, file_digests
from reprise.nn.spectrogram import LogMel

log = logging.getLogger(__name__)
_FORMAT = 1
_PORTION = 64  # clips read at a time, so that a large corpus needs little memory


class LocalFeatures(ABC):
    """Features of a recording at a lower rate than its samples.

    Attributes:
        hop: samples between frames.
        channels: C, values of a frame.
        format: number that is raised when values change of which `signature` does not tell.
    """

    hop: int
    channels: int
    format: int = 1

    @abstractmethod
    def signature(self) -> dict[str, Any]:
        """What the features depend on apart from the recording, as plain values: part of the name of the cache."""

    @abstractmethod
    def frames(self, recording: Recording, wave: Tensor) -> Tensor:
        """Features (F, C) of a recording, where wave is (F * hop,), filled with zeros behind its end."""

    def sources(self, recording: Recording) -> list[Path]:
        """Files that the features are made of beside the recording itself."""
        return []


class MelFeatures(LocalFeatures):
    """Log-mel spectra as local features."""

    def __init__(self, features: LogMel) -> None:
        self.features = features
        self.hop = features.hop_length
        self.channels = features.n_mels

    def signature(self) -> dict[str, Any]:
        """The numbers that define the spectra."""
        return {"mel": features_signature(self.features)}

    def frames(self, recording: Recording, wave: Tensor) -> Tensor:
        """Log-mel (F, n_mels) of a waveform (F * hop,)."""
        return self.of_wave(wave)

    def of_wave(self, wave: Tensor) -> Tensor:
        """Log-mel (F, n_mels) of a waveform (T,), F = ceil(T / hop)."""
        with torch.no_grad():
            return self.features(F.pad(wave, (0, -len(wave) % self.hop))).T.contiguous()


class Waves:
    """Recordings as memory-mapped arrays.

    Attributes:
        ids: of the recordings, in order.
        samples: (clips,) length of each.
        offsets: (clips,) samples trimmed before each.
        wave_digests: digest of each waveform, by which doubles are found.
        digest: SHA-256 over ids and file contents.
        hop: samples of a frame; 1 without local features.
    """

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.ids: list[str] = index["ids"]
        self.samples = np.asarray(index["samples"], dtype=np.int64)
        self.offsets = np.asarray(index["offsets"], dtype=np.int64)
        self.wave_digests: list[str] = index["wave_digests"]
        self.digest: str = index["digest"]
        self.hop: int = index["hop"]
        self._starts = np.concatenate([[0], np.cumsum(self.samples)])
        self._waves = np.memmap(folder / "waves.bin", dtype=index["wave_type"], mode="r")
        self._local: np.ndarray | None = None
        if index["channels"]:
            self._local = np.memmap(folder / "local.bin", dtype=np.float32, mode="r").reshape(-1, index["channels"])
            self._first_frames = np.concatenate([[0], np.cumsum(-(-self.samples // self.hop))])

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_local(self) -> bool:
        """Whether there are local features."""
        return self._local is not None

    def audio(self, clip: int, start: int, count: int) -> Tensor:
        """Samples [start, start + count) of a clip, (count,) float32; zeros before its beginning and behind its end."""
        length = int(self.samples[clip])
        low, high = max(start, 0), min(start + count, length)
        out = np.zeros(count, dtype=np.float32)
        if high > low:
            first = int(self._starts[clip])
            wave = self._waves[first + low : first + high]
            out[low - start : high - start] = wave / np.float32(32768.0) if wave.dtype == np.int16 else wave
        return torch.from_numpy(out)

    def exists(self, clip: int, start: int, count: int) -> Tensor:
        """Which of these samples the clip has, (count,) bool."""
        at = torch.arange(start, start + count)
        return (at >= 0) & (at < int(self.samples[clip]))

    def local(self, clip: int, start: int, count: int) -> Tensor:
        """Frames [start, start + count) of a clip, (count, C); zeros before its beginning and behind its end."""
        if self._local is None:
            raise RuntimeError("there are no local features")
        first, end = int(self._first_frames[clip]), int(self._first_frames[clip + 1])
        low, high = max(start, 0), min(start + count, end - first)
        out = np.zeros((count, self._local.shape[1]), dtype=np.float32)
        if high > low:
            out[low - start : high - start] = self._local[first + low : first + high]
        return torch.from_numpy(out)


def load_waves(
    recordings: Sequence[Recording], settings: SoundSettings, cache: Path, local: LocalFeatures | None = None
) -> Waves:
    """Open the cached waveforms of these recordings, building them first where they are missing.

    Args:
        recordings: of which ids are unique.
        settings: what is done to them.
        cache: folder of caches.
        local: features to compute; None for waveforms alone.

    Raises:
        DataError: there are none, two have one id, or one cannot be read.
    """
    if not recordings:
        raise DataError("there are no recordings.")
    _refuse_doubles(recordings)
    place = cache / "waves"
    place.mkdir(parents=True, exist_ok=True)
    digest = _contents(recordings, place)
    features = local.signature() if local else None
    made_of = [local.format, _sources(recordings, local, place)] if local else None
    key = json.dumps([_FORMAT, digest, settings.signature(), features, made_of], sort_keys=True)
    folder = place / hashlib.sha256(key.encode()).hexdigest()[:16]
    return Waves(build_once(folder, lambda made: _build(recordings, settings, local, digest, made)))


def _refuse_doubles(recordings: Sequence[Recording]) -> None:
    seen: dict[str, Recording] = {}
    for recording in recordings:
        if other := seen.get(recording.id):
            raise DataError(
                f"{other.place} and {recording.place} are both called {recording.id!r}. Rename or remove one of them."
            )
        seen[recording.id] = recording


def _contents(recordings: Sequence[Recording], place: Path) -> str:
    """SHA-256 over ids and contents of the files."""
    paths = sorted({r.path for r in recordings})
    for recording in recordings:
        if not recording.path.is_file():
            raise DataError(
                f"{recording.path} is missing: the list of recordings names {recording.id!r}. Restore the file, or "
                f"leave it out with data.skip=[{recording.id}]."
            )
    of_file = dict(zip(paths, file_digests(paths, place / "file_digests.json"), strict=True))
    contents = hashlib.sha256()
    for r in recordings:
        contents.update(f"{r.id}\0{of_file[r.path]}\0{r.member}\n".encode())
    return contents.hexdigest()


def _sources(recordings: Sequence[Recording], local: LocalFeatures, place: Path) -> str:
    """SHA-256 over the contents of the files beside the recordings that features are made of."""
    paths = [path for recording in recordings for path in local.sources(recording)]
    return hashlib.sha256("\n".join(file_digests(paths, place / "file_digests.json")).encode()).hexdigest()


def _read_all(recordings: Sequence[Recording], settings: SoundSettings) -> Iterator[tuple[Recording, Sound]]:
    archives = Archives()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for i in range(0, len(recordings), _PORTION):
            portion = recordings[i : i + _PORTION]
            sources = [archives.source(r) for r in portion]
            yield from zip(portion, pool.map(partial(_read, settings), sources, portion), strict=True)


def _read(settings: SoundSettings, source: Path | bytes, recording: Recording) -> Sound:
    try:
        return read_sound(source, recording.place, settings)
    except DataError as error:
        raise DataError(f"{error} Or leave the recording out: data.skip=[{recording.id}].") from None


def _build(
    recordings: Sequence[Recording], settings: SoundSettings, local: LocalFeatures | None, digest: str, folder: Path
) -> None:
    log.info("reading %d recordings, once", len(recordings))
    samples, offsets, digests, exact16 = [], [], [], True
    with (folder / "float.bin").open("wb") as waves, (folder / "local.bin").open("wb") as frames:
        for recording, sound in _read_all(recordings, settings):
            waves.write(sound.wave.tobytes())
            samples.append(len(sound.wave))
            offsets.append(sound.offset)
            digests.append(hashlib.sha256(sound.wave.tobytes()).hexdigest()[:32])
            exact16 &= sound.exact16
            if local:
                frames.write(_frames(local, recording, sound.wave).numpy().tobytes())
    _store(folder, exact16)
    index = {
        "ids": [r.id for r in recordings],
        "samples": samples,
        "offsets": offsets,
        "wave_digests": digests,
        "digest": digest,
        "hop": local.hop if local else 1,
        "channels": local.channels if local else 0,
        "wave_type": "int16" if exact16 else "float32",
    }
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _frames(local: LocalFeatures, recording: Recording, wave: np.ndarray) -> Tensor:
    count = -(-len(wave) // local.hop)
    found = local.frames(recording, F.pad(torch.from_numpy(wave), (0, count * local.hop - len(wave))))
    if found.shape != (count, local.channels):
        raise DataError(
            f"{recording.place} has {count} frames of {local.hop} samples, its local features have shape "
            f"{tuple(found.shape)}. Expected ({count}, {local.channels})."
        )
    return found.float().contiguous()


def _store(folder: Path, exact16: bool) -> None:
    """Keep 16-bit recordings, which come back exactly, in half the room."""
    scratch = folder / "float.bin"
    if not exact16:
        scratch.rename(folder / "waves.bin")
        return
    with scratch.open("rb") as source, (folder / "waves.bin").open("wb") as kept:
        while block := source.read(1 << 22):
            kept.write(np.round(np.frombuffer(block, dtype=np.float32) * 32768.0).astype(np.int16).tobytes())
    scratch.unlink()
