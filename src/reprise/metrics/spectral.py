"""Spectral distances between a generated waveform and the true one, frame by frame, without alignment."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from reprise.metrics.base import WeightedMean, same_shape
from reprise.nn.spectrogram import LogMel


class LogMelL2(WeightedMean):
    """LS-MSE: log-mel-spectrogram mean squared error (WaveGrad, section 4.3).

    Natural logarithm of (mel magnitude + 1e-5), 50 ms Hann window, 6.25 ms shift, 128 mel bins from 20 Hz to
    min(12 kHz, half the rate); squared differences summed over bins, averaged over frames. The paper gives window and
    shift but not its averaging: compare ratios with it, not values.

    Args:
        sample_rate: in Hz.
    """

    version = 1

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        window = round(0.05 * sample_rate)
        self.mel = LogMel(
            sample_rate,
            n_mels=128,
            n_fft=max(2048, 2 ** math.ceil(math.log2(window))),
            win_length=window,
            hop_length=round(0.00625 * sample_rate),
            f_min=20.0,
            f_max=min(12000.0, sample_rate / 2),
        )

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Add one clip: predicted and target, (T,) in [-1, 1]."""
        same_shape(predicted, target)
        difference = self._log(predicted) - self._log(target)
        self.add(difference.square().sum(0).mean(), difference.shape[1])

    def _log(self, audio: Tensor) -> Tensor:
        return (self.mel.magnitude(audio.float()) + 1e-5).log()


def mel_warping(sample_rate: int) -> float:
    """All-pass constant alpha whose warping of the frequency axis is nearest the mel scale.

    With Fant's mel scale, log(1 + f / 1000), as speech tools use it (0.41 at 16 kHz, 0.455 at 22.05 kHz).
    """
    omega = torch.linspace(0.0, math.pi, 1000, dtype=torch.float64)
    hz = omega / math.pi * sample_rate / 2
    mel = torch.log1p(hz / 1000.0)  # scaled to end at pi, so that the factor cancels
    mel = mel / mel[-1] * math.pi
    alphas = torch.arange(0.0, 1.0, 0.001, dtype=torch.float64)[:, None]
    numerator, denominator = (1 - alphas**2) * omega.sin(), (1 + alphas**2) * omega.cos() - 2 * alphas
    warped = torch.atan2(numerator, denominator) % (2 * math.pi)
    return float(alphas[(warped - mel).square().mean(1).argmin(), 0])


def warping_matrix(order_in: int, order_out: int, alpha: float) -> Tensor:
    """Matrix of the frequency transform of a cepstrum (Oppenheim and Johnson 1972), (order_out + 1, order_in + 1).

    Applied to the cepstrum c of ln|H(w)| = sum_m c_m cos(m w) it gives that of the warped axis.
    """
    out = torch.zeros(order_out + 1, order_in + 1, dtype=torch.float64)  # column m: response to c_m alone
    impulses = torch.eye(order_in + 1, dtype=torch.float64)
    for i in range(order_in, -1, -1):
        before = out.clone()
        out[0] = impulses[i] + alpha * before[0]
        if order_out >= 1:
            out[1] = (1 - alpha**2) * before[0] + alpha * before[1]
        for k in range(2, order_out + 1):
            out[k] = before[k - 1] + alpha * (before[k] - out[k - 1])
    return out


class MelCepstralDistortion(WeightedMean):
    """MCD in dB (Kubichek 1993) over 13 mel-cepstral coefficients, c_0 (the level) left out.

    10 / ln 10 * sqrt(2 sum_{d=1..13} (c_d - c'_d)^2), averaged over frames. Mel cepstra come from the log magnitude
    spectrum (50 ms Hann window, 12.5 ms shift, magnitudes floored at 1e-5) by the frequency transform.

    Args:
        sample_rate: in Hz.
    """

    version = 1
    unit = "dB"
    COEFFICIENTS = 13
    CEPSTRUM = 256  # order of the linear-frequency cepstrum before warping

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.win_length = round(0.05 * sample_rate)
        self.hop_length = round(0.0125 * sample_rate)
        self.n_fft = max(2048, 2 ** math.ceil(math.log2(self.win_length)))
        warp = warping_matrix(self.CEPSTRUM, self.COEFFICIENTS, mel_warping(sample_rate))
        self.register_buffer("warp", warp, persistent=False)
        self.register_buffer("window", torch.hann_window(self.win_length, dtype=torch.float64), persistent=False)
        self.warp: Tensor
        self.window: Tensor

    def cepstra(self, audio: Tensor) -> Tensor:
        """Mel cepstra of a waveform, (T,) to (14, frames), c_0 first."""
        padded = F.pad(audio.double(), (self.n_fft // 2, self.n_fft // 2))
        spectrum = torch.stft(
            padded, self.n_fft, self.hop_length, self.win_length, self.window, center=False, return_complex=True
        ).abs()
        cepstrum = torch.fft.irfft(spectrum.clamp_min(1e-5).log(), dim=0)[: self.CEPSTRUM + 1]
        cepstrum[1:] *= 2.0  # ln|H(w)| = sum_m c_m cos(m w) counts m and -m
        return self.warp @ cepstrum

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Add one clip: predicted and target, (T,) in [-1, 1]."""
        same_shape(predicted, target)
        difference = (self.cepstra(predicted) - self.cepstra(target))[1:]
        distortion = 10.0 / math.log(10.0) * (2.0 * difference.square().sum(0)).sqrt()
        self.add(distortion.mean(), distortion.shape[0])
