"""The data module that every set of sentences with their translation derives from."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from reprise.config.errors import ConfigError, DataError
from reprise.data.module import StreamDataModule
from reprise.data.text.buckets import Buckets
from reprise.data.text.coding import SPECIAL, Coder
from reprise.nn.transformer.special import END, PAD, START


@dataclass(frozen=True)
class PairFiles:
    """What was read of a data set.

    Attributes:
        train, val, test: (source, target) each.
        files: SHA-256 of each file, unpacked.
        facts: what else a run record should say.
    """

    train: list[tuple[str, str]]
    val: list[tuple[str, str]]
    test: list[tuple[str, str]]
    files: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class PairDataModule(StreamDataModule):
    """Sentences and their translations.

    An example of training is a bucket of sentence pairs of like lengths, see `Buckets`. An iteration takes batch_size
    of them, together at most tokens_per_batch padded tokens of a side. An example of evaluation is one pair.

    A batch is {"source": (B, S), "source_lengths": (B,), "target": (B, T), "target_lengths": (B,), "position", "id"},
    padded with 0 on the right; sources end with END, targets have START before and END behind them. In evaluation the
    texts are in "sources" and "references".

    Args:
        vocabulary: rows of a model's table of words; the coder may have as many numbers.
        batch_size: buckets an iteration. 1, unless several processes share them.
        seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test: see StreamDataModule.
        tokens_per_batch: padded tokens of an iteration, on the longer side.
        max_length: training pairs with a longer side, in numbers, are left out.
        tokenized: whether the texts are tokenised already.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        vocabulary: int,
        batch_size: int,
        seed: int,
        num_workers: int = 0,
        max_device_batch: int | None = None,
        eval_batch_size: int = 32,
        limit_val: int | None = None,
        limit_test: int | None = None,
        tokens_per_batch: int = 4096,
        max_length: int = 175,
        tokenized: bool = True,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test)
        if max_length < 1:
            raise ConfigError(f"data.max_length is {max_length}. Expected 1 or more.")
        each = tokens_per_batch // batch_size
        if each < max_length + 1:
            raise ConfigError(
                f"data.tokens_per_batch={tokens_per_batch} in {batch_size} buckets leaves {each} tokens each. Expected "
                f"{max_length + 1} or more, the longest sentence with its end (data.max_length + 1)."
            )
        self.rows = vocabulary
        self.bucket_tokens = each
        self.max_length = max_length
        self.tokenized = tokenized
        self._files: PairFiles | None = None
        self._coder: Coder | None = None
        self._train: list[tuple[list[int], list[int]]] = []
        self._buckets: Buckets | None = None

    @abstractmethod
    def load(self) -> PairFiles:
        """Read the files, fetching what is missing.

        Raises:
            ConfigError: a setting does not fit this data set.
            DataError: a file is missing, damaged or not what its format says.
        """

    @abstractmethod
    def learn(self, files: PairFiles) -> Coder:
        """Make the coder of both languages from the training part alone."""

    def prepare_data(self) -> None:
        """Fetch and read the files and learn the coder, once per machine."""
        if self._coder is None:
            self._files = self.load()
            self._coder = self.learn(self._files)

    def setup(self, stage: str) -> None:
        """Read the files, learn the coder, and divide the training part into buckets."""
        self.prepare_data()
        if self._buckets is not None:
            return
        if len(self.coder) > self.rows:
            raise ConfigError(
                f"the training texts make a vocabulary of {len(self.coder)}, {len(SPECIAL)} special ones among them, "
                f"but data.vocabulary is {self.rows}. Set it to that or more."
            )
        files = self._read()
        sources, targets = (self.coder.encode([pair[side] for pair in files.train]) for side in (0, 1))
        pairs = [(s, t) for s, t in zip(sources, targets, strict=True) if 0 < max(len(s), len(t)) <= self.max_length]
        if not pairs:
            raise DataError(f"no training pair is at most data.max_length={self.max_length} long. Raise it.")
        self._train = pairs
        self._buckets = Buckets([max(len(s), len(t)) + 1 for s, t in pairs], self.bucket_tokens)

    def _read(self) -> PairFiles:
        if self._files is None:
            raise RuntimeError("setup() has not been called")
        return self._files

    @property
    def coder(self) -> Coder:
        """From texts of both languages to numbers and back."""
        if self._coder is None:
            raise RuntimeError("setup() has not been called")
        return self._coder

    @property
    def buckets(self) -> Buckets:
        """Of the training part."""
        if self._buckets is None:
            raise RuntimeError("setup() has not been called")
        return self._buckets

    def train_set(self) -> Dataset[dict[str, Any]]:
        """Buckets of training pairs by position in the stream."""
        return _Training(self)

    def eval_set(self, split: str) -> Dataset[dict[str, Any]]:
        """Pairs of split `val` or `test`."""
        files = self._read()
        pairs = {"val": files.val, "test": files.test}[split][: self.limits[split]]
        return _HeldOut(self, split, pairs)

    def bucket(self, position: int) -> dict[str, Any]:
        """One example of training."""
        chosen = self.buckets(position, self.seed)
        return {"pairs": [self._train[i] for i in chosen], "position": position, "id": f"bucket-{position:07d}"}

    def item(self, source: str, target: str, number: int, name: str) -> dict[str, Any]:
        """One example of evaluation."""
        (s,), (t,) = (self.coder.encode([text]) for text in (source, target))
        tokens = torch.tensor([*s, END])
        found = {"pairs": [(s, t)], "tokens": tokens, "position": number, "id": name}
        return found | {"source": source, "reference": target}

    def epoch_size(self) -> int:
        """Number of buckets."""
        return len(self.buckets)

    def training_examples(self) -> int:
        """Number of training pairs, by which a penalty of the whole training set is divided."""
        return len(self._train)

    def collate(self) -> Callable[[list[Any]], Any]:
        """Buckets as one batch."""
        return together

    def eval_collate(self) -> Callable[[list[Any]], Any]:
        """Pairs as one batch."""
        return together

    def data_digests(self) -> dict[str, Any]:
        """Digests of files, parts and coder, and how many pairs were left out."""
        files = self._read()
        found: dict[str, Any] = {"files": files.files, **files.facts, "tokenized": self.tokenized}
        for part, pairs in (("train", files.train), ("val", files.val), ("test", files.test)):
            content = "\n".join("\t".join(pair) for pair in pairs)
            found |= {f"{part}_pairs": len(pairs), f"{part}_sha256": _sha256(content)}
        pieces = self.coder.pieces(range(len(self.coder)))
        return found | {
            "left_out": len(files.train) - len(self._train),
            "pieces": len(pieces),
            "pieces_sha256": _sha256("\n".join(pieces)),
            "buckets": len(self.buckets),
        }

    def text_of(self, numbers: Tensor) -> str:
        """The text of numbers (L,)."""
        return self.coder.decode(numbers.tolist())

    def read_inputs(self, path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
        """Each line of a text file, to be translated."""
        self.setup("test")
        lines = path.read_text(encoding="utf-8").splitlines()
        return [(f"line-{i:05d}", self.item(line, "", i, f"line-{i:05d}")) for i, line in enumerate(lines)]

    def example_inputs(self, count: int) -> Iterable[tuple[str, dict[str, Any]]]:
        """The first `count` test sentences, or as many as there are."""
        self.setup("test")
        test: Any = self.eval_set("test")
        return [(test[i]["id"], test[i]) for i in range(min(count, len(test)))]

    def sample_path(self, name: str, folder: Path) -> Path:
        """A text file of that name."""
        return folder / f"{name}.txt"

    def write_sample(self, name: str, sample: Any, folder: Path) -> Path:
        """Write the text of numbers (L,) as one line."""
        path = self.sample_path(name, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text_of(sample) + "\n", encoding="utf-8")
        return path


def together(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Items as one batch, see PairDataModule."""
    pairs = [pair for item in items for pair in item["pairs"]]
    source, source_lengths = padded([[*s, END] for s, _ in pairs])
    target, target_lengths = padded([[START, *t, END] for _, t in pairs])
    batch = {
        "source": source,
        "source_lengths": source_lengths,
        "target": target,
        "target_lengths": target_lengths,
        "position": torch.tensor([item["position"] for item in items]),
        "id": [item["id"] for item in items],
    }
    if "reference" in items[0]:
        batch |= {"sources": [i["source"] for i in items], "references": [i["reference"] for i in items]}
    return batch


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Rows of numbers as (B, L), padded with 0, and their lengths (B,)."""
    lengths = torch.tensor([len(row) for row in rows])
    found = torch.full((len(rows), int(lengths.max())), PAD, dtype=torch.long)
    for line, row in zip(found, rows, strict=True):
        line[: len(row)] = torch.tensor(row)
    return found, lengths


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class _Training(Dataset[dict[str, Any]]):
    def __init__(self, data: PairDataModule) -> None:
        self.data = data

    def __len__(self) -> int:
        return self.data.epoch_size()

    def __getitem__(self, position: int) -> dict[str, Any]:
        return self.data.bucket(position)


class _HeldOut(Dataset[dict[str, Any]]):
    def __init__(self, data: PairDataModule, split: str, pairs: list[tuple[str, str]]) -> None:
        self.data = data
        self.split = split
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, i: int) -> dict[str, Any]:
        source, target = self.pairs[i]
        return self.data.item(source, target, i, f"{self.split}-{i:05d}")
