"""Networks of CausalGAN: a DCGAN whose generator is given labels, and two labelers.

The layers are those of the released code (causal_dcgan/models.py); the paper names none. Where that code pads 1 before
and 2 after a map, as TensorFlow does, these pad 2 on both sides: the same layer, looking one pixel further up and left.
Convolutions whose maps are normalised have no bias: it would be taken away with the mean, so its gradient is 0,
and Adam would make whole steps of the rounding errors of that 0. What they compute is the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.models.adversarial.batch_norm import BatchNorm, Statistics
from reprise.models.adversarial.minibatch import MinibatchFeatures
from reprise.models.adversarial.networks import LabelledNetworks
from reprise.nn.images import ImageShape

_COARSEST = 4  # side of the maps next to the linear layers
_SLOPE = 0.2
_STD = 0.02


def _stages(shape: ImageShape) -> int:
    """Halvings between an image and the coarsest maps."""
    stages = (shape.side // _COARSEST).bit_length() - 1
    if shape.side != _COARSEST << max(stages, 0) or stages < 2:
        raise ValueError(f"side is {shape.side}. Expected a power of two of 16 or more.")
    return stages


def _down(inputs: int, outputs: int, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 5, stride=2, padding=2, bias=bias)


def _up(inputs: int, outputs: int, bias: bool) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1, bias=bias)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _SLOPE)


def initialise(network: nn.Module) -> None:
    """Draw the weights from N(0, 0.02^2), those of convolutions cut off at two standard deviations; biases are 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=_STD, a=-2 * _STD, b=2 * _STD)
        elif isinstance(module, (nn.Linear, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=_STD)
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)) and module.bias is not None:
            nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """Images from noise and labels: a linear layer to maps of 4 x 4, then transposed convolutions of stride 2.

    Args:
        labels: d, numbers that stand for labels.
        shape: of the images.
        noise: dimensions of z.
        maps: of the last but one layer; each layer before has twice as many.
        statistics: of batch normalisation in evaluation.
    """

    def __init__(self, labels: int, shape: ImageShape, noise: int, maps: int, statistics: Statistics) -> None:
        super().__init__()
        stages = _stages(shape)
        widths = [maps << i for i in reversed(range(stages))]
        # normalised over places too, so that of its bias, one a place, only the mean over places is taken away
        self.linear = nn.Linear(noise + labels, widths[0] * _COARSEST**2)
        self.norms = nn.ModuleList(BatchNorm(width, statistics) for width in widths)
        self.ups = nn.ModuleList(_up(a, b, bias=False) for a, b in itertools.pairwise(widths))
        self.ups.append(_up(widths[-1], shape.channels, bias=True))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Images (B, C, S, S) in [-1, 1] of z (B, noise) in [-1, 1] and labels (B, d) as numbers around 0."""
        x = self.linear(torch.cat([z, labels], 1)).view(len(z), -1, _COARSEST, _COARSEST)
        for norm, up in zip(self.norms, self.ups, strict=True):
            x = up(F.relu(norm(x)))
        return torch.tanh(x)


class _Tail(nn.Module):
    """Convolutions of stride 2 with batch normalisation, and a linear layer."""

    def __init__(self, inputs: int, widths: Sequence[int], outputs: int, statistics: Statistics) -> None:
        super().__init__()
        pairs = zip([inputs, *widths[:-1]], widths, strict=True)
        self.downs = nn.ModuleList(_down(a, b, bias=False) for a, b in pairs)
        self.norms = nn.ModuleList(BatchNorm(width, statistics) for width in widths)
        self.linear = nn.Linear(widths[-1] * _COARSEST**2, outputs)

    def forward(self, x: Tensor) -> Tensor:
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = _leaky(norm(down(x)))
        return self.linear(x.flatten(1))  # type: ignore[no-any-return]


class Labeler(nn.Module):
    """Logits of the labels of an image; the Labeler and the Anti-Labeler are one each.

    Args:
        labels: d.
        shape: of the images.
        maps: of the first layer; each further one has twice as many.
        statistics: of batch normalisation in evaluation.
    """

    def __init__(self, labels: int, shape: ImageShape, maps: int, statistics: Statistics) -> None:
        super().__init__()
        self.first = _down(shape.channels, maps)
        self.rest = _Tail(maps, [maps << i for i in range(1, _stages(shape))], labels, statistics)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, d) of images (B, C, S, S)."""
        return self.rest(_leaky(self.first(image)))  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """Logit of an image being real; it sees how alike the images of a batch are.

    Minibatch features are made of the second layer's maps by two further convolutions, and stand beside these maps as
    constant ones.

    Args:
        shape: of the images.
        maps: of the first layer; each further one has twice as many.
        kernels, dims: of the minibatch features; no kernels, no features.
        statistics: of batch normalisation in evaluation.
    """

    def __init__(self, shape: ImageShape, maps: int, kernels: int, dims: int, statistics: Statistics) -> None:
        super().__init__()
        stages = _stages(shape)
        self.first = _down(shape.channels, maps)
        self.second = _down(maps, 2 * maps, bias=False)
        self.norm = BatchNorm(2 * maps, statistics)
        self.near: MinibatchFeatures | None = None
        if kernels:
            side = -(-(shape.side // 4) // 4)
            # the activation of these two is open, and whether they are normalised
            self.narrow = nn.ModuleList([_down(2 * maps, maps), _down(maps, maps)])
            self.near = MinibatchFeatures(maps * side**2, kernels, dims)
        widths = [maps << i for i in range(2, stages)]
        self.rest = _Tail(2 * maps + kernels, widths, 1, statistics) if widths else None
        self.linear = None if widths else nn.Linear((2 * maps + kernels) * _COARSEST**2, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, S, S)."""
        x = _leaky(self.norm(self.second(_leaky(self.first(image)))))
        if self.near is not None:
            h = x
            for down in self.narrow:
                h = _leaky(down(h))
            features = self.near(h.flatten(1))[:, :, None, None].expand(-1, -1, *x.shape[2:])
            x = torch.cat([x, features], 1)
        out = self.linear(x.flatten(1)) if self.linear is not None else self.rest(x)  # type: ignore[misc]
        return out[:, 0]  # type: ignore[no-any-return]


class Networks(LabelledNetworks):
    """The four networks of CausalGAN.

    Args:
        labels: d, labels that an image has.
        shape: of the images; a side of a power of two, 16 or more.
        noise: dimensions of z.
        maps: of the layers next to the image; the paper's code has 64.
        kernels, dims: of the minibatch features.
        statistics: of batch normalisation in evaluation: running averages, or those of the batch, as released.

    Raises:
        ValueError: the side is no power of two.
    """

    def __init__(
        self,
        labels: int,
        shape: ImageShape,
        noise: int = 100,
        maps: int = 64,
        kernels: int = 300,
        dims: int = 50,
        statistics: Statistics = "running",
    ) -> None:
        super().__init__()
        self.shape = shape
        self.noise = noise
        self.generator = Generator(labels, shape, noise, maps, statistics)
        self.discriminator = Discriminator(shape, maps, kernels, dims, statistics)
        self.labeler = Labeler(labels, shape, maps, statistics)
        self.anti_labeler = Labeler(labels, shape, maps, statistics)
        initialise(self)
