"""Gated PixelCNN (van den Oord et al., arXiv 1606.05328): gates, and two stacks without a blind spot.

p: maps of a stack; k: side of the kernels; h: what images are conditioned on, (B, D); s = m(h): the same as maps.
"""

from __future__ import annotations

import itertools
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from reprise.config.errors import ConfigError, DataError
from reprise.models.gated_pixelcnn.cache import GatedCache
from reprise.models.gated_pixelcnn.conditioning import Deconvolution
from reprise.models.gated_pixelcnn.layer import Activation, GatedLayer, Stacks
from reprise.nn.pixels.labels import checked_labels
from reprise.nn.pixels.likelihood import Likelihood
from reprise.nn.pixels.masks import MaskedConv2d, colour_groups
from reprise.nn.pixels.network import PixelNetwork
from reprise.nn.pixels.precision import in_full_precision

Conditioning = Literal["none", "class", "embedding", "spatial"]


class GatedPixelCNN(PixelNetwork):
    """A first layer with mask A, layers with mask B, and a head of two 1x1 convolutions.

    Every convolution that sees the present pixel keeps the order of its colours: the horizontal ones at their last tap,
    and the 1x1 ones of horizontal stack, skips and head. The vertical stack sees complete pixels only.

    Conditioning is added inside both halves of every gate, in every layer and both stacks:

    - class: h is the class as a one-hot vector, projected without bias (section 2.3);
    - embedding: h is any vector, given in place of the label. Data with embeddings are not part of this project, so
      it serves those who call the network, and the auto-encoder;
    - spatial: s = m(h) by a deconvolutional net, projected by unmasked 1x1 convolutions; h is a vector of `embedding`
      numbers, or the class where `embedding` is 0.

    Args:
        likelihood: of a pixel.
        hidden: p.
        layers: layers after the first. The paper does not say whether its 20 count the first.
        kernel: k.
        head_width: maps between the two convolutions of the head.
        first_kernel: side of the first layer's kernels. Not in the paper; 7 as in PixelCNN.
        stacks: two, or one stack of masked k x k convolutions with the blind spot (an ablation the paper lacks).
        activation: gate, or relu in its place, which has half the maps before it (likewise).
        vertical_residual: residual connections in the vertical stack too; the authors found no gain.
        skip: the head sees the sum of 1x1 convolutions of all layers. The paper's figure has none; Reed et al. and
            most public code have them. Without, it sees the last layer of the horizontal stack.
        conditioning: see above.
        embedding: D, numbers of the vector that images are conditioned on, where it is not the class.
        map_width: maps of s, and width of the net that makes it; not in the paper.

    Raises:
        ConfigError: a size is out of range, or the data do not have what images are conditioned on.
    """

    property_versions = {"blind_spot_percent": 1}

    def __init__(
        self,
        likelihood: Likelihood,
        hidden: int = 32,
        layers: int = 5,
        kernel: int = 3,
        head_width: int = 32,
        first_kernel: int = 7,
        stacks: Stacks = "two",
        activation: Activation = "gate",
        vertical_residual: bool = False,
        skip: bool = True,
        conditioning: Conditioning = "none",
        embedding: int = 0,
        map_width: int = 16,
    ) -> None:
        super().__init__(likelihood)
        colours = likelihood.colours
        sizes = {"layers": (layers, 1), "map_width": (map_width, 1), "hidden": (hidden, colours)}
        for name, (value, least) in (sizes | {"head_width": (head_width, colours)}).items():
            if value < least:
                raise ConfigError(f"network.{name} is {value}. Expected {least} or more.")
        for name, value in (("kernel", kernel), ("first_kernel", first_kernel)):
            if value < 3 or value % 2 == 0:
                raise ConfigError(f"network.{name} is {value}. Expected an odd number from 3 on, such as 5 or 7.")
        if vertical_residual and stacks == "one":
            raise ConfigError("network.vertical_residual needs a vertical stack. Expected network.stacks=two with it.")
        self.hidden, self.colours = hidden, colours
        self.stacks, self.conditioning = stacks, conditioning
        self.vector = self._vector_size(conditioning, embedding)
        self.conditions_on = "label" if self.by_class else "nothing"  # vectors are given by the caller alone
        self.map = Deconvolution(self.vector, map_width, map_width, self.shape.side) if self.spatial else None
        condition_maps = map_width if self.spatial else self.vector
        self.groups = colour_groups(hidden, colours)
        pixel_groups = colour_groups(self.shape.channels, colours)
        self.layers = nn.ModuleList(
            GatedLayer(
                "B" if k else "A",
                self.groups if k else pixel_groups,
                self.groups,
                kernel if k else first_kernel,
                stacks,
                activation,
                vertical_residual,
                skip,
                last=k == layers,
                condition_maps=condition_maps,
            )
            for k in range(layers + 1)
        )
        # the paper does not say what the head is: two 1x1 convolutions as in public code
        self.head_groups = [colour_groups(head_width, colours), colour_groups(likelihood.maps, colours)]
        widths = [self.groups, *self.head_groups]
        self.head = nn.ModuleList(MaskedConv2d("B", into, out, (1, 1)) for into, out in itertools.pairwise(widths))

    def properties(self) -> dict[str, float]:
        """Share of earlier pixels within reach that cannot be seen; see blind_spot_percent."""
        from reprise.models.gated_pixelcnn.blind_spot import blind_spot_percent

        return {"blind_spot_percent": blind_spot_percent(self)}

    @property
    def spatial(self) -> bool:
        """Whether the condition is a map of the size of an image."""
        return self.conditioning == "spatial"

    def _vector_size(self, conditioning: Conditioning, embedding: int) -> int:
        by_class = conditioning == "class" or (conditioning == "spatial" and not embedding)
        if by_class and self.shape.classes < 1:
            raise ConfigError(
                f"network.conditioning={conditioning} needs classes, and these data have none (data.shape.classes is "
                "0). Expected data with labels, such as data=digits, or network.conditioning=none."
            )
        if conditioning == "embedding" and embedding < 1:
            raise ConfigError(f"network.embedding is {embedding}. Expected the size of the vectors, 1 or more.")
        if embedding and conditioning in ("none", "class"):
            raise ConfigError(
                f"network.embedding is {embedding} with network.conditioning={conditioning}, which has no use for it. "
                "Expected network.embedding=0, or conditioning=embedding or spatial."
            )
        self.by_class = by_class
        return self.shape.classes if by_class else embedding

    def condition(self, image: Tensor, label: Tensor | None) -> Tensor | None:
        """What examples are conditioned on.

        Args:
            image: (B, C, H, W) whole numbers; not looked at here.
            label: (B,) class numbers, or (B, D) vectors where `conditioning` asks for embeddings.

        Returns:
            h, (B, D), which `forward` takes; None where there is no conditioning.

        Raises:
            ConfigError: labels are missing.
            DataError: labels are out of range, or vectors not of the size they should have.
        """
        if self.conditioning == "none":
            return None
        if self.by_class:
            label = checked_labels(label, len(image), self.vector)
            return F.one_hot(label, self.vector).to(next(self.parameters()).dtype)
        if label is None:
            raise ConfigError(
                f"the network is conditioned on vectors of {self.vector} numbers, but none were given. Expected them "
                "in place of labels, (B, D), or network.conditioning=class or none."
            )
        return self._checked(label).to(next(self.parameters()).dtype)

    def _checked(self, h: Tensor) -> Tensor:
        if h.ndim != 2 or h.shape[1] != self.vector:
            raise DataError(f"conditions have the shape {tuple(h.shape)}. Expected (B, {self.vector}).")
        return h

    def spread(self, condition: Tensor | None) -> Tensor | None:
        """H as maps: s = m(h) (B, map_width, H, W), or (B, D, 1, 1) where h acts alike everywhere."""
        if self.conditioning == "none":
            return None
        if condition is None:
            raise ConfigError("the network is conditional. Expected what network.condition(image, label) returns.")
        h = self._checked(condition)
        return h[:, :, None, None] if self.map is None else self.map(h)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """See PixelNetwork.forward; condition (B, D) as `condition` returns it."""
        h = self.spread(condition)
        v = u = x
        shown: Tensor | None = None
        for layer in self.layers:
            v, u, seen = layer(v, u, h)
            shown = seen if shown is None else shown + seen
        y = u if shown is None else shown
        for convolution in self.head[:-1]:  # type: ignore[union-attr]
            y = convolution(F.relu(y))
        return in_full_precision(self.head[-1], F.relu(y))

    def cache(self, batch: int, condition: Tensor | None = None) -> GatedCache:
        """See PixelNetwork.cache."""
        return GatedCache(self, batch, self.spread(condition))
