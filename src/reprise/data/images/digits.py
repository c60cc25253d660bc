"""The 8 x 8 digits that come with scikit-learn: the embedded default of image models."""

from __future__ import annotations

import hashlib

import numpy as np

from reprise.config.errors import ConfigError
from reprise.data.images.arrays import ImageFiles, Images
from reprise.data.images.base import ImageDataModule


class Digits(ImageDataModule):
    """Optical recognition of handwritten digits (Alpaydin and Kaynak 1998), the 1797 images of its test set.

    1 x 8 x 8, values 0 to 16, ten classes, in scikit-learn's order; nothing is downloaded. Validation and test images
    are held out by split_seed.
    """

    def load(self) -> ImageFiles:
        """Read the images from the installed package."""
        from sklearn.datasets import load_digits

        if self.root is not None:
            raise ConfigError(
                f"data.root={self.root} is not read by the embedded digits, which come with scikit-learn. "
                "Use data=image_folder for images of your own."
            )
        content = load_digits()
        pixels = content.images.astype(np.uint8)[:, None]
        labels = content.target.astype(np.int64)
        digest = hashlib.sha256(pixels.tobytes() + labels.astype("<i8").tobytes()).hexdigest()
        return ImageFiles(Images("digits", pixels, labels), levels=17, classes=10, files={"digits": digest})
