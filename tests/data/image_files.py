"""Image data sets written small, in their official formats."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from reprise.data.images.celeba_texts import ATTRIBUTES


def idx(array: np.ndarray) -> bytes:
    """An idx file of bytes."""
    header = (0x0800 + array.ndim).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, train: int = 40, test: int = 12, packed: bool = True) -> dict[str, np.ndarray]:
    """The four files of MNIST; returns what is in them."""
    rng = np.random.default_rng(3)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (train, 28, 28)),
        "train-labels-idx1-ubyte": np.arange(train) % 10,
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (test, 28, 28)),
        "t10k-labels-idx1-ubyte": np.arange(test) % 10,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))
    return arrays


def amat(rows: Iterable[np.ndarray]) -> bytes:
    """A text file of Larochelle's kind."""
    return b"".join(b" ".join(b"%d" % v for v in row.ravel()) + b"\n" for row in rows)


def write_binarized_mnist(folder: Path, counts: tuple[int, int, int] = (9, 4, 5)) -> dict[str, np.ndarray]:
    """The three files of binarised MNIST; returns what is in them."""
    rng = np.random.default_rng(4)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for part, count in zip(("train", "valid", "test"), counts, strict=True):
        arrays[part] = rng.integers(0, 2, (count, 28, 28))
        (folder / f"binarized_mnist_{part}.amat").write_bytes(amat(arrays[part]))
    return arrays


def cifar_arrays(count: int = 6) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pixels (N, 3072) and labels (N,) of the six batches."""
    rng = np.random.default_rng(5)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    return {
        name: (rng.integers(0, 256, (count, 3072)).astype(np.uint8), rng.integers(0, 10, count).astype(np.uint8))
        for name in names
    }


def cifar_binary(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    """A batch of the binary version."""
    return np.concatenate([labels[:, None], pixels], axis=1).tobytes()


def cifar_python2(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    """A batch of the Python version as Python 2 and its NumPy pickled it (protocol 2, byte strings)."""

    def number(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little", signed=True)

    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    kind = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN"
    kind += number(-1) + number(-1) + b"K\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R(K\x01"
    array += number(len(pixels)) + number(3072) + b"\x86" + kind + b"\x89" + text(pixels.tobytes()) + b"tb"
    listed = b"](" + b"".join(number(int(v)) for v in labels) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + listed + text(b"batch_label") + text(b"x") + b"u."


class CelebAFixture:
    """CelebA in small: aligned pictures 000001.jpg ... and the three texts.

    The parts go 0, 0, 0, 1, 2 over and over. Attribute a of picture i is 1 where (i + a) % 3 == 0, its person i + 10.
    """

    def __init__(self, count: int = 10) -> None:
        self.stems = [f"{i:06d}" for i in range(1, count + 1)]
        self.parts = [(0, 0, 0, 1, 2)[i % 5] for i in range(count)]
        self.attributes = np.array([[(i + a) % 3 == 0 for a in range(40)] for i in range(1, count + 1)])
        lines = [f"{count}", " ".join(ATTRIBUTES) + " "]
        for stem, row in zip(self.stems, self.attributes, strict=True):
            lines.append(f"{stem}.jpg " + " ".join(" 1" if value else "-1" for value in row))
        self.texts = {
            "list_attr_celeba.txt": lines,
            "list_eval_partition.txt": [f"{s}.jpg {p}" for s, p in zip(self.stems, self.parts, strict=True)],
            "identity_CelebA.txt": [f"{stem}.jpg {int(stem) + 10}" for stem in self.stems],
        }

    def picture(self, stem: str, width: int = 178, height: int = 218) -> np.ndarray:
        """A ramp to the right in red, downwards in green; blue tells the picture."""
        red = np.broadcast_to(np.arange(width), (height, width))
        green = np.broadcast_to(np.arange(height)[:, None], (height, width))
        return np.stack([red, green, np.full((height, width), 10 * int(stem))], axis=2).astype(np.uint8)

    def jpeg(self, stem: str, width: int = 178, height: int = 218) -> bytes:
        """The picture as a JPEG file."""
        file = io.BytesIO()
        Image.fromarray(self.picture(stem, width, height)).save(file, "JPEG", quality=95, subsampling=0)
        return file.getvalue()

    def write_texts(self, folder: Path, *names: str, packed: bool = False) -> None:
        """Write texts, all three by default, with the line ends of the official ones."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in names or self.texts:
            content = "".join(f"{line}\r\n" for line in self.texts[name]).encode()
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)

    def write_folder(self, folder: Path, *stems: str, **size: int) -> None:
        """Write pictures, all by default, into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for stem in stems or self.stems:
            (folder / f"{stem}.jpg").write_bytes(self.jpeg(stem, **size))

    def write_zip(self, file: Path, *stems: str, inner: str = "img_align_celeba/", **size: int) -> None:
        """Write pictures, all by default, into a zip file, not in the order of their names."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(file, "w") as bundle:
            for stem in reversed(stems or self.stems):
                bundle.writestr(f"{inner}{stem}.jpg", self.jpeg(stem, **size))
