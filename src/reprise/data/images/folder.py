"""Any folder of pictures."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from reprise.config.errors import ConfigError, DataError
from reprise.data.cache import build_once, remember
from reprise.data.images.arrays import ImageFiles, Images, Pixels
from reprise.data.images.base import ImageDataModule
from reprise.data.images.files import ARRAYS, PICTURES, read_picture
from reprise.data.images.names import Names
from reprise.data.images.pictures import FolderPictures, decode_all, pictures_digest
from reprise.nn.images import ImageShape

log = logging.getLogger(__name__)
_PARTS = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}


@dataclass(frozen=True)
class Part:
    """The pictures of one part.

    Attributes:
        name: train, val or test.
        pictures: its files.
        prefix: its folder below root, with a / behind; empty for root itself.
        names: ids of the images: paths below root, without endings.
        labels: (N,) numbers of the classes, None without classes.
    """

    name: str
    pictures: FolderPictures
    prefix: str
    names: Names
    labels: np.ndarray | None

    def id(self, name: str) -> str:
        """Id of the picture of that name."""
        return self.prefix + os.path.splitext(name)[0]


class DecodedOnReading:
    """Pixels of pictures, decoded each time that they are read.

    Args:
        names: names of the pictures.
        read: makes an array of a name.
        shape: of that array, (C, H, W).
    """

    def __init__(self, names: Sequence[str], read: Callable[[str], np.ndarray], shape: tuple[int, ...]) -> None:
        self._names = Names(names)
        self._read = read
        self.shape = (len(names), *shape)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, rows: int | slice) -> np.ndarray:
        """One picture (C, H, W), or several (n, C, H, W)."""
        if isinstance(rows, slice):
            return np.stack([self._read(name) for name in self._names[rows]])
        return self._read(self._names[rows])


def find_parts(root: Path) -> dict[str, Path]:
    """Folders of the parts: train/, val/ (or valid/) and test/ where root has train/, else root as train.

    Raises:
        DataError: no such folder, both val/ and valid/, or a part without train/.
    """
    if not root.is_dir():
        raise DataError(f"data.root={root} is not a folder. Expected a folder of pictures.")
    found = {}
    for part, names in _PARTS.items():
        there = [root / name for name in names if (root / name).is_dir()]
        if len(there) > 1:
            raise DataError(f"data.root={root} has both {there[0].name}/ and {there[1].name}/. Expected one of them.")
        if there:
            found[part] = there[0]
    if found and "train" not in found:
        raise DataError(f"data.root={root} has {next(iter(found.values())).name}/ but no train/.")
    return found or {"train": root}


def list_pictures(root: Path, classes: bool) -> tuple[list[Part], list[str]]:
    """List the pictures below root, part by part, sorted by name.

    Args:
        root: the folder.
        classes: whether the folder that a picture lies in, below the part's, is its class.

    Returns:
        the parts and the names of the classes, sorted.

    Raises:
        DataError: a part without pictures, two pictures of one id, or pictures beside class folders.
    """
    found = {}
    for part, folder in find_parts(root).items():
        pictures = FolderPictures(folder, PICTURES)
        if not pictures.names:
            pictures = FolderPictures(folder, ARRAYS)
        if not pictures.names:
            raise DataError(f"{folder} holds no file of type {', '.join((*PICTURES, *ARRAYS))}.")
        found[part] = pictures
    kinds = _kinds(found) if classes else []
    parts = []
    for part, pictures in found.items():
        prefix = "" if pictures.place == root else f"{pictures.place.relative_to(root).as_posix()}/"
        names = [prefix + os.path.splitext(name)[0] for name in pictures.names]
        _refuse_doubles(root, names)
        parts.append(Part(part, pictures, prefix, Names(names), _labels(pictures.names, kinds)))
    return parts, kinds


def files_sha256(parts: Sequence[Part], store: Path) -> str:
    """SHA-256 (hex) over ids and files of all pictures; remembered in `store` until a file is written again."""
    stamps = json.dumps([[part.name, part.pictures.stamp] for part in parts])
    memory = store / "digests" / f"folder-{hashlib.sha256(stamps.encode()).hexdigest()}.json"
    return remember(memory, lambda: pictures_digest([(part.pictures, part.id) for part in parts]))


def _kinds(parts: dict[str, FolderPictures]) -> list[str]:
    """Names of the folders in which pictures lie, sorted."""
    for pictures in parts.values():
        if loose := next((name for name in pictures.names if "/" not in name), None):
            raise DataError(
                f"{pictures.place / loose} lies in no class folder. Expected {pictures.place}/CLASS/PICTURE, since "
                "data.shape.classes is not 0."
            )
    return sorted({name.split("/", 1)[0] for pictures in parts.values() for name in pictures.names})


def _labels(names: Sequence[str], kinds: Sequence[str]) -> np.ndarray | None:
    if not kinds:
        return None
    number = {kind: i for i, kind in enumerate(kinds)}
    return np.array([number[name.split("/", 1)[0]] for name in names])


def _refuse_doubles(root: Path, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{root} has two pictures called {name!r}. Rename one of them.")
        seen.add(name)


def _read(folder: Path, channels: int, side: int, crop_resize: bool, name: str) -> np.ndarray:
    return read_picture(folder / name, channels, side, crop_resize)


class ImageFolder(ImageDataModule):
    """PNG, JPEG, WebP and BMP files below `root`, or npy files of bytes, as grey or colours by shape.channels.

    With a folder train/ its images are for training, those of val/ (or valid/) and test/ for these splits; what is
    missing is held out of training. Without it all images are divided. Where shape.classes is not 0, the folder that an
    image lies in is its class. Pixels are taken as stored; an orientation in EXIF data is not applied.

    Args:
        shape, batch_size, seed, cache, root, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test,
            val_examples, test_examples, split_seed, binarize, exclude_test, train_images, flip: see ImageDataModule.
        crop_resize: take the largest square in the middle of each image and resize it to shape.side with Pillow's
            Lanczos filter (antialiased). Otherwise an image of another size is an error.
        decode: "once": pictures are decoded once into memory-mapped arrays of N * C * side^2 bytes in the cache;
            "always": decoded once to check them, and again each time that they are read, which needs no room, and
            loader processes (num_workers) instead. The images are the same.
        train_on_all: train on the images that are held out (val_examples, test_examples) too, as papers do that compare
            samples with all of a data set. What is measured on these images then says nothing of unseen ones.
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
        crop_resize: bool = False,
        decode: Literal["once", "always"] = "once",
        train_on_all: bool = False,
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
        if decode not in ("once", "always"):
            raise ConfigError(f"data.decode is {decode!r}. Expected 'once' or 'always'.")
        self.crop_resize = crop_resize
        self.decode = decode
        self.train_on_all = train_on_all

    def load(self) -> ImageFiles:
        """Decode the pictures once, and from then on read arrays in the cache, or pictures where these are not kept."""
        if self.root is None:
            raise ConfigError("data.root is missing. Set it to a folder of pictures: data.root=PATH.")
        parts, kinds = list_pictures(self.root, self.shape.classes > 0)
        store = self.cache / "images"
        named = files_sha256(parts, store)
        settings = [1, named, self.shape.channels, self.shape.side, self.crop_resize]
        key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
        kind = "folder" if self.decode == "once" else "checked"
        folder = build_once(store / f"{kind}-{key}", lambda made: self._build(parts, made))
        images = {p.name: Images(p.name, self._pixels(p, folder), p.labels, p.names) for p in parts}
        ordered = images["train"], images.get("val"), images.get("test")
        files = {f"{sum(len(part.names) for part in parts)} pictures": named}
        return ImageFiles(*ordered, classes=len(kinds), files=files, sha256=self._sha256(folder, ordered))

    def _pixels(self, part: Part, folder: Path) -> Pixels:
        if self.decode == "always":
            return DecodedOnReading(part.pictures.names, self._reader(part), self._sides())
        pixels: np.ndarray = np.load(folder / f"{part.name}.npy", mmap_mode="r")
        return pixels

    def _reader(self, part: Part) -> Callable[[str], np.ndarray]:
        return functools.partial(_read, part.pictures.place, self.shape.channels, self.shape.side, self.crop_resize)

    def _sha256(self, folder: Path, parts: Sequence[Images | None]) -> str:
        """Digest of all pixels and labels; labels are not in the folder, so those are added to its own."""
        pixels: str = json.loads((folder / "index.json").read_text(encoding="utf-8"))["sha256"]
        labels = [p.labels.tolist() if p is not None and p.labels is not None else None for p in parts]
        return hashlib.sha256(json.dumps([pixels, labels]).encode()).hexdigest()

    def _build(self, parts: Sequence[Part], folder: Path) -> None:
        log.info("decoding %d pictures below %s, once", sum(len(part.names) for part in parts), self.root)
        digest, kept_in = hashlib.sha256(), folder if self.decode == "once" else None
        for part in parts:
            decode_all(part.name, part.pictures.names, self._reader(part), self._sides(), digest.update, kept_in)
        (folder / "index.json").write_text(json.dumps({"sha256": digest.hexdigest()}), encoding="utf-8")
