"""Speech data modules: a folder of recordings, LJ Speech, and synthetic speech that needs no download."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.corpus import Clip, Corpus, features_signature, load_corpus
from reprise.data.audio.files import SOUND, input_files, read_mel
from reprise.data.download import fetch, unpack
from reprise.data.module import StreamDataModule
from reprise.data.sources import Source
from reprise.data.stream import example_at
from reprise.nn.randomness import example_rng
from reprise.nn.spectrogram import LogMel
from reprise.samples.audio import write_audio

LJSPEECH = Source(
    name="LJSpeech-1.1.tar.bz2",
    url="https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
    size=2_748_572_632,
    sha256="be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
    licence="public domain",
)


class CropDataset(Dataset[dict[str, Any]]):
    """Random crops of training clips, by position in the stream; which crop is a function of seed and position."""

    def __init__(self, corpus: Corpus, clips: list[int], crop_frames: int, crops_per_clip: int, seed: int) -> None:
        self.corpus = corpus
        self.clips = clips
        self.crop_frames = crop_frames
        self.crops_per_clip = crops_per_clip
        self.seed = seed

    def __len__(self) -> int:
        return len(self.clips) * self.crops_per_clip

    def __getitem__(self, position: int) -> dict[str, Any]:
        clip = self.clips[example_at(position, self.seed, len(self)) // self.crops_per_clip]
        slack = max(0, int(self.corpus.frames[clip]) - self.crop_frames)
        start = int(example_rng(self.seed, "crop", position).integers(slack + 1))
        audio, mel = self.corpus.crop(clip, start, self.crop_frames)
        return {"audio": audio, "mel": mel, "position": position, "clip": clip}


class ClipDataset(Dataset[dict[str, Any]]):
    """Held-out clips, whole or their first `max_frames` frames, with the middle crop for a loss."""

    def __init__(self, corpus: Corpus, clips: list[int], crop_frames: int, max_frames: int | None) -> None:
        self.corpus = corpus
        self.clips = clips
        self.crop_frames = crop_frames
        self.max_frames = max_frames

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> dict[str, Any]:
        clip = self.clips[i]
        frames = int(self.corpus.frames[clip])
        audio, mel = self.corpus.crop(clip, 0, min(frames, self.max_frames or frames))
        middle = max(0, (frames - self.crop_frames) // 2)
        crop_audio, crop_mel = self.corpus.crop(clip, middle, self.crop_frames)
        return {
            "audio": audio,
            "mel": mel,
            "crop_audio": crop_audio,
            "crop_mel": crop_mel,
            "position": i,
            "id": self.corpus.ids[clip],
        }


def collate_clips(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep whole clips as lists, since lengths differ, and stack their crops."""
    return {
        "audio": [item["audio"] for item in items],
        "mel": [item["mel"] for item in items],
        "crop_audio": torch.stack([item["crop_audio"] for item in items]),
        "crop_mel": torch.stack([item["crop_mel"] for item in items]),
        "position": torch.tensor([item["position"] for item in items]),
        "id": [item["id"] for item in items],
    }


