"""Labels drawn from a controller: as they come, under a condition, and under an intervention.

Shapes: R replicas, n labels. Labels are rounded at 0.5, as the release does before it hands them to an image model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from reprise.models.causal_controller.network import Controller
from reprise.models.causal_controller.rejection import MOST, ROWS, collected
from reprise.nn.causal.law import binary

Values = Mapping[str, int]  # label to 0 or 1


@torch.no_grad()
def soft_labels(
    controller: Controller, count: int, generators: Sequence[torch.Generator], do: Values | None = None
) -> Iterator[Tensor]:
    """Draw unrounded labels, some rows at a time: (R, rows, n), `count` rows in all.

    Args:
        controller: of R replicas.
        count: rows.
        generators: of the noise, one a replica; numbers are drawn where a generator lives.
        do: labels that are set, and to what.
    """
    held = {name: float(binary(name, value)) for name, value in (do or {}).items()}
    device = controller.last_bias.device
    for start in range(0, count, ROWS):
        shape = (min(ROWS, count - start), len(controller.graph), controller.noise_dims)
        drawn = [torch.rand(shape, generator=g, device=g.device) for g in generators]
        noise = torch.stack(drawn).to(controller.last_bias).mul_(2.0).sub_(1.0)
        yield controller(noise.to(device), held)


def rounded(soft: Tensor) -> Tensor:
    """Soft labels as uint8 of 0 and 1."""
    return (soft > 0.5).to(torch.uint8)


def observe(controller: Controller, count: int, generator: torch.Generator) -> Tensor:
    """Draw labels as they come: (count, n) uint8, on the controller's device.

    Args:
        controller: of one replica; `Controller.only` takes one of several.
        count: rows.
        generator: of the noise.
    """
    return intervene(controller, count, {}, generator)


def intervene(controller: Controller, count: int, do: Values, generator: torch.Generator) -> Tensor:
    """Draw labels while some are set: their children read the values, their parents do not feel them.

    Args:
        controller: of one replica.
        count: rows.
        do: labels that are set, and to what.
        generator: of the noise.

    Returns:
        (count, n) uint8, on the controller's device, with the labels that are set.

    Raises:
        ConfigError: an unknown label, or a value that is neither 0 nor 1.
        ValueError: the controller has several replicas.
    """
    _one(controller)
    return torch.cat([rounded(part[0]) for part in soft_labels(controller, count, [generator], do)])


def condition(
    controller: Controller,
    count: int,
    given: Values,
    generator: torch.Generator,
    do: Values | None = None,
    most: int = MOST,
) -> Tensor:
    """Draw labels under a condition, by rejection; see `collected`.

    Args:
        controller: of one replica.
        count: rows.
        given: labels and their values.
        generator: of the noise.
        do: labels that are set at the same time.
        most: draws after which it gives up.

    Returns:
        (count, n) uint8, on the controller's device.

    Raises:
        ConfigError: an unknown label, or a value that is neither 0 nor 1.
        RunError: too few of `most` draws met the condition.
        ValueError: the controller has several replicas.
    """
    _one(controller)

    def draw(rows: int) -> Tensor:
        return rounded(next(soft_labels(controller, rows, [generator], do))[0])

    return collected(controller.graph, count, given, draw, most=most)


def _one(controller: Controller) -> None:
    if controller.replicas != 1:
        raise ValueError(f"the controller has {controller.replicas} replicas. Expected one: take it with only(r).")
