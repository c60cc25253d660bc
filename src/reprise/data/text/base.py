"""The data module that every set of labelled sentences derives from."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from reprise.config.errors import ConfigError, DataError
from reprise.data.module import StreamDataModule
from reprise.data.stream import example_at
from reprise.data.text.words import Vocabulary, cleaned
from reprise.nn.transformer.special import PAD


@dataclass(frozen=True)
class Sentence:
    """A labelled sentence.

    Attributes:
        words: its words.
        label: 0 ... classes - 1.
        name: where it stands in the published files, the same whatever split it is in.
    """

    words: tuple[str, ...]
    label: int
    name: str


@dataclass(frozen=True)
class SentenceFiles:
    """What was read of a data set.

    Attributes:
        train, val, test: its parts.
        files: SHA-256 of each file, unpacked.
        facts: what else a run record should say.
    """

    train: list[Sentence]
    val: list[Sentence]
    test: list[Sentence]
    files: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class SentenceDataModule(StreamDataModule):
    """Sentences of words with one label each.

    An item is {"tokens": (L,) numbers of words, "label": number, "position": number, "id": its name}; a batch is
    {"tokens": (B, L) padded with 0 on the right, "lengths": (B,), "labels": (B,), "position": (B,), "id": names}.

    Args:
        classes: number of labels; `setup` compares the files with it.
        vocabulary: rows of a model's table of words; the training part may have as many words, special ones included.
        batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test: see StreamDataModule.
        max_length: words of a sentence that are read; the rest is cut off.
        min_count: words that are rarer in the training part are unknown.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        classes: int,
        vocabulary: int,
        batch_size: int,
        seed: int,
        num_workers: int = 0,
        max_device_batch: int | None = None,
        eval_batch_size: int = 100,
        limit_val: int | None = None,
        limit_test: int | None = None,
        max_length: int = 64,
        min_count: int = 1,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test)
        numbers = {"classes": (classes, 2), "vocabulary": (vocabulary, 3), "max_length": (max_length, 1)}
        for name, (value, least) in (numbers | {"min_count": (min_count, 1)}).items():
            if value < least:
                raise ConfigError(f"data.{name} is {value}. Expected {least} or more.")
        self.classes = classes
        self.rows = vocabulary
        self.max_length = max_length
        self.min_count = min_count
        self._files: SentenceFiles | None = None
        self._words: Vocabulary | None = None

    @abstractmethod
    def load(self) -> SentenceFiles:
        """Read the files, fetching what is missing.

        Raises:
            ConfigError: a setting does not fit this data set.
            DataError: a file is missing, damaged or not what its format says.
        """

    def prepare_data(self) -> None:
        """Fetch and read the files, once per machine."""
        if self._files is None:
            self._files = self.load()

    def setup(self, stage: str) -> None:
        """Read the files, compare them with the settings, and number the words of the training part."""
        self.prepare_data()
        if self._words is not None:
            return
        files = self._read()
        for part, sentences in self._parts().items():
            if not sentences:
                raise DataError(f"{type(self).__name__} has no {part} sentences. Expected one or more.")
            if wrong := {s.label for s in sentences} - set(range(self.classes)):
                raise ConfigError(
                    f"the {part} sentences have the label {min(wrong)}, data.classes is {self.classes}. "
                    f"Expected labels 0 to {self.classes - 1}: set data.classes to what the data set has."
                )
        words = Vocabulary.of((s.words for s in files.train), self.min_count)
        words.check_size(self.rows)
        self._words = words

    def _read(self) -> SentenceFiles:
        if self._files is None:
            raise RuntimeError("setup() has not been called")
        return self._files

    def _parts(self) -> dict[str, list[Sentence]]:
        files = self._read()
        return {"train": files.train, "val": files.val, "test": files.test}

    @property
    def words(self) -> Vocabulary:
        """Words of the training part."""
        if self._words is None:
            raise RuntimeError("setup() has not been called")
        return self._words

    def item(self, sentence: Sentence, position: int) -> dict[str, Any]:
        """One example."""
        # a sentence that cleaning left without words is one unknown word: attention needs something to attend to
        numbers = self.words.numbers(sentence.words[: self.max_length] or ("",))
        tokens = torch.tensor(numbers, dtype=torch.long)
        return {"tokens": tokens, "label": sentence.label, "position": position, "id": sentence.name}

    def train_set(self) -> Dataset[dict[str, Any]]:
        """Training sentences by position in the stream."""
        return _Training(self, self._read().train)

    def eval_set(self, split: str) -> Dataset[dict[str, Any]]:
        """Sentences of split `val` or `test`."""
        return _HeldOut(self, self._parts()[split][: self.limits[split]])

    def epoch_size(self) -> int:
        """Number of training sentences."""
        return len(self._read().train)

    def training_examples(self) -> int:
        """Number of training sentences, by which a penalty of the whole training set is divided."""
        return self.epoch_size()

    def collate(self) -> Callable[[list[Any]], Any]:
        """Pad to the longest sentence of a batch."""
        return pad

    def eval_collate(self) -> Callable[[list[Any]], Any]:
        """Pad to the longest sentence of a batch."""
        return pad

    def data_digests(self) -> dict[str, Any]:
        """Digests of files, parts and vocabulary, and how many sentences are cut off."""
        files = self._read()
        found: dict[str, Any] = {"files": files.files, **files.facts}
        for part, sentences in self._parts().items():
            content = json.dumps([[s.name, s.label, s.words] for s in sentences])
            found |= {f"{part}_sentences": len(sentences), f"{part}_sha256": _sha256(content)}
        everything = [s for sentences in self._parts().values() for s in sentences]
        found["cut_off"] = sum(len(s.words) > self.max_length for s in everything)
        found |= {"words": len(self.words), "words_sha256": _sha256("\n".join(self.words.words))}
        return found

    def texts_of(self, tokens: torch.Tensor) -> list[str]:
        """The words that numbers (L,) stand for."""
        return [self.words.words[i] for i in tokens.tolist()]

    def read_inputs(self, path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
        """Item of each line of a text file."""
        self.setup("test")
        lines = path.read_text(encoding="utf-8").splitlines()
        return [
            (f"line-{i:05d}", self.item(Sentence(tuple(cleaned(line)), 0, f"line-{i:05d}"), i))
            for i, line in enumerate(lines)
        ]


def pad(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Items as one batch, see SentenceDataModule."""
    lengths = torch.tensor([len(item["tokens"]) for item in items])
    tokens = torch.full((len(items), int(lengths.max())), PAD, dtype=torch.long)
    for row, item in zip(tokens, items, strict=True):
        row[: len(item["tokens"])] = item["tokens"]
    return {
        "tokens": tokens,
        "lengths": lengths,
        "labels": torch.tensor([item["label"] for item in items]),
        "position": torch.tensor([item["position"] for item in items]),
        "id": [item["id"] for item in items],
    }


def folds(size: int, count: int, seed: int) -> list[np.ndarray]:
    """Divide the numbers 0 ... size - 1 into `count` parts at random, whose sizes differ by one at most."""
    order = np.random.default_rng([seed, count]).permutation(size)
    return [order[k::count] for k in range(count)]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class _Training(Dataset[dict[str, Any]]):
    def __init__(self, data: SentenceDataModule, sentences: list[Sentence]) -> None:
        self.data = data
        self.sentences = sentences

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, position: int) -> dict[str, Any]:
        number = example_at(position, self.data.seed, len(self.sentences))
        return self.data.item(self.sentences[number], position)


class _HeldOut(Dataset[dict[str, Any]]):
    def __init__(self, data: SentenceDataModule, sentences: list[Sentence]) -> None:
        self.data = data
        self.sentences = sentences

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return self.data.item(self.sentences[i], i)
