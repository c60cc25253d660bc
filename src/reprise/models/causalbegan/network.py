"""Networks of CausalBEGAN: a BEGAN whose generator is given labels, and a Labeler shaped like its encoder.

The layers are those of the released code (causal_began/models.py); the paper names none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.models.adversarial.networks import LabelledNetworks
from reprise.nn.images import ImageShape

_COARSEST = 8  # side of the maps next to the linear layers


def _groups(shape: ImageShape) -> int:
    """Resolutions from the image to the coarsest maps, both included."""
    groups = (shape.side // _COARSEST).bit_length()
    if groups < 1 or shape.side != _COARSEST << (groups - 1):
        raise ValueError(f"side is {shape.side}. Expected a power of two of 8 or more.")
    return groups


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)


class Decoder(nn.Module):
    """Images of numbers: a linear layer to maps of 8 x 8, then pairs of convolutions, twice as large each time.

    Args:
        inputs: numbers an image is made of.
        shape: of the images.
        maps: n, of every layer.
    """

    def __init__(self, inputs: int, shape: ImageShape, maps: int) -> None:
        super().__init__()
        self.maps = maps
        self.linear = nn.Linear(inputs, maps * _COARSEST**2)
        self.groups = nn.ModuleList(
            nn.ModuleList([_conv(maps, maps), _conv(maps, maps)]) for _ in range(_groups(shape))
        )
        self.last = _conv(maps, shape.channels)

    def forward(self, h: Tensor) -> Tensor:
        """Images (B, C, S, S), not bounded, of h (B, inputs)."""
        x = self.linear(h).view(len(h), self.maps, _COARSEST, _COARSEST)
        for i, group in enumerate(self.groups):
            if i:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            for conv in group:  # type: ignore[attr-defined]
                x = F.elu(conv(x))
        return self.last(x)  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Numbers of images: pairs of convolutions, each group with n more maps, and one of stride 2 between groups.

    Args:
        outputs: numbers for an image.
        shape: of the images.
        maps: n, of the first layer.
    """

    def __init__(self, outputs: int, shape: ImageShape, maps: int) -> None:
        super().__init__()
        layers = [_conv(shape.channels, maps)]
        width, groups = maps, _groups(shape)
        for i in range(groups):
            wider = maps * (i + 1)
            layers += [_conv(width, wider), _conv(wider, wider)]
            if i < groups - 1:
                layers.append(_conv(wider, wider, stride=2))
            width = wider
        self.layers = nn.ModuleList(layers)
        self.linear = nn.Linear(width * _COARSEST**2, outputs)

    def forward(self, image: Tensor) -> Tensor:
        """(B, outputs) of images (B, C, S, S)."""
        x = image
        for layer in self.layers:
            x = F.elu(layer(x))
        return self.linear(x.flatten(1))  # type: ignore[no-any-return]


class Generator(Decoder):
    """Images of noise and labels.

    Args:
        labels: d.
        shape: of the images.
        noise: dimensions of z.
        maps: n.
    """

    def __init__(self, labels: int, shape: ImageShape, noise: int, maps: int) -> None:
        super().__init__(noise + labels, shape, maps)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Images (B, C, S, S) of z (B, noise) in [-1, 1] and labels (B, d) of 0 and 1."""
        return super().forward(torch.cat([z, labels], 1))


class AutoEncoder(nn.Module):
    """The discriminator: an image is as real as it can be encoded and decoded.

    Args:
        shape: of the images.
        code: numbers between encoder and decoder.
        maps: n.
    """

    def __init__(self, shape: ImageShape, code: int, maps: int) -> None:
        super().__init__()
        self.encoder = Encoder(code, shape, maps)
        self.decoder = Decoder(code, shape, maps)

    def forward(self, image: Tensor) -> Tensor:
        """AE(x) (B, C, S, S) of images x."""
        return self.decoder(self.encoder(image))  # type: ignore[no-any-return]


class Networks(LabelledNetworks):
    """The three networks of CausalBEGAN.

    Args:
        labels: d, labels that an image has.
        shape: of the images; a side of a power of two, 8 or more.
        noise: dimensions of z.
        code: of the auto-encoder.
        maps: n; the released code has 128.

    Raises:
        ValueError: the side is no power of two.
    """

    def __init__(self, labels: int, shape: ImageShape, noise: int = 64, code: int = 64, maps: int = 128) -> None:
        super().__init__()
        self.shape = shape
        self.noise = noise
        self.generator = Generator(labels, shape, noise, maps)
        self.discriminator = AutoEncoder(shape, code, maps)
        self.labeler = Encoder(labels, shape, maps)
        for name, parameter in self.named_parameters():  # open; the default of TF-slim, which BEGANs of its time use
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_uniform_(parameter)
