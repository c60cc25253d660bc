"""Folders of pictures: layouts, classes, formats, and pictures that do not fit."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reprise.config.errors import ConfigError, DataError
from reprise.data.images import folder as folders
from reprise.data.images import pictures
from reprise.data.images.files import read_picture
from reprise.data.images.folder import ImageFolder
from reprise.data.images.names import Names
from reprise.nn.images import ImageShape

# of the folder in `test_order_and_digests_do_not_change_from_version_to_version`
FILES_SHA256 = "4fea9d34ddc37d15d31012326521cabad450de2534030d793371e2c7d4be733a"
IMAGES_SHA256 = "93cb8d31c99bac921a1516c1997398ce114673a0fee18007637d3adfcea59878"
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


def test_order_and_digests_do_not_change_from_version_to_version(tmp_path: Path) -> None:
    for i, name in enumerate(("a/b.png", "a-b/c.png", "a.b/c.d.png", "a/b/q.bmp", "A/z.PNG", "c0.png", "c-1.png")):
        write(tmp_path / "root" / name, pixels(i))
    data = read(tmp_path / "root", tmp_path / "cache", test_examples=1, train_on_all=True)
    reference = data.reference_set("train")
    names = ["A/z", "a/b/q", "a/b", "a-b/c", "a.b/c.d", "c-1", "c0"]
    assert [reference[i]["id"] for i in range(7)] == names
    digests = data.data_digests()
    assert digests["files"] == {"7 pictures": FILES_SHA256} and digests["images_sha256"] == IMAGES_SHA256


def test_links_to_pictures_count_and_links_to_folders_do_not(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "0.png", pixels(0))
    for i in range(1, 4):
        write(tmp_path / "root" / f"{i}.png", pixels(i))
    (tmp_path / "root" / "linked.png").symlink_to(tmp_path / "elsewhere" / "0.png")
    (tmp_path / "root" / "folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "broken.png").symlink_to(tmp_path / "nowhere.png")
    names = read(tmp_path / "root", tmp_path / "cache", test_examples=1).train_set().selection.images.names
    assert list(names) == ["1", "2", "3", "linked"]


def test_pictures_can_be_decoded_on_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(6):
        write(tmp_path / "root" / "ab"[i % 2] / f"{i}.png", pixels(i))
    shape = ImageShape(3, 8, 256, 2)
    once, always = (
        read(tmp_path / "root", tmp_path / "cache", shape, test_examples=2, decode=how) for how in ("once", "always")
    )
    assert always.data_digests() == once.data_digests()
    assert always.reference_digest("train") == once.reference_digest("train")
    for position in range(8):
        found, expected = always.train_set()[position], once.train_set()[position]
        assert torch.equal(found.pop("image"), expected.pop("image")) and found == expected
    pickle.loads(pickle.dumps(always.train_set()))  # loader processes may be started anew rather than forked
    stored = always.train_set().selection.images.pixels
    assert stored.shape == (6, 3, 8, 8)
    np.testing.assert_array_equal(stored[1:3], once.train_set().selection.images.pixels[1:3])
    assert not list((tmp_path / "cache" / "images").glob("checked-*/*.npy"))
    monkeypatch.setattr(folders, "decode_all", None)  # checked once
    read(tmp_path / "root", tmp_path / "cache", shape, test_examples=2, decode="always")
    (tmp_path / "root" / "a" / "4.png").write_bytes(b"nothing")
    monkeypatch.undo()
    with pytest.raises(DataError, match=r"a/4\.png cannot be read as a picture"):
        read(tmp_path / "root", tmp_path / "cache", shape, test_examples=2, decode="always")
    with pytest.raises(ConfigError, match=r"data\.decode is 'never'\. Expected 'once' or 'always'"):
        read(tmp_path / "root", tmp_path / "cache", decode="never")


def test_a_full_disk_is_said_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(3):
        write(tmp_path / "root" / f"{i}.png", pixels(i))
    monkeypatch.setattr(pictures.shutil, "disk_usage", lambda path: SimpleNamespace(free=3 * 192 - 1))
    with pytest.raises(DataError, match=r"need 0\.0 GB; .*images has 0\.0 GB left\. Set paths\.cache=FOLDER"):
        read(tmp_path / "root", tmp_path / "cache", test_examples=1)
    read(tmp_path / "root", tmp_path / "cache", test_examples=1, decode="always")


def test_long_decoding_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for i in range(5):
        write(tmp_path / "root" / f"{i}.png", pixels(i))
    monkeypatch.setattr(pictures, "_PORTION", 2)
    monkeypatch.setattr(pictures, "_SAY_AFTER", 0.0)
    with caplog.at_level(logging.INFO):
        data = read(tmp_path / "root", tmp_path / "cache", test_examples=1, train_on_all=True)
    assert "4 of 5 pictures of part train decoded, about " in caplog.text
    for i in range(5):
        np.testing.assert_array_equal(data.reference_set("train")[i]["image"], pixels(i).transpose(2, 0, 1))


def test_all_images_can_be_trained_on(tmp_path: Path) -> None:
    for i in range(6):
        write(tmp_path / "root" / f"{i}.png", pixels(i))
    held_out = read(tmp_path / "root", tmp_path / "cache", test_examples=2, val_examples=1)
    data = read(tmp_path / "root", tmp_path / "cache", test_examples=2, val_examples=1, train_on_all=True)
    assert {data.train_set()[p]["id"] for p in range(data.epoch_size())} == set("012345")
    for split in ("val", "test"):
        expected = [i["id"] for i in map(held_out.eval_set(split).__getitem__, range(len(held_out.eval_set(split))))]
        assert [i["id"] for i in map(data.eval_set(split).__getitem__, range(len(expected)))] == expected
    digests = data.data_digests()
    assert digests["train_on_all"] is True and digests["validation"] == "chosen of training, split_seed 0"
    assert digests["images"] == {"train": 6, "val": 1, "test": 2} and "train_on_all" not in held_out.data_digests()


@pytest.mark.parametrize("form", [(3, 8, 8), (1, 3, 8, 8), (8, 8, 3), (8, 8), (1, 8, 8)])
def test_arrays_are_read_where_there_are_no_pictures(tmp_path: Path, form: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, form).astype(np.uint8)
    (tmp_path / "root").mkdir()
    for i in range(3):
        np.save(tmp_path / "root" / f"imgHQ{i:05d}.npy", array)
    data = read(tmp_path / "root", tmp_path / "cache", test_examples=1)
    expected = array.transpose(2, 0, 1) if form == (8, 8, 3) else np.broadcast_to(array.reshape(-1, 8, 8), (3, 8, 8))
    np.testing.assert_array_equal(data.train_set()[0]["image"].numpy(), expected)
    assert data.train_set()[0]["id"].startswith("imgHQ0000")
    write(tmp_path / "root" / "0.png", pixels(0))
    write(tmp_path / "root" / "1.png", pixels(0))
    assert read(tmp_path / "root", tmp_path / "cache", test_examples=1).epoch_size() == 1  # pictures go first


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 8, 8)), r"holds float64 of shape \(3, 8, 8\)\. Expected bytes"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"holds uint8 of shape \(2, 3, 8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), r"holds uint8 of shape \(8, 8, 4\)"),
        (np.array([{}], dtype=object), "cannot be read as an array: .*allow_pickle=False"),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=rf"a\.npy {message}"):
        read_picture(tmp_path / "a.npy", 3, 8)


def test_names_are_kept_small() -> None:
    words = ["a/b", "", "grün", "日本", "z"]
    names = Names(words)
    assert list(names) == words and len(names) == 5 and names[-2] == "日本" and names[1:4] == words[1:4]
    assert "grün" in names
    for outside in (5, -6):
        with pytest.raises(IndexError):
            names[outside]


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
    write(tmp_path / "w.jpg", colour, format="WEBP", lossless=True)  # as LSUN's own tool names them
    np.testing.assert_array_equal(read_picture(tmp_path / "w.jpg", 3, 8), colour.transpose(2, 0, 1))
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
