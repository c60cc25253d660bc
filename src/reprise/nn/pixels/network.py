"""The contract between autoregressive image networks and those who train, measure and sample them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from reprise.nn.images import ImageShape
from reprise.nn.pixels.likelihood import Likelihood


class RowCache(ABC):
    """What a network remembers between pixels while it samples in raster order, for a batch of images.

    All state lies in tensors that keep their storage and are changed in place, and what is done depends on the column,
    the stage and the row's phase alone. So the work of a row is a fixed program, which a GPU can replay as a graph.

    Args:
        shape: of the images.
        batch: B.
        rows: rows of the canvas that are kept, the present one last.
        left, right: zero columns kept beside the canvas.
        like: a parameter of the network, for device and type.

    Attributes:
        period: rows after which the work repeats: the phase is row % period. Strided networks have more than one.
        x: (B, C, rows, left + W + right), scaled values; zeros where nothing is drawn yet and outside the image.
    """

    period: int = 1

    def __init__(self, shape: ImageShape, batch: int, rows: int, left: int, right: int, like: Tensor) -> None:
        self.shape = shape
        self.left = left
        self.x = like.new_zeros(batch, shape.channels, rows, left + shape.side + right)
        # views of each pixel of the present row, made once: slicing costs as much as the work of a small pixel
        self._present = [self.x[:, :, -1, left + c] for c in range(shape.side)]

    def next_row(self, phase: int) -> None:
        """Move the canvas up by a row and do what depends on complete rows only."""
        self.x[:, :, :-1] = self.x[:, :, 1:].clone()
        self.x[:, :, -1] = 0
        self.begin_row(phase)

    def write(self, column: int, first: int, values: Tensor) -> None:
        """Put scaled values (B, n) of the colours from `first` on at a column of the present row."""
        self._present[column][:, first : first + values.shape[1]] = values

    @abstractmethod
    def begin_row(self, phase: int) -> None:
        """Compute what the rows above give to the present row."""

    @abstractmethod
    def predict(self, phase: int, column: int, stage: int) -> Tensor:
        """Maps (B, P) of the pixel at `column`; only those of the stage's colours need be right.

        Called for every column from left to right, and for every stage in order, after earlier values are written.
        """


class PixelNetwork(nn.Module, ABC):
    """p(image | condition) as a product over pixels in raster order (PixelRNN, eq. (1) and (2)).

    Args:
        likelihood: of a pixel given the network's output; knows the shape of the images.

    Attributes:
        conditions_on: what of an example `condition` uses.
        measures: what its log-likelihoods are called in metrics: "" where they are those of an image, or a bound.
        property_versions: names of what `properties` returns, with their protocol versions.
    """

    conditions_on: Literal["nothing", "label", "image"] = "nothing"
    measures: ClassVar[str] = ""
    property_versions: ClassVar[dict[str, int]] = {}

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__()
        self.likelihood = likelihood
        self.shape = likelihood.shape

    @abstractmethod
    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Maps of all pixels at once, each depending on earlier pixels and colours alone.

        Args:
            x: (B, C, H, W), scaled by the likelihood.
            condition: what `condition` returned.

        Returns:
            (B, P, H, W).
        """

    @abstractmethod
    def cache(self, batch: int, condition: Tensor | None = None) -> RowCache:
        """Begin sampling `batch` images."""

    def condition(self, image: Tensor, label: Tensor | None) -> Tensor | None:
        """What examples are conditioned on: None here.

        Args:
            image: (B, C, H, W) whole numbers.
            label: (B,) class numbers, or None.
        """
        return None

    def log_prob(self, image: Tensor, label: Tensor | None = None, uniform: Tensor | None = None) -> Tensor:
        """Log-likelihood of each example.

        Args:
            image: (B, C, H, W) whole numbers.
            label: (B,) class numbers where the network is conditional.
            uniform: (B, C, H, W) where the likelihood dequantises.

        Returns:
            (B,) nats.

        Raises:
            DataError: the images are of another shape, or hold values out of range.
        """
        self.shape.check(image)
        x = self.likelihood.scale(image).to(next(self.parameters()).dtype)
        maps = self(x, self.condition(image, label))
        return self.likelihood.log_prob(maps, image, uniform).flatten(1).sum(1)

    def sample(
        self,
        uniform: Tensor,
        condition: Tensor | None = None,
        given: Tensor | None = None,
        known: Tensor | None = None,
        on_row: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Draw images, pixel by pixel, with cached activations.

        Args:
            uniform: (B, H, W, N) in [0, 1): equal numbers give equal images.
            condition: as `forward` takes it.
            given: (B, C, H, W) whole numbers that are kept where `known`.
            known: (B, C, H, W) of bool; whole pixels.
            on_row: called with the number of rows done.

        Returns:
            (B, C, H, W) whole numbers, uint8.
        """
        from reprise.nn.pixels.sampling import RowSampler

        return RowSampler(self, len(uniform), condition).run(uniform, given, known, on_row)

    def sampling_noise(self) -> tuple[int, int, int]:
        """Shape (H, W, N) of the uniform numbers that one image takes."""
        return self.shape.side, self.shape.side, self.likelihood.noise

    def sampling_rows(self) -> int:
        """Rows that drawing an image takes, for a progress bar."""
        return self.shape.side

    @torch.no_grad()
    def initialise(self, image: Tensor, label: Tensor | None = None) -> None:
        """Set initial weights from a batch of data (B, C, H, W); most networks need none."""

    def properties(self) -> dict[str, float]:
        """What a paper states of the network itself, apart from any data; nothing here."""
        return {}
