"""BLEU against sacrebleu, alone and as the sum of processes."""

from __future__ import annotations

import math
import random

import pytest
import sacrebleu
import torch

from reprise.config.errors import ConfigError
from reprise.metrics.bleu import Bleu, Tokenization

WORDS = ["the", "cat,", "sat.", "on", "a-b", "mat!", "1.5", '"quoted"', "don't", "(and)", "x&y", "dog"]


def sentences(seed: int, count: int, longest: int = 12) -> tuple[list[str], list[str]]:
    rng = random.Random(seed)
    references = [" ".join(rng.choices(WORDS, k=rng.randint(1, longest))) for _ in range(count)]
    hypotheses = []
    for reference in references:
        words = [w for w in reference.split() if rng.random() > 0.15]
        hypotheses.append(" ".join(rng.choice(WORDS) if rng.random() < 0.1 else w for w in words))
    return hypotheses, references


def ours(hypotheses: list[str], references: list[str], tokenization: Tokenization) -> float:
    metric = Bleu(tokenization)
    metric.update(hypotheses, references)
    return float(metric.compute())


@pytest.mark.parametrize("tokenization", ["none", "13a"])
@pytest.mark.parametrize(("seed", "count", "longest"), [(0, 40, 12), (1, 3, 12), (2, 1, 5), (3, 5, 4), (4, 12, 3)])
def test_equals_sacrebleu(tokenization: Tokenization, seed: int, count: int, longest: int) -> None:
    hypotheses, references = sentences(seed, count, longest)
    theirs = sacrebleu.corpus_bleu(hypotheses, [references], tokenize=tokenization, force=True).score
    assert ours(hypotheses, references, tokenization) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(
    ("hypothesis", "reference"),
    [("", "a b c d"), ("x y z w", "a b c d"), ("a x b y c", "a b c d"), ("a b", "a b"), ("a b c d", "a b c d")],
)
def test_corner_cases_equal_sacrebleu(hypothesis: str, reference: str) -> None:
    theirs = sacrebleu.corpus_bleu([hypothesis], [[reference]], tokenize="none", force=True).score
    assert ours([hypothesis], [reference], "none") == pytest.approx(theirs, abs=1e-9)


def test_two_processes_give_the_number_of_one() -> None:
    hypotheses, references = sentences(5, 31)
    ranks = [Bleu(), Bleu()]
    for rank, metric in enumerate(ranks):
        metric.update(hypotheses[rank::2], references[rank::2])
    merged = Bleu()
    for name in ("correct", "total", "lengths"):
        assert merged._reductions[name] is torch.sum or merged._reductions[name].__name__ == "dim_zero_sum"  # type: ignore[union-attr]
        setattr(merged, name, getattr(ranks[0], name) + getattr(ranks[1], name))
    merged._update_count = 1
    assert float(merged.compute()) == ours(hypotheses, references, "none")


def test_nothing_and_nonsense() -> None:
    metric = Bleu()
    metric.update([], [])
    assert math.isnan(float(metric.compute()))
    with pytest.raises(ConfigError, match="none, 13a"):
        Bleu("intl")  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        Bleu().update(["a"], [])
