"""Labels under a condition: draws of a controller, of which those are kept that meet it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from reprise.config.errors import RunError
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.causal.law import binary

ROWS = 8192  # drawn at once
MOST = 4_000_000  # draws after which a condition is given up
NONE = 500_000  # draws after which it is given up where none of them met it


def collected(
    graph: CausalGraph,
    count: int,
    given: Mapping[str, int],
    draw: Callable[[int], Tensor],
    settings: str = "model",
    most: int = MOST,
) -> Tensor:
    """Keep draws that meet a condition, in the order in which they come, until there are enough.

    The release draws up to 4,000 batches for all rows of a picture together; here it is up to `most` draws for all
    rows, and NONE of them where none meets the condition: what is that rare is lost.

    Args:
        graph: over the labels.
        count: rows.
        given: labels and their values.
        draw: gives so many rows of labels (rows, n) of 0 and 1, other ones each time.
        settings: of the controller, by which its remedies are named in the message.
        most: draws after which it gives up.

    Returns:
        (count, n) uint8, where `draw` puts them.

    Raises:
        ConfigError: an unknown label, or a value that is neither 0 nor 1.
        RunError: too few draws met the condition.
    """
    places = [graph.index(name) for name in given]
    wanted = torch.tensor([binary(name, value) for name, value in given.items()], dtype=torch.uint8)
    kept: list[Tensor] = []
    met = torch.zeros(len(given), dtype=torch.long)
    found = drawn = 0
    while found < count and drawn < (most if found else min(NONE, most)):
        labels = draw(min(ROWS, most - drawn))
        agree = labels[:, places] == wanted.to(labels.device)
        kept.append(labels[agree.all(1)])
        met += agree.sum(0).cpu()
        found, drawn = found + len(kept[-1]), drawn + len(labels)
    if found < count:
        raise RunError(_no_support(count, given, found, drawn, met.tolist(), settings))
    return torch.cat(kept)[:count] if kept else torch.zeros(0, len(graph), dtype=torch.uint8)


def _no_support(count: int, given: Mapping[str, int], found: int, drawn: int, met: Sequence[int], settings: str) -> str:
    parts = ", ".join(f"{name}={value} by {m}" for (name, value), m in zip(given.items(), met, strict=True))
    missing = [f"{name}={value}" for (name, value), m in zip(given.items(), met, strict=True) if m == 0]
    remedies = f"train with {settings}.rare_share or {settings}.pack"
    if missing:
        reason = f"The controller has lost {', '.join(missing)}: {remedies}"
    elif len(given) == 1:
        reason = f"The controller hardly draws it: ask for fewer rows, {remedies}"
    else:
        reason = f"The parts hardly occur together: ask for fewer rows or for one part of the condition, {remedies}"
    return (
        f"{found} of {drawn} draws meet the condition; {count} were asked for. Its parts were met: {parts}. {reason}, "
        "or intervene on these labels (do) in place of conditioning."
    )