class SpeechDataModule(StreamDataModule):
    """Crops of (waveform, log-mel) for training, whole clips for evaluation.

    Args:
        features: log-mel features; the model is conditioned on them.
        crop_frames: frames of a training crop.
        batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test: see StreamDataModule.
        root: folder with the recordings; None for the data module's own place.
        cache: folder for downloads and computed features.
        crops_per_clip: crops taken of each clip in one epoch.
        val_clips, test_clips: clips held out of training.
        split_seed: decides which clips are held out.
        val_seconds: seconds of each validation clip to generate during training, from its beginning; None for all.
        test_seconds: likewise of each test clip when a run is evaluated.
        resample: convert recordings of another sample rate instead of refusing them.
        peak: largest magnitude each recording is scaled to; None leaves levels as recorded. Quiet recordings drown in
            noise levels that suit full-scale speech.
    """

    def __init__(
        self,
        features: LogMel,
        crop_frames: int,
        batch_size: int,
        seed: int,
        cache: str,
        root: str | None = None,
        num_workers: int = 0,
        max_device_batch: int | None = None,
        eval_batch_size: int = 8,
        crops_per_clip: int = 1,
        val_clips: int = 8,
        test_clips: int = 8,
        split_seed: int = 0,
        val_seconds: float | None = None,
        test_seconds: float | None = None,
        limit_val: int | None = None,
        limit_test: int | None = None,
        resample: bool = False,
        peak: float | None = None,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test)
        for name, value in (("crop_frames", crop_frames), ("crops_per_clip", crops_per_clip)):
            if value < 1:
                raise ConfigError(f"data.{name} is {value}. Expected 1 or more.")
        self.features = features
        self.crop_frames = crop_frames
        self.root = Path(root).expanduser() if root else None
        self.cache = Path(cache).expanduser()
        self.crops_per_clip = crops_per_clip
        self.val_clips = val_clips
        self.test_clips = test_clips
        self.split_seed = split_seed
        self.seconds = {"val": val_seconds, "test": test_seconds}
        for split, seconds in self.seconds.items():
            if seconds is not None and seconds <= 0:
                raise ConfigError(f"data.{split}_seconds is {seconds}. Expected more than 0, or null for whole clips.")
        if peak is not None and not 0.0 < peak <= 1.0:
            raise ConfigError(f"data.peak is {peak}. Expected more than 0 and at most 1, or null.")
        self.resample = resample
        self.peak = peak
        self.corpus: Corpus | None = None
        self.splits: dict[str, list[int]] = {}

    @abstractmethod
    def clips(self) -> list[Clip]:
        """List the recordings, in an order that does not depend on the machine."""

    def prepare_data(self) -> None:
        """Fetch or make the recordings and compute their features, once per machine."""
        load_corpus(self.clips(), self.features, self.cache, self.resample, self.peak)

    def setup(self, stage: str) -> None:
        """Open the corpus and split it."""
        if self.corpus is None:
            self.corpus = load_corpus(self.clips(), self.features, self.cache, self.resample, self.peak)
            self.splits = self._split(len(self.corpus))

    def _split(self, count: int) -> dict[str, list[int]]:
        held_out = self.val_clips + self.test_clips
        if held_out >= count:
            raise DataError(
                f"{count} clips cannot give {self.val_clips} for validation and {self.test_clips} for testing and "
                "leave any for training. Lower data.val_clips and data.test_clips."
            )
        order = np.random.default_rng(self.split_seed).permutation(count).tolist()
        return {
            "test": sorted(order[: self.test_clips]),
            "val": sorted(order[self.test_clips : held_out]),
            "train": sorted(order[held_out:]),
        }

    def _ready(self) -> Corpus:
        if self.corpus is None:
            raise RuntimeError("setup() has not been called")
        return self.corpus

    def train_set(self) -> CropDataset:
        """Crops of the training clips."""
        return CropDataset(self._ready(), self.splits["train"], self.crop_frames, self.crops_per_clip, self.seed)

    def eval_set(self, split: str) -> ClipDataset:
        """Held-out clips, cut to `val_seconds` or `test_seconds`."""
        seconds = self.seconds[split]
        frames = max(1, int(seconds * self.features.sample_rate / self.features.hop_length)) if seconds else None
        return ClipDataset(self._ready(), self.splits[split][: self.limits[split]], self.crop_frames, frames)

    def eval_collate(self) -> Callable[[list[Any]], Any]:
        """Lists of clips, stacks of crops."""
        return collate_clips

    def epoch_size(self) -> int:
        """Crops in one pass over the training clips."""
        return len(self.splits["train"]) * self.crops_per_clip

    def data_digests(self) -> dict[str, Any]:
        """Digest of the recordings, of the features, and the sizes of the splits."""
        corpus = self._ready()
        hours = float(corpus.frames.sum()) * corpus.hop / self.features.sample_rate / 3600
        return {
            "recordings_sha256": corpus.digest,
            "features": features_signature(self.features),
            "hours": round(hours, 4),
            "clips": {name: len(clips) for name, clips in self.splits.items()},
        }

    def read_inputs(self, path: Path) -> Iterable[tuple[str, Tensor]]:
        """Log-mel (n_mels, frames) of each sound or mel file that `path` stands for."""
        return [(file.stem, read_mel(file, self.features, self.resample, self.peak)) for file in input_files(path)]

    def sample_path(self, name: str, folder: Path) -> Path:
        """A wav file of that name."""
        return folder / f"{name}.wav"

    def write_sample(self, name: str, sample: Tensor, folder: Path) -> Path:
        """Write a waveform (T,) as wav."""
        return write_audio(self.sample_path(name, folder), sample, self.features.sample_rate)

    def seconds_of(self, sample: Tensor) -> float:
        """Duration of a waveform (T,)."""
        return sample.shape[-1] / self.features.sample_rate


