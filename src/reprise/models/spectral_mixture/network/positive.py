"""Positive numbers that are learned."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError

Link = Literal["exp", "softplus"]


class Positive(nn.Module):
    """Positive numbers of S starts, as a function of numbers without bounds that begin at 0.

    Args:
        shape: (S, ...).
        link: exp, by which a step changes a number by a share of it; softplus, as GPyTorch has it.
        floor: added, so that no number is below it.

    Raises:
        ConfigError: the link is unknown.
    """

    def __init__(self, shape: tuple[int, ...], link: Link = "exp", floor: float = 0.0) -> None:
        super().__init__()
        if link not in get_args(Link):
            raise ConfigError(f"link is {link!r}. Expected one of {', '.join(get_args(Link))}.")
        self.link = link
        self.floor = floor
        self.raw = nn.Parameter(torch.zeros(shape, dtype=torch.float64))

    def forward(self, which: Tensor | None = None) -> Tensor:
        """Numbers (S, ...), or those of the starts `which` (S',)."""
        raw = self.raw if which is None else self.raw[which]
        return (raw.exp() if self.link == "exp" else nn.functional.softplus(raw)) + self.floor

    @torch.no_grad()
    def begin(self, values: Tensor) -> None:
        """Take values that broadcast to (S, ...); those at the floor or below are put just above it."""
        above = (values.to(self.raw) - self.floor).clamp_min(1e-12).expand_as(self.raw)
        self.raw.copy_(above.log() if self.link == "exp" else above + (-torch.expm1(-above)).log())
