"""Squares cut out of photographs: where they come from, and that no two splits share a photograph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reprise.config.errors import ConfigError, DataError
from reprise.data.images import patches as module
from reprise.data.images.patches import ImagePatches, cut
from reprise.nn.images import ImageShape

GREY = ImageShape(1, 8)


def photograph(seed: int, height: int = 20, width: int = 25) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def read(root: Path, cache: Path, **settings: Any) -> ImagePatches:
    given: dict[str, Any] = {"shape": GREY} | settings
    data = ImagePatches(batch_size=2, seed=0, cache=str(cache), root=str(root), **given)
    data.setup("fit")
    return data


def items(data: ImagePatches) -> dict[str, dict[str, Any]]:
    train = [data.train_set()[p] for p in range(data.epoch_size())]
    return {item["id"]: item for item in [*train, *held_out(data, "val"), *held_out(data, "test")]}


def held_out(data: ImagePatches, split: str) -> list[dict[str, Any]]:
    found = data.eval_set(split)
    return [found[i] for i in range(len(found))]


def test_squares_lie_side_by_side() -> None:
    picture = np.arange(2 * 7 * 9).reshape(2, 7, 9)
    found = cut(picture, 3)
    assert found.shape == (6, 2, 3, 3)
    for number, (row, column) in enumerate((i, j) for i in range(2) for j in range(3)):
        np.testing.assert_array_equal(found[number], picture[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3])


def test_whole_photographs_are_held_out_and_squares_are_where_their_id_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache"
    for i in range(6):
        write(root / f"T0{i % 2}" / f"{i}.png", photograph(i, width=25 + 8 * (i == 3)))
    data = read(root, cache, val_pictures=1, test_pictures=2)
    found = items(data)
    assert len(found) == 5 * 6 + 8
    for name, item in found.items():
        number, (row, column) = int(name.split("/")[1]), map(int, name.split("/")[2].split("-"))
        expected = photograph(number, width=25 + 8 * (number == 3))[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        np.testing.assert_array_equal(item["image"].numpy()[0], expected)
    of = {split: {name.rsplit("/", 1)[0] for name in names} for split, names in splits(data).items()}
    assert [len(of[split]) for split in ("train", "val", "test")] == [3, 1, 2]
    assert not of["train"] & of["val"] and not of["train"] & of["test"] and not of["val"] & of["test"]
    assert splits(read(root, cache, val_pictures=1, test_pictures=2, split_seed=1)) != splits(data)
    monkeypatch.setattr(module, "decode_picture", None)  # from here on only the cache can answer
    again = read(root, cache, val_pictures=1, test_pictures=2)
    assert splits(again) == splits(data) and again.data_digests() == data.data_digests()


def splits(data: ImagePatches) -> dict[str, set[str]]:
    train = {data.train_set()[p]["id"] for p in range(data.epoch_size())}
    return {"train": train} | {split: {item["id"] for item in held_out(data, split)} for split in ("val", "test")}


def test_parts_are_folders_where_there_are_such(tmp_path: Path) -> None:
    for i, part in enumerate(("train", "val", "test")):
        write(tmp_path / "root" / part / f"{i}.png", photograph(i))
    found = splits(read(tmp_path / "root", tmp_path / "cache"))
    assert {split: {n.rsplit("/", 1)[0] for n in names} for split, names in found.items()} == {
        "train": {"train/0"},
        "val": {"val/1"},
        "test": {"test/2"},
    }
    with pytest.raises(ConfigError, match=r"has val/\. Set it to 0"):
        read(tmp_path / "root", tmp_path / "cache", val_pictures=1)


def test_digests_follow_the_photographs(tmp_path: Path) -> None:
    root, found = tmp_path / "root", set()
    for i in range(3):
        write(root / f"{i}.png", photograph(i))
    for change in (None, 7):
        if change is not None:
            write(root / "1.png", photograph(change))
        found.add(str(read(root, tmp_path / "cache", test_pictures=1).data_digests()["images_sha256"]))
    found.add(
        str(read(root, tmp_path / "cache", test_pictures=1, shape=ImageShape(1, 4)).data_digests()["images_sha256"])
    )
    assert len(found) == 3


def test_mistakes_are_named(tmp_path: Path) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache"
    for i in range(3):
        write(root / f"{i}.png", photograph(i))
    with pytest.raises(ConfigError, match="3 pictures cannot give 1 for validation and 2 for testing"):
        read(root, cache, val_pictures=1, test_pictures=2)
    with pytest.raises(ConfigError, match="val_pictures is -1"):
        read(root, cache, val_pictures=-1)
    with pytest.raises(ConfigError, match=r"Set data\.test_pictures=N"):
        read(root, cache)
    with pytest.raises(ConfigError, match=r"data\.root is missing"):
        ImagePatches(GREY, 2, 0, str(cache)).setup("fit")
    write(root / "small.png", photograph(9, height=7))
    with pytest.raises(DataError, match=r"small\.png has 7 x 25 pixels\. Expected 8 or more"):
        read(root, cache, test_pictures=1)
