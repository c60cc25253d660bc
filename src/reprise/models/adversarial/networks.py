"""What networks of labelled images have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from reprise.config.errors import ConfigError
from reprise.nn.images import ImageShape

Kind = TypeVar("Kind", bound="LabelledNetworks")


class LabelledNetworks(nn.Module):
    """Networks that are trained against each other.

    Attributes:
        generator: called with z (B, noise) in [-1, 1] and (B, d) numbers for labels, gives images (B, C, S, S).
        labeler: gives logits (B, d) of images.
        shape: of the images.
        noise: dimensions of z.
    """

    generator: nn.Module
    labeler: nn.Module
    shape: ImageShape
    noise: int


def networks_of(model: str, kind: type[Kind], network: Callable[..., object], labels: int) -> Kind:
    """Build the networks of a model, and see that they are that model's.

    Networks of another one have parts of the same names, so that a run with them would break late, or not at all.

    Args:
        model: as it is chosen, e.g. causalgan.
        kind: what its networks are.
        network: the networks, waiting for the number of labels.
        labels: that many.

    Raises:
        ConfigError: a size is out of range, or they are networks of another model.
    """
    try:
        found = network(labels=labels)
    except ValueError as error:
        raise ConfigError(f"model.network: {error}") from None
    if not isinstance(found, kind):
        name = f"{type(found).__module__}.{type(found).__qualname__}"
        raise ConfigError(
            f"model.network is {name}. Expected the networks of model={model}, {kind.__module__}.{kind.__qualname__}: "
            f"choose arch={model}/small, or another of arch={model}/..."
        )
    return found
