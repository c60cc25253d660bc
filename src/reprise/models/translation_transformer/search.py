"""Beam search over a network that decodes step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor


class State(Protocol):
    """Where the decoding of some hypotheses stands."""

    def rows(self, index: Tensor) -> Self:
        """Hypotheses by their rows, which may occur often."""

    def continued(self, index: Tensor) -> Self:
        """The same where a row only follows a row of the same text."""


S = TypeVar("S", bound=State)


def beam_search(
    step: Callable[[Tensor, S], tuple[Tensor, S]],
    state: S,
    limits: Sequence[int],
    start: int,
    end: int,
    beams: int,
    length_penalty: float = 1.0,
    barred: Sequence[int] = (),
) -> list[list[int]]:
    """Most likely continuations, as far as a beam finds them.

    In each step the `beams` best hypotheses of a text are continued by each word. Those of the best `beams` that end
    are finished, the best others go on. A text is done when as many are finished as the beam is wide, or at its limit,
    where each hypothesis has to end. Finished ones are compared by log p / length^penalty, the end counted.

    Args:
        step: logits (R, V) of the next word after words (R,), and the new state.
        state: of B texts, one row each.
        limits: words of a text at most, the end counted, 1 or more.
        start, end: numbers of the first word and of the end.
        beams: hypotheses of a text at a time; 1 takes the likeliest word each time.
        length_penalty: 0 compares log p, 1 its mean.
        barred: numbers that are never decoded.

    Returns:
        the best hypothesis of each text, without start and end.

    Raises:
        ValueError: no beam.
    """
    if beams < 1:
        raise ValueError(f"beams is {beams}. Expected 1 or more.")
    texts = len(limits)
    first = torch.arange(texts).repeat_interleave(beams)
    state = state.rows(first)
    words = torch.full((texts * beams,), start, dtype=torch.long)
    score = torch.full((texts, beams), -torch.inf, dtype=torch.float64)
    score[:, 0] = 0.0
    written: list[list[list[int]]] = [[[] for _ in range(beams)] for _ in range(texts)]
    finished: list[list[tuple[float, list[int]]]] = [[] for _ in range(texts)]
    done = [False] * texts
    for place in range(1, max(limits) + 1):
        logits, state = step(words, state)
        log_p = logits.detach().double().cpu().log_softmax(-1).view(texts, beams, -1)
        log_p[..., list(barred)] = -torch.inf
        vocabulary = log_p.shape[-1]
        for b in range(texts):
            if place >= limits[b]:  # only the end is left
                log_p[b, :, torch.arange(vocabulary) != end] = -torch.inf
        total = (score[..., None] + log_p).view(texts, -1)
        # twice as many as the beam: at most `beams` of them end, so that as many others are left to go on
        best, chosen = total.topk(min(2 * beams, total.shape[1]), -1)
        rows = torch.arange(texts)[:, None] * beams + torch.zeros(beams, dtype=torch.long)
        words, score = words.view(texts, beams).clone(), torch.full((texts, beams), -torch.inf, dtype=torch.float64)
        for b in range(texts):
            if done[b]:
                continue
            going: list[list[int]] = []
            for rank, (value, at) in enumerate(zip(best[b].tolist(), chosen[b].tolist(), strict=True)):
                beam, word = divmod(at, vocabulary)
                if value == -torch.inf or len(going) == beams:
                    break
                if word != end:
                    rows[b, len(going)], words[b, len(going)], score[b, len(going)] = b * beams + beam, word, value
                    going.append([*written[b][beam], word])
                elif rank < beams:
                    finished[b].append((value / place**length_penalty, written[b][beam]))
            written[b] = going + [[]] * (beams - len(going))
            done[b] = len(finished[b]) >= beams or not going
        if all(done):
            break
        state, words = state.continued(rows.view(-1)), words.view(-1)
    return [max(found, key=lambda f: f[0])[1] for found in finished]
