"""A small set of sentences with sentiment and negation, made by a grammar: the embedded default."""

from __future__ import annotations

import itertools

import numpy as np

from reprise.config.errors import ConfigError
from reprise.data.text.base import Sentence, SentenceDataModule, SentenceFiles, folds

_NOUNS = ("plot", "acting", "music", "film", "script", "ending")
_GOOD = ("good", "moving", "funny", "clever", "superb")
_BAD = ("bad", "dull", "clumsy", "silly", "awful")
_DEGREES = ("", "very", "rather")
_CLAUSES = list(itertools.product(_NOUNS, ("is", "was"), ("", "not", "never"), _DEGREES, (0, 1), range(len(_GOOD))))


def _clause(number: int) -> tuple[list[str], int]:
    """Words of a clause such as `the plot was not very good`, and whether it is positive."""
    noun, verb, negation, degree, good, word = _CLAUSES[number]
    adjective = (_GOOD if good else _BAD)[word]
    words = ["the", noun, verb, *([negation] if negation else []), *([degree] if degree else []), adjective]
    return words, good ^ bool(negation)


class TinySentences(SentenceDataModule):
    """Judgements of films in two clauses, without noise in the labels.

    A sentence concedes one clause and states the other, `although A , B` or `B , although A`; its label, 1 if positive,
    is that of B alone: the adjective's, turned round by a negation before it. All sentences differ.

    Args:
        classes, vocabulary, batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test,
            max_length, min_count: see SentenceDataModule.
        sentences: in all; a tenth is for validation, a fifth for testing.
        split_seed: decides the sentences and their parts.
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
        sentences: int = 600,
        split_seed: int = 0,
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
        if not 10 <= sentences <= 100_000:
            raise ConfigError(f"data.sentences is {sentences}. Expected 10 to 100000.")
        self.sentences = sentences
        self.split_seed = split_seed

    def load(self) -> SentenceFiles:
        """Make the sentences."""
        rng = np.random.default_rng(self.split_seed)
        drawn: dict[tuple[str, ...], int] = {}
        while len(drawn) < self.sentences:
            conceded, stated = (_clause(int(rng.integers(len(_CLAUSES)))) for _ in range(2))
            although = ["although", *conceded[0]]
            words = [*although, ",", *stated[0]] if rng.random() < 0.5 else [*stated[0], ",", *although]
            drawn[(*words, ".")] = stated[1]
        made = [Sentence(words, label, f"made-{i:05d}") for i, (words, label) in enumerate(drawn.items())]
        tenths = [[made[i] for i in part] for part in folds(len(made), 10, self.split_seed)]
        train = [s for part in tenths[3:] for s in part]
        facts = {"generated": "tiny_sentences", "sentences": self.sentences, "split_seed": self.split_seed}
        return SentenceFiles(train, tenths[0], tenths[1] + tenths[2], facts=facts)
