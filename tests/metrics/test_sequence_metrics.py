"""Likelihood a sample, edit distances, and the phones in which they are counted."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch

from reprise.metrics.error_rate import ClassErrorPercent, EditErrorRate, edit_distance
from reprise.metrics.phones import TIMIT_61, TIMIT_61_TO_39, TIMIT_61_TO_48, mapped, merged
from reprise.metrics.sequence_likelihood import BitsPerSample, NatsPerSample


def test_likelihood_is_weighted_by_samples_however_they_are_split() -> None:
    log_prob = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)) - 3.0
    exists = torch.rand(3, 50, generator=torch.Generator().manual_seed(1)) < 0.7
    whole, parts, bits = NatsPerSample(), NatsPerSample(), BitsPerSample()
    whole.update(log_prob, exists)
    parts.update(log_prob[:, :7], exists[:, :7])
    parts.update(log_prob[0, 7:][exists[0, 7:]])
    parts.update(log_prob[1:, 7:], exists[1:, 7:])
    bits.update(log_prob, exists)
    expected = -float(log_prob[exists].double().mean())
    assert float(whole.compute()) == pytest.approx(expected, rel=1e-12)
    assert float(parts.compute()) == pytest.approx(expected, rel=1e-12)
    assert float(bits.compute()) == pytest.approx(expected / math.log(2), rel=1e-12)
    assert (whole.version, whole.unit, bits.version, bits.unit) == (1, "nats/sample", 1, "bits/sample")
    with pytest.raises(ValueError, match="one shape"):
        whole.update(log_prob, exists[0])


def test_uniform_codes_take_eight_bits() -> None:
    metric = BitsPerSample()
    metric.update(torch.full((5, 9), -math.log(256), dtype=torch.double))
    assert float(metric.compute()) == pytest.approx(8.0, abs=1e-12)


def brute_force(a: str, b: str) -> int:
    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        same = distance(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(same, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(a), len(b))


def test_edit_distance_against_its_definition() -> None:
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance([], ["a", "b"]) == 2 and edit_distance(["a", "b"], []) == 2
    draws = torch.randint(0, 3, (60, 14), generator=torch.Generator().manual_seed(0)).tolist()
    for row in draws:
        a, b = "".join(map(str, row[: 3 + row[0]])), "".join(map(str, row[7:]))
        assert edit_distance(a, b) == brute_force(a, b) == edit_distance(b, a)


def test_the_error_rate_is_a_quotient_of_sums_whatever_the_processes() -> None:
    pairs = [("abc", "abx"), ("", "xy"), ("aaaaaa", "a"), ("q", "q")]
    one = EditErrorRate()
    two = [EditErrorRate(), EditErrorRate()]
    for i, (found, wanted) in enumerate(pairs):
        one.update(found, wanted)
        two[i % 2].update(found, wanted)
    assert float(one.compute()) == pytest.approx(100 * (1 + 2 + 5) / 7, rel=1e-14)
    assert sum(float(m.total) for m in two) == float(one.total) == 8  # what processes add up is whole numbers
    assert sum(float(m.weight) for m in two) == float(one.weight) == 7


def test_unknown_classes_do_not_count() -> None:
    metric = ClassErrorPercent()
    metric.update(torch.tensor([1, 2, 3, 0]), torch.tensor([1, 0, -1, 0]))
    metric.update(torch.tensor([4]), torch.tensor([5]))
    assert float(metric.compute()) == 50.0
    with pytest.raises(ValueError, match="one shape"):
        metric.update(torch.zeros(2), torch.zeros(3))


def test_the_phone_sets_have_61_48_and_39_members() -> None:
    assert len(TIMIT_61) == len(set(TIMIT_61)) == 61
    for table, size in ((TIMIT_61_TO_48, 48), (TIMIT_61_TO_39, 39)):
        assert set(table) == set(TIMIT_61)
        assert len(set(table.values()) - {None}) == size
        assert [phone for phone, name in table.items() if name is None] == ["q"]
    folded = {p for p, name in TIMIT_61_TO_39.items() if name == "sil"}
    assert folded == {"bcl", "dcl", "gcl", "pcl", "tcl", "kcl", "epi", "pau", "h#"}
    assert TIMIT_61_TO_48["epi"] == "epi" and TIMIT_61_TO_48["bcl"] == "vcl" and TIMIT_61_TO_48["kcl"] == "cl"
    pairs = "ao aa, ax ah, ax-h ah, axr er, hv hh, ix ih, el l, em m, en n, nx n, eng ng, zh sh, ux uw, dx dx"
    assert all(TIMIT_61_TO_39[p] == name for p, name in (pair.split() for pair in pairs.split(", ")))


def test_frames_become_a_sequence() -> None:
    frames = ["h#", "h#", "ax", "ah", "q", "ah", "tcl", "t", "t"]
    assert merged(frames) == ["h#", "ax", "ah", "q", "ah", "tcl", "t"]
    assert mapped(frames[2:5], TIMIT_61_TO_39) == ["ah", "ah"]
    assert merged(mapped(frames, TIMIT_61_TO_39)) == ["sil", "ah", "sil", "t"]
