"""What a judge finds, and distances within labels."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from reprise.metrics.labels.distance import (
    distances_by_label,
    intra_label_distance,
    mean_pairwise_distance,
)
from reprise.metrics.labels.judged import agreement, judged_share, label_share

NAN = float("nan")
ANSWERS = torch.tensor([[1.0, 0.0, NAN], [1.0, 1.0, NAN], [0.0, 1.0, NAN], [1.0, 1.0, NAN]])


def test_shares_of_events() -> None:
    names = ("A", "B", "C")
    assert judged_share(ANSWERS, names, {"A": 1}) == 0.75
    assert judged_share(ANSWERS, names, {"A": 0}) == 0.25
    assert judged_share(ANSWERS, names, {"A": 1, "B": 1}) == 0.5
    assert math.isnan(judged_share(ANSWERS, names, {"A": 1, "C": 1}))
    assert math.isnan(judged_share(ANSWERS[:0], names, {"A": 1}))
    assert label_share(torch.tensor([[1, 0], [1, 1]], dtype=torch.uint8), ("A", "B"), {"B": 1}) == 0.5


def test_agreement_by_label() -> None:
    labels = torch.tensor([[1, 0, 1], [0, 1, 1], [1, 1, 0], [1, 1, 0]], dtype=torch.uint8)
    found = agreement(ANSWERS, labels, ("A", "B", "C"))
    assert found["A"] == pytest.approx((2 / 3 + 0.0) / 2) and found["B"] == 1.0 and math.isnan(found["C"])


def test_agreement_on_a_rare_label_is_not_that_of_saying_no() -> None:
    labels = torch.zeros((100, 2), dtype=torch.uint8)
    labels[:2, 0] = 1
    found = agreement(torch.zeros(100, 2), labels, ("Rare", "Never"))
    assert found["Rare"] == 0.5
    assert math.isnan(found["Never"])  # of a label that was never asked for nothing is known


def test_distance_pair_by_pair() -> None:
    x = torch.rand((70, 3, 4, 4), generator=torch.Generator().manual_seed(0)) * 2 - 1
    pairs = [(x[i] - x[j]).abs().mean() / 2 for i, j in itertools.combinations(range(70), 2)]
    assert mean_pairwise_distance(x) == pytest.approx(float(torch.stack(pairs).mean()), rel=1e-5)


def test_distance_of_extremes() -> None:
    black, white = -torch.ones(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    assert mean_pairwise_distance(torch.cat([black, white])) == 1.0
    assert mean_pairwise_distance(torch.cat([white] * 3)) == 0.0
    assert math.isnan(mean_pairwise_distance(white))


def test_a_collapse_within_one_label_shows_there() -> None:
    x = torch.rand((40, 3, 4, 4), generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels = torch.zeros((40, 2), dtype=torch.uint8)
    labels[:10, 0], labels[::2, 1] = 1, 1
    collapsed = x.clone()
    collapsed[:10] = x[:1]  # one prototype for label A
    before, after = (distances_by_label(images, labels, ("A", "B b")) for images in (x, collapsed))
    assert set(before) == {"a", "not_a", "b_b", "not_b_b"}
    assert after["a"] == 0.0 < before["a"] and after["not_a"] == before["not_a"]
    assert intra_label_distance(x, labels, ("A", "B b")) == pytest.approx(sum(before.values()) / 4)


def test_values_of_fewer_than_two_images_are_left_out_of_the_mean() -> None:
    x = torch.stack([-torch.ones(1, 2, 2), torch.ones(1, 2, 2), torch.ones(1, 2, 2)])
    labels = torch.tensor([[0], [1], [1]], dtype=torch.uint8)
    assert math.isnan(distances_by_label(x, labels, ["A"])["not_a"])
    assert intra_label_distance(x, labels, ["A"]) == 0.0
    assert math.isnan(intra_label_distance(x[:1], labels[:1], ["A"]))
