"""MNIST and its fixed binarisation from files that the tests write, and files that are wrong."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reprise.config.errors import ConfigError, DataError
from reprise.data.images import binarized_mnist, mnist
from reprise.data.images.binarized_mnist import BINARIZED_MNIST_FILES, BinarizedMNIST
from reprise.data.images.mnist import MNIST, MNIST_FILES
from reprise.data.sources import Source
from reprise.nn.images import ImageShape
from tests.data.image_files import amat, idx, write_binarized_mnist, write_mnist
from tests.data.server import Server

GREY = ImageShape(1, 28, 256, 10)
BINARY = ImageShape(1, 28, 2)


def read_mnist(root: Path | None, cache: Path, shape: ImageShape = GREY, **settings: Any) -> MNIST:
    data = MNIST(shape, 4, 0, str(cache), root=str(root) if root else None, **settings)
    data.prepare_data()
    data.setup("fit")
    return data


def read_binarized(root: Path | None, cache: Path, **settings: Any) -> BinarizedMNIST:
    data = BinarizedMNIST(BINARY, 4, 0, str(cache), root=str(root) if root else None, **settings)
    data.setup("fit")
    return data


@pytest.mark.parametrize("place", [".", "MNIST/raw"])
def test_mnist_is_read_as_it_was_written(tmp_path: Path, place: str) -> None:
    arrays = write_mnist(tmp_path / "root" / place)
    data = read_mnist(tmp_path / "root", tmp_path / "cache", val_examples=10)
    test = data.eval_set("test")
    assert len(test) == 12 and data.epoch_size() == 30
    for i in range(12):
        item = test[i]
        np.testing.assert_array_equal(item["image"].numpy()[0], arrays["t10k-images-idx3-ubyte"][i])
        assert (item["label"], item["id"], item["group"]) == (i % 10, f"test-{i:05d}", 0)
    for position in range(30):
        item = data.train_set()[position]
        row = int(item["id"].removeprefix("train-"))
        np.testing.assert_array_equal(item["image"].numpy()[0], arrays["train-images-idx3-ubyte"][row])
        assert item["label"] == row % 10


def test_plain_and_gzipped_copies_have_one_digest(tmp_path: Path) -> None:
    write_mnist(tmp_path / "packed")
    arrays = write_mnist(tmp_path / "plain", packed=False)
    packed, plain = (read_mnist(tmp_path / n, tmp_path).data_digests() for n in ("packed", "plain"))
    assert packed == plain
    content = idx(arrays["t10k-images-idx3-ubyte"])
    assert plain["files"]["t10k-images-idx3-ubyte"] == hashlib.sha256(content).hexdigest()
    changed = arrays["t10k-images-idx3-ubyte"]
    changed[3, 4, 5] ^= 1
    (tmp_path / "plain" / "t10k-images-idx3-ubyte").write_bytes(idx(changed))
    assert read_mnist(tmp_path / "plain", tmp_path).data_digests()["images_sha256"] != plain["images_sha256"]


IMAGES = "train-images-idx3-ubyte"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:-7], r"is truncated: it has 31369 bytes unpacked, its header says 40 x 28 x 28"),
        (lambda b: b + b"x", r"is too long: it has 31377 bytes"),
        (lambda b: b[:9], r"is truncated: 9 bytes"),
        (lambda b: b"\0\0\x08\x01" + b[4:], r"begins with 0x00000801, expected 0x00000803"),
        (lambda b: idx(np.zeros((39, 28, 28))), r"39 train images and 40 labels"),
    ],
)
def test_wrong_idx_files_are_named(tmp_path: Path, change: Callable[[bytes], bytes], message: str) -> None:
    write_mnist(tmp_path, packed=False)
    file = tmp_path / IMAGES
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        read_mnist(tmp_path, tmp_path)
    assert IMAGES in str(caught.value) or "labels" in str(caught.value)


def test_a_truncated_gzip_stream_is_named(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    file = tmp_path / f"{IMAGES}.gz"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(DataError, match=rf"{re.escape(str(file))} cannot be unpacked"):
        read_mnist(tmp_path, tmp_path)


def test_missing_files_and_wrong_labels_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no train-images-idx3-ubyte, gzipped or not"):
        read_mnist(tmp_path, tmp_path)
    write_mnist(tmp_path, packed=False)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(12, 10)))
    with pytest.raises(DataError, match="test labels hold 10"):
        read_mnist(tmp_path, tmp_path)


def test_mnist_is_downloaded_once_and_from_a_mirror(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path / "root")
    files = {}
    for key, official in MNIST_FILES.items():
        source = server.source(official.name, (tmp_path / "root" / official.name).read_bytes())
        files[key] = Source(source.name, source.url + ".gone", source.size, source.sha256, "none", (source.url,))
    monkeypatch.setattr(mnist, "MNIST_FILES", files)
    found = read_mnist(None, tmp_path / "cache").data_digests()
    assert found == read_mnist(tmp_path / "root", tmp_path / "cache").data_digests()
    read_mnist(None, tmp_path / "cache")
    assert len(server.sent) == 4


def test_the_sources_are_the_official_ones() -> None:
    assert {s.name: s.size for s in MNIST_FILES.values()} == {
        "train-images-idx3-ubyte.gz": 9912422,
        "train-labels-idx1-ubyte.gz": 28881,
        "t10k-images-idx3-ubyte.gz": 1648877,
        "t10k-labels-idx1-ubyte.gz": 4542,
    }
    assert [s.size for s in BINARIZED_MNIST_FILES.values()] == [50000 * 1568, 10000 * 1568, 10000 * 1568]
    everything = [*MNIST_FILES.values(), *BINARIZED_MNIST_FILES.values()]
    assert all(re.fullmatch("[0-9a-f]{64}", s.sha256) and s.url.endswith(s.name) for s in everything)


def test_binarized_mnist_is_read_as_it_was_written_and_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    arrays = write_binarized_mnist(tmp_path / "root")
    data = read_binarized(tmp_path / "root", tmp_path / "cache")
    for split, part in (("val", "valid"), ("test", "test")):
        held_out = data.eval_set(split)
        assert len(held_out) == len(arrays[part])
        for i, image in enumerate(arrays[part]):
            np.testing.assert_array_equal(held_out[i]["image"].numpy()[0], image)
            assert held_out[i]["label"] == -1
    digests = data.data_digests()
    assert digests["validation"] == "official" and digests["images"] == {"train": 9, "test": 5, "val": 4}
    assert digests["files"]["binarized_mnist_test.amat"] == hashlib.sha256(amat(arrays["test"])).hexdigest()
    assert "holds 9 images and is not the official file" in caplog.text
    monkeypatch.setattr(binarized_mnist, "parse_amat", None)  # from here on only the cache can answer
    assert read_binarized(tmp_path / "root", tmp_path / "cache").data_digests() == digests


def test_binarized_mnist_may_be_gzipped_and_have_other_line_ends(tmp_path: Path) -> None:
    write_binarized_mnist(tmp_path / "a")
    for file in list((tmp_path / "a").iterdir()):
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    a, b = (read_binarized(tmp_path / n, tmp_path / n).data_digests() for n in "ab")
    assert a == b
    file = tmp_path / "a" / "binarized_mnist_test.amat"
    file.write_bytes(file.read_bytes().replace(b"\n", b" \r\n"))
    c = read_binarized(tmp_path / "a", tmp_path / "a").data_digests()
    assert c["images_sha256"] == a["images_sha256"] and c["files"] != a["files"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:-100], r"line 9: 734 values\. Expected 784; is it truncated"),
        (lambda b: b[:1568] + b"2" + b[1569:], r"line 2: value '2'\. Expected 0 or 1"),
        (lambda b: b[:1568] + b"01" + b[1569:], r"line 2: value '01'"),
        (lambda b: b.replace(b"\n", b" ", 1), r"line 1: 1568 values"),
        (lambda b: b"", r"holds no images"),
    ],
)
def test_wrong_amat_files_are_named_by_line(tmp_path: Path, change: Callable[[bytes], bytes], message: str) -> None:
    write_binarized_mnist(tmp_path)
    file = tmp_path / "binarized_mnist_train.amat"
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        read_binarized(tmp_path, tmp_path / "cache")
    assert str(file) in str(caught.value)


def test_a_file_of_the_official_size_has_to_be_the_official_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_binarized_mnist(tmp_path)
    official = {p: Source(s.name, s.url, 5 * 1568, "0" * 64, "") for p, s in BINARIZED_MNIST_FILES.items()}
    monkeypatch.setattr(binarized_mnist, "BINARIZED_MNIST_FILES", official)
    with pytest.raises(DataError, match="has the official size, but its SHA-256 is"):
        read_binarized(tmp_path, tmp_path / "cache")


def test_a_missing_part_of_binarized_mnist_is_named(tmp_path: Path) -> None:
    write_binarized_mnist(tmp_path)
    (tmp_path / "binarized_mnist_valid.amat").unlink()
    with pytest.raises(DataError, match=r"has no binarized_mnist_valid\.amat, gzipped or not"):
        read_binarized(tmp_path, tmp_path / "cache")


def test_binarized_mnist_is_downloaded(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_binarized_mnist(tmp_path / "root")
    files = {
        part: server.source(s.name, (tmp_path / "root" / s.name).read_bytes())
        for part, s in BINARIZED_MNIST_FILES.items()
    }
    monkeypatch.setattr(binarized_mnist, "BINARIZED_MNIST_FILES", files)
    found = read_binarized(None, tmp_path / "cache").data_digests()
    assert found == read_binarized(tmp_path / "root", tmp_path / "cache").data_digests()
    assert len(server.sent) == 3


def test_binary_images_are_not_drawn_again_and_have_their_own_validation(tmp_path: Path) -> None:
    write_binarized_mnist(tmp_path)
    with pytest.raises(ConfigError, match=r"is binary already\. Set data\.binarize=null"):
        read_binarized(tmp_path, tmp_path, binarize="fixed")
    with pytest.raises(ConfigError, match=r"has 4 validation images of its own\. Set data\.val_examples=0"):
        read_binarized(tmp_path, tmp_path, val_examples=3)
    with pytest.raises(ConfigError, match=r"has 5 test images of its own\. Set data\.test_examples=0"):
        read_binarized(tmp_path, tmp_path, test_examples=3)
