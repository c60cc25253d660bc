"""Mu-law companding and its quantisers (section 2.2; the paper prints f and describes the quantiser in words)."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from reprise.config.errors import ConfigError

Quantiser = Literal["rounded", "floored"]


def check_quantiser(quantiser: str, levels: int) -> None:
    """Refuse an unknown quantiser and fewer than two levels.

    Raises:
        ConfigError: of either.
    """
    if quantiser not in get_args(Quantiser):
        raise ConfigError(f"quantiser={quantiser!r} is unknown. Expected one of {', '.join(get_args(Quantiser))}.")
    if levels < 2:
        raise ConfigError(f"levels={levels}. Expected 2 or more.")


def compress(audio: Tensor, levels: int = 256) -> Tensor:
    """f(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu), mu = levels - 1; x is clamped to [-1, 1]."""
    mu = levels - 1
    x = audio.clamp(-1.0, 1.0)
    return x.sign() * torch.log1p(mu * x.abs()) / math.log1p(mu)


def expand(companded: Tensor, levels: int = 256) -> Tensor:
    """The inverse of `compress`: sign(y) ((1 + mu)^|y| - 1) / mu."""
    mu = levels - 1
    return companded.sign() * torch.expm1(companded.abs() * math.log1p(mu)) / mu


def encode(audio: Tensor, levels: int = 256, quantiser: Quantiser = "rounded") -> Tensor:
    """Codes 0 ... levels - 1 of a waveform.

    Args:
        audio: any shape, in [-1, 1]; what lies outside is clipped.
        levels: number of codes.
        quantiser: rounded, floor((f + 1) / 2 (levels - 1) + 0.5), which has codes of -1 and 1; or floored,
            floor((f + 1) / 2 levels), whose cells are of equal width.

    Returns:
        the same shape, int64.
    """
    unit = (compress(audio.double(), levels) + 1.0) / 2.0
    if quantiser == "rounded":
        return torch.floor(unit * (levels - 1) + 0.5).long()
    return torch.floor(unit * levels).long().clamp(max=levels - 1)


def decode(codes: Tensor, levels: int = 256, quantiser: Quantiser = "rounded") -> Tensor:
    """The waveform of codes: of `rounded` 2 q / (levels - 1) - 1 expanded, of `floored` the middle of the cell.

    Args:
        codes: any shape, whole numbers.
        levels: number of codes.
        quantiser: that encoded.

    Returns:
        the same shape, float32 in [-1, 1].
    """
    q = codes.double()
    companded = 2.0 * q / (levels - 1) - 1.0 if quantiser == "rounded" else (2.0 * q + 1.0) / levels - 1.0
    return expand(companded, levels).float()
