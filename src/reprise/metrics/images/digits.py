"""A small classifier of digits, whose features compare runs on MNIST with each other.

This metric is the project's own. Its numbers stand beside no published figure.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.config.errors import DataError
from reprise.metrics.images.features import FeatureNetwork

WEIGHTS = Path(__file__).with_name("digits.pt")
SHA256 = "8854f1aaca49ac7fa7463136d7454de601e4b18259868e33a50fcca9331c1648"


class DigitNetwork(nn.Module):
    """Three convolutions and two linear maps, 47,290 parameters, trained on MNIST's training images.

    Features are what enters the last activation: 64 smooth numbers, none of which can die.
    """

    SIDE = 28

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1)
        self.features = nn.Linear(48 * 3 * 3, 64)
        self.classify = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 64) and logits (B, 10) of uint8 images (B, 3, H, W), 0 to 255.

        Colours are averaged; other sizes than 28 x 28 are resized bilinearly, with antialiasing.
        """
        x = images.float().mean(1, keepdim=True) / 255.0
        if x.shape[2:] != (self.SIDE, self.SIDE):
            x = F.interpolate(x, (self.SIDE, self.SIDE), mode="bilinear", align_corners=False, antialias=True)
        x = F.avg_pool2d(F.silu(self.conv1(x)), 2)  # 14 x 14
        x = F.avg_pool2d(F.silu(self.conv2(x)), 2)  # 7 x 7
        x = F.avg_pool2d(F.silu(self.conv3(x)), 2)  # 3 x 3
        features = self.features(x.flatten(1))
        return features, self.classify(F.silu(features))


class DigitFeatures(FeatureNetwork):
    """64 features of a small classifier of digits, whose weights come with the package.

    Made by `scripts/make_digit_features.py`. Cheap enough for a CPU; for comparing runs on digits with each other only.

    Args:
        weights: there are none to give: null.
    """

    name = "digits"
    version = 1
    dims = 64
    classes = 10
    batch = 512

    def build(self) -> nn.Module:
        """Load the weights, 0.2 MB.

        Raises:
            DataError: the file is missing or was changed.
        """
        self.check()
        network = DigitNetwork()
        network.load_state_dict(torch.load(WEIGHTS, weights_only=True, map_location="cpu"))
        return network

    def check(self, fetch: bool = True) -> None:
        """Compare the file's digest; there is nothing to fetch.

        Raises:
            DataError: the file is missing or was changed.
        """
        if not WEIGHTS.is_file():
            raise DataError(f"{WEIGHTS} is missing. Expected it beside the code: install the package again.")
        found = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
        if found != SHA256:
            raise DataError(f"{WEIGHTS} was changed: SHA-256 is {found}, expected {SHA256}. Install the package again.")
