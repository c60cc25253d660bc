"""Image data sets written small, in their official formats."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import numpy as np


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
