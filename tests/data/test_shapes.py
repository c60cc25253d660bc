"""Drawn shapes: colours, coverage and each label's trace in the picture, and the data module around them."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reprise.config.errors import ConfigError, DataError
from reprise.data.images import shapes as module
from reprise.data.images.shape_drawing import EXOGENOUS, _rgb, draw_shape, draw_shapes
from reprise.data.images.shapes import Shapes
from reprise.data.labels.shapes import shape_labels
from reprise.nn.images import ImageShape
from reprise.nn.randomness import example_rng

NAMES = ["Round", "Red", "Large", "Ringed", "Striped", "Night"]
MIDDLE = np.full(EXOGENOUS, 0.5)  # in the middle; a cross of middling arms where it is not round
COLOUR = ImageShape(3, 32)


def labelled(**values: int) -> np.ndarray:
    return np.array([values.get(name, 0) for name in NAMES], np.uint8)


def some(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, (count, 6)), rng.random((count, EXOGENOUS))


def changed(name: str, count: int = 60, **held: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of the same scenes without a label and with it, float."""
    labels, noise = some(count)
    for key, value in held.items():
        labels[:, NAMES.index(key)] = value
    pair = []
    for value in (0, 1):
        labels[:, NAMES.index(name)] = value
        pair.append(draw_shapes(labels, noise).astype(float))
    return pair[0], pair[1]


def read(cache: Path, **changes: Any) -> Shapes:
    settings: dict[str, Any] = {"shape": COLOUR, "images": 70, "val_examples": 6, "test_examples": 5} | changes
    data = Shapes(batch_size=4, seed=0, cache=str(cache), **settings)
    data.setup("fit")
    return data


def test_colours_are_those_of_hsv() -> None:
    hsv = np.random.default_rng(0).random((50, 3))
    hsv[0] = 0.0, 1.0, 1.0
    found = _rgb(*(hsv[:, k, None, None] for k in range(3)))[..., 0, 0]
    np.testing.assert_allclose(found, [colorsys.hsv_to_rgb(*row) for row in hsv], atol=1e-5)
    np.testing.assert_allclose(_rgb(np.full((1, 1, 1), -0.03), np.ones((1, 1, 1)), np.ones((1, 1, 1)))[0, 0], 1)


def test_a_circle_covers_its_area_and_is_where_the_noise_says() -> None:
    noise = MIDDLE.copy()
    noise[4] = 0.0  # a circle
    for x, y in ((0.5, 0.5), (1.0, 0.0), (0.0, 0.75)):
        noise[:2] = x, y
        red, other = (draw_shape(labelled(Round=1, Red=v, Night=1), noise, 64).astype(float)[0] for v in (1, 0))
        cover = (red - other) / (red - other).max()  # the ground is the same
        assert cover.sum() == pytest.approx(np.pi * (0.185 * 64) ** 2, rel=0.02)
        places = (np.arange(64) + 0.5) / 64 - 0.5
        found = cover.sum(0) @ places / cover.sum(), cover.sum(1) @ places / cover.sum()
        assert found == pytest.approx(((2 * x - 1) * 0.2, (2 * y - 1) * 0.2), abs=0.002)


def test_half_the_resolution_is_the_mean_of_four_pixels() -> None:
    labels, noise = some(100)
    fine = draw_shapes(labels, noise, 128).astype(float).reshape(100, 3, 64, 2, 64, 2).mean((3, 5))
    coarse = draw_shapes(labels, noise, 64).astype(float)
    difference = np.abs(fine - coarse)
    assert difference.mean() < 1.0 and np.quantile(difference, 0.99) < 40  # edges with corners differ a little


def test_shapes_stay_inside_and_pictures_of_one_label_set_differ() -> None:
    labels = np.tile(labelled(Red=1, Night=1, Large=1), (300, 1))
    images = draw_shapes(labels, np.random.default_rng(1).random((300, EXOGENOUS))).astype(float)
    border = np.concatenate([images[:, 0, 0], images[:, 0, -1], images[:, 0, :, 0], images[:, 0, :, -1]], 1)
    assert (border < 110).mean() > 0.995
    flat = images.reshape(300, -1)
    assert np.abs(flat[1:] - flat[:-1]).mean(1).min() > 1 and np.abs(flat[1:] - flat[:-1]).mean() > 15


def test_one_picture_is_that_of_a_batch() -> None:
    labels, noise = some(5)
    images = draw_shapes(labels, noise, 48)
    assert images.shape == (5, 3, 48, 48) and images.dtype == np.uint8
    for i in range(5):
        np.testing.assert_array_equal(draw_shape(labels[i], noise[i], 48), images[i])


def test_night_darkens_the_ground() -> None:
    day, night = changed("Night", Large=0, Ringed=0)
    corners = [image[:, :, ::31, ::31].max(1) for image in (day, night)]
    assert np.median(corners[0], (1, 2)).min() > 150 and np.median(corners[1], (1, 2)).max() < 80


def test_red_changes_the_body_alone() -> None:
    other, red = changed("Red", Striped=0, Ringed=0)
    touched = np.abs(other - red).max(1) > 30
    assert touched.any((1, 2)).all() and touched.mean((1, 2)).max() < 0.36  # a large ellipse covers 0.27
    body = touched.sum((1, 2))
    first = [(image[:, 0] * touched).sum((1, 2)) / body for image in (other, red)]
    rest = [(image[:, 1:].max(1) * touched).sum((1, 2)) / body for image in (other, red)]
    assert (first[1] > rest[1] + 40).all() and (rest[0] > first[0]).all()


