"""Pictures of a diffusion: data on their way to noise, samples on their way from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reprise.metrics.lower_bound import StepTerms
from reprise.models.diffusion_2015.chain import Chain
from reprise.nn.randomness import ExampleDraws
from reprise.samples.base import Sample
from reprise.samples.curves import Curve
from reprise.samples.images import ImageGrid
from reprise.samples.points import PointPanels

_ROWS = ["data, diffused", "drawn"]


def shown_steps(steps: int) -> list[int]:
    """Steps that pictures show, from the data to the noise."""
    return [0, steps // 4, steps // 2, 3 * steps // 4, steps]


def diffused(chain: Chain, x_0: Tensor, steps: Sequence[int]) -> list[Tensor]:
    """Data after each of some steps, all with the same noise."""
    table, noise = chain.table(), chain.noise(ExampleDraws(0, "pictures", range(len(x_0))), *x_0.shape[1:]).to(x_0)
    found = []
    with torch.no_grad():
        for t in steps:
            number = torch.full((len(x_0),), t, dtype=torch.long, device=x_0.device)
            found.append(chain.diffuse(table, x_0, number, noise))
    return found


def panels(name: str, steps: Sequence[int], data: Sequence[Tensor], drawn: Sequence[Tensor]) -> Sample:
    """Both ways in one picture: points in the plane as clouds, sequences of bits as lines of a bitmap.

    Args:
        name: of the picture.
        steps: S steps.
        data, drawn: S states (N, D) each, D = 2 numbers or D bits.
    """
    states = [*data, *drawn]
    caption = f"{len(drawn[0])} samples"
    if states[0].shape[1] == 2:
        return PointPanels(
            name=name,
            caption=caption,
            clouds=states,
            titles=[f"t = {t}" for t in steps] * 2,
            columns=len(steps),
            row_titles=_ROWS,
        )
    height = min(len(state) for state in states)
    return ImageGrid(
        name=name,
        caption=caption,
        images=torch.stack([state[:height, :].round().cpu() for state in states])[:, None].to(torch.uint8),
        levels=2,
        columns=len(steps),
        row_titles=_ROWS,
        column_titles=[f"t = {t}" for t in steps],
    )


def terms_curve(terms: StepTerms) -> list[Sample]:
    """What each step costs of the bound; nothing where nothing was measured."""
    values = terms.compute()
    if values.isnan().any():
        return []
    steps = list(range(2, len(values) + 2))
    caption = "KL of each reverse step from the posterior"
    series = {"bits an example": values.tolist()}
    return [Curve(name="terms", caption=caption, group="terms", x=("t", steps), series=series)]
