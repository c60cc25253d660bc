"""The variational bound over many images: by hand, however they are divided, on one process and on two."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from reprise.diffusion.terms import Terms, strata, tenths
from reprise.metrics.variational_bound import VariationalBound
from reprise.nn.images import ImageShape

SHAPE = ImageShape(3, 2)  # 12 values
STEPS = 20
BITS = 1 / (12 * math.log(2))


def terms(count: int, intervals: list[tuple[int, int]], steps: int = STEPS, seed: int = 0) -> Terms:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *size: torch.rand(*size, generator=generator, dtype=torch.float64)  # noqa: E731
    return Terms(draw(count), draw(count, len(intervals)), draw(count, len(tenths(steps))))


def part(whole: Terms, rows: slice) -> Terms:
    return Terms(*(values[rows] for values in whole))


def added(*several: Terms, intervals: list[tuple[int, int]] | None = None) -> VariationalBound:
    metric = VariationalBound(SHAPE, STEPS, strata(STEPS, STEPS) if intervals is None else intervals)
    for one in several:
        metric.update(one)
    return metric


def numbers(metric: VariationalBound) -> dict[str, float]:
    found = dict(metric.compute())
    assert found.pop("terms").shape == (len(metric.strata),)
    assert found.keys() == set(metric.names(metric.steps))
    return {name: float(value) for name, value in found.items()}


def test_parts_of_the_bound_by_hand() -> None:
    intervals = [(1, 1), (2, 3), (4, 4)]
    metric = VariationalBound(SHAPE, 4, intervals)
    squares = torch.tensor([[12.0, 3.0, 0.75, 0.0], [12.0, 9.0, 2.25, 0.0]])
    metric.update(Terms(torch.tensor([1.0, 3.0]), torch.tensor([[6.0, 2.0, 1.0], [2.0, 4.0, 1.0]]), squares))
    found = numbers(metric)
    expected = {"bpd": 2 + 4 + 3 + 1, "prior_bpd": 2, "distortion_bpd": 4}
    # what is known before x_4, x_3, x_2 and x_1 are: nothing but x_T; then the terms from T on
    expected |= {"rate/1": 2, "rate/2": 3, "rate/3": 3, "rate/4": 6}
    for name, nats in expected.items():
        assert found[name] == pytest.approx(nats * BITS, rel=1e-12), name
    errors = [found[f"rmse/{time}"] for time in (1, 2, 3, 4)]
    assert errors == pytest.approx([127.5, 127.5 * 0.5**0.5, 127.5 * 0.125**0.5, 0.0], rel=1e-12)
    assert found["late_rate_share"] == pytest.approx(1 - 3 / 6) and found["distortion_share"] == pytest.approx(0.4)
    assert metric.compute()["terms"].tolist() == pytest.approx([4 * BITS, 1.5 * BITS, BITS], rel=1e-12)


def test_the_shortest_process() -> None:
    metric = VariationalBound(SHAPE, 2, strata(2, 2))
    metric.update(Terms(torch.tensor([0.5]), torch.tensor([[4.0, 1.5]]), torch.tensor([[12.0, 3.0]])))
    found = numbers(metric)
    assert (found["rate/1"], found["rate/2"]) == pytest.approx((0.5 * BITS, 2 * BITS))
    assert (found["late_rate_share"], found["distortion_share"]) == pytest.approx((0.75, 4 / 6))


def test_images_count_alike_however_they_are_divided() -> None:
    whole = terms(10, strata(STEPS, STEPS))
    expected = numbers(added(whole))
    assert all(math.isfinite(value) for value in expected.values())
    parts = [part(whole, rows) for rows in (slice(7, 10), slice(3, 3), slice(0, 1), slice(1, 7))]
    assert numbers(added(*parts)) == pytest.approx(expected, rel=1e-12)


def test_sums_are_kept_in_double_precision() -> None:
    large = Terms(torch.tensor([0.0]), torch.full((1, STEPS), 1e8), torch.full((1, 10), 1e8))
    small = Terms(torch.tensor([0.0]), torch.full((1, STEPS), 1.0), torch.full((1, 10), 1.0))
    metric = added(large, *[small] * 100)  # lost beside 1e8 in single precision
    assert metric.compute()["bpd"].dtype == torch.float64
    assert float(metric.compute()["distortion_bpd"]) == pytest.approx((1e8 + 100) / 101 * BITS, rel=1e-13)
    expected = 127.5 * ((1e8 + 100) / 101 / 12) ** 0.5
    assert float(metric.compute()["rmse/20"]) == pytest.approx(expected, rel=1e-13)


def test_a_reset_forgets_everything() -> None:
    one, other = terms(4, strata(STEPS, STEPS)), terms(3, strata(STEPS, STEPS), seed=1)
    metric = added(one)
    first = numbers(metric)
    metric.reset()
    metric.update(other)
    assert numbers(metric) == numbers(added(other)) != first


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric VariationalBound was called before")
def test_of_no_image_nothing_is_said() -> None:
    assert added().compute() == {}
    assert added(part(terms(2, strata(STEPS, STEPS)), slice(0, 0))).compute() == {}


def as_ranks(*metrics: VariationalBound) -> None:
    """Let the metrics be those of several processes of one run: each gathers the others' sums."""
    states = list(metrics[0].metric_state)
    for metric in metrics:
        turn = iter(states * 100)

        def gather(value: Tensor, group: Any = None, turn: Any = turn) -> list[Tensor]:
            name = next(turn)
            return [saved[name] for saved in copies]

        metric.dist_sync_fn, metric.distributed_available_fn = gather, lambda: True
    copies = [{name: getattr(metric, name).clone() for name in states} for metric in metrics]


@pytest.mark.parametrize("cut", [0, 2, 5])
def test_several_processes_say_what_one_does(cut: int) -> None:
    intervals = strata(STEPS, 6)
    whole = terms(5, intervals)
    alone = added(whole, intervals=intervals)
    ranks = [added(part(whole, rows), intervals=intervals) for rows in (slice(0, cut), slice(cut, 5))]
    own = [metric.sums.clone() for metric in ranks]
    as_ranks(*ranks)
    for metric, sums in zip(ranks, own, strict=True):
        assert numbers(metric) == pytest.approx(numbers(alone), rel=1e-12)
        assert metric.compute()["terms"].tolist() == pytest.approx(alone.compute()["terms"].tolist(), rel=1e-12)
        assert torch.equal(metric.sums, sums)  # each goes on with its own


def test_it_is_better_low() -> None:
    metric = added()
    assert metric.higher_is_better is False and metric.version == 1
