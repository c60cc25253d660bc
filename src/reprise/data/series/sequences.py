"""Series as sequences to forecast from their own past: training windows, held-out windows with their history."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reprise.config.errors import ConfigError, DataError
from reprise.data.module import StreamDataModule
from reprise.data.series.channel import Channel, Parts, open_channel, part_size
from reprise.data.series.columns import Column, files_digest, read_series
from reprise.data.series.shipped import monthly_co2, yearly_sunspots
from reprise.data.series.times import Gaps
from reprise.data.stream import example_at
from reprise.nn.series import Difference

log = logging.getLogger(__name__)

Embedded = Literal["co2_monthly", "sunspots", "seasonal"]
"""Series that need no file: two that statsmodels ships, and one that is drawn."""


def seasonal_series(points: int = 600, period: int = 12, seed: int = 0) -> np.ndarray:
    """10 + 3 sin(2 pi t / period) + e_t with e_t = 0.7 e_{t-1} + N(0, 0.5^2): needs no package.

    Returns:
        (points,)
    """
    drawn = 0.5 * np.random.default_rng(seed).standard_normal(points)
    noise = np.empty(points)
    noise[0] = drawn[0] / np.sqrt(1.0 - 0.7**2)
    for t in range(1, points):
        noise[t] = 0.7 * noise[t - 1] + drawn[t]
    season: np.ndarray = 10.0 + 3.0 * np.sin(2.0 * np.pi * np.arange(points) / period) + noise
    return season


class SeriesSequences(StreamDataModule):
    """Univariate or multichannel series, each cut in time into a part for training, one for validation, one for test.

    A channel is a series of its own: all share one model, which is told the channel ("labels", of kind "channel"), and
    each is forecast from its own past alone. Its steps (values, changes or log returns) are scaled to [-1, 1] by the
    range of its training part, widened; steps outside are clipped, counted and told in a warning. A training item is a
    window of `crop` steps after `context` steps of history; there is no padding, so that windows begin where the whole
    history is there. A held-out item has the whole series up to the end of `window` steps, which begin at "start".

    Args:
        channels: number of series, from which a model is built.
        crop: steps of a training window.
        window: steps of a held-out window, forecast from its beginning; the last one may have fewer.
        batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test: see StreamDataModule.
        name: of the embedded series, where no root is given: co2_monthly, sunspots or seasonal.
        root: a .csv, .tsv or .npy file, or a folder of such; None for the embedded series.
        columns, time, header, gaps: of files, see `read_series`.
        difference: what a step is: none, difference or log (return).
        tail: share of the training steps on either side that the range may leave out, before it is widened.
        margin: the range is widened by this share of it, half on either side.
        val, test: sizes of these parts, which are last in time: points of a series, or a share of them below 1.
        season: points of a season, for those who compare with a seasonal forecast; None for none.

    Raises:
        ConfigError: a number is out of range, or the embedded series is unknown.
    """

    sample_rate = 1
    hop = 1
    local_channels = 0

    def __init__(
        self,
        channels: int,
        crop: int,
        window: int,
        batch_size: int,
        seed: int,
        name: Embedded = "co2_monthly",
        root: str | None = None,
        columns: Sequence[str] | None = None,
        time: str | None = None,
        header: bool | None = None,
        gaps: Gaps = "refuse",
        difference: Difference = "none",
        tail: float = 0.01,
        margin: float = 0.5,
        val: float = 0.15,
        test: float = 0.15,
        season: int | None = None,
        num_workers: int = 0,
        max_device_batch: int | None = None,
        eval_batch_size: int = 8,
        limit_val: int | None = None,
        limit_test: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test)
        for key, number in (("channels", channels), ("crop", crop), ("window", window), ("season", season)):
            if number is not None and number < 1:
                raise ConfigError(f"data.{key} is {number}. Expected 1 or more.")
        if not 0.0 <= tail < 0.5 or margin < 0.0:
            raise ConfigError(f"data.tail is {tail}, data.margin {margin}. Expected 0 to below 0.5, and 0 or more.")
        for key, words, allowed in (
            ("name", name, get_args(Embedded)),
            ("difference", difference, get_args(Difference)),
            ("gaps", gaps, get_args(Gaps)),
        ):
            if words not in allowed:
                raise ConfigError(f"data.{key} is {words!r}. Expected one of {', '.join(allowed)}.")
        for key, size in (("val", val), ("test", test)):
            part_size(f"data.{key}", size, points=1_000_000_000)
        self.channels, self.crop, self.window, self.season = channels, crop, window, season
        self.name: Embedded = name
        self.root = None if root is None else Path(root).expanduser()
        self.columns, self.time, self.header = columns, time, header
        self.gaps: Gaps = gaps
        self.parts = Parts(difference, tail, margin, val, test)
        self.context = 1
        self.series: list[Channel] = []
        self._continued: dict[str, Channel] = {}  # what samples continue, by name

    @property
    def label_names(self) -> dict[str, list[str]]:
        """Names of the channels, as the one kind of label."""
        return {"channel": [channel.name for channel in self.series]}

    def need_context(self, samples: int) -> None:
        """Give training windows at least so many steps of history."""
        self.context = max(self.context, samples)

    def setup(self, stage: str) -> None:
        """Read, cut and scale the series, and say what is clipped."""
        if self.series:
            return
        read = self._read()
        if len(read) != self.channels:
            raise ConfigError(
                f"data.channels is {self.channels}, but {self.root or self.name} has {len(read)} series: "
                f"{', '.join(column.name for column in read[:8])}. Set data.channels={len(read)}, or choose some by "
                "data.columns."
            )
        self.series = [open_channel(column, self.parts) for column in read]
        for channel in self.series:
            if told := channel.complaint():
                log.warning("%s Widen it by data.margin, or let steps be changes by data.difference.", told)

    def _read(self) -> list[Column]:
        if self.root is not None:
            return read_series(self.root, self.columns, self.time, self.header, self.gaps)
        if self.name == "seasonal":
            return [Column(self.name, seasonal_series())]
        try:
            values = monthly_co2() if self.name == "co2_monthly" else yearly_sunspots()[1]
        except ConfigError as error:
            raise ConfigError(f"{error} Or use data=forecast_generated, which needs no package.") from error
        return [Column(self.name, values)]

    def _ready(self) -> list[Channel]:
        if not self.series:
            raise RuntimeError("setup() has not been called")
        return self.series

    def train_set(self) -> Dataset[dict[str, Any]]:
        """Every window of the training parts, by position in the stream.

        Raises:
            DataError: a training part is shorter than one window with its history.
        """
        for channel in self._ready():
            if channel.points["train"] < self.context + self.crop:
                raise DataError(
                    f"{channel.name}: {channel.points['train']} steps for training are fewer than a window, "
                    f"{self.context} steps of history and {self.crop} to learn. Use a shorter receptive field, "
                    "data.crop, or smaller data.val and data.test."
                )
        return _Windows(self)

    def eval_set(self, split: str) -> Dataset[dict[str, Any]]:
        """Windows of the part for validation or test, one after the other, of every channel."""
        return _HeldOut(self, split)

    def window_counts(self) -> list[int]:
        """Training windows of each channel."""
        return [channel.points["train"] - self.context - self.crop + 1 for channel in self._ready()]

    def epoch_size(self) -> int:
        """Windows of the training parts; neighbours overlap in all but one step."""
        return sum(self.window_counts())

    def eval_collate(self) -> Callable[[list[Any]], Any]:
        """Lists, since lengths differ; labels and positions are stacked."""
        return collate_windows

    def data_digests(self) -> dict[str, Any]:
        """What was read and how it was cut and scaled."""
        series = self._ready()
        if self.root is None:
            digest = hashlib.sha256(np.ascontiguousarray(self._read()[0].values).tobytes()).hexdigest()
            found: dict[str, Any] = {"series": self.name, "sha256": digest}
        else:
            found = {"series": self.root.name, "sha256": files_digest(self.root)}
        each = {
            c.name: {"points": c.points, "clipped": c.clipped, "centre": c.scale.centre, "half": c.scale.half}
            for c in series
        }
        return found | {"channels": each}

    def read_inputs(self, path: Path) -> Iterable[tuple[str, dict[str, Tensor]]]:
        """Series of a file or folder, to be continued from their ends; scaled as the run's, channel by channel.

        A warning says how many of their steps lie outside the range of the run's training, and are clipped to it.

        Raises:
            DataError: a file is damaged.
            ConfigError: it has another number of series than the run.
        """
        self.setup("test")
        read = read_series(path, self.columns, self.time, self.header, self.gaps)
        if len(read) != self.channels:
            raise ConfigError(f"{path} has {len(read)} series, the run has {self.channels}. Expected as many.")
        given = [c.continued(column.name, column.values) for c, column in zip(self.series, read, strict=True)]
        for channel in given:
            if told := channel.complaint():
                log.warning(
                    "%s The model takes them for others than they are. Train with a larger data.margin, with changes "
                    "as steps (data.difference), or on values like these.",
                    told,
                )
        return self._conditions(list(zip([column.name for column in read], given, strict=True)))

    def example_inputs(self, count: int) -> Iterable[tuple[str, dict[str, Tensor]]]:
        """The first `count` channels, to be continued from their ends."""
        return self._conditions([(channel.name, channel) for channel in self._ready()[:count]])

    def _conditions(self, named: list[tuple[str, Channel]]) -> list[tuple[str, dict[str, Tensor]]]:
        self._continued = dict(named)
        return [
            (name, {"audio": channel.audio, "labels": torch.tensor([i])}) for i, (name, channel) in enumerate(named)
        ]

    def sample_path(self, name: str, folder: Path) -> Path:
        """A CSV file of that name."""
        return folder / f"{name.replace('/', '_')}.csv"

    def write_sample(self, name: str, sample: Tensor, folder: Path) -> Path:
        """Write paths (paths, steps) of scaled steps that continue a series, in its unit: a column a path."""
        channel = self._continued[name]
        last = channel.levels[-1].expand(len(sample))
        values = channel.scale.path(sample.cpu(), last).T.tolist()
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["step", *(f"path_{i:03d}" for i in range(len(sample)))])
        table.writerows([step, *(f"{value:.9g}" for value in row)] for step, row in enumerate(values, 1))
        path = self.sample_path(name, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.getvalue(), encoding="utf-8")
        return path


def collate_windows(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep what differs in length as lists; stack labels and positions."""
    lists = {key: [item[key] for item in items] for key in ("audio", "start", "levels", "train", "scale", "id")}
    return lists | {
        "labels": torch.stack([item["labels"] for item in items]),
        "position": torch.tensor([item["position"] for item in items]),
    }


