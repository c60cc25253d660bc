"""Labels drawn from a controller: as they come, under a condition, and under an intervention.

Shapes: R replicas, n labels. Labels are rounded at 0.5, as the release does before it hands them to an image model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from reprise.causal.law import binary
from reprise.config.errors import RunError
from reprise.models.causal_controller.network import Controller

_ROWS = 8192  # drawn at once
_MOST = 4_000_000  # draws before a condition is given up

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
    for start in range(0, count, _ROWS):
        shape = (min(_ROWS, count - start), len(controller.graph), controller.noise_dims)
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
    most: int = _MOST,
) -> Tensor:
    """Draw labels under a condition, by rejection.

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
    places = {name: controller.graph.index(name) for name in given}
    wanted = torch.tensor([binary(name, value) for name, value in given.items()], dtype=torch.uint8)
    wanted = wanted.to(controller.last_bias.device)
    kept: list[Tensor] = []
    met = torch.zeros(len(given), dtype=torch.long, device=wanted.device)
    found = drawn = 0
    while found < count and drawn < most:
        for part in soft_labels(controller, min(_ROWS, most - drawn), [generator], do):
            labels = rounded(part[0])
            agree = labels[:, list(places.values())] == wanted
            chosen = labels[agree.all(1)]
            kept.append(chosen)
            met += agree.sum(0)
            found, drawn = found + len(chosen), drawn + len(labels)
    if found < count:
        raise RunError(_no_support(count, given, found, drawn, met.tolist()))
    return torch.cat(kept)[:count] if kept else wanted.new_zeros(0, len(controller.graph))


def _no_support(count: int, given: Values, found: int, drawn: int, met: Sequence[int]) -> str:
    parts = ", ".join(f"{name}={value} by {m}" for (name, value), m in zip(given.items(), met, strict=True))
    missing = [f"{name}={value}" for (name, value), m in zip(given.items(), met, strict=True) if m == 0]
    if missing:
        reason = f"The controller has lost {', '.join(missing)}: train with model.rare_share or model.pack"
    else:
        reason = "The parts hardly occur together: ask for fewer rows, or for one part of the condition"
    return (
        f"{found} of {drawn} draws meet the condition; {count} were asked for. Its parts were met: {parts}. {reason}, "
        "or intervene on these labels (do) in place of conditioning."
    )


def _one(controller: Controller) -> None:
    if controller.replicas != 1:
        raise ValueError(f"the controller has {controller.replicas} replicas. Expected one: take it with only(r).")
