"""Downsampled ImageNet (Chrabaszcz, Loshchilov and Hutter 2017), 32 x 32 or 64 x 64, from its npz batches."""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reprise.config.errors import ConfigError, DataError
from reprise.data.cache import build_once, file_digests
from reprise.data.images.arrays import ImageFiles, Images, content_sha256
from reprise.data.images.base import ImageDataModule

log = logging.getLogger(__name__)
_CLASSES = 1000
_OFFICIAL = {"train": 1_281_167, "test": 50_000}
_FILES = {"train": tuple(f"train_data_batch_{i}.npz" for i in range(1, 11)), "test": ("val_data.npz",)}


def read_batch(path: Path, key: str) -> np.ndarray:
    """Read `data` or `labels` of a batch; nothing is unpickled.

    Raises:
        DataError: no npz file, truncated, without that array, or with one of another kind.
    """
    try:
        with np.load(path, allow_pickle=False) as batch:
            array: np.ndarray = batch[key]
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}. Expected an npz batch; is it truncated?") from None
    except KeyError:
        raise DataError(f"{path} has no array `{key}`. Expected the keys data, labels and mean.") from None
    if key == "data" and (array.dtype != np.uint8 or array.ndim != 2):
        raise DataError(f"{path}: data are {array.dtype} of shape {array.shape}. Expected bytes, N x (3 side side).")
    if key == "labels" and (array.ndim != 1 or array.dtype.kind not in "iu"):
        raise DataError(f"{path}: labels are {array.dtype} of shape {array.shape}. Expected N whole numbers.")
    if key == "labels" and len(array) and not 1 <= array.min() <= array.max() <= _CLASSES:
        raise DataError(f"{path}: labels run from {array.min()} to {array.max()}. Expected 1 to {_CLASSES}.")
    return array


class DownsampledImageNet(ImageDataModule):
    """ImageNet resized to 32 x 32 or 64 x 64: 1,281,167 training and 50,000 validation images.

    The validation images are the test split. Labels 1 to 1000 become 0 to 999, in these files' own order. `root` holds
    train_data_batch_1.npz ... train_data_batch_10.npz and val_data.npz, in itself or one folder down.

    This is not the older "small ImageNet" of van den Oord et al. (2016), train_32x32 and valid_32x32, on which many
    papers report: its images were made by another procedure. Read that one with data=image_folder, its
    folders renamed to train and test.
    """

    def load(self) -> ImageFiles:
        """Read the batches once into memory-mapped arrays, and from then on these."""
        paths = {part: [self._file(name) for name in names] for part, names in _FILES.items()}
        everything = [path for part in paths.values() for path in part]
        store = self.cache / "images"
        digests = file_digests(everything, store / "file_digests.json")
        side = self.shape.side
        key = hashlib.sha256(json.dumps([1, side, digests]).encode()).hexdigest()[:16]

        def build(folder: Path) -> None:
            log.info("reading %d batches of ImageNet, once", len(everything))
            for part, files in paths.items():
                _write_part(files, side, folder / f"{part}.npy", folder / f"{part}_labels.npy")
            sha256 = content_sha256(_open(folder, "train"), None, _open(folder, "test"))
            (folder / "index.json").write_text(json.dumps({"sha256": sha256}), encoding="utf-8")

        folder = build_once(store / f"imagenet{side}-{key}", build)
        train, test = _open(folder, "train"), _open(folder, "test")
        for images in (train, test):
            if len(images) != _OFFICIAL[images.part]:
                log.warning(
                    "%s holds %d %s images, not %d", self.root, len(images), images.part, _OFFICIAL[images.part]
                )
        sha256 = json.loads((folder / "index.json").read_text(encoding="utf-8"))["sha256"]
        files = {path.name: digest for path, digest in zip(everything, digests, strict=True)}
        return ImageFiles(train, test=test, classes=_CLASSES, files=files, sha256=sha256)

    def _file(self, name: str) -> Path:
        if self.root is None:
            raise ConfigError(
                "data.root is missing. Downsampled ImageNet needs an account: fetch the npz files of "
                f"{self.shape.side} x {self.shape.side} from https://image-net.org/download-images and set "
                "data.root=FOLDER."
            )
        found = [self.root / name] if (self.root / name).is_file() else sorted(self.root.glob(f"*/{name}"))
        if len(found) != 1:
            said = f"has {len(found)} files" if found else "has no file"
            raise DataError(
                f"data.root={self.root} {said} {name}, in itself or one folder down. Expected one, and "
                f"{_FILES['train'][0]} ... {_FILES['train'][-1]} and {_FILES['test'][0]} in all."
            )
        return found[0]


def _write_part(paths: Sequence[Path], side: int, pixels_file: Path, labels_file: Path) -> None:
    labels = [read_batch(path, "labels") for path in paths]
    total = sum(len(part) for part in labels)
    if not total:
        raise DataError(f"{paths[0].parent} holds no images.")
    np.save(labels_file, (np.concatenate(labels) - 1).astype(np.int16))
    pixels = np.lib.format.open_memmap(pixels_file, mode="w+", dtype=np.uint8, shape=(total, 3, side, side))
    start = 0
    for path, own in zip(paths, labels, strict=True):
        data = read_batch(path, "data")
        if data.shape[1] != 3 * side**2:
            real = (data.shape[1] / 3) ** 0.5
            raise ConfigError(
                f"data.shape.side is {side}, but {path} has {data.shape[1]} values an image"
                + (f": set data.shape.side={real:.0f}." if real.is_integer() else ". Expected 3072 or 12288.")
            )
        if len(data) != len(own):
            raise DataError(f"{path} has {len(data)} images and {len(own)} labels. Fetch it again.")
        pixels[start : start + len(own)] = data.reshape(-1, 3, side, side)
        start += len(own)
    pixels.flush()


def _open(folder: Path, part: str) -> Images:
    return Images(part, np.load(folder / f"{part}.npy", mmap_mode="r"), np.load(folder / f"{part}_labels.npy"))
