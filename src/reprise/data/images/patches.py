"""Squares cut out of photographs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from reprise.config.errors import ConfigError, DataError
from reprise.data.cache import build_once
from reprise.data.images.arrays import ImageFiles, Images, content_sha256
from reprise.data.images.base import ImageDataModule
from reprise.data.images.files import as_array, decode_picture
from reprise.data.images.folder import files_sha256, list_pictures
from reprise.data.images.rows import hold_out
from reprise.nn.images import ImageShape

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photographs:
    """The pictures of one part: its name, its files, and their ids."""

    part: str
    paths: tuple[Path, ...]
    names: tuple[str, ...]


def cut(picture: np.ndarray, side: int) -> np.ndarray:
    """Cut a picture into squares that lie side by side, row by row; what is left on the right and below is lost.

    Args:
        picture: (C, H, W).
        side: n.

    Returns:
        (N, C, n, n), N = floor(H / n) floor(W / n).
    """
    channels, height, width = picture.shape
    rows, columns = height // side, width // side
    grid = picture[:, : rows * side, : columns * side].reshape(channels, rows, side, columns, side)
    return grid.transpose(1, 3, 0, 2, 4).reshape(-1, channels, side, side)


class ImagePatches(ImageDataModule):
    """Squares of shape.side pixels, cut out of the PNG, JPEG, WebP and BMP files below `root`, which lie side by side.

    With a folder train/ its pictures are for training, those of val/ (or valid/) and test/ for these splits; what is
    missing is held out of training, whole pictures at a time, so that no two splits share one. A square's id is that of
    its picture and its row and column in it. Pixels are taken as stored; an orientation in EXIF data is not applied.

    Args:
        shape, batch_size, seed, cache, root, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test,
            val_examples, test_examples, split_seed, binarize, exclude_test, train_images, flip: see ImageDataModule.
        val_pictures: pictures held out for validation by split_seed; 0 where root has val/, or for none.
        test_pictures: likewise for testing.
    """

    def __init__(
        self,
        shape: ImageShape,
        batch_size: int,
        seed: int,
        cache: str,
        root: str | None = None,
        num_workers: int = 0,
        max_device_batch: int | None = None,
        eval_batch_size: int = 64,
        limit_val: int | None = None,
        limit_test: int | None = None,
        val_examples: int = 0,
        test_examples: int = 0,
        split_seed: int = 0,
        binarize: Literal["fixed", "dynamic"] | None = None,
        exclude_test: list[int] | str | None = None,
        train_images: int = 0,
        flip: bool = False,
        val_pictures: int = 0,
        test_pictures: int = 0,
    ) -> None:
        super().__init__(
            shape,
            batch_size,
            seed,
            cache,
            root=root,
            num_workers=num_workers,
            max_device_batch=max_device_batch,
            eval_batch_size=eval_batch_size,
            limit_val=limit_val,
            limit_test=limit_test,
            val_examples=val_examples,
            test_examples=test_examples,
            split_seed=split_seed,
            binarize=binarize,
            exclude_test=exclude_test,
            train_images=train_images,
            flip=flip,
        )
        for name, value in (("val_pictures", val_pictures), ("test_pictures", test_pictures)):
            if value < 0:
                raise ConfigError(f"data.{name} is {value}. Expected 0 or more.")
        self.held_out_pictures = {"val": val_pictures, "test": test_pictures}

    def load(self) -> ImageFiles:
        """Cut up the pictures once into memory-mapped arrays, and from then on read these."""
        if self.root is None:
            raise ConfigError("data.root is missing. Set it to a folder of pictures: data.root=PATH.")
        listed, _ = list_pictures(self.root, classes=False)
        store = self.cache / "images"
        digest, count = files_sha256(listed, store), sum(len(part.names) for part in listed)
        parts = self._with_held_out(
            [
                Photographs(p.name, tuple(p.pictures.place / name for name in p.pictures.names), tuple(p.names))
                for p in listed
            ]
        )
        settings = [1, digest, [part.names for part in parts], self.shape.channels, self.shape.side]
        key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
        folder = build_once(store / f"patches-{key}", lambda made: self._build(parts, made))
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        found = {
            part: Images(part, np.load(folder / f"{part}.npy", mmap_mode="r"), names=names)
            for part, names in index["names"].items()
        }
        files = {f"{count} pictures": digest}
        return ImageFiles(found["train"], found.get("val"), found.get("test"), files=files, sha256=index["sha256"])

    def _with_held_out(self, parts: list[Photographs]) -> list[Photographs]:
        """Parts of the folder, and those that are held out of its training pictures."""
        there = {part.part: part for part in parts}
        for split, number in self.held_out_pictures.items():
            if split in there and number:
                raise ConfigError(f"data.{split}_pictures is {number}, but {self.root} has {split}/. Set it to 0.")
        if "test" not in there and not self.held_out_pictures["test"] and not self.test_examples:
            raise ConfigError(f"{self.root} has no test/. Set data.test_pictures=N to hold out pictures.")
        train, test, val = there.pop("train"), self.held_out_pictures["test"], self.held_out_pictures["val"]
        if test + val >= len(train.names):
            raise ConfigError(
                f"{len(train.names)} pictures cannot give {val} for validation and {test} for testing and leave any "
                "for training. Lower data.val_pictures or data.test_pictures."
            )
        rows = dict(zip(("train", "val", "test"), hold_out(len(train.names), test, val, self.split_seed), strict=True))
        chosen = [
            Photographs(part, tuple(train.paths[i] for i in which), tuple(train.names[i] for i in which))
            for part, which in rows.items()
            if len(which)
        ]
        return [*chosen, *there.values()]

    def _build(self, parts: list[Photographs], folder: Path) -> None:
        log.info("cutting up %d pictures, once", sum(len(part.paths) for part in parts))
        made, names = [], {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for part in parts:
                squares = list(pool.map(self._squares, part.paths))
                names[part.part] = [
                    f"{name}/{row}-{column}"
                    for name, (rows, columns, _) in zip(part.names, squares, strict=True)
                    for row in range(rows)
                    for column in range(columns)
                ]
                pixels = np.concatenate([found for _, _, found in squares])
                np.save(folder / f"{part.part}.npy", pixels)
                made.append(Images(part.part, pixels))
        index = {"sha256": content_sha256(*made), "names": names}
        (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")

    def _squares(self, path: Path) -> tuple[int, int, np.ndarray]:
        """Rows and columns of squares, and the squares."""
        side, picture = self.shape.side, as_array(decode_picture(path, str(path), self.shape.channels))
        height, width = picture.shape[1:]
        if min(height, width) < side:
            raise DataError(f"{path} has {height} x {width} pixels. Expected {side} or more (data.shape.side).")
        return height // side, width // side, cut(picture, side)
