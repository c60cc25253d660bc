"""The whole bound of an image from one draw of x_t for each of its terms, or for a few terms that stand for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from reprise.diffusion.bound import Cdf, bound_term, prior_kl
from reprise.diffusion.reverse import ReverseProcess


def tenths(steps: int) -> dict[int, int]:
    """Reverse times T k / 10 of a rate-distortion curve, each with its step t = T - time + 1 (Table 4)."""
    times = [steps * k // 10 for k in range(1, 11)]
    return {time: steps - time + 1 for time in times if time > 0}


def strata(steps: int, count: int) -> list[tuple[int, int]]:
    """Divide 1..steps into intervals that grow with t, so that one term of each estimates their sum well.

    Terms of the bound fall roughly as 1 / t. Each step of `tenths` ends an interval, so that rates can be summed.

    Args:
        steps: T.
        count: about how many intervals; steps or more for one interval a step.

    Returns:
        (first, last) of each, both included, rising.

    Raises:
        ValueError: count is less than 1.
    """
    if count < 1:
        raise ValueError(f"{count} strata; expected 1 or more")
    if count >= steps:
        return [(t, t) for t in range(1, steps + 1)]
    ends = {round(steps ** (i / count)) for i in range(1, count + 1)} | set(tenths(steps).values())
    rising = sorted(ends)
    return [(before + 1, last) for before, last in zip([0, *rising], rising, strict=False)]


class Terms(NamedTuple):
    """The bound of some images, estimated with one draw of x_t a stratum.

    Attributes:
        prior: L_T (B,) in nats.
        sums: (B, S) in nats, each a term times the number of terms in its stratum; the first is -log p(x_0 | x_1).
        squares: (B, K), squared error of the predicted x_0, summed over values in [-1, 1], at the steps of `tenths`.
    """

    prior: Tensor
    sums: Tensor
    squares: Tensor

    def total(self) -> Tensor:
        """-log p(x_0) <= this (B,) in nats."""
        return self.prior + self.sums.sum(1)


def measure(
    predict: Callable[[Tensor, Tensor], Tensor],
    reverse: ReverseProcess,
    x_0: Tensor,
    levels: int,
    intervals: Sequence[tuple[int, int]],
    draw: Callable[[int, int], tuple[Tensor, Tensor]],
    clip: bool = True,
    cdf: Cdf = "tanh",
    with_distortion: bool = True,
) -> Terms:
    """Estimate every stratum of the bound for a batch.

    Args:
        predict: the network's output for x_t and t in 1..T.
        reverse: the reverse process.
        x_0: (B, C, ...) in [-1, 1].
        levels: of the discrete decoder.
        intervals: see `strata`.
        draw: returns steps (B,) from first to last, and standard normal noise of x_0's shape, for (first, last).
        clip: see ReverseProcess.
        cdf: see discretised_gaussian.
        with_distortion: also predict x_0 at the steps of `tenths` that are no stratum of their own; zeros otherwise.
    """
    wanted = list(tenths(len(reverse)).values())
    sums, squares = [], dict.fromkeys(wanted, x_0.new_zeros(len(x_0), dtype=torch.float64))
    for first, last in intervals:
        t, noise = draw(first, last)
        x_t = reverse.diffuse(x_0, t, noise)
        term, predicted = bound_term(reverse, predict(x_t, t), x_0, x_t, t, levels, clip, cdf)
        sums.append(term.double() * (last - first + 1))
        if first == last and first in squares:
            squares[first] = _squares(predicted, x_0)
    if with_distortion:
        for step in wanted:
            if (step, step) not in intervals:
                t, noise = draw(step, step)
                x_t = reverse.diffuse(x_0, t, noise)
                squares[step] = _squares(reverse(predict(x_t, t).float(), x_t, t, clip).x_0, x_0)
    return Terms(prior_kl(x_0, reverse.schedule), torch.stack(sums, 1), torch.stack([squares[t] for t in wanted], 1))


def _squares(predicted: Tensor, x_0: Tensor) -> Tensor:
    return ((predicted - x_0).double() ** 2).flatten(1).sum(1)
