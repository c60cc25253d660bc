"""What images of a data set look like, and likelihoods per dimension of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from reprise.config.errors import ConfigError, DataError

TEST_GROUPS = ("test", "test/train_images")  # by the `group` of a test example: held out, or seen in training


@dataclass(frozen=True)
class ImageShape:
    """Square images of whole numbers, as a data module promises them to a model.

    Attributes:
        channels: C, 1 to 4: 1 for grey, 3 for red, green and blue.
        side: height and width in pixels.
        levels: a value is one of 0 ... levels - 1; 2 is a binary image.
        classes: number of labels, 0 where images have none.

    Raises:
        ConfigError: a number is out of range.
    """

    channels: int
    side: int
    levels: int = 256
    classes: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (("channels", 1, 4), ("side", 1, 4096), ("levels", 2, 256), ("classes", 0, 100_000)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} of the images is {value}. Expected {low} to {high}.")

    def check(self, image: Tensor) -> None:
        """Refuse what are no images of this shape; values on a GPU are not looked at, since that would wait for it.

        Args:
            image: (B, C, side, side) of whole numbers.

        Raises:
            DataError: of another form, or a value out of range.
        """
        expected = (self.channels, self.side, self.side)
        if tuple(image.shape[1:]) != expected or image.is_floating_point():
            raise DataError(
                f"images are {image.dtype} of shape {tuple(image.shape)}. Expected whole numbers (B, "
                f"{', '.join(map(str, expected))})."
            )
        if not image.is_cuda and image.numel() and not 0 <= int(image.min()) <= int(image.max()) < self.levels:
            raise DataError(
                f"images hold values from {int(image.min())} to {int(image.max())}. Expected 0 to {self.levels - 1}."
            )

    @property
    def dims(self) -> int:
        """Values of one image, C * side * side."""
        return self.channels * self.side**2

    def bits_per_dim(self, nats: float) -> float:
        """Bits per dimension of a negative log-likelihood in nats per image: nats / (ln 2 * dims)."""
        return nats / (math.log(2.0) * self.dims)
