"""Words of a sentence, and the vocabulary of a training text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reprise.config.errors import ConfigError
from reprise.nn.transformer.special import UNKNOWN

SPECIAL = ("<pad>", "<unk>")

_OTHER = re.compile(r"[^A-Za-z0-9(),!?'`]")
_APART = re.compile(r"(n't|'(?:s|ve|re|d|ll)|[,!?()])")


def cleaned(text: str, lower: bool = True) -> list[str]:
    """Words by the cleaning that is usual for these sets (Kim 2014).

    What is no letter, digit or one of (),!?'` becomes a space; contractions, commas, brackets, exclamation and question
    marks stand alone; letters become small, where `lower` says so.
    """
    words = _APART.sub(r" \1 ", _OTHER.sub(" ", text))
    return (words.lower() if lower else words).split()


@dataclass(frozen=True)
class Vocabulary:
    """Words that have a number: 0 is padding, 1 any word that is not among them.

    Attributes:
        words: by number; the first are SPECIAL.
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], min_count: int = 1) -> Vocabulary:
        """Words that occur at least `min_count` times, the frequent ones first, ties by the alphabet."""
        counts = Counter(word for words in sentences for word in words)
        kept = sorted((word for word, n in counts.items() if n >= min_count), key=lambda word: (-counts[word], word))
        return cls((*SPECIAL, *kept))

    def __post_init__(self) -> None:
        object.__setattr__(self, "_numbers", {word: i for i, word in enumerate(self.words)})

    def __len__(self) -> int:
        return len(self.words)

    def numbers(self, words: Sequence[str]) -> list[int]:
        """Number of each word."""
        known: dict[str, int] = self.__dict__["_numbers"]
        return [known.get(word, UNKNOWN) for word in words]

    def check_size(self, limit: int) -> None:
        """Compare with the rows of a model's table of words.

        Raises:
            ConfigError: there are more words than rows.
        """
        if len(self) > limit:
            raise ConfigError(
                f"the training text has {len(self)} words, {len(SPECIAL)} special ones among them, but "
                f"data.vocabulary is {limit}. Set it to that or more, or leave out rare words by data.min_count."
            )