class _Windows(Dataset[dict[str, Any]]):
    def __init__(self, data: SeriesSequences) -> None:
        self.data = data
        self.ends = np.cumsum(data.window_counts())

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, position: int) -> dict[str, Any]:
        data = self.data
        number = example_at(position, data.seed, len(self))
        channel = int(np.searchsorted(self.ends, number, side="right"))
        begin = number - (int(self.ends[channel - 1]) if channel else 0)
        audio = data.series[channel].audio[begin : begin + data.context + data.crop]
        return {
            "audio": audio,
            "exists": torch.ones(len(audio), dtype=torch.bool),
            "labels": torch.tensor([channel]),
            "position": position,
        }


class _HeldOut(Dataset[dict[str, Any]]):
    def __init__(self, data: SeriesSequences, split: str) -> None:
        self.data = data
        places = [
            (start, number, min(start + data.window, channel.ends[split]))
            for number, channel in enumerate(data._ready())
            for start in range(channel.ends[split] - channel.points[split], channel.ends[split], data.window)
        ]
        self.places = sorted(places)[: data.limits[split]]  # all channels of a window before the next one

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, i: int) -> dict[str, Any]:
        start, number, end = self.places[i]
        channel = self.data.series[number]
        return {
            "audio": channel.audio[:end],
            "start": start,
            "levels": channel.levels[:end],
            "train": channel.points["train"],
            "scale": astuple(channel.scale),
            "labels": torch.tensor([number]),
            "id": f"{channel.name}-{start:06d}",
            "position": i,
        }
