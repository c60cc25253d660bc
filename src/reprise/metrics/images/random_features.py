"""Features of a network that has learned nothing, for tests and trials."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.metrics.images.features import FeatureNetwork


class RandomNetwork(nn.Module):
    """Two convolutions with random weights, averaged over the image.

    Args:
        seed: decides the weights.
        dims: of the features.
        classes: of the logits.
    """

    def __init__(self, seed: int, dims: int, classes: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> Tensor:
            fan_in = torch.Size(shape[1:]).numel()
            return torch.randn(shape, generator=generator) * (2.0 / fan_in) ** 0.5

        self.register_buffer("first", drawn(24, 3, 3, 3))
        self.register_buffer("second", drawn(dims, 24, 3, 3))
        self.register_buffer("last", drawn(classes, dims))
        self.first: Tensor
        self.second: Tensor
        self.last: Tensor

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, dims) and logits (B, classes) of uint8 images (B, 3, H, W) of any size."""
        x = images.float() / 127.5 - 1.0
        x = F.silu(F.conv2d(x, self.first, stride=2, padding=1))
        x = F.conv2d(x, self.second, stride=2, padding=1).mean((2, 3))
        return x, F.linear(F.silu(x), self.last)


class RandomFeatures(FeatureNetwork):
    """16 random features: the numbers mean nothing. For tests and `budget=smoke`, where only the way is tried.

    Args:
        weights: there are none to give: null.
        seed: decides what they are.
    """

    name = "random"
    version = 1
    dims = 16
    classes = 10

    def __init__(self, weights: str | None = None, seed: int = 0) -> None:
        super().__init__(weights)
        self.seed = seed

    @property
    def key(self) -> str:
        """Name, version and seed."""
        return f"{super().key}-s{self.seed}"

    def check(self, fetch: bool = True) -> None:
        """Nothing can be missing."""

    def build(self) -> nn.Module:
        """Draw the weights."""
        return RandomNetwork(self.seed, self.dims, self.classes)
