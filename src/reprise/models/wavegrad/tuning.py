"""Search a short noise schedule by LS-MSE, as the paper found its six iterations (section 4.2, Appendix B)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

DIGITS = range(1, 10)  # k of beta_i = k * 10^(-7 + i)


def candidate(digits: Sequence[int]) -> list[float]:
    """Betas of a choice of digits: k_i times decades from 1e-6 to 1e-1, spread evenly over the N steps.

    For N = 6 this is the paper's grid, beta_i = k * 10^(-7 + i).
    """
    last = max(1, len(digits) - 1)
    return [k * 10.0 ** (-6.0 + 5.0 * i / last) for i, k in enumerate(digits)]


def coordinate_search(
    score: Callable[[list[float]], float],
    start: Sequence[int],
    rounds: int,
    on_trial: Callable[[list[float], float, float], None] = lambda betas, value, best: None,
) -> tuple[list[int], float]:
    """Minimise `score` over the digits, one step of the schedule after the other, the noisiest first.

    All 9^N schedules are too many; the digits interact weakly enough for coordinate descent. Stops early when a round
    changes nothing.

    Args:
        score: value of a schedule's betas, lower is better; deterministic.
        start: digits to begin with, each 1 to 9.
        rounds: passes over the N steps at most.
        on_trial: called with each schedule tried, its value and the best so far.

    Returns:
        the best digits and their value.

    Raises:
        ValueError: a digit outside 1..9.
    """
    if any(k not in DIGITS for k in start):
        raise ValueError(f"digits {list(start)}: expected each between 1 and 9")
    best = list(start)
    best_value = score(candidate(best))
    on_trial(candidate(best), best_value, best_value)
    tried = {tuple(best): best_value}
    for _ in range(rounds):
        before = list(best)
        for i in reversed(range(len(best))):
            for digit in DIGITS:
                digits = [*best[:i], digit, *best[i + 1 :]]
                if tuple(digits) in tried:
                    continue
                value = tried[tuple(digits)] = score(candidate(digits))
                if value < best_value:
                    best, best_value = digits, value
                on_trial(candidate(digits), value, best_value)
        if best == before:
            break
    return best, best_value
