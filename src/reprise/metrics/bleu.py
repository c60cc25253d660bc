"""BLEU of a corpus (Papineni et al. 2002), with the definitions of sacrebleu (Post 2018)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor
from torchmetrics import Metric

from reprise.config.errors import ConfigError

_ORDERS = 4  # n-grams of 1 to 4 words
Tokenization = Literal["none", "13a"]


def ngram_counts(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    """How often each n-gram of 1 to 4 words occurs."""
    return Counter(tuple(words[i : i + n]) for n in range(1, _ORDERS + 1) for i in range(len(words) - n + 1))


class Bleu(Metric):
    """BLEU in percent, one reference a sentence, with case, of 1- to 4-grams, as sacrebleu's corpus_bleu by default.

    The state is counts of n-grams and words, so the order of sentences and the number of processes do not matter.

    Args:
        tokenization: none: words between spaces, for texts that are tokenised; 13a: that of mteval-v13a, by sacrebleu.

    Raises:
        ConfigError: another tokenisation, or sacrebleu is not installed, which 13a needs.
    """

    version: ClassVar[int] = 1
    unit: ClassVar[str] = ""
    higher_is_better: bool | None = True
    is_differentiable: bool | None = False
    full_state_update: bool | None = False

    def __init__(self, tokenization: Tokenization = "none") -> None:
        super().__init__()
        if tokenization not in get_args(Tokenization):
            allowed = ", ".join(get_args(Tokenization))
            raise ConfigError(f"BLEU's tokenization is {tokenization!r}. Expected one of {allowed}.")
        self.words = _tokenizer_13a() if tokenization == "13a" else str
        for name in ("correct", "total"):
            self.add_state(name, torch.zeros(_ORDERS, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("lengths", torch.zeros(2, dtype=torch.long), dist_reduce_fx="sum")
        self.correct: Tensor  # n-grams that the reference has too, at most as often as there
        self.total: Tensor  # n-grams of the hypotheses
        self.lengths: Tensor  # words of hypotheses and of references

    def update(self, hypotheses: Sequence[str], references: Sequence[str]) -> None:
        """Add sentences, one reference each."""
        for hypothesis, reference in zip(hypotheses, references, strict=True):
            ours, theirs = (self.words(text).split() for text in (hypothesis, reference))
            found, wanted = ngram_counts(ours), ngram_counts(theirs)
            correct, total = [0] * _ORDERS, [0] * _ORDERS
            for ngram, count in found.items():
                total[len(ngram) - 1] += count
                correct[len(ngram) - 1] += min(count, wanted[ngram])
            device = self.lengths.device
            self.correct += torch.tensor(correct, device=device)
            self.total += torch.tensor(total, device=device)
            self.lengths += torch.tensor([len(ours), len(theirs)], device=device)

    def compute(self) -> Tensor:
        """Return BLEU, NaN when nothing was added."""
        score = bleu_of(self.correct.tolist(), self.total.tolist(), *self.lengths.tolist())
        return torch.tensor(score, dtype=torch.float64)


def bleu_of(correct: Sequence[int], total: Sequence[int], length: int, reference_length: int) -> float:
    """BLEU in percent: brevity penalty times the geometric mean of the precisions.

    An order without a match counts half a match, the next one a quarter, and so on (sacrebleu's smoothing "exp").

    Args:
        correct, total: n-grams of each order that match, and all of the hypotheses.
        length, reference_length: words.
    """
    if not reference_length:
        return math.nan
    if not any(correct) or not all(total):
        return 0.0
    smoothing, logarithms = 1.0, 0.0
    for matches, count in zip(correct, total, strict=True):
        if not matches:
            smoothing /= 2
        logarithms += math.log((matches or smoothing) / count)
    brevity = min(0.0, 1 - reference_length / length)
    return 100 * math.exp(brevity + logarithms / _ORDERS)


def _tokenizer_13a() -> Callable[[str], str]:
    try:
        from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
    except ImportError:
        raise ConfigError(
            "BLEU with the tokenisation 13a needs sacrebleu: install it with pip install 'reprise[kernels]'."
        ) from None
    return Tokenizer13a()  # type: ignore[no-any-return]
