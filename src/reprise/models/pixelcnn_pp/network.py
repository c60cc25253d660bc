"""PixelCNN++ (Salimans et al., arXiv 1701.05517, sections 2 and 3): two streams over three resolutions.

F: filters; L: resolutions; n: layers at each resolution on the way down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from reprise.config.errors import ConfigError
from reprise.models.pixelcnn_pp.cache import UNetCache
from reprise.models.pixelcnn_pp.layers import (
    Coarser,
    Finer,
    InputLayers,
    Maps,
    Pair,
    concat_elu,
    down,
    down_right,
)
from reprise.models.pixelcnn_pp.weight_norm import NormedConv2d, fitted_to_data
from reprise.nn.pixels.labels import checked_labels
from reprise.nn.pixels.likelihood import Likelihood
from reprise.nn.pixels.network import PixelNetwork
from reprise.nn.pixels.precision import in_full_precision

Resample = Literal["strided", "dilated", "none"]


class TwoStreams(PixelNetwork):
    """What the full network and those with a small field share: classes, initialisation, checks.

    Args:
        likelihood: of a whole pixel.
        filters: F.
        class_conditional: condition every layer on the class.
        dropout: see GatedResnet.

    Raises:
        ConfigError: a size is out of range, or the likelihood wants colours one after the other.
    """

    def __init__(self, likelihood: Likelihood, filters: int, class_conditional: bool, dropout: float) -> None:
        super().__init__(likelihood)
        if likelihood.colours != 1:
            raise ConfigError(
                f"network.likelihood is {type(likelihood).__name__}, which predicts {likelihood.colours} colours of a "
                "pixel one after the other. This network predicts whole pixels. Expected "
                "reprise.nn.pixels.mixture.LogisticMixture or reprise.nn.pixels.softmax_linear.LinearSoftmax."
            )
        if filters < 1:
            raise ConfigError(f"network.filters is {filters}. Expected 1 or more; the released code has 160.")
        if not 0.0 <= dropout < 1.0:
            raise ConfigError(f"network.dropout is {dropout}. Expected 0 or more and less than 1.")
        if class_conditional and not self.shape.classes:
            raise ConfigError(
                "network.class_conditional is true, but the images have no labels. Expected data with labels "
                "(data.shape.classes above 0), or network.class_conditional=false."
            )
        self.classes = self.shape.classes if class_conditional else 0
        self.conditions_on = "label" if class_conditional else "nothing"
        self.head = NormedConv2d(filters, likelihood.maps)

    def condition(self, image: Tensor, label: Tensor | None) -> Tensor | None:
        """Class numbers (B,), or None where the network has no classes.

        Raises:
            ConfigError: the network has classes, but no label is given.
            DataError: labels are not one class number an image.
        """
        return checked_labels(label, len(image), self.classes) if self.classes else None

    @torch.no_grad()
    def initialise(self, image: Tensor, label: Tensor | None = None) -> None:
        """Set lengths and biases of all weights from a batch (weight normalisation, section 3).

        Not as in the released code: dropout is off, so that the result depends on weights and batch alone.
        """
        training = self.training
        self.eval()
        with fitted_to_data(self):
            x = self.likelihood.scale(image).to(self.head.v)
            self(x, self.condition(image, label))
        self.train(training)


class PixelCNNPP(TwoStreams):
    """The network of section 2, as in the released code.

    Args:
        likelihood: of a whole pixel.
        filters: F.
        resnets: n; on the way up, resolutions but the coarsest have one more (released code: 5, 6, 6).
        levels_down: L, resolutions; sides of the images must divide by 2^(L - 1).
        shortcuts: whether the way up sees the maps of the way down (section 2.4).
        resample: how resolutions differ. strided: by strided and transposed convolutions (section 2.3); dilated: not,
            convolutions at level d read every 2^d-th pixel instead; none: not at all. Parameters are equal in number.
        dropout: share of activations dropped in training (section 2.5).
        class_conditional: condition every layer on the class.
        checkpoint: recompute layers in the backward pass rather than keep their activations.

    Raises:
        ConfigError: a size is out of range or does not fit the images.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        filters: int = 160,
        resnets: int = 5,
        levels_down: int = 3,
        shortcuts: bool = True,
        resample: Resample = "strided",
        dropout: float = 0.5,
        class_conditional: bool = False,
        checkpoint: bool = False,
    ) -> None:
        super().__init__(likelihood, filters, class_conditional, dropout)
        self._check(resnets, levels_down, resample)
        self.shortcuts = shortcuts
        self.resample = resample
        self.checkpoint = checkpoint
        self.resnets = resnets
        spread = [2**d if resample == "dilated" else 1 for d in range(levels_down)]
        self.shifts = [(down(e), down_right(e)) for e in spread]
        self.input = InputLayers(self.shape.channels, filters, down())

        def pairs(level: int, count: int, shortcut: bool) -> nn.ModuleList:
            u, ul = self.shifts[level]
            return nn.ModuleList(
                Pair(filters, u, ul, shortcut, classes=self.classes, dropout=dropout) for _ in range(count)
            )

        # names follow the resolution: `encode` goes to coarser ones, `decode` back
        last = levels_down - 1
        self.encode = nn.ModuleList(pairs(d, resnets, False) for d in range(levels_down))
        self.decode = nn.ModuleList(pairs(d, resnets + (d != last), shortcuts) for d in range(levels_down))
        strided = resample == "strided"
        self.coarser = nn.ModuleList(Coarser(filters, 1 + strided, spread[d]) for d in range(last))
        # without strides the way up has ordinary convolutions in the place of the transposed ones
        self.finer = nn.ModuleList(Finer(filters) if strided else Coarser(filters, 1, spread[d]) for d in range(last))

    def _check(self, resnets: int, levels: int, resample: str) -> None:
        for name, value in (("resnets", resnets), ("levels_down", levels)):
            if value < 1:
                raise ConfigError(f"network.{name} is {value}. Expected 1 or more.")
        if resample not in ("strided", "dilated", "none"):
            raise ConfigError(f"network.resample is {resample!r}. Expected strided, dilated or none.")
        side, step = self.shape.side, 2 ** (levels - 1)
        if resample == "strided" and side % step:
            fitting = max(k for k in range(1, levels) if side % 2 ** (k - 1) == 0)
            raise ConfigError(
                f"network.levels_down is {levels}, but the images' side of {side} does not divide by {step}. "
                f"Expected at most network.levels_down={fitting}."
            )

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """See PixelNetwork.forward; condition (B,) class numbers."""
        if x.is_cuda:
            x = x.contiguous(memory_format=torch.channels_last)  # the faster layout for convolutions there
        u, ul = (self._active(maps, 0, k) for k, maps in enumerate(self.input(x)))
        shown: list[tuple[Tensor, Tensor]] = []
        for d, pairs in enumerate(self.encode):
            if d:
                raw = self.coarser[d - 1](u.raw, ul.raw)
                u, ul = (self._active(maps, d, k) for k, maps in enumerate(raw))
            shown.append((u.active, ul.active))
            for pair in pairs:  # type: ignore[attr-defined]
                u, ul = self._run(pair, u, ul, None, condition, self.shifts[d])
                shown.append((u.active, ul.active))
        shown.pop()  # where the way up starts
        for d in reversed(range(len(self.decode))):
            for pair in self.decode[d]:  # type: ignore[attr-defined]
                brought = shown.pop()
                u, ul = self._run(pair, u, ul, brought if self.shortcuts else None, condition, self.shifts[d])
            if d:
                raw = self.finer[d - 1](u.raw, ul.raw)
                u, ul = (self._active(maps, d - 1, k) for k, maps in enumerate(raw))
        return in_full_precision(self.head, F.elu(ul.raw))  # type: ignore[no-any-return]

    def _active(self, maps: Tensor, level: int, stream: int) -> Maps:
        return Maps(maps, concat_elu(maps, self.shifts[level][stream]))

    def _run(self, pair: Callable[..., tuple[Maps, Maps]], *inputs: Any) -> tuple[Maps, Maps]:
        if self.checkpoint and torch.is_grad_enabled():
            return recomputed(pair, *inputs, use_reentrant=False)  # type: ignore[no-any-return]
        return pair(*inputs)

    def cache(self, batch: int, condition: Tensor | None = None) -> UNetCache:
        """See PixelNetwork.cache; condition (B,) class numbers."""
        return UNetCache(self, batch, condition)
