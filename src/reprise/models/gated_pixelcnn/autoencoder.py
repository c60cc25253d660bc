"""Auto-encoders with a PixelCNN decoder, and the paper's baseline (Gated PixelCNN, section 2.4).

m: numbers of the code h(x). The paper gives the sizes m = 10 and 100, and none of the encoder's or the decoders'.
"""

from __future__ import annotations

import itertools
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.gated_pixelcnn.conditioning import Deconvolution, halvings
from reprise.models.gated_pixelcnn.layer import Activation, Stacks
from reprise.models.gated_pixelcnn.network import GatedPixelCNN
from reprise.nn.images import ImageShape
from reprise.nn.pixels.likelihood import Likelihood


class Encoder(nn.Module):
    """Convolutions 4x4 of stride 2, down to at most 4x4 pixels, and a linear map to the code; not from the paper.

    Args:
        shape: of the images.
        width: maps of the first convolution; each further one doubles them.
        bottleneck: m.

    Raises:
        ConfigError: a size is out of range.
    """

    def __init__(self, shape: ImageShape, width: int, bottleneck: int) -> None:
        super().__init__()
        for name, value in (("encoder_width", width), ("bottleneck", bottleneck)):
            if value < 1:
                raise ConfigError(f"network.{name} is {value}. Expected 1 or more.")
        times = halvings(shape.side)
        widths = [shape.channels] + [width * 2**k for k in range(times)]
        side = shape.side
        for _ in range(times):
            side = -(-side // 2)
        # an odd side takes one column more of padding, so that nothing at the edges is left out
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2) for a, b in itertools.pairwise(widths))
        self.linear = nn.Linear(widths[-1] * side**2, bottleneck)

    def forward(self, x: Tensor) -> Tensor:
        """Map scaled images x (B, C, H, W) to codes (B, m)."""
        for down in self.downs:
            odd = x.shape[-1] % 2
            x = F.relu(down(F.pad(x, (1, 1 + odd, 1, 1 + odd))))
        return self.linear(x.flatten(1))  # type: ignore[no-any-return]


class PixelAutoencoder(GatedPixelCNN):
    """Encoder and conditional Gated PixelCNN, trained together on -log p(x | h(x)).

    That is no likelihood of x, since the code was made from x: its bits per dimension do not compare with those of
    density models.

    Args:
        likelihood: of a pixel.
        bottleneck: m.
        encoder_width: maps of the encoder's first convolution.
        conditioning: embedding adds the code alike at all pixels, spatial as maps that a deconvolutional net makes of
            it. The paper does not say which it used.
        hidden, layers, kernel, head_width, first_kernel, stacks, activation, vertical_residual, skip, map_width: see
            GatedPixelCNN.
    """

    measures = "reconstruction_"

    def __init__(
        self,
        likelihood: Likelihood,
        bottleneck: int = 10,
        encoder_width: int = 32,
        conditioning: Literal["embedding", "spatial"] = "embedding",
        hidden: int = 32,
        layers: int = 5,
        kernel: int = 3,
        head_width: int = 32,
        first_kernel: int = 7,
        stacks: Stacks = "two",
        activation: Activation = "gate",
        vertical_residual: bool = False,
        skip: bool = True,
        map_width: int = 16,
    ) -> None:
        encoder = Encoder(likelihood.shape, encoder_width, bottleneck)
        super().__init__(
            likelihood,
            hidden,
            layers,
            kernel,
            head_width,
            first_kernel,
            stacks,
            activation,
            vertical_residual,
            skip,
            conditioning,
            bottleneck,
            map_width,
        )
        self.encoder = encoder
        self.conditions_on = "image"

    def condition(self, image: Tensor, label: Tensor | None) -> Tensor:
        """The scaled images themselves, (B, C, H, W): `forward` and `cache` encode them, or take codes (B, m)."""
        return self.likelihood.scale(image).to(next(self.parameters()).dtype)

    def encode(self, image: Tensor) -> Tensor:
        """Codes h(x), (B, m), of whole-numbered images (B, C, H, W)."""
        return self.encoder(self.condition(image, None))  # type: ignore[no-any-return]

    def spread(self, condition: Tensor | None) -> Tensor | None:
        """See GatedPixelCNN.spread; condition as `condition` returns it, or codes (B, m)."""
        # encoded here and not in `condition`, so that it is part of `forward`: a sharded network gathers weights there
        images = condition is not None and condition.ndim == 4
        return super().spread(self.encoder(condition) if images else condition)


class DeconvolutionAutoencoder(nn.Module):
    """The same encoder with a deconvolutional decoder, for the squared error.

    Args:
        shape: of the images.
        bottleneck: m.
        encoder_width: maps of the encoder's first convolution.
        decoder_width: maps before the decoder's last layer.
    """

    def __init__(
        self, shape: ImageShape, bottleneck: int = 10, encoder_width: int = 32, decoder_width: int = 32
    ) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(shape, encoder_width, bottleneck)
        self.decoder = Deconvolution(bottleneck, decoder_width, shape.channels, shape.side)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct x (B, C, H, W) in [-1, 1]; the result is not limited to that."""
        return self.decoder(self.encoder(x))  # type: ignore[no-any-return]
