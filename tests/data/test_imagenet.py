"""Downsampled ImageNet from npz batches that the tests write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reprise.config.errors import ConfigError, DataError
from reprise.data.images import imagenet
from reprise.data.images.imagenet import DownsampledImageNet
from reprise.nn.images import ImageShape


def write(root: Path, side: int = 32, count: int = 3) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(6)
    root.mkdir(parents=True, exist_ok=True)
    batches = {}
    for name in (*(f"train_data_batch_{i}" for i in range(1, 11)), "val_data"):
        data = rng.integers(0, 256, (count, 3 * side**2)).astype(np.uint8)
        labels = rng.integers(1, 1001, count)
        np.savez(root / f"{name}.npz", data=data, labels=labels, mean=data.mean(0))
        batches[name] = data, labels
    return batches


def read(root: Path | None, cache: Path, side: int = 32, **settings: Any) -> DownsampledImageNet:
    shape = ImageShape(3, side, 256, 1000)
    data = DownsampledImageNet(shape, 4, 0, str(cache), root=str(root) if root else None, **settings)
    data.setup("fit")
    return data


@pytest.mark.parametrize("side", [32, 64])
def test_batches_are_read_as_they_were_written(tmp_path: Path, side: int) -> None:
    batches = write(tmp_path / "root", side)
    data = read(tmp_path / "root", tmp_path / "cache", side)
    assert data.epoch_size() == 30 and len(data.eval_set("test")) == 3
    for position in range(30):
        item = data.train_set()[position]
        batch, row = divmod(int(item["id"].removeprefix("train-")), 3)
        pixels, labels = batches[f"train_data_batch_{batch + 1}"]
        np.testing.assert_array_equal(item["image"].numpy().ravel(), pixels[row])
        assert item["label"] == labels[row] - 1
    np.testing.assert_array_equal(data.eval_set("test")[2]["image"].numpy().ravel(), batches["val_data"][0][2])


def test_batches_are_parsed_once_and_may_lie_one_folder_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "root" / "Imagenet32_train_npz")
    (tmp_path / "root" / "val").mkdir()
    (tmp_path / "root" / "Imagenet32_train_npz" / "val_data.npz").rename(tmp_path / "root" / "val" / "val_data.npz")
    first = read(tmp_path / "root", tmp_path / "cache")
    assert isinstance(first.train_set().selection.images.pixels, np.memmap)
    monkeypatch.setattr(imagenet, "read_batch", None)  # from here on only the cache can answer
    assert read(tmp_path / "root", tmp_path / "cache").data_digests() == first.data_digests()


def test_a_missing_root_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.root is missing.*https://image-net\.org/download-images"):
        read(None, tmp_path)
    write(tmp_path)
    (tmp_path / "train_data_batch_7.npz").unlink()
    with pytest.raises(DataError, match=r"has no file train_data_batch_7\.npz"):
        read(tmp_path, tmp_path / "cache")


def test_another_side_names_the_key(tmp_path: Path) -> None:
    write(tmp_path, 64)
    with pytest.raises(ConfigError, match=r"has 12288 values an image: set data\.shape\.side=64"):
        read(tmp_path, tmp_path / "cache", 32)


ZEROS = np.zeros((2, 3072), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": [1, 2]}, "has no array `data`"),
        ({"data": ZEROS}, "has no array `labels`"),
        ({"data": ZEROS.astype(float), "labels": [1, 2]}, "data are float64"),
        ({"data": ZEROS, "labels": [0, 2]}, "labels run from 0 to 2"),
        ({"data": ZEROS, "labels": [1, 1001]}, "labels run from 1 to 1001"),
        ({"data": ZEROS, "labels": [1, 2, 3]}, "has 2 images and 3 labels"),
        ({"data": ZEROS, "labels": np.array([1, 2], dtype=object)}, "cannot be read: Object arrays"),
    ],
)
def test_wrong_batches_are_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    write(tmp_path)
    np.savez(tmp_path / "train_data_batch_4.npz", **arrays)
    with pytest.raises(DataError, match=rf"train_data_batch_4\.npz.*{message}"):
        read(tmp_path, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "images").glob("imagenet32-????????????????"))


def test_a_truncated_batch_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    file = tmp_path / "train_data_batch_4.npz"
    file.write_bytes(file.read_bytes()[:-800])
    with pytest.raises(DataError, match=r"train_data_batch_4\.npz cannot be read.*is it truncated"):
        read(tmp_path, tmp_path / "cache")
