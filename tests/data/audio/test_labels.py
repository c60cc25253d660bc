"""Numbers of labels, and which class a frame has."""

from __future__ import annotations

import math

import torch

from reprise.data.audio.labels import label_row, sorted_names
from reprise.data.audio.segments import class_sequence, frame_classes

NAMES = {"speaker": ["george", "jackson", "theo"], "digit": ["0", "1", "2"], "tag": ["guitar", "slow"]}


def test_names_become_numbers() -> None:
    assert label_row({"digit": "2", "speaker": "jackson"}, NAMES).tolist() == [1, 2]
    assert label_row({"speaker": "somebody", "digit": "1", "other": "x"}, NAMES).tolist() == [-1, 1]
    assert label_row({}, {}).shape == (0,)
    assert label_row({}, NAMES).dtype == torch.int64


def test_numbers_are_sorted_as_numbers() -> None:
    assert sorted_names(["10", "9", "9", "1"]) == ["1", "9", "10"]
    assert sorted_names(["10", "9", "a"]) == ["10", "9", "a"]


def test_a_frame_has_the_class_of_most_of_its_samples() -> None:
    # at 100 Hz: a is 0 to 14, b 15 to 26, q (not scored) 27 to 39, a 40 to 44; nothing from 45 on
    segments = ((0.0, 0.15, "a"), (0.15, 0.27, "b"), (0.27, 0.4, "q"), (0.4, 0.45, "a"))

    def by_hand(start: int, count: int) -> list[int]:
        of_sample = [0] * 15 + [1] * 12 + [2] * 13 + [0] * 5 + [3] * 100
        found = []
        for i in range(count):
            votes = of_sample[start + 10 * i : start + 10 * i + 10]
            best = max((0, 1, 2), key=lambda c: (votes.count(c), -c))
            found.append(best if best < 2 and votes.count(best) else -1)
        return found

    for start in (0, 3, 11, 20):
        assert frame_classes(segments, ["a", "b"], 100, start, 6, 10).tolist() == by_hand(start, 6)
    assert by_hand(0, 6) == [0, 0, 1, -1, 0, -1]  # 5 samples each of a and b: a comes first
    assert frame_classes(((0.0, math.inf, "b"),), ["a", "b"], 100, 5, 3, 10).tolist() == [1, 1, 1]
    assert frame_classes((), ["a"], 100, 0, 2, 10).tolist() == [-1, -1]


def test_a_sequence_of_classes_has_no_class_twice_in_a_row() -> None:
    segments = ((0.0, 0.1, "a"), (0.1, 0.2, "b"), (0.2, 0.25, "q"), (0.25, 0.4, "b"), (0.4, 0.5, "a"))
    assert class_sequence(segments, ["a", "b"], 0.0, 1.0).tolist() == [0, 1, 0]
    assert class_sequence(segments, ["a", "b"], 0.1, 0.4).tolist() == [1]
