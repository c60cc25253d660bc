"""From texts to numbers and back: whole words, or subwords by byte-pair encoding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from reprise.config.errors import ConfigError
from reprise.nn.transformer.special import END, PAD, START, UNKNOWN

SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
_SPACE = "▁"  # stands before each word, so that spaces come back


class Coder(Protocol):
    """Numbers texts; the first four numbers are SPECIAL, none of which a coded text has but the unknown one.

    A model may have more numbers than the coder, and a barely trained one may give some of these.
    """

    def __len__(self) -> int:
        """How many numbers there are."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Numbers of each text."""

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of some numbers, SPECIAL left out but for the unknown one."""

    def pieces(self, numbers: Sequence[int]) -> list[str]:
        """What each number stands for; the unknown word for what is no number of this coder."""


class WordCoder:
    """Words between spaces.

    Args:
        texts: whose words get numbers, by the alphabet.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.words = (*SPECIAL, *sorted({word for text in texts for word in text.split()}))
        self._numbers = {word: i for i, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Numbers of each text."""
        return [[self._numbers.get(word, UNKNOWN) for word in text.split()] for text in texts]

    def decode(self, numbers: Sequence[int]) -> str:
        """Words with spaces between."""
        return " ".join(self.pieces([i for i in numbers if i not in (PAD, START, END)]))

    def pieces(self, numbers: Sequence[int]) -> list[str]:
        """The words."""
        return [self.words[i if i < len(self) else UNKNOWN] for i in numbers]


class SubwordCoder:
    """Byte-pair encoding (Sennrich et al. 2016) that marks where a word begins.

    Args:
        saved: what `learn_subwords` gave.
    """

    def __init__(self, saved: str) -> None:
        self._tokenizer = _library().Tokenizer.from_str(saved)

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Numbers of each text."""
        return [found.ids for found in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def decode(self, numbers: Sequence[int]) -> str:
        """Pieces put together, with spaces where words begin."""
        kept = [i for i in numbers if i not in (PAD, START, END)]
        return "".join(self.pieces(kept)).replace(_SPACE, " ").strip()

    def pieces(self, numbers: Sequence[int]) -> list[str]:
        """The subwords; one that begins a word has ▁ before it."""
        return [self._tokenizer.id_to_token(i if i < len(self) else UNKNOWN) for i in numbers]


def learn_subwords(texts: Sequence[str], operations: int, punctuation: bool) -> str:
    """Learn byte-pair encoding.

    Args:
        texts: to learn from.
        operations: merges of two subwords into one.
        punctuation: keep punctuation apart from words; for texts that are not tokenised.

    Returns:
        JSON of the library tokenizers.

    Raises:
        ConfigError: the library is not installed.
    """
    library = _library()
    tokenizer = library.Tokenizer(library.models.BPE(unk_token=SPECIAL[UNKNOWN]))
    spaces = library.pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always")
    marks = [library.pre_tokenizers.Punctuation("isolated")] if punctuation else []
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence([spaces, *marks])
    alphabet = {_SPACE, *"".join(texts)} - {" "}
    trainer = library.trainers.BpeTrainer(
        vocab_size=len(SPECIAL) + len(alphabet) + operations,
        special_tokens=list(SPECIAL),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str())


def _library() -> Any:
    try:
        import tokenizers
        import tokenizers.models
        import tokenizers.pre_tokenizers
        import tokenizers.trainers
    except ImportError:
        raise ConfigError(
            "byte-pair encoding needs the package tokenizers: install it with pip install 'reprise[kernels]'."
        ) from None
    return tokenizers
