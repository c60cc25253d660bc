"""Dead leaves: images of discs that hide one another (Lee, Mumford and Huang 2001), generated."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from pathlib import Path
from typing import Literal

import numpy as np

from reprise.config.errors import ConfigError
from reprise.data.cache import build_once
from reprise.data.images.arrays import ImageFiles, Images, content_sha256
from reprise.data.images.base import ImageDataModule
from reprise.nn.images import ImageShape
from reprise.nn.randomness import example_rng

log = logging.getLogger(__name__)
_VERSION = 1  # of what is drawn for a seed and a number
_DISCS = 64  # drawn at a time


def disc_radii(rng: np.random.Generator, count: int, side: int, r_min: float, r_max: float) -> np.ndarray:
    """Radii of discs that reach a window, when discs of density r^-3 lie anywhere in the plane.

    A disc reaches the window if its centre lies in the square of side n + 2r around it (or a little less, at the
    corners), so that radii among those have the density r^-3 (n + 2r)^2 = n^2 r^-3 + 4 n r^-2 + 4 r^-1.

    Args:
        rng: source of the draws.
        count: number of radii.
        side: n, in pixels.
        r_min: smallest radius, in pixels.
        r_max: largest radius, in pixels.

    Returns:
        (count,) float64.
    """
    n, a, b = side, r_min, r_max
    mass = np.array([n**2 * (a**-2 - b**-2) / 2, 4 * n * (1 / a - 1 / b), 4 * math.log(b / a)])
    term = np.searchsorted(np.cumsum(mass / mass.sum())[:2], rng.random(count), side="right")
    u = rng.random(count)
    cubic = (a**-2 - u * (a**-2 - b**-2)) ** -0.5
    square = 1 / (1 / a - u * (1 / a - 1 / b))
    reciprocal = a * (b / a) ** u
    return np.choose(term, [cubic, square, reciprocal])


def dead_leaves(rng: np.random.Generator, side: int, r_min: float, r_max: float) -> np.ndarray:
    """Draw one image of discs with centres anywhere, radii of density r^-3 and uniform grey levels.

    Discs are drawn from the nearest to the farthest, and a pixel has the grey level of the first one that covers its
    centre: the same distribution as that of discs which fall on one another for ever.

    Args:
        rng: source of the draws.
        side: height and width, in pixels.
        r_min: smallest radius, in pixels.
        r_max: largest radius, in pixels.

    Returns:
        (side, side) uint8.
    """
    image = np.empty(side * side, dtype=np.uint8)
    bare = np.arange(side * side)  # pixels that no disc covers yet
    axis = np.arange(side, dtype=np.float32)[:, None] + np.float32(0.5)
    while len(bare):
        r = disc_radii(rng, _DISCS, side, r_min, r_max)
        centre = (rng.random((2, _DISCS)) * (side + 2 * r) - r).astype(np.float32)
        grey = rng.integers(0, 256, _DISCS, dtype=np.uint8)
        vertical, horizontal = (axis - centre[0]) ** 2, (axis - centre[1]) ** 2
        covered = vertical[bare // side] + horizontal[bare % side] <= (r**2).astype(np.float32)
        first = covered.argmax(1)
        hit = covered[np.arange(len(bare)), first]
        image[bare[hit]] = grey[first[hit]]
        bare = bare[~hit]
    return image.reshape(side, side)


class DeadLeaves(ImageDataModule):
    """Dead leaves, grey, values 0 to 255; nothing is downloaded, the images are drawn at first use and kept.

    Image i is a function of split_seed, i, shape.side, r_min and r_max. Validation and test images are held out by
    split_seed.

    Args:
        shape, batch_size, seed, cache, root, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test,
            val_examples, test_examples, split_seed, binarize, exclude_test, train_images, flip: see ImageDataModule.
        images: how many are drawn, those that are held out included.
        r_min: smallest radius of a disc, in pixels.
        r_max: largest radius, in pixels.

    Raises:
        ConfigError: a number is out of range, the images are not grey, or `root` is given.
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
        images: int = 52_000,
        r_min: float = 1.0,
        r_max: float = 128.0,
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
        if shape.channels != 1:
            raise ConfigError(f"data.shape.channels is {shape.channels}. Expected 1: dead leaves are grey.")
        if images < 1:
            raise ConfigError(f"data.images is {images}. Expected 1 or more.")
        if not 0 < r_min < r_max < math.inf:
            raise ConfigError(f"data.r_min is {r_min} and data.r_max is {r_max}. Expected 0 < r_min < r_max.")
        if root is not None:
            raise ConfigError(
                f"data.root={root} is not read by dead leaves, which are generated. Use data=image_folder for images "
                "of your own."
            )
        self.images = images
        self.r_min = r_min
        self.r_max = r_max

    def load(self) -> ImageFiles:
        """Draw the images once into a memory-mapped array, and from then on read that."""
        settings = [_VERSION, self.split_seed, self.images, self.shape.side, self.r_min, self.r_max]
        digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
        folder = build_once(self.cache / "images" / f"dead_leaves-{digest[:16]}", self._build)
        images = Images("leaves", np.load(folder / "images.npy", mmap_mode="r"))
        sha256: str = json.loads((folder / "index.json").read_text(encoding="utf-8"))["sha256"]
        return ImageFiles(images, files={"dead leaves": digest}, sha256=sha256)

    def _build(self, folder: Path) -> None:
        log.info("drawing %d dead leaves images, once", self.images)
        side = self.shape.side
        shape = (self.images, 1, side, side)
        pixels = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        for i in range(self.images):
            pixels[i, 0] = dead_leaves(example_rng(self.split_seed, "dead leaves", i), side, self.r_min, self.r_max)
        pixels.flush()
        sha256 = content_sha256(Images("leaves", pixels))
        (folder / "index.json").write_text(json.dumps({"sha256": sha256}), encoding="utf-8")
