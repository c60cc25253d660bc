"""MNIST (LeCun et al. 1998) from its four idx files."""

from __future__ import annotations

import gzip
import hashlib
import logging
import zlib
from pathlib import Path

import numpy as np

from reprise.config.errors import DataError
from reprise.data.download import fetch
from reprise.data.images.arrays import ImageFiles, Images
from reprise.data.images.base import ImageDataModule
from reprise.data.sources import Source

log = logging.getLogger(__name__)
_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")


def _source(name: str, size: int, sha256: str) -> Source:
    first, *others = (f"{mirror}{name}" for mirror in _MIRRORS)
    return Source(name, first, size, sha256, "CC BY-SA 3.0, as usually stated", tuple(others))


MNIST_FILES = {
    "train_images": _source(
        "train-images-idx3-ubyte.gz", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    "train_labels": _source(
        "train-labels-idx1-ubyte.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    "test_images": _source(
        "t10k-images-idx3-ubyte.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    "test_labels": _source(
        "t10k-labels-idx1-ubyte.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
}


def read_idx(path: Path, dims: int) -> tuple[np.ndarray, str]:
    """Read an idx file of bytes, plain or gzipped.

    Args:
        path: the file.
        dims: dimensions that are expected, 3 for images and 1 for labels.

    Returns:
        the array (uint8, read-only) and the SHA-256 of the unpacked file.

    Raises:
        DataError: not such a file, truncated, or longer than its header says.
    """
    content = read_maybe_gzipped(path)
    header = 4 + 4 * dims
    if len(content) < header:
        raise DataError(f"{path} is truncated: {len(content)} bytes, its header alone has {header}.")
    magic = int.from_bytes(content[:4], "big")
    if magic != 0x0800 + dims:
        raise DataError(
            f"{path} is no idx file of bytes in {dims} dimensions: it begins with 0x{magic:08x}, "
            f"expected 0x{0x0800 + dims:08x}."
        )
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", dims, 4))
    expected = header + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        word = "truncated" if len(content) < expected else "too long"
        raise DataError(
            f"{path} is {word}: it has {len(content)} bytes unpacked, its header says {' x '.join(map(str, shape))}, "
            f"which makes {expected}. Fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape), hashlib.sha256(content).hexdigest()


def read_maybe_gzipped(path: Path) -> bytes:
    """Bytes of a file, unpacked when it ends in .gz.

    Raises:
        DataError: the gzip stream is truncated or corrupt.
    """
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            return file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be unpacked: {error}. Fetch it again.") from None


class MNIST(ImageDataModule):
    """Handwritten digits: 60,000 training and 10,000 test images, 1 x 28 x 28, values 0 to 255, ten classes.

    `root` holds the four idx files, plain or gzipped, in itself or in MNIST/raw; without it they are downloaded.
    """

    def load(self) -> ImageFiles:
        """Read the four files."""
        digests: dict[str, str] = {}
        parts = {}
        for part in ("train", "test"):
            arrays = {}
            for what, dims in (("images", 3), ("labels", 1)):
                path = self._file(MNIST_FILES[f"{part}_{what}"])
                arrays[what], digests[path.name.removesuffix(".gz")] = read_idx(path, dims)
            images, labels = arrays["images"], arrays["labels"]
            if len(images) != len(labels):
                raise DataError(f"MNIST has {len(images)} {part} images and {len(labels)} labels: files do not fit.")
            if labels.max(initial=0) > 9:
                raise DataError(f"MNIST's {part} labels hold {labels.max()}. Expected 0 to 9.")
            if not len(labels):
                raise DataError(f"MNIST's {part} files hold no images.")
            parts[part] = Images(part, images[:, None], labels)
        return ImageFiles(parts["train"], test=parts["test"], classes=10, files=digests)

    def _file(self, source: Source) -> Path:
        if self.root is None:
            return fetch(source, self.cache / "downloads" / "mnist")
        names = (source.name.removesuffix(".gz"), source.name)
        for folder in (self.root, self.root / "MNIST" / "raw"):
            for name in names:
                if (folder / name).is_file():
                    return folder / name
        raise DataError(
            f"data.root={self.root} has no {names[0]}, gzipped or not, neither in itself nor in MNIST/raw. Expected "
            "MNIST's four idx files there. data.root=null downloads them."
        )
