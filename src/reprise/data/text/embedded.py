"""A small set of sentences with sentiment and negation, made by a grammar: the embedded default."""

from __future__ import annotations

import itertools

import numpy as np

from reprise.config.errors import ConfigError
from reprise.data.text.base import Sentence, SentenceDataModule, SentenceFiles, folds

_LEADS = ("", "i think", "they say")
_NOUNS = ("plot", "acting", "music", "film", "script", "ending")
_GOOD = ("good", "moving", "funny", "clever", "superb")
_BAD = ("bad", "dull", "clumsy", "silly", "awful")
_FORMS = list(
    itertools.product(
        _LEADS, _NOUNS, ("is", "was"), ("", "not", "never"), ("", "very", "rather"), (0, 1), range(len(_GOOD))
    )
)


def _made(form: tuple[str, str, str, str, str, int, int]) -> tuple[tuple[str, ...], int]:
    """Words of a sentence such as `i think the plot was not very good .`, and whether it is positive."""
    lead, noun, verb, negation, degree, good, word = form
    adjective = (_GOOD if good else _BAD)[word]
    text = f"{lead} the {noun} {verb} {negation} {degree} {adjective} ."
    return tuple(text.split()), good ^ bool(negation)


class TinySentences(SentenceDataModule):
    """Judgements of films such as `i think the plot was not very good .`, without noise in the labels.

    The label, 1 if positive, is the adjective's, turned round by `not` or `never`. All sentences differ.

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
        if not 10 <= sentences <= len(_FORMS):
            raise ConfigError(f"data.sentences is {sentences}. Expected 10 to {len(_FORMS)}, all that the grammar has.")
        self.sentences = sentences
        self.split_seed = split_seed

    def load(self) -> SentenceFiles:
        """Make the sentences."""
        rng = np.random.default_rng(self.split_seed)
        chosen = [_made(_FORMS[i]) for i in rng.permutation(len(_FORMS))[: self.sentences]]
        made = [Sentence(words, label, f"made-{i:05d}") for i, (words, label) in enumerate(chosen)]
        tenths = [[made[i] for i in part] for part in folds(len(made), 10, self.split_seed)]
        train = [s for part in tenths[3:] for s in part]
        facts = {"generated": "tiny_sentences", "sentences": self.sentences, "split_seed": self.split_seed}
        return SentenceFiles(train, tenths[0], tenths[1] + tenths[2], facts=facts)
