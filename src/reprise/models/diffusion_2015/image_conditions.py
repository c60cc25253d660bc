"""What may be known of images that are drawn: second distributions r(x) to multiply the chain with (section 2.5)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

from reprise.models.diffusion_2015.chain import Known
from reprise.models.diffusion_2015.whitening import Whitening
from reprise.nn.occlusion import Region, known_pixels
from reprise.nn.randomness import ExampleDraws


def kept(whitening: Whitening, image: Tensor, region: Region) -> Known:
    """All but a region is known exactly: r is a delta function there, and constant in the region (Figure 5).

    Args:
        whitening: of the images.
        image: (B, C, n, n) whole numbers.
        region: what is drawn anew.

    Raises:
        ConfigError: no such region.
    """
    x = whitening(image.to(whitening.mean.device))
    mask = known_pixels(region, whitening.shape.side).to(x.device)
    return Known(x, mask.expand(x.shape))


def noisy(whitening: Whitening, image: Tensor, noise: float) -> Known:
    """Images that have noise already: r is a Gaussian around each value.

    Args:
        whitening: of the images.
        image: (B, C, n, n) whole numbers.
        noise: standard deviation, that of images without it being 1.
    """
    x = whitening(image.to(whitening.mean.device))
    return Known(x, torch.ones_like(x, dtype=torch.bool), noise)


def corrupted(whitening: Whitening, image: Tensor, noise: float, ids: Sequence[str], seed: int) -> Known:
    """Images that noise is added to here, and what is known of them then (Figure 3, where it has variance 1).

    Args:
        whitening: of the images.
        image: (B, C, n, n) whole numbers.
        noise: standard deviation, that of images without it being 1.
        ids: (B,) name of each image, which with the seed decides its noise.
        seed: equal seeds give equal noise.
    """
    known = noisy(whitening, image, noise)
    draws = ExampleDraws(seed, "corrupt", [zlib.crc32(name.encode()) for name in ids])
    added = draws.normal(*image.shape[1:]).to(known.value)
    return Known(known.value + noise * added, known.mask, noise)
