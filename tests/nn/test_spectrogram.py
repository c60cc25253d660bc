"""Log-mel features against librosa and by hand; draws that belong to examples."""

from __future__ import annotations

import pytest
import torch

from reprise.nn.randomness import ExampleDraws, example_rng
from reprise.nn.spectrogram import LogMel, mel_filterbank


def test_filterbank_equals_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    theirs = librosa.filters.mel(sr=24000, n_fft=2048, n_mels=128, fmin=20, fmax=12000, htk=True, norm=None)
    assert torch.allclose(mel_filterbank(24000, 2048, 128, 20, 12000).float(), torch.from_numpy(theirs), atol=1e-6)


def test_no_filter_is_empty() -> None:
    assert (mel_filterbank(22050, 2048, 128, 20, 11025).sum(1) > 0).all()


def test_one_frame_per_hop() -> None:
    mel = LogMel(22050, f_max=11025)
    for samples in (300, 599, 600, 7200):
        assert mel(torch.zeros(samples)).shape == (128, samples // 300)


def test_frames_are_centred_on_their_samples() -> None:
    mel = LogMel(22050, f_max=11025)
    audio = torch.zeros(6000)
    audio[10 * 300 + 150] = 1.0
    energy = mel.magnitude(audio).sum(0)
    assert int(energy.argmax()) == 10
    assert torch.allclose(energy[9], energy[11], rtol=1e-3)


def test_silence_is_the_floor() -> None:
    mel = LogMel(22050, f_max=11025, floor=1e-5, shift=-1.0, scale=2.5)
    expected = (torch.tensor(1e-5).log() + 1.0) / 2.5
    assert torch.allclose(mel(torch.zeros(600)), expected.expand(128, 2))


def test_batches_and_dtype() -> None:
    mel = LogMel(22050, f_max=11025)
    audio = torch.randn(2, 3, 900)
    assert torch.allclose(mel(audio)[1, 2], mel(audio[1, 2]), atol=1e-5)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="win_length"):
        LogMel(22050, win_length=4096)
    with pytest.raises(ValueError, match="f_max"):
        LogMel(22050, f_max=12000)


def test_draws_depend_on_seed_stream_and_position_only() -> None:
    both = ExampleDraws(0, "train", [5, 9]).normal(100)
    assert torch.equal(both[1], ExampleDraws(0, "train", [9]).normal(100)[0])
    assert not torch.equal(both[0], both[1])
    assert not torch.equal(both[0], ExampleDraws(0, "val", [5]).normal(100)[0])
    assert not torch.equal(both[0], ExampleDraws(1, "train", [5]).normal(100)[0])


def test_draws_have_their_distribution() -> None:
    draws = ExampleDraws(0, "x", range(4000))
    segments = draws.integers(1, 10)
    assert segments.min() == 1
    assert segments.max() == 10
    assert abs(float(draws.uniform().mean()) - 0.5) < 0.02
    assert abs(float(draws.normal(50).std()) - 1.0) < 0.01


def test_generators_are_stable() -> None:
    """The numbers a record depends on must not move with a release of this project."""
    assert example_rng(0, "train", 3).integers(1000) == example_rng(0, "train", 3).integers(1000)
    assert [int(example_rng(0, "crop", p).integers(1000)) for p in range(3)] == STREAM


STREAM = [40, 131, 873]