def test_large_covers_more_than_twice_as_much() -> None:
    sizes = []
    for value in (0, 1):
        plain, other = changed("Red", Striped=0, Ringed=0, Large=value)
        sizes.append((np.abs(plain - other).max(1) > 30).sum((1, 2)))
    assert sizes[1].min() > 1.2 * sizes[0].max()


def test_a_ring_lies_around_the_body_and_leaves_it_alone() -> None:
    plain, ringed = changed("Ringed")
    touched = np.abs(plain - ringed).max(1) > 30
    assert touched.sum((1, 2)).min() > 30
    bare, painted = changed("Red", Striped=0, Ringed=0)
    body = np.abs(bare - painted).max(1) > 30
    assert (touched & body).sum() / body.sum() < 0.02


def test_stripes_lie_on_the_body() -> None:
    plain, striped = changed("Striped", Ringed=0)
    touched = np.abs(plain - striped).max(1) > 30
    bare, painted = changed("Red", Striped=0, Ringed=0)
    body = np.abs(bare - painted).max(1) > 8
    assert (touched & ~body).sum() / touched.sum() < 0.02
    share = touched.sum((1, 2)) / body.sum((1, 2))
    assert share.min() > 0.2 and share.max() < 0.8


def test_what_is_not_round_has_corners() -> None:
    """Of the body's pixels, the farthest from its middle is farther for the same area."""
    far = []
    for value in (0, 1):
        bare, painted = changed("Red", Striped=0, Ringed=0, Large=1, Round=value)
        found = []
        for body in np.abs(bare - painted).max(1) > 60:
            y, x = np.nonzero(body)
            found.append(np.hypot(x - x.mean(), y - y.mean()).max() / np.sqrt(body.sum() / np.pi))
        far.append(np.array(found))
    assert np.median(far[0]) > np.median(far[1]) + 0.1


@pytest.mark.slow
def test_a_small_network_reads_every_label_off_pictures_it_has_not_seen() -> None:
    labels, noise = some(7000, 7)
    images = torch.from_numpy(draw_shapes(labels, noise)).float() / 127.5 - 1
    wanted = torch.from_numpy(labels).float()
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        *(torch.nn.Conv2d(3, 24, 5, 2, 2), torch.nn.ReLU(), torch.nn.Conv2d(24, 48, 3, 2, 1), torch.nn.ReLU()),
        *(torch.nn.Conv2d(48, 64, 3, 2, 1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64 * 16, 6)),
    )
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(8):
        for rows in torch.randperm(6000).split(50):
            optimiser.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(network(images[rows]), wanted[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        right = ((network(images[6000:]) > 0) == (wanted[6000:] > 0.5)).float().mean(0)
    assert right.min() > 0.9, dict(zip(NAMES, right.tolist(), strict=True))


def test_items_are_functions_of_their_number(tmp_path: Path) -> None:
    data = read(tmp_path)
    assert data.attributes == NAMES == list(data.true_law.graph.names)
    items = [data.train_set()[p] for p in range(data.epoch_size())]
    items += [part[i] for part in (data.eval_set("val"), data.eval_set("test")) for i in range(len(part))]
    by_id = {item["id"]: item for item in items}
    assert len(by_id) == 70 and [len(data.eval_set(s)) for s in ("val", "test")] == [6, 5]
    labels = shape_labels(0, range(70))
    for i in range(70):
        item = by_id[f"shape-{i:05d}"]
        np.testing.assert_array_equal(item["attributes"].numpy(), labels[i])
        noise = example_rng(0, "shape", i).random(EXOGENOUS)
        np.testing.assert_array_equal(item["image"].numpy(), draw_shape(labels[i], noise))
        assert item["image"].dtype == item["attributes"].dtype == torch.uint8


def test_another_size_shows_the_same_scenes(tmp_path: Path) -> None:
    small, large = read(tmp_path), read(tmp_path, shape=ImageShape(3, 64))
    for i in range(5):
        a, b = small.eval_set("test")[i], large.eval_set("test")[i]
        assert a["id"] == b["id"] and torch.equal(a["attributes"], b["attributes"])
        halved = b["image"].float().reshape(3, 32, 2, 32, 2).mean((2, 4))
        assert (halved - a["image"].float()).abs().mean() < 4


def test_images_are_drawn_once_and_settings_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(tmp_path).data_digests()
    others = [read(tmp_path, **c).data_digests() for c in ({"split_seed": 1}, {"images": 71})]
    assert len({str(d["images_sha256"]) for d in [first, *others]}) == 3
    assert first["facts"] == {"attributes": NAMES}
    monkeypatch.setattr(module, "draw_shapes", None)  # from here on only the cache can answer
    assert read(tmp_path).data_digests() == first


def test_pictures_on_demand(tmp_path: Path) -> None:
    data = read(tmp_path)
    labels = np.tile(labelled(Ringed=1), (4, 1))  # never in the data
    images = data.draw(labels, 3)
    np.testing.assert_array_equal(images[:2], data.draw(labels[:2], 3))
    assert images.shape == (4, 3, 32, 32) and (images != data.draw(labels, 4)).any()
    assert data.draw(labels[:0], 3).shape == (0, 3, 32, 32)
    for wrong in (labels[0], labels[:, :5], labels * 2):
        with pytest.raises(DataError, match=r"Expected \(B, 6\), each 0 or 1"):
            data.draw(wrong, 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": ImageShape(1, 32)}, "data.shape.channels is 1"),
        ({"shape": ImageShape(3, 16)}, "a side of 24 or more"),
        ({"images": 0}, "data.images is 0"),
        ({"root": "somewhere"}, "which are drawn"),
    ],
)
def test_impossible_settings_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, **changes)
