"""Class numbers that images are conditioned on."""

from __future__ import annotations

from torch import Tensor

from reprise.config.errors import ConfigError, DataError


def checked_labels(label: Tensor | None, count: int, classes: int) -> Tensor:
    """Return the class numbers (B,) of a batch, once they are known to be such.

    Args:
        label: as given.
        count: B.
        classes: K that the network was built for.

    Raises:
        ConfigError: there are no labels.
        DataError: not one whole number an image, or one that is not 0 ... K - 1.
    """
    if label is None:
        raise ConfigError(
            "the network is conditioned on the class, but no labels were given. Expected data with labels, or one "
            "class an image to generate."
        )
    if tuple(label.shape) != (count,) or label.is_floating_point():
        raise DataError(f"labels are {label.dtype} of shape {tuple(label.shape)}. Expected whole numbers ({count},).")
    if not label.is_cuda and bool(((label < 0) | (label >= classes)).any()):  # on a GPU asking would wait for it
        raise DataError(
            f"labels go from {int(label.min())} to {int(label.max())}. Expected 0 to {classes - 1}: the network was "
            f"built for {classes} classes, data.shape.classes."
        )
    return label.long()
