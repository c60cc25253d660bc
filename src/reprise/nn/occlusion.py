"""Which part of an image is drawn anew: completions of autoregressive models, inpainting of diffusion models."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from reprise.config.errors import ConfigError

Region = Literal["lower_half", "lower_quarter", "right_half", "centre"]


def known_pixels(region: Region, side: int) -> Tensor:
    """Mask of the pixels that are kept when a region is filled in.

    An autoregressive model draws a pixel given earlier ones alone, so that what is kept below or to the right of a
    region stays as it is but does not inform what is drawn before it (PixelRNN, Figure 9). A diffusion model draws all
    of the region given all that is kept.

    Args:
        region: what is drawn anew.
        side: n.

    Returns:
        (n, n) of bool.

    Raises:
        ConfigError: no such region.
    """
    if region not in get_args(Region):
        raise ConfigError(f"complete={region}. Expected one of {', '.join(get_args(Region))}.")
    known = torch.ones(side, side, dtype=torch.bool)
    half, quarter = side // 2, side // 4
    if region == "lower_half":
        known[half:] = False
    elif region == "lower_quarter":
        known[side - quarter :] = False
    elif region == "right_half":
        known[:, half:] = False
    else:
        known[quarter : side - quarter, quarter : side - quarter] = False
    return known
