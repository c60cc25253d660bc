"""Any folder of pictures."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from reprise.config.errors import ConfigError, DataError
from reprise.data.cache import build_once, file_digests
from reprise.data.images.arrays import ImageFiles, Images, content_sha256
from reprise.data.images.base import ImageDataModule
from reprise.data.images.files import PICTURES, read_picture
from reprise.nn.images import ImageShape

log = logging.getLogger(__name__)
_PORTION = 256
_PARTS = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}


@dataclass(frozen=True)
class Pictures:
    """The pictures of one part: paths, ids (path below root, without its ending) and labels, None without classes."""

    part: str
    paths: tuple[Path, ...]
    names: tuple[str, ...]
    labels: np.ndarray | None


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


def list_pictures(root: Path, classes: bool) -> tuple[list[Pictures], list[str]]:
    """List the pictures below root, part by part, sorted by name.

    Args:
        root: the folder.
        classes: whether the folder that a picture lies in, below the part's, is its class.

    Returns:
        the parts and the names of the classes, sorted.

    Raises:
        DataError: a part without pictures, two pictures of one id, or pictures beside class folders.
    """
    folders, files = find_parts(root), {}
    for part, folder in folders.items():
        files[part] = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in PICTURES and p.is_file()]
        if not files[part]:
            raise DataError(f"{folder} holds no file of type {', '.join(PICTURES)}.")
    kinds: list[str] = []
    if classes:
        for part, paths in files.items():
            if loose := [p for p in paths if p.parent == folders[part]]:
                raise DataError(
                    f"{loose[0]} lies in no class folder. Expected {folders[part]}/CLASS/PICTURE, since "
                    "data.shape.classes is not 0."
                )
        kinds = sorted({p.relative_to(folders[part]).parts[0] for part, paths in files.items() for p in paths})
    number = {kind: i for i, kind in enumerate(kinds)}
    parts = []
    for part, paths in files.items():
        names = tuple(p.relative_to(root).with_suffix("").as_posix() for p in paths)
        if len(set(names)) < len(names):
            twice = next(n for i, n in enumerate(names) if n in names[:i])
            raise DataError(f"{root} has two pictures called {twice!r}. Rename one of them.")
        labels = np.array([number[p.relative_to(folders[part]).parts[0]] for p in paths]) if classes else None
        parts.append(Pictures(part, tuple(paths), names, labels))
    return parts, kinds


def files_sha256(parts: Sequence[Pictures], store: Path) -> str:
    """SHA-256 (hex) over ids and files of all pictures; those of files are remembered in `store`."""
    named = hashlib.sha256()
    paths = [path for part in parts for path in part.paths]
    names = [name for part in parts for name in part.names]
    for name, sha256 in zip(names, file_digests(paths, store / "file_digests.json"), strict=True):
        named.update(f"{name}\0{sha256}\n".encode())
    return named.hexdigest()


class ImageFolder(ImageDataModule):
    """PNG, JPEG, WebP and BMP files below `root`, as grey or colours according to shape.channels.

    With a folder train/ its images are for training, those of val/ (or valid/) and test/ for these splits; what is
    missing is held out of training. Without it all images are divided. Where shape.classes is not 0, the folder that an
    image lies in is its class. Pixels are taken as stored; an orientation in EXIF data is not applied.

    Args:
        shape, batch_size, seed, cache, root, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test,
            val_examples, test_examples, split_seed, binarize, exclude_test, train_images, flip: see ImageDataModule.
        crop_resize: take the largest square in the middle of each image and resize it to shape.side with Pillow's
            Lanczos filter (antialiased). Otherwise an image of another size is an error.
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
        self.crop_resize = crop_resize

    def load(self) -> ImageFiles:
        """Read the pictures once into memory-mapped arrays, and from then on these."""
        if self.root is None:
            raise ConfigError("data.root is missing. Set it to a folder of pictures: data.root=PATH.")
        parts, kinds = list_pictures(self.root, self.shape.classes > 0)
        store = self.cache / "images"
        digest, count = files_sha256(parts, store), sum(len(part.names) for part in parts)
        settings = [1, digest, self.shape.channels, self.shape.side, self.crop_resize]
        key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
        folder = build_once(store / f"folder-{key}", lambda made: self._build(parts, made))
        images = {
            p.part: Images(p.part, np.load(folder / f"{p.part}.npy", mmap_mode="r"), p.labels, p.names) for p in parts
        }
        ordered = images["train"], images.get("val"), images.get("test")
        files = {f"{count} pictures": digest}
        return ImageFiles(*ordered, classes=len(kinds), files=files, sha256=self._sha256(folder, ordered))

    def _sha256(self, folder: Path, parts: Sequence[Images | None]) -> str:
        """Digest of all pixels and labels; labels are not in the folder, so those are added to its own."""
        pixels: str = json.loads((folder / "index.json").read_text(encoding="utf-8"))["sha256"]
        labels = [p.labels.tolist() if p is not None and p.labels is not None else None for p in parts]
        return hashlib.sha256(json.dumps([pixels, labels]).encode()).hexdigest()

    def _build(self, parts: Sequence[Pictures], folder: Path) -> None:
        channels, side = self.shape.channels, self.shape.side
        log.info("reading %d pictures, once", sum(len(part.paths) for part in parts))

        def read(path: Path) -> np.ndarray:
            return read_picture(path, channels, side, self.crop_resize)

        made = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for part in parts:
                shape = (len(part.paths), channels, side, side)
                pixels = np.lib.format.open_memmap(folder / f"{part.part}.npy", mode="w+", dtype=np.uint8, shape=shape)
                for start in range(0, len(part.paths), _PORTION):  # so that a large folder needs little memory
                    for i, picture in enumerate(pool.map(read, part.paths[start : start + _PORTION]), start):
                        pixels[i] = picture
                pixels.flush()
                made.append(Images(part.part, pixels))
        (folder / "index.json").write_text(json.dumps({"sha256": content_sha256(*made)}), encoding="utf-8")
