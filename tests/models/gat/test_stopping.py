"""Stopping against literal transcriptions of the two protocols."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reprise.models.gat.stopping import LowestLoss, Patience, Stopping


def figures(seed: int, epochs: int = 400) -> list[tuple[float, float]]:
    rng = np.random.default_rng(seed)
    down = np.exp(-np.arange(epochs) / 20)
    loss = 1.0 + down + rng.normal(0, 0.02, epochs) + np.arange(epochs) / 2000
    accuracy = np.round(0.8 - 0.5 * down + rng.normal(0, 0.01, epochs), 2)  # with ties
    return [(float(a), float(b)) for a, b in zip(loss, accuracy, strict=True)]


def run(stopping: Stopping, values: list[tuple[float, float]]) -> tuple[int, int]:
    """Epochs seen, and the one whose weights are kept."""
    for loss, accuracy in values:
        if stopping.update(loss, accuracy).stop:
            break
    return int(stopping.epoch), int(stopping.kept_epoch)


def literal(values: list[tuple[float, float]], patience: int) -> tuple[int, int]:
    """The loop of GAT's authors, as it is described: lowest loss and highest accuracy, each by itself."""
    lowest, highest, waited, kept = np.inf, 0.0, 0, 0
    for epoch, (loss, accuracy) in enumerate(values, 1):
        if accuracy >= highest or loss <= lowest:
            if accuracy >= highest and loss <= lowest:
                kept = epoch
            highest, lowest, waited = max(accuracy, highest), min(loss, lowest), 0
            continue
        waited += 1
        if waited == patience:
            return epoch, kept
    return len(values), kept


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("patience", [3, 10, 50])
def test_patience_is_that_of_the_authors_code(seed: int, patience: int) -> None:
    values = figures(seed)
    assert run(Patience(patience), values) == literal(values, patience)


def test_one_figure_alone_can_be_watched() -> None:
    values = [(1.0, 0.5), (0.9, 0.4), (0.8, 0.4), (0.7, 0.5), (0.9, 0.4), (0.9, 0.4)]
    assert run(Patience(2, "accuracy"), values) == (3, 1)
    assert run(Patience(2, "loss"), values) == (6, 4)


def test_ties_are_improvements() -> None:
    assert run(Patience(2), [(1.0, 0.5)] * 5) == (5, 5)


@pytest.mark.parametrize("seed", range(4))
def test_the_lowest_loss_is_kept_and_a_window_ends_training(seed: int) -> None:
    values, window, least = figures(seed), 30, 60
    history: list[float] = []
    best, kept, epochs = np.inf, 0, 0
    for epochs, (loss, _) in enumerate(values, 1):
        if loss < best:
            best, kept = loss, epochs
        history.append(loss)
        if epochs > least and loss > np.mean(history[-(window + 1) : -1]):
            break
    assert run(LowestLoss(window, least), values) == (epochs, kept)
    assert least < epochs < len(values)
    assert run(LowestLoss(0), values)[0] == len(values)


def test_state_goes_on_in_another_object() -> None:
    values = figures(1)
    for make in (lambda: Patience(20), lambda: LowestLoss(20, 30)):
        first, second = make(), make()
        for loss, accuracy in values[:40]:
            first.update(loss, accuracy)
        second.load_state_dict(first.state_dict())
        assert run(second, values[40:]) == run(first, values[40:])
        assert bool(second.stopped)
        assert not any(isinstance(value, torch.nn.Parameter) for value in second.parameters())


def test_values_out_of_range_are_refused() -> None:
    for make in (lambda: Patience(0), lambda: Patience(1, "f1"), lambda: LowestLoss(-1)):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="Expected"):
            make()
