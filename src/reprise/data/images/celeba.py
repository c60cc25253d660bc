"""CelebA (Liu, Luo, Wang and Tang 2015): 202,599 aligned faces, their attributes and the official partition."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from reprise.config.errors import ConfigError, DataError, suggest
from reprise.data.cache import build_once, remember
from reprise.data.images.area import resize_area
from reprise.data.images.arrays import NO_PART, ImageFiles, Images
from reprise.data.images.base import ImageDataModule
from reprise.data.images.celeba_files import (
    ATTRIBUTE_LIST,
    PARTITION,
    PARTS,
    PERSON_LIST,
    CelebAFiles,
    count_parts,
    divide,
    picture_id,
    say_what_is_missing,
)
from reprise.data.images.celeba_texts import ATTRIBUTES, PERSONS, Labels, Rows, read_attributes, read_numbers
from reprise.data.images.files import as_array, centre, decode_picture
from reprise.data.images.pictures import Pictures, decode_all, pictures_digest
from reprise.nn.images import ImageShape

log = logging.getLogger(__name__)
ALIGNED = (178, 218)  # width and height of the official pictures


class CelebA(ImageDataModule):
    """Faces, 162,770 for training, 19,867 for validation and 19,962 for testing; persons are in one part only.

    `root` holds img_align_celeba.zip or the folder img_align_celeba, list_eval_partition.txt and, where attributes are
    asked for, list_attr_celeba.txt; each in itself or one folder down (Anno/, Eval/, Img/), texts gzipped or not.
    Nothing is downloaded, since the official host lets only so many people a day. The pictures, 178 x 218, are cropped
    and resized once, into memory-mapped arrays; those that have shape.side pixels already are taken as they are. Where
    pictures are missing, as in a sample of the data set, the splits hold those that are there.

    The label of an image is its person (identity_CelebA.txt) where shape.classes is 10177.

    Args:
        shape, batch_size, seed, cache, root, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test,
            val_examples, test_examples, split_seed, binarize, exclude_test, train_images, flip: see ImageDataModule.
        images: the zip file or folder of pictures, below `root` or anywhere; None for the official names.
        crop: side of the square that is cut out of the middle of an aligned picture, 1 to 178; 108 as DCGAN and
            CausalGAN have it (columns 35 to 142, rows 55 to 162, from 0).
        resize: how the square gets shape.side pixels a side: "bilinear" is Pillow's triangle filter, which is
            antialiased, as in the PyTorch code of most papers; "area" is the mean over the area of each new pixel, as
            TensorFlow's AREA in CausalGAN's code.
        attributes: names of the attributes in an item's "attributes", in this order; "all" for the 40 of them, None for
            no such entry.

    Raises:
        ConfigError: `crop` is out of range, or a name is none of the attributes.
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
        images: str | None = None,
        crop: int = 108,
        resize: Literal["bilinear", "area"] = "bilinear",
        attributes: list[str] | Literal["all"] | None = None,
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
        if not 1 <= crop <= min(ALIGNED):
            raise ConfigError(f"data.crop is {crop}. Expected 1 to {min(ALIGNED)}; papers use 108, 140, 148 and 178.")
        if resize not in ("bilinear", "area"):
            raise ConfigError(f"data.resize is {resize!r}. Expected 'bilinear' or 'area'.")
        self.images = images
        self.crop = crop
        self.resize = resize
        self.attributes = _chosen(attributes)

    def load(self) -> ImageFiles:
        """Read texts and pictures; the latter once, into memory-mapped arrays, and from then on these."""
        files = CelebAFiles(self.root, self.images)
        content, text = files.text(PARTITION)
        partition = read_numbers(content, text, "its part", 0, 2)
        pictures = files.pictures()
        store = self.cache / "images"
        memory = store / "digests" / f"celeba-{pictures.stamp}.json"
        sha256 = remember(memory, lambda: pictures_digest([(pictures, picture_id)]))
        settings = [1, sha256, files.digests[PARTITION], self.shape.channels, self.shape.side, self.crop, self.resize]
        key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]

        labels = self._labels(files)  # before the pictures: decoding takes minutes, and a text may be missing
        folder = build_once(store / f"celeba-{key}", lambda made: self._build(pictures, partition, text, labels, made))
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        listed = count_parts(partition)
        say_what_is_missing(pictures.place, index["names"], listed)
        parts = {
            part: Images(part, np.load(folder / f"{part}.npy", mmap_mode="r"), names=names, **labels.of(names))
            for part, names in index["names"].items()
            if names
        }
        return ImageFiles(
            parts["train"],
            parts.get("val"),
            parts.get("test"),
            classes=PERSONS if self.shape.classes else 0,
            files={**files.digests, f"{sum(map(len, parts.values()))} pictures": sha256},
            sha256=_with_labels(index["sha256"], parts),
            facts={"listed": listed, "taken_as_they_are": index["as_they_are"], "attributes": self.attributes},
        )

    def _labels(self, files: CelebAFiles) -> Labels:
        persons = attributes = None
        if self.shape.classes:
            content, text = files.text(PERSON_LIST)
            person_of = read_numbers(content, text, "its person", 1, PERSONS)
            persons = Rows(text, person_of, np.arange(-1, PERSONS))  # counted from 1 there, from 0 here
        if self.attributes is not None:
            content, text = files.text(ATTRIBUTE_LIST)
            row_of, values = read_attributes(content, text)
            columns = [ATTRIBUTES.index(name) for name in self.attributes]
            attributes = Rows(text, row_of, values[:, columns])
        return Labels(persons, attributes)

    def _build(self, pictures: Pictures, partition: dict[str, int], text: Path, labels: Labels, folder: Path) -> None:
        divided = divide(pictures, partition, text)
        ids = {part: [picture_id(name) for name in names] for part, names in divided.items()}
        for part in PARTS:
            labels.of(ids[part])
        channels, side = self.shape.channels, self.shape.side
        log.info("decoding %d pictures of %s, once", len(pictures.names), pictures.place)
        as_they_are: list[str] = []

        def read(name: str) -> np.ndarray:
            what = f"{pictures.place}: {name}"
            picture = decode_picture(io.BytesIO(pictures.read(name)), what, channels)
            if picture.size == (side, side):
                as_they_are.append(name)
                return as_array(picture)
            return self._cut(picture, what)

        digest = hashlib.sha256()
        for part, names in divided.items():
            if names:
                decode_all(part, names, read, (channels, side, side), digest.update, folder)
            else:
                digest.update(NO_PART)
        index = {
            "sha256": digest.hexdigest(),
            "as_they_are": len(as_they_are),
            "names": ids,
        }
        (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")

    def _cut(self, picture: Image.Image, what: str) -> np.ndarray:
        """The square in the middle of an aligned picture, (C, side, side)."""
        side = self.shape.side
        if picture.size != ALIGNED:
            raise DataError(
                f"{what} has {picture.width} x {picture.height} pixels. Expected {ALIGNED[0]} x {ALIGNED[1]} (aligned, "
                f"as CelebA has them) or {side} x {side} (data.shape.side)."
            )
        square = centre(picture, self.crop)
        if self.crop == side:
            return as_array(square)
        if self.resize == "area":
            return resize_area(as_array(square), side)
        return as_array(square.resize((side, side), Image.Resampling.BILINEAR))


def _chosen(names: list[str] | Literal["all"] | None) -> list[str] | None:
    if names is None or names == "all":
        return None if names is None else list(ATTRIBUTES)
    if isinstance(names, str) or not names:
        raise ConfigError(f"data.attributes is {names!r}. Expected names such as [Male, Smiling], 'all' or null.")
    for i, name in enumerate(names):
        if name not in ATTRIBUTES:
            raise ConfigError(f"data.attributes names {name!r}. {suggest(name, ATTRIBUTES)}")
        if name in names[:i]:
            raise ConfigError(f"data.attributes names {name!r} twice.")
    return names


def _with_labels(pixels: str, parts: dict[str, Images]) -> str:
    """Digest of all pixels, and of labels and attributes where there are any."""
    arrays = [array for p in parts.values() for array in (p.labels, p.attributes) if array is not None]
    if not arrays:
        return pixels
    more = [hashlib.sha256(array.astype("<i8").tobytes()).hexdigest() for array in arrays]
    return hashlib.sha256(json.dumps([pixels, more]).encode()).hexdigest()
