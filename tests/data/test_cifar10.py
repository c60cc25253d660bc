"""CIFAR-10 from both official versions, as folder and archive, and files that are wrong or mean harm."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reprise.config.errors import DataError
from reprise.data.images import cifar10
from reprise.data.images.cifar10 import CIFAR10, CIFAR10_BINARY, CIFAR10_PYTHON
from reprise.data.images.pickles import read_pickle
from reprise.data.sources import Source
from reprise.nn.images import ImageShape
from tests.data.image_files import cifar_arrays, cifar_binary, cifar_python2
from tests.data.server import Server

ARRAYS = cifar_arrays()


def members(version: str) -> dict[str, bytes]:
    if version == "binary":
        return {f"cifar-10-batches-bin/{name}.bin": cifar_binary(*batch) for name, batch in ARRAYS.items()}
    return {f"cifar-10-batches-py/{name}": cifar_python2(*batch) for name, batch in ARRAYS.items()}


def write_folder(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def read(root: Path | None, cache: Path, **settings: Any) -> CIFAR10:
    shape = ImageShape(3, 32, 256, 10)
    data = CIFAR10(shape, 4, 0, str(cache), root=str(root) if root else None, **settings)
    data.setup("fit")
    return data


@pytest.mark.parametrize("version", ["binary", "python"])
def test_both_versions_are_read_as_they_were_written(tmp_path: Path, version: str) -> None:
    write_folder(tmp_path / "root", members(version))
    data = read(tmp_path / "root", tmp_path)
    pixels, labels = ARRAYS["test_batch"]
    for i in range(6):
        item = data.eval_set("test")[i]
        np.testing.assert_array_equal(item["image"].numpy().ravel(), pixels[i])
        assert item["label"] == labels[i]
    item = data.train_set()[11]
    row = int(item["id"].removeprefix("train-"))
    np.testing.assert_array_equal(item["image"].numpy().ravel(), ARRAYS[f"data_batch_{row // 6 + 1}"][0][row % 6])
    assert data.epoch_size() == 30


def test_all_training_images_are_a_reference(tmp_path: Path) -> None:
    digests = set()
    for version in ("binary", "python"):
        write_folder(tmp_path / version, members(version))
        data = read(tmp_path / version, tmp_path, val_examples=0, flip=True)
        train = data.reference_set("train")
        assert len(train) == data.epoch_size() == 30 and len(data.reference_set("test")) == 6
        for i in range(30):
            pixels, labels = ARRAYS[f"data_batch_{i // 6 + 1}"]
            np.testing.assert_array_equal(train[i]["image"].numpy().ravel(), pixels[i % 6])
            assert (train[i]["id"], train[i]["label"], train[i]["position"]) == (f"train-{i:05d}", labels[i % 6], i)
        digests.add(data.reference_digest("train"))
    assert (
        len(digests) == 1
        and read(tmp_path / "binary", tmp_path, val_examples=3).reference_digest("train") not in digests
    )


def test_folders_archives_and_versions_have_one_content(tmp_path: Path) -> None:
    found = []
    for version, source in (("binary", CIFAR10_BINARY), ("python", CIFAR10_PYTHON)):
        files = members(version)
        write_folder(tmp_path / version / "outer", files)
        write_folder(tmp_path / version / "inner", {name.partition("/")[2]: c for name, c in files.items()})
        write_folder(tmp_path / version / "packed", {source.name: archive(files)})
        found += [read(tmp_path / version / n, tmp_path).data_digests() for n in ("outer", "inner", "packed")]
    assert len({f["images_sha256"] for f in found}) == 1
    assert found[0] == found[1] == found[2] and found[3] == found[4] == found[5]
    assert found[0]["files"] != found[3]["files"] and len(found[0]["files"]) == 6


def test_the_archive_is_downloaded_once(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "CIFAR10_BINARY", server.source(CIFAR10_BINARY.name, archive(members("binary"))))
    first = read(None, tmp_path / "cache").data_digests()
    assert read(None, tmp_path / "cache").data_digests() == first
    assert len(server.sent) == 1


def test_an_archive_of_official_size_has_to_be_the_official_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive(members("python"))
    write_folder(tmp_path, {CIFAR10_PYTHON.name: content})
    monkeypatch.setattr(cifar10, "CIFAR10_PYTHON", Source(CIFAR10_PYTHON.name, "", len(content), "0" * 64, ""))
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz is corrupt"):
        read(tmp_path, tmp_path / "cache")


def test_archives_cannot_write_elsewhere(tmp_path: Path) -> None:
    files = members("binary") | {"../../evil": b"x"}
    write_folder(tmp_path / "root", {CIFAR10_BINARY.name: archive(files)})
    with pytest.raises(DataError, match="cannot be unpacked"):
        read(tmp_path / "root", tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("evil"))


def test_truncated_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no CIFAR-10\. Expected data_batch_1\.bin"):
        read(tmp_path, tmp_path)
    files = members("binary")
    write_folder(tmp_path, files)
    batch = tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_3\.bin has 18437 bytes\. Expected a multiple of 3073"):
        read(tmp_path, tmp_path)
    batch.write_bytes(b"\x0a" + files["cifar-10-batches-bin/data_batch_3.bin"][1:])
    with pytest.raises(DataError, match=r"data_batch_3\.bin holds the label 10"):
        read(tmp_path, tmp_path)
    batch.unlink()
    with pytest.raises(DataError, match=r"data_batch_3\.bin is missing"):
        read(tmp_path, tmp_path)


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_that_mean_harm_are_refused(tmp_path: Path, protocol: int) -> None:
    write_folder(tmp_path / "root", members("python"))
    evil = tmp_path / "evil"
    batch = tmp_path / "root" / "cifar-10-batches-py" / "data_batch_2"
    batch.write_bytes(pickle.dumps({"data": Harmful(evil), "labels": []}, protocol))
    with pytest.raises(DataError, match=r"data_batch_2 cannot be unpickled: it names posix\.system"):
        read(tmp_path / "root", tmp_path)
    assert not evil.exists()


@pytest.mark.parametrize("name", ["eval", "exec", "getattr", "__import__", "open"])
def test_builtins_that_could_run_code_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"names builtins.{name}"):
        read_pickle(f"cbuiltins\n{name}\n(S'1'\ntR.".encode(), Path("a"))


@pytest.mark.parametrize("protocol", range(6))
def test_batches_pickled_by_python_3_are_read_too(tmp_path: Path, protocol: int) -> None:
    pixels, labels = ARRAYS["data_batch_1"]
    content = pickle.dumps({b"data": pixels, b"labels": labels.tolist(), b"batch_label": b"x"}, protocol)
    found = cifar10.read_python_batch(content, Path("a"))
    np.testing.assert_array_equal(found[0].reshape(-1, 3072), pixels)
    np.testing.assert_array_equal(found[1], labels)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be unpickled"),
        (cifar_python2(*ARRAYS["test_batch"])[:-3000], "cannot be unpickled"),
        (pickle.dumps([1]), "holds a list"),
        (pickle.dumps({"data": np.zeros((2, 3072)), "labels": [1, 2]}), "has no `data`"),
        (pickle.dumps({"labels": [1, 2]}), "has no `data`"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}), "not as many whole numbers"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8)}), "not as many whole numbers"),
    ],
)
def test_wrong_pickles_are_named(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"^some/file .*{message}"):
        cifar10.read_python_batch(content, Path("some/file"))
