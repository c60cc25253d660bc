"""A made-up language and English, by a grammar: the embedded default of translation."""

from __future__ import annotations

import numpy as np

from reprise.config.errors import ConfigError
from reprise.data.text.base import folds
from reprise.data.text.coding import WordCoder
from reprise.data.text.pairs import PairDataModule, PairFiles

_NOUNS = {"daro": "dog", "mipa": "cat", "welu": "child", "sonka": "teacher", "tibo": "bird", "raneva": "woman"}
_ADJECTIVES = {"pil": "small", "gorm": "old", "fesh": "red", "lun": "happy"}
_VERBS = {"kest": "sees", "vola": "hears", "brun": "follows", "hasp": "helps"}
_TIMES = {"oru": "today", "nemi": "often"}


def _phrase(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """A noun with or without an adjective, which stands behind it in the made-up language and before it in English."""
    noun = str(rng.choice(list(_NOUNS)))
    adjective = str(rng.choice(list(_ADJECTIVES))) if rng.random() < 0.5 else None
    if adjective is None:
        return [noun], ["the", _NOUNS[noun]]
    return [noun, adjective], ["the", _ADJECTIVES[adjective], _NOUNS[noun]]


def _pair(rng: np.random.Generator) -> tuple[str, str]:
    """A sentence: time, subject, object, verb; in English subject, verb, object, time."""
    (subject, its_english), (thing, thing_english) = _phrase(rng), _phrase(rng)
    verb = str(rng.choice(list(_VERBS)))
    time = str(rng.choice(list(_TIMES))) if rng.random() < 0.5 else None
    source = [*([] if time is None else [time]), *subject, *thing, verb]
    target = [*its_english, _VERBS[verb], *thing_english, *([] if time is None else [_TIMES[time]])]
    return " ".join(source), " ".join(target)


class TinyTranslation(PairDataModule):
    """Sentences of a made-up language whose verb comes last, and their English. All sentences differ.

    Args:
        vocabulary, batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test,
            tokens_per_batch, max_length, tokenized: see PairDataModule.
        sentences: in all; a tenth is for validation, and another one for testing.
        split_seed: decides the sentences and their parts.
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
        tokens_per_batch: int = 512,
        max_length: int = 16,
        tokenized: bool = True,
        sentences: int = 1000,
        split_seed: int = 0,
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
        if not 10 <= sentences <= 5000:
            raise ConfigError(f"data.sentences is {sentences}. Expected 10 to 5000.")
        self.sentences = sentences
        self.split_seed = split_seed

    def load(self) -> PairFiles:
        """Make the sentences."""
        rng = np.random.default_rng(self.split_seed)
        drawn: dict[str, str] = {}
        while len(drawn) < self.sentences:
            source, target = _pair(rng)
            drawn[source] = target
        made = list(drawn.items())
        tenths = [[made[i] for i in part] for part in folds(len(made), 10, self.split_seed)]
        train = [pair for part in tenths[2:] for pair in part]
        facts = {"generated": "tiny_translation", "sentences": self.sentences, "split_seed": self.split_seed}
        return PairFiles(train, tenths[0], tenths[1], facts=facts)

    def learn(self, files: PairFiles) -> WordCoder:
        """Words of the training part."""
        return WordCoder(text for pair in files.train for text in pair)
