"""Beam search against brute force, and the translations of a network with and without kept keys and values."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from reprise.models.translation_transformer.search import beam_search

VOCABULARY, START, END = 5, 2, 3


@dataclass(frozen=True)
class Written:
    """What each hypothesis has, and whose it is."""

    text: Tensor
    words: Tensor

    def rows(self, index: Tensor) -> Written:
        return Written(self.text[index], self.words[index])

    def continued(self, index: Tensor) -> Written:
        assert torch.equal(self.text[index], self.text)  # hypotheses stay with their text
        return Written(self.text, self.words[index])


def logits_of(text: int, words: list[int]) -> Tensor:
    seed = hash((text, *words)) % 2**31
    return 2.0 * torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def step(words: Tensor, state: Written) -> tuple[Tensor, Written]:
    state = Written(state.text, torch.cat([state.words, words[:, None]], 1))
    rows = [logits_of(t, w) for t, w in zip(state.text.tolist(), state.words.tolist(), strict=True)]
    return torch.stack(rows), state


def search(texts: list[int], limits: list[int], beams: int, penalty: float) -> list[list[int]]:
    state = Written(torch.tensor(texts), torch.zeros(len(texts), 0, dtype=torch.long))
    return beam_search(step, state, limits, START, END, beams, penalty, barred=(0, START))


def brute_force(text: int, limit: int, penalty: float) -> list[int]:
    best: tuple[float, list[int]] = (-float("inf"), [])
    for length in range(limit):
        for words in itertools.product([1, 4], repeat=length):
            written, value = [START], 0.0
            for word in (*words, END):
                log_p = logits_of(text, written).log_softmax(-1)
                forced = len(written) == limit  # only the end is left; its probability counts as it is
                assert not forced or word == END
                value += float(log_p[word])
                written.append(word)
            best = max(best, (value / (length + 1) ** penalty, list(words)))
    return best[1]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
def test_a_wide_beam_finds_the_best_of_all(penalty: float) -> None:
    texts, limits = list(range(12)), [1 + i % 4 for i in range(12)]
    found = search(texts, limits, 16, penalty)
    assert found == [brute_force(t, n, penalty) for t, n in zip(texts, limits, strict=True)]
    assert len({len(f) for f in found}) > 1


def test_a_beam_of_one_takes_the_likeliest_word() -> None:
    for text, found in enumerate(search(list(range(10)), [6] * 10, 1, 1.0)):
        written = [START]
        while len(written) < 6:
            log_p = logits_of(text, written)
            log_p[[0, START]] = -torch.inf
            if (word := int(log_p.argmax())) == END:
                break
            written.append(word)
        assert found == written[1:]


@pytest.mark.parametrize("beams", [1, 2, 3])
def test_a_text_does_not_depend_on_the_others(beams: int) -> None:
    limits = [2, 7, 4, 1]
    together = search([0, 1, 2, 3], limits, beams, 1.0)
    assert together == [search([t], [n], beams, 1.0)[0] for t, n in enumerate(limits)]
    assert all(len(found) < n for found, n in zip(together, limits, strict=True))


def test_no_beam() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        search([0], [3], 0, 1.0)
