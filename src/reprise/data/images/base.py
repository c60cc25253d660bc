"""The data module that every image data set derives from."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reprise.config.errors import ConfigError
from reprise.data.images.arrays import HeldOutImages, ImageFiles, Images, Selection, TrainingImages, Values
from reprise.data.images.files import input_pictures, read_picture, write_picture
from reprise.data.images.rows import hold_out, read_rows, rows_without
from reprise.data.module import StreamDataModule
from reprise.nn.images import ImageShape


class ImageDataModule(StreamDataModule):
    """Square images of whole numbers, with labels where the data have them.

    An item is {"image": uint8 (C, H, W) of 0 ... levels - 1, "label": number or -1, "position": number,
    "id": name of the image, the same whatever split it is in, "group": 0}, with "attributes": uint8 (A,) of 0 and 1
    where a data set has such and is asked for them. Stored values x of n levels become floor(x * levels / n), unless
    `binarize` draws them.

    Args:
        shape: what the images are to look like; `setup` compares the files with it. classes=0 leaves labels out.
        batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test: see StreamDataModule.
            limit_test limits the test images and those of `train_images` alike.
        cache: folder for downloads and for what is slow to parse.
        root: folder of a copy that is there; None for the data module's own place.
        val_examples: training images held out for validation, where the data have no validation images of their own.
            0: the test images serve as validation, as in much released code; a checkpoint chosen by them has seen them.
        test_examples: likewise for testing, where the data have no test images of their own.
        split_seed: decides which images are held out, and the fixed draw of each image.
        binarize: "fixed": each image is drawn once, with the probability x / 255 of a 1, by split_seed and its number,
            the same in each epoch and run (Larochelle and Murray 2011 drew theirs so); "dynamic": training images are
            drawn anew at each position of the stream, the others as for "fixed" (Salakhutdinov and Murray 2008).
        exclude_test: test images to leave out: rows, counted from 0, or a file of them: one a line, or a csv file
            with a column `row`.
        train_images: training images, chosen by split_seed, that follow the test images as group 1, so that one
            evaluation measures both.
        flip: mirror training images left to right with probability 1/2, by seed and position.
    """

    train_on_all = False  # whether images that are held out are trained on too; for data sets that offer it

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
    ) -> None:
        super().__init__(batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test)
        counts = {"val_examples": val_examples, "test_examples": test_examples, "train_images": train_images}
        for name, value in counts.items():
            if value < 0:
                raise ConfigError(f"data.{name} is {value}. Expected 0 or more.")
        if shape.channels not in (1, 3):
            raise ConfigError(f"data.shape.channels is {shape.channels}. Expected 1 (grey) or 3 (red, green, blue).")
        if binarize not in (None, "fixed", "dynamic"):
            raise ConfigError(f"data.binarize is {binarize!r}. Expected 'fixed', 'dynamic' or null.")
        if binarize and shape.levels != 2:
            raise ConfigError(
                f"data.binarize={binarize} gives 2 levels, data.shape.levels is {shape.levels}. Set it to 2."
            )
        self.shape = shape
        self.cache = Path(cache).expanduser()
        self.root = Path(root).expanduser() if root else None
        self.val_examples = val_examples
        self.test_examples = test_examples
        self.split_seed = split_seed
        self.binarize = binarize
        self.exclude_test = exclude_test
        self.train_images = train_images
        self.flip = flip
        self._files: ImageFiles | None = None
        self._splits: dict[str, Selection] = {}
        self._excluded: list[int] = []

    @abstractmethod
    def load(self) -> ImageFiles:
        """Read the files, fetching what is missing.

        Raises:
            ConfigError: `root` does not fit this data set.
            DataError: a file is missing, truncated, corrupt or not what its format says.
        """

    def prepare_data(self) -> None:
        """Fetch and read the files, once per machine."""
        if self._files is None:
            self._files = self.load()

    def setup(self, stage: str) -> None:
        """Read the files, compare them with `shape` and divide them into splits."""
        self.prepare_data()
        if not self._splits:
            self._check_shape(self._read())
            self._splits = self._divide(self._read())

    def _read(self) -> ImageFiles:
        if self._files is None:
            raise RuntimeError("setup() has not been called")
        return self._files

    def _check_shape(self, files: ImageFiles) -> None:
        name = type(self).__name__
        for images in (files.train, files.val, files.test):
            if images is None:
                continue
            found = tuple(images.pixels.shape[1:])
            for key, have, want in zip(("channels", "side", "side"), found, self._sides(), strict=True):
                if have != want:
                    raise ConfigError(
                        f"data.shape.{key} is {want}, but the {images.part} images of {name} are "
                        f"{' x '.join(map(str, found))} (channels, height, width). Set data.shape.{key}={have}."
                    )
        if self.binarize and files.levels == 2:
            raise ConfigError(f"data.binarize={self.binarize}, but {name} is binary already. Set data.binarize=null.")
        if self.shape.levels > files.levels:
            raise ConfigError(
                f"data.shape.levels is {self.shape.levels}, but {name} has {files.levels} levels. "
                f"Set data.shape.levels={files.levels}, or fewer."
            )
        if self.shape.classes not in (0, files.classes):
            raise ConfigError(
                f"data.shape.classes is {self.shape.classes}, but {name} has {files.classes} classes. "
                f"Set data.shape.classes={files.classes}" + (", or 0 to leave labels out." if files.classes else ".")
            )

    def _sides(self) -> tuple[int, int, int]:
        return self.shape.channels, self.shape.side, self.shape.side

    def _divide(self, files: ImageFiles) -> dict[str, Selection]:
        for split, own, key in (("validation", files.val, "val_examples"), ("test", files.test, "test_examples")):
            if own is not None and getattr(self, key):
                raise ConfigError(
                    f"data.{key} is {getattr(self, key)}, but {type(self).__name__} has {len(own)} {split} images of "
                    f"its own. Set data.{key}=0."
                )
        if files.test is None and not self.test_examples:
            raise ConfigError(f"{type(self).__name__} has no test images of its own. Set data.test_examples=N.")
        train, val, test = hold_out(len(files.train), self.test_examples, self.val_examples, self.split_seed)
        if self.train_on_all:
            train = np.arange(len(files.train))
        splits = {"train": Selection(files.train, train)}
        splits["test"] = Selection(files.train, test) if files.test is None else _whole(files.test)
        splits["test"] = self._without_excluded(splits["test"])
        if files.val is not None:
            splits["val"] = _whole(files.val)
        else:
            splits["val"] = Selection(files.train, val) if self.val_examples else splits["test"]
        if self.train_images > len(train):
            raise ConfigError(f"data.train_images is {self.train_images}. There are {len(train)} training images.")
        return splits

    def _without_excluded(self, test: Selection) -> Selection:
        if self.exclude_test is None:
            return test
        if isinstance(self.exclude_test, str):
            self._excluded = sorted(read_rows(Path(self.exclude_test).expanduser()))
        else:
            self._excluded = sorted(self.exclude_test)
        return Selection(test.images, test.rows[rows_without(len(test), self._excluded, "data.exclude_test")])

    def _values(self) -> Values:
        files = self._read()
        return Values(files.levels, self.shape.levels, self.binarize, self.split_seed, self.shape.classes > 0)

    def train_set(self) -> TrainingImages:
        """Training images by position in the stream."""
        values = self._values()
        return TrainingImages(self._splits["train"], values, self.seed, self.flip)

    def eval_set(self, split: str) -> HeldOutImages:
        """Validation images; or test images (group 0), followed by `train_images` training images (group 1)."""
        values, limit = self._values(), self.limits[split]
        groups = [self._splits[split].first(limit)]
        if split == "test" and self.train_images:
            train = self._splits["train"]
            order = np.random.default_rng([self.split_seed, 1]).permutation(len(train))[: self.train_images]
            groups.append(Selection(train.images, train.rows[np.sort(order)]).first(limit))
        return HeldOutImages(groups, values)

    def reference_set(self, split: Literal["train", "test"]) -> HeldOutImages:
        """All images of a split, as what generated images are compared with (FID).

        None is limited, mirrored or drawn anew; an image's position is its place in the split.
        """
        return HeldOutImages([self._splits[split]], self._values())

    def reference_digest(self, split: Literal["train", "test"]) -> str:
        """SHA-256 (hex) of what `reference_set` gives, by which statistics of it can be kept."""
        files, chosen = self._read(), self._splits[split]
        rows = hashlib.sha256(chosen.rows.astype("<i8").tobytes()).hexdigest()
        drawn_by = self.split_seed if self.binarize else None
        what = [1, files.content_sha256(), chosen.images.part, rows, files.levels, self.shape.levels, drawn_by]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()

    def held_out(self) -> int:
        """Test images that are measured; those of `train_images` are none."""
        return len(self._splits["test"].first(self.limits["test"]))

    def epoch_size(self) -> int:
        """Number of training images."""
        return len(self._splits["train"])

    def data_digests(self) -> dict[str, Any]:
        """Digests of what was read, sizes of the splits, and what changes the images."""
        files = self._read()
        found: dict[str, Any] = {
            "images_sha256": files.content_sha256(),
            "files": files.files,
            "images": {name: len(split) for name, split in self._splits.items()},
            "validation": self._validation(files),
            "levels": {"stored": files.levels, "used": self.shape.levels},
            "binarize": self.binarize,
            "flip": self.flip,
            "train_images": self.train_images,
            "excluded_test": len(self._excluded),
        }
        if self.train_on_all:
            found["train_on_all"] = True
        if files.facts:
            found["facts"] = files.facts
        if self._excluded:
            rows = ",".join(map(str, self._excluded))
            found["excluded_test_sha256"] = hashlib.sha256(rows.encode()).hexdigest()
        return found

    def _validation(self, files: ImageFiles) -> str:
        if files.val is not None:
            return "official"
        if not self.val_examples:
            return "the test images"
        return f"{'chosen' if self.train_on_all else 'held out'} of training, split_seed {self.split_seed}"

    def read_inputs(self, path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
        """Item of each picture that `path` stands for, as grey or colours, floor(x * levels / 256) of its values."""
        found = []
        values = Values(256, self.shape.levels, None, self.split_seed, labels=False)
        for i, file in enumerate(input_pictures(path)):
            pixels = read_picture(file, self.shape.channels, self.shape.side)
            images = Images("input", pixels[None], names=[file.stem])
            item = values.item(values.fixed(images, 0), images, 0, i, 0)
            found.append((file.stem, item))
        return found

    def example_inputs(self, count: int) -> Iterable[tuple[str, dict[str, Any]]]:
        """The first `count` test images, or as many as there are, with their ids, e.g. `test-00012`."""
        self.setup("test")
        test = HeldOutImages([self._splits["test"].first(count)], self._values())
        items = [test[i] for i in range(len(test))]
        return [(item["id"].replace("/", "-"), item) for item in items]

    def sample_path(self, name: str, folder: Path) -> Path:
        """A PNG file of that name."""
        return folder / f"{name}.png"

    def write_sample(self, name: str, sample: Any, folder: Path) -> Path:
        """Write an image (C, H, W) of 0 ... levels - 1 as PNG, scaled to 0 ... 255."""
        array = sample.detach().cpu().numpy() if hasattr(sample, "detach") else sample
        return write_picture(self.sample_path(name, folder), array, self.shape.channels, self.shape.levels)


def _whole(images: Images) -> Selection:
    return Selection(images, np.arange(len(images)))
