"""Swiss roll and binary heartbeat: what they are, and the streams they are read as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.data.generated.base import GeneratedExamples
from reprise.data.generated.heartbeat import BinaryHeartbeat
from reprise.data.generated.swiss_roll import SwissRoll


def roll(noise: float = 0.0, **settings: Any) -> GeneratedExamples:
    return GeneratedExamples(SwissRoll(noise), 2, 8, **{"seed": 0, **settings})


def beats(**settings: Any) -> GeneratedExamples:
    return GeneratedExamples(BinaryHeartbeat(), 20, 8, **{"seed": 0, **settings})


def values(data: GeneratedExamples, split: str) -> np.ndarray:
    examples = data.eval_set(split)
    return torch.stack([examples[i]["x"] for i in range(len(examples))]).numpy()  # type: ignore[arg-type]


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_the_roll_has_unit_norm(noise: float) -> None:
    x = values(roll(noise, test_examples=5_000), "test").astype(np.float64)
    np.testing.assert_allclose((x**2).sum(1).mean(), 2.0, atol=0.06)


def test_the_roll_is_that_of_scikit_learn() -> None:
    from sklearn.datasets import make_swiss_roll

    theirs = make_swiss_roll(5_000, random_state=0)[0][:, [0, 2]]
    data = roll(test_examples=5_000)
    drawn = data.distribution
    assert isinstance(drawn, SwissRoll)
    ours = values(data, "test") * drawn.scale
    for x in (theirs, ours):  # on the curve: the radius is the angle, up to whole turns
        radius = np.hypot(*x.T)
        turns = (radius - np.arctan2(x[:, 1], x[:, 0])) / (2 * np.pi)
        np.testing.assert_allclose(turns, turns.round(), atol=1e-4)
        np.testing.assert_allclose(
            np.quantile(radius, [0, 0.25, 0.5, 0.75, 1]) / np.pi, [1.5, 2.25, 3, 3.75, 4.5], atol=0.08
        )


def test_heartbeats_have_a_one_in_every_fifth_place() -> None:
    x = values(beats(test_examples=5000), "test")
    assert x.dtype == np.uint8 and x.shape == (5000, 20)
    kinds, counts = np.unique(x, axis=0, return_counts=True)
    expected = np.stack([np.arange(20) % 5 == phase for phase in range(5)])
    np.testing.assert_array_equal(np.unique(expected, axis=0), kinds)
    np.testing.assert_allclose(counts / 5000, 0.2, atol=0.03)


def test_training_never_repeats_and_follows_the_seed() -> None:
    stream, other = roll().train_set(), roll(seed=1).train_set()
    first = np.stack([stream[p]["x"].numpy() for p in range(200)])
    assert len(np.unique(first, axis=0)) == 200
    np.testing.assert_array_equal(first[7], roll().train_set()[7]["x"])
    assert not np.array_equal(first[7], other[7]["x"])
    assert stream[20_007]["position"] == 20_007


def test_held_out_examples_are_the_same_in_every_run_and_apart() -> None:
    first, again = roll(), roll(seed=5)
    for split in ("val", "test"):
        np.testing.assert_array_equal(values(first, split), values(again, split))
    everything = np.concatenate([values(first, "val"), values(first, "test")])
    assert len(np.unique(everything, axis=0)) == 2000
    assert not np.array_equal(values(roll(split_seed=1), "test"), values(first, "test"))
    limited = roll(limit_test=3)
    assert limited.held_out() == 3
    np.testing.assert_array_equal(values(limited, "test"), values(first, "test")[:3])
    assert first.data_digests() == again.data_digests() != roll(split_seed=1).data_digests()


def test_a_fixed_training_set_is_read_in_another_order_each_epoch() -> None:
    data = roll(train_examples=50)
    stream = data.train_set()
    epochs = [np.stack([stream[e * 50 + i]["x"].numpy() for i in range(50)]) for e in range(2)]
    assert not np.array_equal(*epochs)
    np.testing.assert_array_equal(*(np.unique(e, axis=0) for e in epochs))
    np.testing.assert_array_equal(
        np.unique(epochs[0], axis=0),
        np.unique(np.stack([roll(seed=3, train_examples=50).train_set()[i]["x"].numpy() for i in range(50)]), axis=0),
    )
    assert stream[77]["position"] == 77 and data.epoch_size() == 50
    assert {"train_sha256", "val_sha256", "test_sha256"} <= set(data.data_digests())


def test_samples_are_written_as_csv(tmp_path: Path) -> None:
    path = roll().write_sample("point", torch.tensor([0.25, -1.5]), tmp_path / "new")
    assert path.read_text() == "0.25,-1.5\n"
    assert beats().write_sample("bits", torch.tensor([1.0, 0.0]), tmp_path).read_text() == "1,0\n"


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.dims is 3"):
        GeneratedExamples(SwissRoll(), 3, 8, 0)
    with pytest.raises(ConfigError, match=r"data\.test_examples is 0"):
        roll(test_examples=0)
    with pytest.raises(ConfigError, match="noise is -1"):
        SwissRoll(-1.0)
    with pytest.raises(ConfigError, match="period is 6"):
        BinaryHeartbeat(5, 6)
