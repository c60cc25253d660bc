"""Mel spectrograms as a torch module: conditioning of vocoders, and the basis of spectral metrics."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def hz_to_mel(hz: float) -> float:
    """HTK mel scale (O'Shaughnessy 1987): 2595 log10(1 + f / 700)."""
    return 2595.0 * math.log10(1.0 + hz / 700.0)


def mel_filterbank(sample_rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float) -> Tensor:
    """Triangular filters, equally spaced on the HTK mel scale, peak 1 (not normalised by area).

    Returns:
        (n_mels, n_fft // 2 + 1) weights, float64.
    """
    mels = torch.linspace(hz_to_mel(f_min), hz_to_mel(f_max), n_mels + 2, dtype=torch.float64)
    edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins = torch.linspace(0.0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    widths = edges.diff()
    slopes = edges[:, None] - bins[None, :]
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    return torch.minimum(rising, falling).clamp_min(0.0)


class LogMel(nn.Module):
    """Log-mel spectrogram with one frame per hop: T samples give T // hop_length frames.

    Frame t is centred on sample (t + 1/2) * hop_length; the signal is padded with zeros at both ends, so frames and
    samples stay aligned without a frame too many. Values are (ln(max(mel, floor)) - shift) / scale of the mel
    *magnitude* spectrogram.

    Args:
        sample_rate: in Hz.
        n_mels: number of mel bins.
        n_fft: FFT length in samples.
        win_length: length of the Hann window in samples.
        hop_length: samples between frames.
        f_min: lower edge of the lowest filter, Hz.
        f_max: upper edge of the highest filter, Hz; at most half the sample rate.
        floor: magnitudes below are raised to it before the logarithm.
        shift: subtracted from the natural logarithm.
        scale: divides the shifted logarithm.

    Raises:
        ValueError: the window does not fit the FFT, or f_max lies above half the sample rate.
    """

    def __init__(
        self,
        sample_rate: int,
        n_mels: int = 128,
        n_fft: int = 2048,
        win_length: int = 1200,
        hop_length: int = 300,
        f_min: float = 20.0,
        f_max: float = 12000.0,
        floor: float = 1e-5,
        shift: float = 0.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        if win_length > n_fft:
            raise ValueError(f"win_length is {win_length}; expected at most n_fft = {n_fft}")
        if not 0 <= f_min < f_max <= sample_rate / 2:
            raise ValueError(f"f_min {f_min} and f_max {f_max}: expected 0 <= f_min < f_max <= {sample_rate / 2:g} Hz")
        self.sample_rate = sample_rate
        self.n_mels = n_mels
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.floor = floor
        self.shift = shift
        self.scale = scale
        bank = mel_filterbank(sample_rate, n_fft, n_mels, f_min, f_max)
        self.register_buffer("filters", bank.float(), persistent=False)
        self.register_buffer("window", torch.hann_window(win_length), persistent=False)
        self.filters: Tensor
        self.window: Tensor

    def frames(self, samples: int) -> int:
        """Number of frames of a signal of `samples` samples."""
        return samples // self.hop_length

    def magnitude(self, audio: Tensor) -> Tensor:
        """Compute the mel magnitude spectrogram.

        Args:
            audio: (..., T) in [-1, 1].

        Returns:
            (..., n_mels, T // hop_length).
        """
        count = self.frames(audio.shape[-1])
        left = (self.n_fft - self.hop_length) // 2
        padded = F.pad(audio, (left, self.n_fft - left))
        spectrum = torch.stft(
            padded.reshape(-1, padded.shape[-1]),
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.window,
            center=False,
            return_complex=True,
        ).abs()[..., :count]
        return (self.filters @ spectrum).reshape(*audio.shape[:-1], self.n_mels, count)

    def forward(self, audio: Tensor) -> Tensor:
        """Compute the normalised log-mel spectrogram, (..., T) to (..., n_mels, T // hop_length)."""
        return (self.magnitude(audio).clamp_min(self.floor).log() - self.shift) / self.scale
