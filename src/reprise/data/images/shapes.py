"""Drawn shapes with binary labels whose causal law is known: the embedded default of models of labelled images."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Literal

import numpy as np

from reprise.config.errors import ConfigError, DataError
from reprise.data.cache import build_once
from reprise.data.images.arrays import ImageFiles, Images, content_sha256
from reprise.data.images.base import ImageDataModule
from reprise.data.images.shape_drawing import EXOGENOUS, draw_shapes
from reprise.data.labels.shapes import shape_labels, shape_law
from reprise.nn.images import ImageShape
from reprise.nn.randomness import example_rng

log = logging.getLogger(__name__)
_VERSION = 2  # of what is drawn for a seed and a number
_AT_ONCE = 50  # small enough for the processor's cache


class Shapes(ImageDataModule):
    """Shapes in colour, values 0 to 255, with six labels; nothing is downloaded, they are drawn at first use and kept.

    The labels of image i (Round, Red, Large, Ringed, Striped, Night) follow `shape_law`, and the picture follows from
    its labels and from noise of its own; both are functions of split_seed and i, the picture also of shape.side. Only
    round shapes are ever ringed, so that do(Ringed = 1) asks for pictures that are not in the data; `draw` makes them.
    Validation and test images are held out by split_seed.

    Args:
        shape, batch_size, seed, cache, root, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test,
            val_examples, test_examples, split_seed, binarize, exclude_test, train_images, flip: see ImageDataModule.
        images: how many are drawn, those that are held out included.

    Attributes:
        attributes: names of the labels, in the order of an item's "attributes".
        true_law: the law of the labels.

    Raises:
        ConfigError: a number is out of range, the images are not in colour, or `root` is given.
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
        images: int = 44_000,
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
        if shape.channels != 3 or shape.side < 24:
            raise ConfigError(
                f"data.shape.channels is {shape.channels} and data.shape.side is {shape.side}. Expected 3, since one "
                "of the labels is a colour, and a side of 24 or more, on which all of them can be seen."
            )
        if images < 1:
            raise ConfigError(f"data.images is {images}. Expected 1 or more.")
        if root is not None:
            raise ConfigError(
                f"data.root={root} is not read by the shapes, which are drawn. Use data=celeba for labelled pictures."
            )
        self.images = images
        self.true_law = shape_law()
        self.attributes = list(self.true_law.graph.names)

    def load(self) -> ImageFiles:
        """Draw the images once into a memory-mapped array, and from then on read that."""
        law = {name: value.tolist() for name, value in self.true_law.conditionals.items()}
        settings = [_VERSION, self.split_seed, self.images, self.shape.side, law]
        digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
        folder = build_once(self.cache / "images" / f"shapes-{digest[:16]}", self._build)
        pixels = np.load(folder / "images.npy", mmap_mode="r")
        images = Images("shape", pixels, attributes=np.load(folder / "labels.npy"))
        sha256: str = json.loads((folder / "index.json").read_text(encoding="utf-8"))["sha256"]
        return ImageFiles(images, files={"shapes": digest}, sha256=sha256, facts={"attributes": self.attributes})

    def draw(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Pictures of any labels, such as the law never gives together; with them a judge or a person can be asked.

        Args:
            labels: (B, 6) of 0 and 1, in the order of `attributes`.
            seed: of the noise; picture b is a function of its labels, seed and b.

        Returns:
            (B, 3, side, side) uint8.

        Raises:
            DataError: the labels are of another form.
        """
        labels = np.asarray(labels)
        if labels.ndim != 2 or labels.shape[1] != len(self.attributes) or not np.isin(labels, (0, 1)).all():
            raise DataError(
                f"labels of shapes to draw have the shape {labels.shape}. Expected (B, {len(self.attributes)}), "
                "each 0 or 1."
            )
        noise = [example_rng(seed, "shapes on demand", b).random(EXOGENOUS) for b in range(len(labels))]
        return draw_shapes(labels, np.array(noise).reshape(-1, EXOGENOUS), self.shape.side)

    def _build(self, folder: Path) -> None:
        log.info("drawing %d shapes, once", self.images)
        side = self.shape.side
        labels = shape_labels(self.split_seed, range(self.images))
        shape = (self.images, 3, side, side)
        pixels = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        for start in range(0, self.images, _AT_ONCE):
            rows = range(start, min(start + _AT_ONCE, self.images))
            noise = np.stack([example_rng(self.split_seed, "shape", i).random(EXOGENOUS) for i in rows])
            pixels[rows.start : rows.stop] = draw_shapes(labels[rows.start : rows.stop], noise, side)
        pixels.flush()
        np.save(folder / "labels.npy", labels)
        sha256 = content_sha256(Images("shape", pixels, attributes=labels))
        (folder / "index.json").write_text(json.dumps({"sha256": sha256}), encoding="utf-8")
