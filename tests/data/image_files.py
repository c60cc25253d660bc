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
