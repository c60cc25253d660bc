"""Multi30k and IWSLT14, German and English, in their published formats."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from reprise.config.errors import ConfigError, DataError
from reprise.data.cache import build_once
from reprise.data.download import fetch
from reprise.data.sources import Source
from reprise.data.text.coding import SubwordCoder, learn_subwords
from reprise.data.text.files import find_file, read_lines
from reprise.data.text.pairs import PairDataModule, PairFiles

_URL = "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/"


def _source(name: str, size: int, sha256: str) -> Source:
    return Source(name, _URL + name, size, sha256, "none stated; the images' site is for non-commercial research")


MULTI30K_FILES = {
    source.name.removesuffix(".gz"): source
    for source in (
        _source("train.de.gz", 637_044, "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6"),
        _source("train.en.gz", 568_929, "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"),
        _source("val.de.gz", 24_681, "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a"),
        _source("val.en.gz", 21_650, "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"),
        _source("test_2016_flickr.de.gz", 22_890, "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"),
        _source("test_2016_flickr.en.gz", 21_077, "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"),
    )
}


class Translation(PairDataModule):
    """Multi30k (Elliott et al. 2016, test_2016_flickr) or IWSLT14 (as fairseq prepares it), in subwords of both sides.

    Files: Multi30k has train, val and test_2016_flickr; IWSLT14 has train, valid and test; each with .de and .en, lines
    that belong together, UTF-8, gzipped or not.

    Args:
        name: multi30k or iwslt14.
        vocabulary, batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test,
            tokens_per_batch, max_length, tokenized: see PairDataModule.
        cache: folder for downloads and learnt subwords.
        root: folder of the files; None downloads Multi30k.
        source: language to translate from.
        operations: of byte-pair encoding, learnt from both sides of the training part together.

    Raises:
        ConfigError: a setting that this data set has not.
    """

    def __init__(
        self,
        name: Literal["multi30k", "iwslt14"],
        vocabulary: int,
        batch_size: int,
        seed: int,
        cache: str,
        root: str | None = None,
        num_workers: int = 0,
        max_device_batch: int | None = None,
        eval_batch_size: int = 32,
        limit_val: int | None = None,
        limit_test: int | None = None,
        tokens_per_batch: int = 4096,
        max_length: int = 175,
        tokenized: bool = True,
        source: Literal["de", "en"] = "de",
        operations: int = 10_000,
    ) -> None:
        super().__init__(
            vocabulary,
            batch_size,
            seed,
            num_workers,
            max_device_batch,
            eval_batch_size,
            limit_val,
            limit_test,
            tokens_per_batch,
            max_length,
            tokenized,
        )
        if name not in ("multi30k", "iwslt14"):
            raise ConfigError(f"data.name is {name!r}. Expected multi30k or iwslt14.")
        if tokenized != (name == "iwslt14"):
            raise ConfigError(
                f"data.tokenized is {tokenized}, but texts of {name} are {'not ' if tokenized else ''}tokenised. "
                f"Set data.tokenized={str(not tokenized).lower()}."
            )
        if source not in ("de", "en"):
            raise ConfigError(f"data.source is {source!r}. Expected de or en.")
        if operations < 1:
            raise ConfigError(f"data.operations is {operations}. Expected 1 or more.")
        self.name = name
        self.cache = Path(cache).expanduser()
        self.root = Path(root).expanduser() if root else None
        self.languages = (source, "en" if source == "de" else "de")
        self.operations = operations

    def load(self) -> PairFiles:
        """Read the three parts."""
        parts = ("train", "val", "test_2016_flickr") if self.name == "multi30k" else ("train", "valid", "test")
        digests: dict[str, str] = {}
        found = []
        for part in parts:
            sides = []
            for language in self.languages:
                path = self._file(f"{part}.{language}")
                lines, digests[f"{part}.{language}"] = read_lines(path)
                if any("@@ " in line for line in lines):
                    raise DataError(
                        f"{path} is divided into subwords (@@) already. Expected the text before that step."
                    )
                sides.append([line.strip() for line in lines])
            if len(sides[0]) != len(sides[1]):
                raise DataError(
                    f"{part} has {len(sides[0])} {self.languages[0]} and {len(sides[1])} {self.languages[1]} lines in "
                    f"{self.name}. Expected as many: line by line they belong together."
                )
            found.append(list(zip(*sides, strict=True)))
        facts = {"name": self.name, "source": self.languages[0], "operations": self.operations}
        return PairFiles(found[0], found[1], found[2], digests, facts)

    def learn(self, files: PairFiles) -> SubwordCoder:
        """Learn subwords, or take those that were learnt before from the same texts."""
        texts = [text for pair in files.train for text in pair]
        settings = [1, self.operations, not self.tokenized, hashlib.sha256("\n".join(texts).encode()).hexdigest()]
        key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]

        def build(folder: Path) -> None:
            saved = learn_subwords(texts, self.operations, punctuation=not self.tokenized)
            (folder / "subwords.json").write_text(saved, encoding="utf-8")

        folder = build_once(self.cache / "subwords" / key, build)
        return SubwordCoder((folder / "subwords.json").read_text(encoding="utf-8"))

    def _file(self, name: str) -> Path:
        if self.root is not None:
            return find_file(self.root, name, ("", "tmp"))
        if self.name == "iwslt14":
            raise ConfigError(
                "IWSLT14 has no stable address. Run prepare-iwslt14.sh of fairseq and set data.root "
                "to the folder iwslt14.tokenized.de-en; its tmp/ has train, valid and test, .de and .en."
            )
        return fetch(MULTI30K_FILES[name], self.cache / "downloads" / "multi30k")
