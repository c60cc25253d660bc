"""Folders of pictures: layouts, classes, formats, and pictures that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reprise.config.errors import ConfigError, DataError
from reprise.data.images import folder as folders
from reprise.data.images.files import read_picture
from reprise.data.images.folder import ImageFolder
from reprise.nn.images import ImageShape

COLOUR = ImageShape(3, 8)


def pixels(seed: int, height: int = 8, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def write(path: Path, array: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def read(root: Path, cache: Path, shape: ImageShape = COLOUR, **settings: Any) -> ImageFolder:
    data = ImageFolder(shape, 2, 0, str(cache), root=str(root), **settings)
    data.setup("fit")
    return data


def test_a_plain_folder_is_divided_by_split_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(10):
        write(tmp_path / "root" / f"sub{i % 2}" / f"{i}.{('png', 'bmp', 'webp')[i % 3]}", pixels(i), lossless=True)
    (tmp_path / "root" / "notes.txt").write_text("no picture", encoding="utf-8")
    data = read(tmp_path / "root", tmp_path / "cache", val_examples=2, test_examples=3)
    items = [data.train_set()[p] for p in range(5)]
    items += [*data.eval_set("val"), *data.eval_set("test")]
    assert len(items) == 10 and len({i["id"] for i in items}) == 10
    for item in items:
        number = int(item["id"].rpartition("/")[2])
        np.testing.assert_array_equal(item["image"].numpy(), pixels(number).transpose(2, 0, 1))
        assert item["id"] == f"sub{number % 2}/{number}" and item["label"] == -1
    monkeypatch.setattr(folders, "read_picture", None)  # from here on only the cache can answer
    again = read(tmp_path / "root", tmp_path / "cache", val_examples=2, test_examples=3)
    assert again.data_digests() == data.data_digests()
    assert dict(again.example_inputs(1)).keys() == {data.eval_set("test")[0]["id"].replace("/", "-")}
    with pytest.raises(ConfigError, match=r"Set data\.test_examples=N"):
        read(tmp_path / "root", tmp_path / "cache")


@pytest.mark.parametrize("val", ["val", "valid"])
def test_parts_and_classes_are_folders(tmp_path: Path, val: str) -> None:
    for part, kinds in (("train", "abc"), (val, "ab"), ("test", "cb")):
        for i, kind in enumerate(kinds):
            write(tmp_path / "root" / part / kind / f"{i}.png", pixels(i))
    data = read(tmp_path / "root", tmp_path / "cache", ImageShape(3, 8, 256, 3))
    assert {i["id"]: i["label"] for i in data.eval_set("test")} == {"test/b/1": 1, "test/c/0": 2}
    assert {i["id"]: i["label"] for i in data.eval_set("val")} == {f"{val}/a/0": 0, f"{val}/b/1": 1}
    assert data.epoch_size() == 3 and data.data_digests()["validation"] == "official"
    with pytest.raises(ConfigError, match=r"has 3 classes\. Set data\.shape\.classes=3, or 0"):
        read(tmp_path / "root", tmp_path / "cache", ImageShape(3, 8, 256, 4))
    write(tmp_path / "root" / "train" / "loose.png", pixels(9))
    with pytest.raises(DataError, match=r"loose\.png lies in no class folder"):
        read(tmp_path / "root", tmp_path / "cache", ImageShape(3, 8, 256, 3))
    assert read(tmp_path / "root", tmp_path / "cache").epoch_size() == 4


def test_digests_follow_pictures_and_labels(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path / "root" / "ab"[i % 2] / f"{i}.png", pixels(i))
    shape = ImageShape(3, 8, 256, 2)

    def digest(**settings: Any) -> str:
        digests = read(tmp_path / "root", tmp_path / "cache", shape, test_examples=1, **settings).data_digests()
        return str(digests["images_sha256"])

    first = digest()
    (tmp_path / "root" / "a" / "0.png").rename(tmp_path / "root" / "b" / "-.png")
    moved = digest()
    write(tmp_path / "root" / "b" / "-.png", pixels(77))
    assert len({first, moved, digest()}) == 3


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        read(tmp_path / "none", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no file of type \.png"):
        read(tmp_path / "empty", tmp_path)
    write(tmp_path / "a" / "test" / "1.png", pixels(0))
    with pytest.raises(DataError, match=r"has test/ but no train/"):
        read(tmp_path / "a", tmp_path)
    for part in ("train", "val", "valid"):
        write(tmp_path / "b" / part / "1.png", pixels(0))
    with pytest.raises(DataError, match="has both val/ and valid/"):
        read(tmp_path / "b", tmp_path)
    write(tmp_path / "c" / "1.png", pixels(0))
    write(tmp_path / "c" / "1.bmp", pixels(0))
    with pytest.raises(DataError, match="two pictures called '1'"):
        read(tmp_path / "c", tmp_path)
    with pytest.raises(ConfigError, match=r"data\.root is missing"):
        ImageFolder(COLOUR, 2, 0, str(tmp_path)).setup("fit")


def test_another_size_is_an_error_unless_cropped_and_resized(tmp_path: Path) -> None:
    gradient = np.repeat(np.arange(48, dtype=np.uint8)[None, :, None], 32, axis=0).repeat(3, axis=2)
    for i in range(3):
        write(tmp_path / "root" / f"{i}.png", gradient)
    with pytest.raises(DataError, match=r"0\.png has 32 x 48 pixels\. Expected 8 x 8 \(data\.shape\.side\)"):
        read(tmp_path / "root", tmp_path / "cache", test_examples=1)
    data = read(tmp_path / "root", tmp_path / "cache", test_examples=1, crop_resize=True)
    columns = data.eval_set("test")[0]["image"].numpy()[0, 4].astype(int)
    # the middle 32 columns are 8 ... 39; eight blocks of four have the means 9.5, 13.5, ..., 37.5
    assert np.abs(columns - (9.5 + 4 * np.arange(8))).max() <= 1


def test_formats_and_colours(tmp_path: Path) -> None:
    colour = pixels(1)
    write(tmp_path / "a.png", colour)
    grey = read_picture(tmp_path / "a.png", 1, 8)
    luma = colour @ np.array([0.299, 0.587, 0.114])
    assert grey.shape == (1, 8, 8) and np.abs(grey[0] - luma).max() < 1
    write(tmp_path / "g.png", grey[0])
    assert (read_picture(tmp_path / "g.png", 3, 8) == grey).all()
    Image.fromarray(grey[0] > 128).save(tmp_path / "b.png")
    assert set(np.unique(read_picture(tmp_path / "b.png", 1, 8))) == {0, 255}
    Image.fromarray(colour).quantize(4).save(tmp_path / "p.png")
    assert read_picture(tmp_path / "p.png", 3, 8).shape == (3, 8, 8)
    flat = np.full((8, 8, 3), 200, np.uint8)
    write(tmp_path / "a.jpg", flat, quality=95)
    assert np.abs(read_picture(tmp_path / "a.jpg", 3, 8).astype(int) - 200).max() <= 2
    opaque = np.concatenate([colour, np.full((8, 8, 1), 255, np.uint8)], axis=2)
    write(tmp_path / "o.png", opaque)
    np.testing.assert_array_equal(read_picture(tmp_path / "o.png", 3, 8), colour.transpose(2, 0, 1))
    opaque[3, 3, 3] = 254
    write(tmp_path / "t.png", opaque)
    with pytest.raises(DataError, match=r"t\.png is see-through"):
        read_picture(tmp_path / "t.png", 3, 8)
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png has pixels of kind I;16\. Expected 8 bits"):
        read_picture(tmp_path / "deep.png", 1, 8)


def test_inputs_to_generate_from(tmp_path: Path) -> None:
    data = ImageFolder(COLOUR, 2, 0, str(tmp_path))
    for i in range(3):
        write(tmp_path / f"in{i}.png", pixels(i))
    inputs = dict(data.read_inputs(tmp_path))
    assert list(inputs) == ["in0", "in1", "in2"]
    np.testing.assert_array_equal(inputs["in2"]["image"].numpy(), pixels(2).transpose(2, 0, 1))
    assert inputs["in2"]["position"] == 2
    for content, message in ((b"nothing", "cannot be read as a picture"), (None, "cannot be read as a picture")):
        whole = (tmp_path / "in0.png").read_bytes()
        (tmp_path / "bad.png").write_bytes(content if content is not None else whole[: len(whole) // 2])
        with pytest.raises(DataError, match=rf"bad\.png {message}"):
            data.read_inputs(tmp_path / "bad.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file of type"):
        data.read_inputs(tmp_path / "empty")
    with pytest.raises(DataError, match="does not exist"):
        data.read_inputs(tmp_path / "none")
