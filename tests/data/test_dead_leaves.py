"""Dead leaves: discs painted one by one, their statistics in closed form, and the data module around them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reprise.config.errors import ConfigError
from reprise.data.images import dead_leaves as module
from reprise.data.images.dead_leaves import DeadLeaves, dead_leaves, disc_radii
from reprise.nn.images import ImageShape
from reprise.nn.randomness import example_rng

GREY = ImageShape(1, 8)


def read(cache: Path, **changes: Any) -> DeadLeaves:
    settings: dict[str, Any] = {"shape": GREY, "images": 20, "val_examples": 4, "test_examples": 3} | changes
    data = DeadLeaves(batch_size=2, seed=0, cache=str(cache), **settings)
    data.setup("fit")
    return data


def test_an_image_is_its_discs_painted_from_the_farthest_to_the_nearest() -> None:
    side, r_min, r_max = 12, 1.0, 6.0
    rng, discs = np.random.default_rng(3), []
    found = dead_leaves(np.random.default_rng(3), side, r_min, r_max)
    painted = np.full((side, side), -1)
    while (painted < 0).any():
        r = disc_radii(rng, 64, side, r_min, r_max)
        y, x = rng.random((2, 64)) * (side + 2 * r) - r
        discs += list(zip(r, y, x, rng.integers(0, 256, 64, dtype=np.uint8), strict=True))
        painted[:] = -1
        for radius, cy, cx, grey in reversed(discs):
            for i in range(side):
                for j in range(side):
                    if (i + 0.5 - cy) ** 2 + (j + 0.5 - cx) ** 2 <= radius**2:
                        painted[i, j] = grey
    np.testing.assert_array_equal(found, painted)
    assert found.dtype == np.uint8


def test_radii_that_reach_the_window_have_their_density() -> None:
    """The integral of r^-3 (n + 2r)^2 from r_min to each radius is uniform on [0, 1] when divided by the whole."""
    n, a, b = 32, 1.0, 100.0

    def below(r: np.ndarray | float) -> Any:
        return (
            n**2 * (a**-2 - np.power(r, -2.0)) / 2 + 4 * n * (1 / a - 1 / np.asarray(r)) + 4 * np.log(np.asarray(r) / a)
        )

    radii = disc_radii(np.random.default_rng(0), 20_000, n, a, b)
    assert a <= radii.min() and radii.max() <= b
    ranks = np.sort(below(radii) / below(b))
    assert np.abs(ranks - (np.arange(20_000) + 0.5) / 20_000).max() < 1.63 / math.sqrt(20_000)  # 1 % Kolmogorov-Smirnov


def shared(distance: float, a: float, b: float) -> float:
    """Mean area that a disc shares with itself moved by a distance, radii from a to b of density r^-3."""
    r = np.exp(np.linspace(math.log(a), math.log(b), 20_001))
    half = np.minimum(distance / (2 * r), 1.0)
    lens = 2 * r**2 * np.arccos(half) - distance / 2 * np.sqrt(np.maximum(4 * r**2 - distance**2, 0.0))
    density = r**-3 * 2 / (a**-2 - b**-2)
    return float(np.trapezoid(lens * density, r))


def test_two_pixels_lie_on_one_leaf_as_often_as_theory_says() -> None:
    """The nearest disc over either of two points covers both with probability s(d) / (2 s(0) - s(d)).

    Grey levels of different discs are independent, so that this is their correlation (Lee, Mumford and Huang 2001).
    """
    side, a, b = 6, 1.0, 8.0
    images = np.stack([dead_leaves(example_rng(0, "test", i), side, a, b) for i in range(6000)]).astype(float)
    standard = (images - 127.5) / math.sqrt((256**2 - 1) / 12)
    assert abs(standard.mean()) < 0.02 and abs(standard.var() - 1) < 0.02
    for d in (1, 2, 5):
        found = (standard[:, :, d:] * standard[:, :, :-d]).mean()
        expected = shared(d, a, b) / (2 * shared(0, a, b) - shared(d, a, b))
        assert found == pytest.approx(expected, abs=0.025), d
    counts = np.bincount((images.ravel() // 64).astype(int)) / images.size
    np.testing.assert_allclose(counts, 0.25, atol=0.02)


def test_an_image_is_a_function_of_its_number(tmp_path: Path) -> None:
    data = read(tmp_path)
    sets = [data.train_set()[p] for p in range(13)]
    sets += [found[i] for found in (data.eval_set("val"), data.eval_set("test")) for i in range(len(found))]
    by_id = {item["id"]: item["image"].numpy() for item in sets}
    assert len(by_id) == 20
    for i in range(20):
        expected = dead_leaves(example_rng(0, "dead leaves", i), 8, 1.0, 128.0)[None]
        np.testing.assert_array_equal(by_id[f"leaves-{i:05d}"], expected)


def test_images_are_drawn_once_and_settings_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(tmp_path).data_digests()
    others = [read(tmp_path, **c).data_digests() for c in ({"split_seed": 1}, {"r_max": 9.0}, {"images": 21})]
    assert len({str(d["images_sha256"]) for d in [first, *others]}) == 4
    assert len({str(d["files"]) for d in [first, *others]}) == 4
    monkeypatch.setattr(module, "dead_leaves", None)  # from here on only the cache can answer
    assert read(tmp_path).data_digests() == first
    with pytest.raises(TypeError):
        read(tmp_path, images=22)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": ImageShape(3, 8)}, "dead leaves are grey"),
        ({"images": 0}, "data.images is 0"),
        ({"r_min": 0.0}, "Expected 0 < r_min < r_max"),
        ({"r_min": 5.0, "r_max": 5.0}, "Expected 0 < r_min < r_max"),
        ({"r_max": math.inf}, "Expected 0 < r_min < r_max"),
        ({"root": "somewhere"}, "which are generated"),
    ],
)
def test_impossible_settings_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, **changes)
