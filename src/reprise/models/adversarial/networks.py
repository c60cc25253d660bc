"""What networks of labelled images have in common."""

from __future__ import annotations

from torch import nn

from reprise.nn.images import ImageShape


class LabelledNetworks(nn.Module):
    """Networks that are trained against each other.

    Attributes:
        generator: called with z (B, noise) in [-1, 1] and (B, d) numbers for labels, gives images (B, C, S, S).
        labeler: gives logits (B, d) of images.
        shape: of the images.
        noise: dimensions of z.
    """

    generator: nn.Module
    labeler: nn.Module
    shape: ImageShape
    noise: int
