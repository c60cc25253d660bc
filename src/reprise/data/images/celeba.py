"""CelebA (Liu, Luo, Wang and Tang 2015): 202,599 aligned faces, their attributes and the official partition."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from PIL import Image

from reprise.config.errors import ConfigError, DataError, suggest
from reprise.data.cache import build_once, remember
from reprise.data.images.area import resize_area
from reprise.data.images.arrays import ImageFiles, Images, content_sha256
from reprise.data.images.base import ImageDataModule
from reprise.data.images.celeba_texts import ATTRIBUTES, PERSONS, read_attributes, read_numbers
from reprise.data.images.files import as_array, centre, decode_picture
from reprise.data.images.mnist import read_maybe_gzipped
from reprise.data.images.pictures import FolderPictures, Pictures, ZipPictures, pictures_digest, write_pixels
from reprise.nn.images import ImageShape

log = logging.getLogger(__name__)
PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
ALIGNED = (178, 218)  # width and height of the official pictures
_PARTS = ("train", "val", "test")  # by the number in the partition
_KINDS = (".jpg", ".jpeg", ".png")
_IMAGES = ("img_align_celeba.zip", "img_align_celeba")
_PARTITION, _ATTRIBUTES, _PERSONS = "list_eval_partition.txt", "list_attr_celeba.txt", "identity_CelebA.txt"
_OFFICIAL = {  # bytes and SHA-256 of the texts
    _PARTITION: (2_836_386, "fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7"),
    _ATTRIBUTES: (26_721_026, "f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0"),
    _PERSONS: (3_424_458, "c6143857c3e2630ac2da9f782e9c1232e5e59be993a9d44e8a7916c78a6158c0"),
}


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
        self.attributes = list(ATTRIBUTES) if attributes == "all" else attributes
        _check_attributes(self.attributes)

    def load(self) -> ImageFiles:
        """Read texts and pictures; the latter once, into memory-mapped arrays, and from then on these."""
        digests: dict[str, str] = {}
        content, text = self._text(_PARTITION, digests)
        partition = read_numbers(content, text, "its part", 0, 2)
        pictures = self._pictures()
        store = self.cache / "images"
        memory = store / "digests" / f"celeba-{pictures.stamp}.json"
        sha256 = remember(memory, lambda: pictures_digest([(pictures, _stem)]))
        settings = [1, sha256, digests[_PARTITION], self.shape.channels, self.shape.side, self.crop, self.resize]
        key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]

        def build(made: Path) -> None:
            self._build(pictures, _divide(pictures, partition, text), made)

        folder = build_once(store / f"celeba-{key}", build)
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        digests[f"{sum(map(len, index['names'].values()))} pictures"] = sha256
        parts = self._parts(folder, index["names"], digests)
        listed = np.bincount(list(partition.values()), minlength=len(_PARTS)).tolist()
        _say_what_is_missing(pictures.place, index["names"], listed)
        facts = {
            "listed": dict(zip(_PARTS, listed, strict=True)),
            "taken_as_they_are": index["as_they_are"],
            "attributes": self.attributes,
        }
        return ImageFiles(
            parts["train"],
            parts.get("val"),
            parts.get("test"),
            classes=PERSONS if self.shape.classes else 0,
            files=digests,
            sha256=_with_labels(index["sha256"], parts),
            facts=facts,
        )

    def _parts(self, folder: Path, names: dict[str, list[str]], digests: dict[str, str]) -> dict[str, Images]:
        """The parts that have pictures, with the labels and attributes that are asked for."""
        persons = attributes = None
        if self.shape.classes:
            content, text = self._text(_PERSONS, digests)
            persons = np.array(_rows(read_numbers(content, text, "its person", 1, PERSONS), names, text)) - 1
        if self.attributes is not None:
            content, text = self._text(_ATTRIBUTES, digests)
            row_of, values = read_attributes(content, text)
            columns = [ATTRIBUTES.index(name) for name in self.attributes]
            attributes = values[_rows(row_of, names, text)][:, columns]
        parts, start = {}, 0
        for part, own in names.items():
            here = slice(start, start + len(own))
            start = here.stop
            if own:
                pixels = np.load(folder / f"{part}.npy", mmap_mode="r")
                labels = None if persons is None else persons[here]
                parts[part] = Images(part, pixels, labels, own, None if attributes is None else attributes[here])
        return parts

    def _text(self, name: str, digests: dict[str, str]) -> tuple[bytes, Path]:
        """Content of a text and where it is; its digest is noted."""
        path = self._find((name, f"{name}.gz"))
        if path is None:
            raise DataError(f"data.root={self.root} has no {name}, gzipped or not. {_layout()}")
        content = read_maybe_gzipped(path)
        digests[name] = hashlib.sha256(content).hexdigest()
        size, sha256 = _OFFICIAL[name]
        if len(content) == size and digests[name] != sha256:
            raise DataError(
                f"{path} has the official size, but its SHA-256 is {digests[name]}, expected {sha256}: it is corrupt. "
                "Fetch it again."
            )
        return content, path

    def _find(self, names: Sequence[str]) -> Path | None:
        """The first of the names that lies in `root` or one folder down."""
        if self.root is None:
            raise ConfigError(f"data.root is missing. CelebA has to be fetched by hand from {PAGE}. {_layout()}")
        if not self.root.is_dir():
            raise DataError(f"data.root={self.root} is not a folder. {_layout()}")
        for name in names:
            for path in (self.root / name, *sorted(self.root.glob(f"*/{name}"))):
                if path.exists():
                    return path
        return None

    def _pictures(self) -> Pictures:
        if self.images is not None:
            place = Path(self.root or "", self.images).expanduser()
            if not place.exists():
                raise DataError(f"data.images={self.images}: there is no {place}. Expected a zip file or a folder.")
        else:
            found = self._find(_IMAGES)
            if found is None:
                others = sorted(path.name for path in (self.root or Path()).glob("*.zip"))
                hint = f" Is it {others[0]}? Then set data.images={others[0]}." if others else ""
                raise DataError(f"data.root={self.root} has no {' or '.join(_IMAGES)}.{hint} {_layout()}")
            place = found
        return FolderPictures(place, _KINDS) if place.is_dir() else ZipPictures(place, _KINDS)

    def _build(self, pictures: Pictures, divided: dict[str, list[str]], folder: Path) -> None:
        channels, side = self.shape.channels, self.shape.side
        log.info("decoding %d pictures of %s, once", sum(map(len, divided.values())), pictures.place)
        as_they_are: list[str] = []

        def read(name: str) -> np.ndarray:
            what = f"{pictures.place}: {name}"
            picture = decode_picture(io.BytesIO(pictures.read(name)), what, channels)
            if picture.size == (side, side):
                as_they_are.append(name)
                return as_array(picture)
            return self._cut(picture, what)

        made: dict[str, Images] = {}
        for part, names in divided.items():
            if names:
                write_pixels(folder / f"{part}.npy", names, read, (channels, side, side))
                made[part] = Images(part, np.load(folder / f"{part}.npy", mmap_mode="r"))
        index = {
            "sha256": content_sha256(*(made.get(part) for part in _PARTS)),
            "as_they_are": len(as_they_are),
            "names": {part: [_stem(name) for name in names] for part, names in divided.items()},
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


def _check_attributes(names: Sequence[str] | None) -> None:
    for i, name in enumerate(names or ()):
        if name not in ATTRIBUTES:
            raise ConfigError(f"data.attributes names {name!r}. {suggest(name, ATTRIBUTES)}")
        if name in (names or ())[:i]:
            raise ConfigError(f"data.attributes names {name!r} twice.")


def _layout() -> str:
    return (
        f"Expected, in itself or one folder down (Img/, Anno/, Eval/): {_IMAGES[0]} or the folder {_IMAGES[1]}/ of "
        f"178 x 218 pictures 000001.jpg ... 202599.jpg; {_PARTITION}; for attributes {_ATTRIBUTES}; for persons "
        f"{_PERSONS}."
    )


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _divide(pictures: Pictures, partition: dict[str, int], text: Path) -> dict[str, list[str]]:
    """Names of the pictures that are there, by part.

    Raises:
        DataError: one is not listed, or there twice, or none is for training.
    """
    divided: dict[str, list[str]] = {part: [] for part in _PARTS}
    seen: set[str] = set()
    for name in pictures.names:
        stem = _stem(name)
        if stem in seen:
            raise DataError(f"{pictures.place} has two pictures called {stem!r}. Remove one of them.")
        if stem not in partition:
            raise DataError(f"{pictures.place} holds {name}, which {text} does not list.")
        seen.add(stem)
        divided[_PARTS[partition[stem]]].append(name)
    if not divided["train"]:
        raise DataError(
            f"{pictures.place} holds {len(seen)} pictures, and none of those that {text} lists for training (part 0)."
        )
    return divided


def _rows(row_of: dict[str, int], names: dict[str, list[str]], text: Path) -> list[int]:
    """What a text says of each picture, part after part."""
    try:
        return [row_of[name] for own in names.values() for name in own]
    except KeyError as error:
        raise DataError(f"{text} has no line for the picture {error.args[0]}. Is it truncated?") from None


def _say_what_is_missing(place: Path, names: dict[str, list[str]], listed: Sequence[int]) -> None:
    here = [len(names[part]) for part in _PARTS]
    if sum(here) < sum(listed):
        shown = ", ".join(f"{part} {n} of {m}" for part, n, m in zip(_PARTS, here, listed, strict=True))
        log.warning("%s holds %d of the %d listed pictures: %s", place, sum(here), sum(listed), shown)


def _with_labels(pixels: str, parts: dict[str, Images]) -> str:
    """Digest of all pixels, and of labels and attributes where there are any."""
    arrays = [array for p in parts.values() for array in (p.labels, p.attributes) if array is not None]
    if not arrays:
        return pixels
    more = [hashlib.sha256(array.astype("<i8").tobytes()).hexdigest() for array in arrays]
    return hashlib.sha256(json.dumps([pixels, more]).encode()).hexdigest()
