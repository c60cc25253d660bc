"""CIFAR-10 (Krizhevsky 2009), from its binary or its Python version."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np

from reprise.config.errors import DataError
from reprise.data.cache import file_digests
from reprise.data.download import fetch, unpack
from reprise.data.images.arrays import ImageFiles, Images
from reprise.data.images.base import ImageDataModule
from reprise.data.images.pickles import read_pickle
from reprise.data.sources import Source

log = logging.getLogger(__name__)
_URL = "https://www.cs.toronto.edu/~kriz/"
_LICENCE = "none stated; cite Krizhevsky (2009)"

CIFAR10_BINARY = Source(
    name="cifar-10-binary.tar.gz",
    url=f"{_URL}cifar-10-binary.tar.gz",
    size=170_052_171,
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    licence=_LICENCE,
)
CIFAR10_PYTHON = Source(
    name="cifar-10-python.tar.gz",
    url=f"{_URL}cifar-10-python.tar.gz",
    size=170_498_071,
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    licence=_LICENCE,
    mirrors=("https://storage.googleapis.com/tensorflow/tf-keras-datasets/cifar-10-python.tar.gz",),
)
_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
_TEST = ("test_batch",)
_VALUES = 3 * 32 * 32
_OFFICIAL_ROWS = 10_000


def read_binary_batch(content: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read records of one label and 3 x 32 x 32 values, one byte each.

    Returns:
        pixels (N, 3, 32, 32) and labels (N,), both uint8.

    Raises:
        DataError: the length is no whole number of records.
    """
    if not content or len(content) % (1 + _VALUES):
        raise DataError(
            f"{path} has {len(content)} bytes. Expected a multiple of {1 + _VALUES} (a label and 3 x 32 x 32 values); "
            "is it truncated?"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + _VALUES)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def read_python_batch(content: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a pickled dict with `data` (N, 3072) and `labels`; nothing but arrays and plain objects is unpickled.

    Returns:
        pixels (N, 3, 32, 32) and labels (N,), both uint8.

    Raises:
        DataError: not such a file.
    """
    batch = read_pickle(content, path)
    if not isinstance(batch, dict):
        raise DataError(f"{path} holds a {type(batch).__name__}. Expected a dict with data and labels.")
    batch = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in batch.items()}
    data, labels = batch.get("data"), np.asarray(batch.get("labels"))
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != _VALUES:
        raise DataError(f"{path} has no `data` of N x {_VALUES} bytes.")
    if labels.shape != data.shape[:1] or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        raise DataError(f"{path} has {len(data)} images, and `labels` that are not as many whole numbers.")
    return data.reshape(-1, 3, 32, 32), np.minimum(labels, 255).astype(np.uint8)


class CIFAR10(ImageDataModule):
    """Small photographs: 50,000 training and 10,000 test images, 3 x 32 x 32, values 0 to 255, ten classes.

    `root` holds the files data_batch_1 ... 5 and test_batch of the binary (.bin) or the Python version, in itself or in
    the archive's own folder, or one of the official archives; without it the binary version is downloaded.
    """

    def load(self) -> ImageFiles:
        """Read the six files."""
        folder, suffix = self._folder()
        digests: dict[str, str] = {}
        train, test = (self._part(folder, names, suffix, digests) for names in (_TRAIN, _TEST))
        return ImageFiles(Images("train", *train), test=Images("test", *test), classes=10, files=digests)

    def _part(
        self, folder: Path, names: tuple[str, ...], suffix: str, digests: dict[str, str]
    ) -> tuple[np.ndarray, np.ndarray]:
        pixels, labels = [], []
        for name in names:
            path = folder / f"{name}{suffix}"
            if not path.is_file():
                raise DataError(
                    f"{path} is missing. Expected {', '.join((*_TRAIN, *_TEST))} ({suffix or 'no suffix'})."
                )
            content = path.read_bytes()
            digests[path.name] = hashlib.sha256(content).hexdigest()
            found = (read_binary_batch if suffix else read_python_batch)(content, path)
            if found[1].max(initial=0) > 9:
                raise DataError(f"{path} holds the label {found[1].max()}. Expected 0 to 9; is it CIFAR-10?")
            if len(found[0]) != _OFFICIAL_ROWS:
                log.warning("%s holds %d images, the official one %d", path, len(found[0]), _OFFICIAL_ROWS)
            pixels.append(found[0])
            labels.append(found[1])
        return np.concatenate(pixels), np.concatenate(labels)

    def _folder(self) -> tuple[Path, str]:
        """Where the files are, and what their names end in."""
        if self.root is None:
            archive = fetch(CIFAR10_BINARY, self.cache / "downloads" / "cifar10")
            return self._unpacked(archive, CIFAR10_BINARY), ".bin"
        for suffix, inner in ((".bin", "cifar-10-batches-bin"), ("", "cifar-10-batches-py")):
            for folder in (self.root, self.root / inner):
                if any((folder / f"{name}{suffix}").is_file() for name in (*_TRAIN, *_TEST)):
                    return folder, suffix
        for source, suffix in ((CIFAR10_BINARY, ".bin"), (CIFAR10_PYTHON, "")):
            if (self.root / source.name).is_file():
                return self._unpacked(self.root / source.name, source), suffix
        raise DataError(
            f"data.root={self.root} holds no CIFAR-10. Expected data_batch_1.bin ... test_batch.bin, the same of the "
            f"Python version, {CIFAR10_BINARY.name} or {CIFAR10_PYTHON.name}. data.root=null downloads it."
        )

    def _unpacked(self, archive: Path, source: Source) -> Path:
        store = self.cache / "images"
        (sha256,) = file_digests([archive], store / "file_digests.json")
        if archive.stat().st_size == source.size and sha256 != source.sha256:
            raise DataError(f"{archive} is corrupt: its SHA-256 is {sha256}, expected {source.sha256}. Fetch it again.")
        inner = "cifar-10-batches-bin" if source is CIFAR10_BINARY else "cifar-10-batches-py"
        return unpack(archive, store / f"cifar10-{sha256[:16]}") / inner
