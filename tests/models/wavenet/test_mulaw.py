"""Mu-law codes: the vectors of both quantisers, round trips and signal-to-noise ratios."""

from __future__ import annotations

import math

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.models.wavenet.heads import Softmax
from reprise.models.wavenet.mulaw import compress, decode, encode, expand

X = torch.tensor([-1, -0.5, -0.1, -0.01, -0.001, 0, 0.001, 0.01, 0.1, 0.5, 1])


def test_codes_of_both_quantisers() -> None:
    assert encode(X).tolist() == [0, 16, 52, 98, 122, 128, 133, 157, 203, 239, 255]
    assert encode(X, quantiser="floored").tolist() == [0, 15, 52, 98, 122, 128, 133, 157, 203, 240, 255]
    expected = [-1, -0.496677, -0.100675, -0.010225, -0.00106, 8.6e-5, 0.00106, 0.010225, 0.100675, 0.496677, 1]
    torch.testing.assert_close(decode(encode(X)), torch.tensor(expected), atol=6e-7, rtol=0)


@pytest.mark.parametrize("quantiser", ["rounded", "floored"])
@pytest.mark.parametrize("levels", [16, 256])
def test_codes_come_back(quantiser: str, levels: int) -> None:
    codes = torch.arange(levels)
    assert torch.equal(encode(decode(codes, levels, quantiser), levels, quantiser), codes)
    torch.testing.assert_close(expand(compress(X.double(), levels), levels), X.double())


@pytest.mark.parametrize(("quantiser", "expected"), [("rounded", [38.4, 37.5, 33.7]), ("floored", [37.6, 38.3, 34.0])])
def test_noise_of_a_sine(quantiser: str, expected: list[float]) -> None:
    wave = torch.sin(2 * math.pi * (torch.arange(100_000).double() + 0.5) / 100_000)  # every phase once
    for level, snr in zip((0, -20, -40), expected, strict=True):
        x = wave * 10 ** (level / 20)
        error = decode(encode(x, quantiser=quantiser), quantiser=quantiser).double() - x
        assert 10 * math.log10(float(x.square().mean() / error.square().mean())) == pytest.approx(snr, abs=0.2)


def test_too_few_levels_and_unknown_quantisers_are_refused() -> None:
    with pytest.raises(ConfigError, match="levels"):
        Softmax(1)
    with pytest.raises(ConfigError, match="rounded, floored"):
        Softmax(256, "nearest")
