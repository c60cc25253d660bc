"""Audio metrics against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from reprise.metrics.base import Mean
from reprise.metrics.intelligibility import PESQ, STOI, available
from reprise.metrics.pitch import F0FrameError, frame_errors, track_pitch
from reprise.metrics.spectral import LogMelL2, MelCepstralDistortion, mel_warping, warping_matrix
from reprise.metrics.vocoder import vocoder_metrics

RATE = 22050


def noise(seed: int = 0, seconds: float = 1.0) -> torch.Tensor:
    return 0.1 * torch.randn(int(RATE * seconds), generator=torch.Generator().manual_seed(seed))


def voice(hz: float, seconds: float = 1.0) -> torch.Tensor:
    t = torch.arange(int(RATE * seconds)) / RATE
    return sum(torch.sin(2 * math.pi * hz * k * t) / k for k in range(1, 12)) * 0.1  # type: ignore[return-value]


def test_ls_mse_of_a_gain_is_bins_times_its_logarithm_squared() -> None:
    metric = LogMelL2(RATE)
    metric.update(0.5 * noise(), noise())
    assert float(metric.compute()) == pytest.approx(128 * math.log(2) ** 2, rel=1e-3)


def test_ls_mse_by_brute_force() -> None:
    metric = LogMelL2(RATE)
    metric.update(noise(1), noise(2))
    logs = [(metric.mel.magnitude(noise(i)) + 1e-5).log().numpy() for i in (1, 2)]
    frames = logs[0].shape[1]
    expected = sum(float(((logs[0][:, t] - logs[1][:, t]) ** 2).sum()) for t in range(frames)) / frames
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-5)
    assert frames == RATE // round(0.00625 * RATE)


def test_ls_mse_weighs_clips_by_frames() -> None:
    together, parts = LogMelL2(RATE), [LogMelL2(RATE), LogMelL2(RATE)]
    for i, seconds in enumerate((0.5, 1.5)):
        pair = (noise(i, seconds), noise(9 + i, seconds))
        together.update(*pair)
        parts[i].update(*pair)
    weighted = sum(float(p.compute()) * float(p.weight) for p in parts) / sum(float(p.weight) for p in parts)
    assert float(together.compute()) == pytest.approx(weighted, rel=1e-6)


def test_mcd_ignores_level() -> None:
    metric = MelCepstralDistortion(RATE)
    metric.update(0.3 * noise(), noise())
    assert float(metric.compute()) == pytest.approx(0.0, abs=1e-6)


def test_mcd_of_a_known_filter() -> None:
    """Through 1 / (1 - a z^-1), ln|H| has the cepstrum a^m / m; its warped version is what MCD should see."""
    a = 0.5
    metric = MelCepstralDistortion(RATE)
    clean = noise(3, 2.0).double().numpy()
    filtered = np.zeros_like(clean)
    state = 0.0
    for i, x in enumerate(clean):
        state = x + a * state
        filtered[i] = state
    metric.update(torch.from_numpy(filtered).float(), torch.from_numpy(clean).float())
    cepstrum = torch.tensor([0.0] + [a**m / m for m in range(1, metric.CEPSTRUM + 1)], dtype=torch.float64)
    warped = (metric.warp @ cepstrum)[1:]
    expected = 10 / math.log(10) * math.sqrt(2 * float(warped.square().sum()))
    assert float(metric.compute()) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("rate", "alpha"), [(16000, 0.41), (22050, 0.455), (24000, 0.466), (44100, 0.544)])
def test_warping_constants_are_the_usual_ones(rate: int, alpha: float) -> None:
    assert mel_warping(rate) == pytest.approx(alpha, abs=0.0051)


def test_frequency_transform_keeps_the_spectrum_on_the_warped_axis() -> None:
    alpha = 0.4
    cepstrum = torch.tensor([0.3, 0.5, -0.2, 0.1], dtype=torch.float64)
    warped = warping_matrix(3, 60, alpha) @ cepstrum
    for omega in (0.1, 1.0, 2.5):
        z = complex(math.cos(omega), -math.sin(omega))
        tilted = -np.angle((z - alpha) / (1 - alpha * z))
        plain = sum(float(c) * math.cos(m * omega) for m, c in enumerate(cepstrum))
        other = sum(float(c) * math.cos(m * tilted) for m, c in enumerate(warped))
        assert other == pytest.approx(plain, abs=1e-9)
    assert torch.allclose(warping_matrix(3, 3, 0.0), torch.eye(4, dtype=torch.float64))


def test_pitch_is_tracked() -> None:
    f0 = track_pitch(voice(150.0).numpy(), RATE)
    assert np.median(f0[f0 > 0]) == pytest.approx(150.0, rel=0.01)


def test_frame_errors_by_hand() -> None:
    ours = np.array([100.0, 100.0, 0.0, 0.0, 121.0, 119.0])
    truth = np.array([100.0, 0.0, 100.0, 0.0, 100.0, 100.0])
    assert frame_errors(ours, truth).tolist() == [False, True, True, False, True, False]


def test_ffe_of_equal_and_octave_shifted_voices() -> None:
    same, shifted = F0FrameError(RATE), F0FrameError(RATE)
    same.update(voice(150.0), voice(150.0))
    shifted.update(voice(300.0), voice(150.0))
    assert float(same.compute()) == 0.0
    assert float(shifted.compute()) > 90.0


def test_stoi_orders_noise_levels() -> None:
    metric = [STOI(RATE), STOI(RATE)]
    speech = voice(150.0, 2.0) * (1 + torch.sin(torch.arange(2 * RATE) / RATE * 20))
    metric[0].update(speech + 0.1 * noise(1, 2.0), speech)
    metric[1].update(speech + 10 * noise(1, 2.0), speech)
    assert 1.0 >= float(metric[0].compute()) > float(metric[1].compute())


@pytest.mark.skipif(not available("pesq"), reason="pesq is not installed (it compiles a C extension)")
def test_pesq_orders_noise_levels() -> None:
    metric = [PESQ(RATE), PESQ(RATE)]
    for m, level in zip(metric, (0.1, 3.0), strict=True):
        m.update(voice(150.0, 2.0) + level * noise(1, 2.0), voice(150.0, 2.0))
    assert float(metric[0].compute()) > float(metric[1].compute())


def test_collection_holds_what_is_installed() -> None:
    names = set(vocoder_metrics(RATE).keys())
    assert {"ls_mse", "mcd_db", "ffe_percent", "stoi"} <= names
    assert ("pesq" in names) == available("pesq")


def test_waveforms_must_be_of_equal_length() -> None:
    for metric in vocoder_metrics(RATE).values():
        with pytest.raises(ValueError, match="equal length"):
            metric.update(torch.zeros(100), torch.zeros(101))


def test_mean_is_exact_over_any_split() -> None:
    values = [0.1 * i for i in range(11)]
    whole, parts = Mean(), [Mean(), Mean(), Mean()]
    for i, value in enumerate(values):
        whole.update(value)
        parts[i % 3].update(value)
    total = sum(float(p.total) for p in parts) / sum(float(p.weight) for p in parts)
    assert float(whole.compute()) == pytest.approx(total, rel=1e-12)
