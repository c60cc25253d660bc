"""What is shown of a diffusion model: curves of its bound, samples as they emerge."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reprise.metrics.variational_bound import VariationalBound
from reprise.models.ddpm.drawing import whole_numbers
from reprise.samples.base import Sample
from reprise.samples.curves import Curve
from reprise.samples.grids import columns_grid
from reprise.samples.images import ImageGrid


class Watch:
    """Keeps the predicted x_0 of some steps of a reverse process, as evenly spaced as there are steps.

    Args:
        steps: that the process takes.
        levels: of the images.
        count: how many to keep; the last step is among them.

    Attributes:
        seen: (t, images (B, C, H, W)) in the order in which they were passed.
    """

    def __init__(self, steps: Sequence[int], levels: int, count: int = 10) -> None:
        kept = min(count, len(steps))
        self._wanted = {steps[len(steps) - 1 - i * len(steps) // kept] for i in range(kept)}
        self._levels = levels
        self.seen: list[tuple[int, Tensor]] = []

    def __call__(self, t: int, x_0: Tensor) -> None:
        """Look at one step."""
        if t in self._wanted:
            self.seen.append((t, whole_numbers(x_0, self._levels).cpu()))


def together(parts: Sequence[Sequence[tuple[int, Tensor]]], count: int) -> list[tuple[int, Tensor]]:
    """What the last `count` images showed that were drawn in portions, as the last portion was.

    Args:
        parts: what a Watch saw of each portion.
        count: of images.
    """
    times = [t for t, _ in parts[-1]]
    alike = [part for part in parts if [t for t, _ in part] == times]
    return [(t, torch.cat([part[i][1] for part in alike])[-count:]) for i, t in enumerate(times)]


def emerging_grid(name: str, seen: Sequence[tuple[int, Tensor]], levels: int) -> ImageGrid:
    """Progressive generation (Figure 6): the x_0 predicted at several steps, an image a row."""
    columns = [(f"t = {t}", images) for t, images in seen]
    return columns_grid(name, "x_0 as predicted on the way", levels, columns)


def bound_curves(bound: VariationalBound, values: dict[str, Tensor]) -> list[Sample]:
    """Rate and distortion along the reverse process (Figure 5), and the bound term by term."""
    times = [time for time in bound.times if float(values[f"rate/{time}"]) == float(values[f"rate/{time}"])]
    rates = [float(values[f"rate/{time}"]) for time in times]
    errors = [float(values[f"rmse/{time}"]) for time in times]
    middles = [(first + last) / 2 for first, last in bound.strata]
    terms = values["terms"].tolist()
    return [
        Curve(
            name="rate_distortion",
            caption="what an image costs until it looks like itself, along the reverse process",
            group="rate_distortion",
            x=("rate [bits/dim]", rates),
            series={"RMSE [0, 255]": errors},
        ),
        Curve(
            name="terms",
            caption="the bound term by term: t = 1 is the decoder's",
            group="terms",
            x=("t", middles),
            series={"bits/dim": terms},
            log_x=True,
            log_y=True,
        ),
    ]
