"""The fixed binarisation of MNIST (Larochelle and Murray 2011), from its three text files."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import numpy as np

from reprise.config.errors import DataError
from reprise.data.cache import build_once, file_digests
from reprise.data.download import fetch
from reprise.data.images.arrays import ImageFiles, Images
from reprise.data.images.base import ImageDataModule
from reprise.data.images.mnist import read_maybe_gzipped
from reprise.data.sources import Source

log = logging.getLogger(__name__)
_SIDE = 28
_URL = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"


def _source(part: str, size: int, sha256: str) -> Source:
    name = f"binarized_mnist_{part}.amat"
    return Source(name, _URL + name, size, sha256, "derived from MNIST; none stated")


BINARIZED_MNIST_FILES = {
    "train": _source("train", 78_400_000, "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d"),
    "valid": _source("valid", 15_680_000, "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2"),
    "test": _source("test", 15_680_000, "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c"),
}


def parse_amat(content: bytes, path: Path) -> np.ndarray:
    """Read lines of 784 values 0 or 1, separated by blanks, as (N, 1, 28, 28) uint8, rows first.

    Raises:
        DataError: a line has another number of values or another value; it is named by its number.
    """
    lines = content.splitlines()
    pixels = np.empty((len(lines), _SIDE * _SIDE), dtype=np.uint8)
    for i, line in enumerate(lines):
        values = line.split()
        if len(values) != _SIDE * _SIDE:
            raise DataError(f"{path}, line {i + 1}: {len(values)} values. Expected {_SIDE * _SIDE}; is it truncated?")
        digits = np.frombuffer(b"".join(values), dtype=np.uint8)
        if len(digits) != _SIDE * _SIDE or ((digits != ord("0")) & (digits != ord("1"))).any():
            wrong = next(v for v in values if v not in (b"0", b"1"))
            raise DataError(f"{path}, line {i + 1}: value {wrong.decode(errors='replace')!r}. Expected 0 or 1.")
        pixels[i] = digits - ord("0")
    if not len(pixels):
        raise DataError(f"{path} holds no images.")
    return pixels.reshape(-1, 1, _SIDE, _SIDE)


class BinarizedMNIST(ImageDataModule):
    """50,000 training, 10,000 validation and 10,000 test images, 1 x 28 x 28, values 0 and 1, no labels.

    `root` holds binarized_mnist_{train,valid,test}.amat, plain or gzipped; without it they are downloaded. The rows
    are not in MNIST's order, and test rows come class after class: the first few (limit_test) are zeros.
    """

    def load(self) -> ImageFiles:
        """Read the three files, from text once and from then on from the cache."""
        digests: dict[str, str] = {}
        parts = {}
        for part, source in BINARIZED_MNIST_FILES.items():
            pixels, digests[source.name] = self._read_amat(self._file(source), source)
            parts[part] = Images(part, pixels)
        return ImageFiles(parts["train"], parts["valid"], parts["test"], levels=2, files=digests)

    def _file(self, source: Source) -> Path:
        if self.root is None:
            return fetch(source, self.cache / "downloads" / "binarized_mnist")
        for name in (source.name, f"{source.name}.gz"):
            if (self.root / name).is_file():
                return self.root / name
        raise DataError(
            f"data.root={self.root} has no {source.name}, gzipped or not. Expected "
            f"{', '.join(s.name for s in BINARIZED_MNIST_FILES.values())} there. data.root=null downloads them."
        )

    def _read_amat(self, path: Path, source: Source) -> tuple[np.ndarray, str]:
        store = self.cache / "images"
        (stored,) = file_digests([path], store / "file_digests.json")

        def build(folder: Path) -> None:
            log.info("reading the text of %s, once", path)
            content = read_maybe_gzipped(path)
            sha256 = hashlib.sha256(content).hexdigest()
            if len(content) == source.size and sha256 != source.sha256:
                raise DataError(
                    f"{path} has the official size, but its SHA-256 is {sha256}, expected {source.sha256}: it is "
                    "corrupt or another binarisation. Fetch it again."
                )
            np.save(folder / "pixels.npy", parse_amat(content, path))
            (folder / "index.json").write_text(json.dumps({"sha256": sha256, "size": len(content)}), encoding="utf-8")

        folder = build_once(store / f"amat-{stored[:16]}", build)
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        if index["size"] != source.size:
            log.warning("%s holds %d images and is not the official file; the record says so", path, len(pixels))
        return pixels, index["sha256"]
