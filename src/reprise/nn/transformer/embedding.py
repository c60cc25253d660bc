"""Words and their places as vectors."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.nn.dropout import Dropout

Positions = Literal["sinusoidal", "learned", "none"]


def sinusoids(length: int, width: int) -> Tensor:
    """Sines and cosines (length, width) of the place (Attention Is All You Need, section 3.5), cosines last."""
    frequency = torch.exp(-math.log(10_000.0) * torch.arange(0, width, 2) / width)
    angle = torch.arange(length)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], 1)[:, :width]


class Embedding(nn.Module):
    """A table of words, scaled by the root of the width, and a vector for each place.

    Args:
        vocabulary: rows of the table; row 0 is padding, and stays 0.
        width: D.
        positions: sinusoidal; learned, of max_length places; or none, which makes words a bag.
        max_length: places at most.
        dropout: of the sum.

    Raises:
        ConfigError: a value out of its range.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        positions: Positions = "sinusoidal",
        max_length: int = 512,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if positions not in get_args(Positions):
            raise ConfigError(
                f"the network has positions={positions}. Expected one of {', '.join(get_args(Positions))}."
            )
        self.scale = math.sqrt(width)
        self.max_length = max_length
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        nn.init.normal_(self.words.weight, std=1 / self.scale)
        with torch.no_grad():
            self.words.weight[0] = 0.0
        self.places: Tensor | None
        if positions == "learned":
            self.places = nn.Parameter(torch.randn(max_length, width) / self.scale)
        else:
            table = sinusoids(max_length, width) if positions == "sinusoidal" else None
            self.register_buffer("places", table, persistent=False)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        """Vectors of words.

        Args:
            tokens: (B, L) of int64.
            start: place of the first of them.

        Returns:
            (B, L, D).

        Raises:
            ConfigError: there are more places than the network has.
        """
        end = start + tokens.shape[1]
        if end > self.max_length:
            raise ConfigError(
                f"a text has {end} places, the network's max_length is {self.max_length}. Set it to that or more."
            )
        x = self.scale * self.words(tokens)
        return self.dropout(x if self.places is None else x + self.places[start:end])  # type: ignore[no-any-return]


def padding_mask(lengths: Tensor, longest: int) -> Tensor:
    """Which places are words: lengths (B,) to bool (B, 1, 1, L), which broadcasts over heads and queries."""
    return (torch.arange(longest, device=lengths.device) < lengths[:, None])[:, None, None, :]


def causal_mask(length: int, device: torch.device) -> Tensor:
    """Which keys a query may see when none lies after it: bool (1, 1, L, L)."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()[None, None]
