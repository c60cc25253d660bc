"""Read one recording as a waveform: of a file or of a member of an archive, at a rate, trimmed and levelled."""

from __future__ import annotations

import io
import math
import re
import tarfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reprise.config.errors import ConfigError, DataError, UserError
from reprise.data.audio.files import scale_to_peak
from reprise.data.audio.recordings import Recording


@dataclass(frozen=True)
class SoundSettings:
    """How recordings become waveforms; the steps come in this order.

    Attributes:
        mono: replace several channels by their mean instead of refusing them.
        sample_rate: of the waveform, Hz.
        resample: convert other rates (band-limited, soxr VHQ) instead of refusing them.
        trim_silence: dB relative to the largest magnitude, below 0: samples before the first and after the last one
            that is at least as large are removed; None keeps them.
        peak: largest magnitude that the waveform is scaled to; None leaves levels as recorded.

    Raises:
        ConfigError: a number is out of range.
    """

    mono: bool
    sample_rate: int
    resample: bool
    trim_silence: float | None
    peak: float | None

    def __post_init__(self) -> None:
        if self.sample_rate < 1:
            raise ConfigError(f"data.sample_rate is {self.sample_rate}. Expected 1 Hz or more.")
        if self.trim_silence is not None and not self.trim_silence < 0.0:
            raise ConfigError(
                f"data.trim_silence is {self.trim_silence}. Expected dB below the peak, e.g. -40, or null."
            )
        if self.peak is not None and not 0.0 < self.peak <= 1.0:
            raise ConfigError(f"data.peak is {self.peak}. Expected more than 0 and at most 1, or null.")

    def signature(self) -> dict[str, Any]:
        """The settings as plain values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Sound:
    """A waveform as it is kept.

    Attributes:
        wave: (T,) float32 in [-1, 1].
        offset: samples that were trimmed before its beginning.
        exact16: nothing would be lost in 16 bits.
    """

    wave: np.ndarray
    offset: int
    exact16: bool


def read_sound(source: Path | bytes, place: str, settings: SoundSettings) -> Sound:
    """Read a sound.

    Args:
        source: the file, or its bytes.
        place: what messages call it.
        settings: what is done to it.

    Raises:
        DataError: unreadable, empty, not finite, of several channels or of another rate than allowed.
        UserError: soundfile is not installed.
    """
    audio, rate, pcm16 = _decode(source, place)
    if audio.shape[1] > 1:
        if not settings.mono:
            raise DataError(
                f"{place} has {audio.shape[1]} channels. Expected one: mix it down first, or let their mean be taken "
                "with data.mono=true."
            )
        audio, pcm16 = audio.mean(axis=1, keepdims=True), False
    wave = np.ascontiguousarray(audio[:, 0], dtype=np.float32)
    if not np.isfinite(wave).all():
        raise DataError(f"{place} holds NaN or infinite samples (first at {int(np.argmin(np.isfinite(wave)))}).")
    if (largest := float(np.abs(wave).max())) > 2.0 and settings.peak is None:
        raise DataError(f"{place} holds samples up to {largest:g}. Expected -1 to 1: scale it, or set data.peak=0.95.")
    if rate != settings.sample_rate:
        wave, pcm16 = _resample(wave, rate, place, settings), False
    if settings.peak is None:
        wave = wave.clip(-1.0, 1.0)  # lossy formats and resampling overshoot by little
    wave, offset = trim(wave, settings.trim_silence)
    return Sound(scale_to_peak(wave, settings.peak), offset, pcm16 and settings.peak is None)


def _decode(source: Path | bytes, place: str) -> tuple[np.ndarray, int, bool]:
    """(T, channels) float32, sample rate, and whether samples have 16 bits."""
    try:
        import soundfile
    except ImportError:
        raise UserError("Reading sound needs soundfile: pip install 'reprise[audio]'") from None
    try:
        with soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            audio = file.read(dtype="float32", always_2d=True)
            rate, pcm16, promised = int(file.samplerate), file.subtype == "PCM_16", int(file.frames)
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(f"{place} cannot be read as sound: {error}.{_why(source)}") from None
    if len(audio) == 0:
        raise DataError(f"{place} holds no samples. Restore it.")
    if missing := max(missing_bytes(source), 2 * (promised - len(audio)) if pcm16 else 0):
        raise DataError(f"{place} is truncated: {missing} bytes or more are missing. Fetch it again.")
    return audio, rate, pcm16


def missing_bytes(source: Path | bytes) -> int:
    """Bytes that a RIFF or NIST file says it has and has not, since its reader takes what is there."""
    if isinstance(source, bytes):
        head, size = source[:1024], len(source)
    else:
        with source.open("rb") as file:
            head, size = file.read(1024), source.stat().st_size
    promised = 0
    if head.startswith(b"RIFF"):
        promised = 8 + int.from_bytes(head[4:8], "little")
        promised = 0 if promised > 0xFFFFFFFF else promised  # written by a program that did not know the length
    elif head.startswith(b"NIST_1A"):
        fields = dict(re.findall(rb"(sample_count|sample_n_bytes|channel_count) -i (\d+)", head))
        if len(fields) == 3:
            promised = int(head[8:16]) + math.prod(map(int, fields.values()))
    return max(0, promised - size)


def _why(source: Path | bytes) -> str:
    """A likely reason why a file cannot be read, and what to do."""
    try:
        head = source[:1024] if isinstance(source, bytes) else source.open("rb").read(1024)
    except OSError:
        return ""
    if not head:
        return " The file is empty. Restore it."
    if head.startswith(b"NIST_1A") and b"shorten" in head:
        return " It is compressed with shorten: decompress it first, e.g. with sph2pipe -f wav."
    return " Is it truncated? Fetch it again."


def _resample(wave: np.ndarray, rate: int, place: str, settings: SoundSettings) -> np.ndarray:
    if not settings.resample:
        raise DataError(
            f"{place} has {rate} Hz. Expected {settings.sample_rate} Hz: convert it, allow conversion with "
            f"data.resample=true, or set data.sample_rate={rate}."
        )
    try:
        import soxr
    except ImportError:
        raise UserError("Converting sample rates needs soxr: pip install 'reprise[audio]'") from None
    converted = np.asarray(soxr.resample(wave, rate, settings.sample_rate, quality="VHQ"), dtype=np.float32)
    if len(converted) == 0:
        raise DataError(f"{place} is shorter than a sample at {settings.sample_rate} Hz.")
    return converted


def trim(wave: np.ndarray, threshold: float | None) -> tuple[np.ndarray, int]:
    """Remove samples at both ends that are quieter than `threshold` dB relative to the peak.

    Args:
        wave: (T,).
        threshold: below 0; None, and a wave of zeros, remove nothing.

    Returns:
        what is left, and how many samples were removed before it.
    """
    magnitude = np.abs(wave)
    largest = float(magnitude.max(initial=0.0))
    if threshold is None or largest == 0.0:
        return wave, 0
    loud = np.flatnonzero(magnitude >= largest * 10.0 ** (threshold / 20.0))
    return wave[loud[0] : loud[-1] + 1], int(loud[0])


class Archives:
    """Members of tar archives, each archive read once from its beginning to its end and unpacked nowhere."""

    def __init__(self) -> None:
        self._members: dict[Path, dict[str, bytes]] = {}

    def source(self, recording: Recording) -> Path | bytes:
        """The file of a recording, or its bytes where it lies in an archive.

        Raises:
            DataError: the archive is corrupt, or has no such member.
        """
        if not recording.member:
            return recording.path
        if recording.path not in self._members:
            self._members[recording.path] = read_members(recording.path)
        try:
            return self._members[recording.path][recording.member]
        except KeyError:
            raise DataError(f"{recording.place} is missing. Fetch the archive again.") from None


def read_members(archive: Path) -> dict[str, bytes]:
    """Files of a tar archive, compressed or not, by name.

    Raises:
        DataError: it is truncated or corrupt, or has two members of one name.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is None:
                    continue
                if member.name in found:
                    raise DataError(f"{archive} has two members {member.name}. Fetch it again.")
                found[member.name] = file.read()
            while tar.fileobj and tar.fileobj.read(1 << 20):
                pass  # to the end of the stream: its checksum is compared there, and tarfile stops before it
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{archive} cannot be read as an archive: {error}. Fetch it again.") from None
    return found
