"""Images as stored, the values that a model sees of them, and the data sets that a loader reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from reprise.data.stream import example_at
from reprise.nn.randomness import example_rng


class Pixels(Protocol):
    """What is asked of an array of images: its shape (N, C, H, W), and some of them (uint8) by row or slice."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Images:
    """One part of a data set as its files hold it.

    Attributes:
        part: what the files call it, e.g. "train"; ids begin with it.
        pixels: (N, C, H, W) uint8, in memory, memory-mapped, or read from files one by one.
        labels: (N,) whole numbers, None where there are none.
        names: id of each image; empty for "<part>-<row>".
        attributes: (N, A) uint8 of 0 and 1, several yes-or-no labels of each image; None where none are asked for.
    """

    part: str
    pixels: Pixels
    labels: np.ndarray | None = None
    names: Sequence[str] = ()
    attributes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def id(self, row: int) -> str:
        """Id of an image, the same whatever split it is in."""
        return self.names[row] if self.names else f"{self.part}-{row:05d}"


@dataclass(frozen=True)
class ImageFiles:
    """What the files of a data set hold.

    Attributes:
        train: images to train on; validation and test images are taken from them where the files have no such part.
        val: official validation images, or None.
        test: official test images, or None.
        levels: pixels are 0 ... levels - 1.
        classes: number of labels, 0 where there are none.
        files: SHA-256 of what was read, by file; of the unpacked bytes, so that a compressed copy has the same.
        sha256: of all pixels and labels, where it was found out before; see `content_sha256`.
        facts: what else the run record should say of the files, e.g. how many of the listed images are there.
    """

    train: Images
    val: Images | None = None
    test: Images | None = None
    levels: int = 256
    classes: int = 0
    files: dict[str, str] = field(default_factory=dict)
    sha256: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def content_sha256(self) -> str:
        """SHA-256 (hex) of all pixels and labels: the same for two file formats of the same data."""
        return self.sha256 or content_sha256(self.train, self.val, self.test)


def content_sha256(*parts: Images | None) -> str:
    """SHA-256 (hex) of the parts' shapes, pixels, labels and attributes."""
    digest = hashlib.sha256()
    for images in parts:
        if images is None:
            digest.update(NO_PART)
            continue
        digest.update(part_head(images.part, images.pixels.shape))
        for start in range(0, len(images), 512):  # in portions: pixels may be a memory map larger than memory
            digest.update(images.pixels[start : start + 512].tobytes())
        if images.labels is not None:
            digest.update(images.labels.astype("<i8").tobytes())
        if images.attributes is not None:
            digest.update(np.ascontiguousarray(images.attributes).tobytes())
    return digest.hexdigest()


NO_PART = b"none"  # stands in the digest for a part that there is not


def part_head(part: str, shape: Sequence[int]) -> bytes:
    """What the digest of all pixels has before those of a part: its name and the shape of its pixels."""
    return json.dumps([part, shape]).encode()


@dataclass(frozen=True)
class Selection:
    """Some images of a part: a split, or a group of one. `rows` are numbers of images in the part."""

    images: Images
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, limit: int | None) -> Selection:
        """The first `limit` of them; all for None."""
        return Selection(self.images, self.rows[:limit])


def level_table(native: int, levels: int) -> np.ndarray:
    """Return the value floor(x * levels / native) of each stored value x, (native,) uint8."""
    return (np.arange(native) * levels // native).astype(np.uint8)


class Values:
    """Turns stored pixels into the values that a model sees.

    Args:
        native: levels of the stored pixels.
        levels: levels of the values.
        binarize: draw 0 or 1 with probability x / (native - 1) of 1; None for floor(x * levels / native).
        split_seed: decides the fixed draw of each image.
        labels: hand out labels; -1 otherwise.
    """

    def __init__(self, native: int, levels: int, binarize: str | None, split_seed: int, labels: bool) -> None:
        self.native = native
        self.table = None if levels == native else level_table(native, levels)
        self.binarize = binarize
        self.split_seed = split_seed
        self.labels = labels

    def fixed(self, images: Images, row: int) -> np.ndarray:
        """Values (C, H, W) of an image that never change, in this run or another of this split seed."""
        pixels = images.pixels[row]
        if self.binarize:
            return self._draw(pixels, example_rng(self.split_seed, f"binarize {images.part}", row))
        return self._quantised(pixels)

    def training(self, images: Images, row: int, seed: int, position: int) -> np.ndarray:
        """Values (C, H, W) of an image at a position of the training stream."""
        if self.binarize == "dynamic":
            return self._draw(images.pixels[row], example_rng(seed, "binarize", position))
        return self.fixed(images, row)

    def _quantised(self, pixels: np.ndarray) -> np.ndarray:
        return np.array(pixels) if self.table is None else self.table[pixels]

    def _draw(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return (rng.random(pixels.shape) < pixels / (self.native - 1)).astype(np.uint8)

    def item(self, values: np.ndarray, images: Images, row: int, position: int, group: int) -> dict[str, Any]:
        """What a loader hands out for one image."""
        found = {
            "image": torch.from_numpy(np.ascontiguousarray(values)),
            "label": int(images.labels[row]) if self.labels and images.labels is not None else -1,
            "position": position,
            "id": images.id(row),
            "group": group,
        }
        if images.attributes is not None:
            found["attributes"] = torch.from_numpy(images.attributes[row].copy())
        return found


class TrainingImages(Dataset[dict[str, Any]]):
    """Training images by position in the stream.

    What is drawn for one (binarisation, mirroring) is a function of seed and position.
    """

    def __init__(self, selection: Selection, values: Values, seed: int, flip: bool) -> None:
        self.selection = selection
        self.values = values
        self.seed = seed
        self.flip = flip

    def __len__(self) -> int:
        return len(self.selection)

    def __getitem__(self, position: int) -> dict[str, Any]:
        row = int(self.selection.rows[example_at(position, self.seed, len(self))])
        images = self.selection.images
        image = self.values.training(images, row, self.seed, position)
        if self.flip and example_rng(self.seed, "flip", position).random() < 0.5:
            image = image[:, :, ::-1]
        return self.values.item(image, images, row, position, 0)


class HeldOutImages(Dataset[dict[str, Any]]):
    """Images to evaluate, group after group; an image looks the same in every evaluation."""

    def __init__(self, groups: Sequence[Selection], values: Values) -> None:
        self.groups = groups
        self.values = values
        # arrays rather than a list of pairs, since a group may have millions of images
        self._group = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        self._row = np.concatenate([group.rows for group in groups])

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, i: int) -> dict[str, Any]:
        group, row = int(self._group[i]), int(self._row[i])
        images = self.groups[group].images
        return self.values.item(self.values.fixed(images, row), images, row, i, group)