def read_metadata(path: Path) -> dict[str, str]:
    """Read an LJ Speech style list: `id|text` or `id|text|normalised text`; the last column is kept.

    Raises:
        DataError: a line has another form, or an id is listed twice.
    """
    texts = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        name, bar, rest = line.partition("|")
        if not bar:
            raise DataError(f"{path}, line {number}: expected `id|text`, found {line[:60]!r}.")
        if name in texts:
            raise DataError(f"{path}, line {number}: {name!r} is listed before. Remove a line.")
        texts[name] = rest.rpartition("|")[2]
    return texts


class SpeechFolder(SpeechDataModule):
    """Any folder of wav or flac files (also in subfolders), with or without a metadata.csv of LJ Speech form.

    With metadata.csv exactly its rows are used, and each must have its file; without it every sound file is.
    """

    def clips(self) -> list[Clip]:
        """List the recordings below `root`, sorted by id."""
        if self.root is None:
            raise ConfigError("data.root is missing. Set it to a folder of wav or flac files: data.root=PATH.")
        if not self.root.is_dir():
            raise DataError(f"data.root={self.root} is not a folder. Expected a folder of wav or flac files.")
        files = [p for p in sorted(self.root.rglob("*")) if p.suffix.lower() in SOUND]
        listing = self.root / "metadata.csv"
        if listing.is_file():
            texts = read_metadata(listing)
            named = _by_name(files, lambda p: p.stem)
            if missing := [name for name in texts if name not in named]:
                raise DataError(
                    f"{listing} lists {len(texts)} clips, but {len(missing)} have no sound file below {self.root}, "
                    f"the first being {missing[0]!r}."
                )
            return [Clip(name, named[name], texts[name]) for name in sorted(texts)]
        if not files:
            raise DataError(f"data.root={self.root} holds no wav or flac file.")
        root = self.root
        named = _by_name(files, lambda p: p.relative_to(root).with_suffix("").as_posix())
        return [Clip(name, path) for name, path in sorted(named.items())]


def _by_name(files: list[Path], name_of: Callable[[Path], str]) -> dict[str, Path]:
    """Name the files; two of one name are an error, since one would be lost."""
    named: dict[str, Path] = {}
    for path in files:
        name = name_of(path)
        if name in named:
            raise DataError(f"{named[name]} and {path} are both called {name!r}. Rename one of them.")
        named[name] = path
    return named


class LJSpeech(SpeechFolder):
    """LJ Speech 1.1 (Ito and Johnson 2017): 13,100 clips of one speaker, 22,050 Hz, about 24 hours.

    Downloads the official archive to the cache, or reads the official layout (metadata.csv, wavs/) at `root`.
    """

    def clips(self) -> list[Clip]:
        """List the clips of metadata.csv, fetching and unpacking the archive where there is none."""
        if self.root is None:
            archive = fetch(LJSPEECH, self.cache / "downloads")
            self.root = unpack(archive, self.cache / "LJSpeech-1.1") / "LJSpeech-1.1"
        if not (self.root / "metadata.csv").is_file():
            raise DataError(f"{self.root} is not LJ Speech. Expected metadata.csv and the folder wavs/ in it.")
        return super().clips()


class SyntheticSpeech(SpeechDataModule):
    """Speech made on this machine by espeak-ng from sentences of this project: the embedded default.

    Deterministic, 5.6 minutes at 22,050 Hz, made at first use and cached by digest.
    """

    def clips(self) -> list[Clip]:
        """Make the recordings where the cache has none, and list them."""
        from reprise.data.audio.synthesis import synthetic_speech

        if self.root is not None:
            raise ConfigError(
                f"data.root={self.root} is not read by the embedded speech, which is made on this machine. "
                "Use data=speech_folder for recordings of your own."
            )
        folder = synthetic_speech(self.cache)
        texts = read_metadata(folder / "metadata.csv")
        return [Clip(name, folder / f"{name}.wav", text) for name, text in sorted(texts.items())]
