"""Read sound and mel files, with errors that name the file and the fix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reprise.config.errors import DataError, UserError
from reprise.nn.spectrogram import LogMel

SOUND = (".wav", ".flac")
MEL = (".npy", ".npz")


def read_audio(path: Path, sample_rate: int, resample: bool = False) -> np.ndarray:
    """Read a mono waveform as float32 in [-1, 1].

    Args:
        path: a wav or flac file.
        sample_rate: the rate expected, Hz.
        resample: convert other rates (band-limited, soxr VHQ) instead of refusing them.

    Raises:
        DataError: unreadable, of several channels, of another rate, empty, or with non-finite samples.
    """
    try:
        import soundfile
    except ImportError:
        raise UserError("Reading sound needs soundfile: pip install 'reprise[audio]'") from None
    try:
        audio, rate = soundfile.read(path, dtype="float32")
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(f"{path} cannot be read as sound: {error}. Expected wav or flac; is it truncated?") from None
    if audio.ndim != 1:
        raise DataError(f"{path} has {audio.shape[1]} channels. Expected one: mix it down first.")
    if len(audio) == 0:
        raise DataError(f"{path} holds no samples.")
    if not np.isfinite(audio).all():
        raise DataError(f"{path} holds NaN or infinite samples (first at {int(np.argmin(np.isfinite(audio)))}).")
    if rate != sample_rate:
        if not resample:
            raise DataError(
                f"{path} has {rate} Hz. Expected {sample_rate} Hz: convert it, or allow conversion with "
                "data.resample=true."
            )
        import soxr

        audio = soxr.resample(audio, rate, sample_rate, quality="VHQ")
    return np.asarray(audio, dtype=np.float32)


def scale_to_peak(audio: np.ndarray, peak: float | None) -> np.ndarray:
    """Scale a waveform so that its largest magnitude is `peak`; None, and silence, leave it as it is."""
    largest = float(np.abs(audio).max(initial=0.0))
    if peak is None or largest == 0.0:
        return audio
    return np.asarray(audio * (peak / largest), dtype=np.float32)


def is_pcm16(path: Path, sample_rate: int) -> bool:
    """Whether a file holds 16-bit samples at this rate, so that nothing is lost in 16 bits."""
    import soundfile

    try:
        info = soundfile.info(path)
    except soundfile.SoundFileError:
        return False  # read_audio says what is wrong
    return bool(info.subtype == "PCM_16" and info.samplerate == sample_rate)


def read_mel(path: Path, features: LogMel, resample: bool = False, peak: float | None = None) -> Tensor:
    """Read the conditioning of one file: a sound (its features are computed) or a ready mel.

    Args:
        path: wav or flac, or npy/npz holding one (n_mels, frames) array made with `features`.
        features: the features the model was trained with.
        resample: convert sounds of another rate.
        peak: level that sounds are scaled to, as in training.

    Returns:
        (n_mels, frames).

    Raises:
        DataError: of another kind or shape, too short, silent, or not finite.
    """
    if path.suffix.lower() in SOUND:
        audio = torch.from_numpy(scale_to_peak(read_audio(path, features.sample_rate, resample), peak))
        whole = features.frames(len(audio)) * features.hop_length  # as in a corpus: no part of a frame
        if whole == 0:
            raise DataError(f"{path} has {len(audio)} samples, less than one frame of {features.hop_length}.")
        if not audio.any():
            raise DataError(f"{path} is silent: every sample is zero.")
        return features(audio[:whole])
    if path.suffix.lower() not in MEL:
        raise DataError(f"{path} has an unknown type. Expected one of {', '.join(SOUND + MEL)}.")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile) and len(loaded.files) > 1:
            raise DataError(f"{path} holds {len(loaded.files)} arrays, {', '.join(loaded.files)}. Expected one.")
        array = loaded[loaded.files[0]] if isinstance(loaded, np.lib.npyio.NpzFile) else loaded
    except (ValueError, OSError, EOFError, IndexError) as error:
        raise DataError(f"{path} cannot be read as a NumPy array: {error}.") from None
    if not np.issubdtype(array.dtype, np.number):
        raise DataError(f"{path} holds {array.dtype}. Expected numbers.")
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2 or array.shape[0] != features.n_mels:
        hint = " It looks transposed." if array.ndim == 2 and array.shape[1] == features.n_mels else ""
        raise DataError(f"{path} has shape {array.shape}. Expected ({features.n_mels} mel bins, frames).{hint}")
    if array.shape[1] < 1 or not np.isfinite(array).all():
        raise DataError(f"{path}: expected at least one frame and finite values.")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def input_files(path: Path) -> list[Path]:
    """List the sound and mel files that a path stands for: itself, or those in a folder, sorted by name.

    Raises:
        DataError: nothing there.
    """
    if path.is_file():
        return [path]
    if path.is_dir():
        if found := sorted(p for p in path.iterdir() if p.suffix.lower() in SOUND + MEL):
            return found
        raise DataError(f"{path} holds no file of type {', '.join(SOUND + MEL)}.")
    raise DataError(f"{path} does not exist. Expected a sound or mel file, or a folder of them.")
