"""Labels as networks see them."""

from __future__ import annotations

import math

import pytest
import torch

from reprise.models.adversarial.labels import encoded, moved, noisy, truncated_exponential


def test_the_truncated_exponential_has_its_distribution_function() -> None:
    u = torch.linspace(0, 1, 101, dtype=torch.float64)[:-1]
    x = truncated_exponential(u, 5.0, 0.2)
    assert float(x.min()) == 0.0
    assert float(x.max()) < 0.2
    torch.testing.assert_close((1 - torch.exp(-5 * x)) / (1 - math.exp(-1.0)), u)


@pytest.mark.parametrize(("noise", "rates"), [("as_released", (5.0, 15.0)), ("as_meant", (25.0, 50.0))])
def test_noisy_labels_have_their_rates(noise: str, rates: tuple[float, float]) -> None:
    u = torch.rand(2, 400, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = (torch.rand(400, 3, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    found = noisy(labels, u, noise)  # type: ignore[arg-type]
    one = 0.7 - truncated_exponential(u[0], rates[0], 0.2) + truncated_exponential(u[1], rates[1], 0.3)
    torch.testing.assert_close(found, torch.where(labels > 0.5, one, 1 - one).float())
    assert torch.equal(found > 0.5, labels > 0.5)
    assert torch.isfinite(encoded(found, noise)).all()  # type: ignore[arg-type]


def test_the_largest_draw_still_has_a_logit() -> None:
    u = torch.stack([torch.zeros(1, 2), torch.full((1, 2), 1 - 2**-53, dtype=torch.float64)])
    assert torch.isfinite(encoded(noisy(torch.tensor([[0.0, 1.0]]), u, "as_released"), "as_released")).all()


def test_plain_labels_are_minus_one_and_one() -> None:
    labels = torch.tensor([[0, 1]], dtype=torch.uint8)
    assert encoded(noisy(labels, torch.rand(2, 1, 2), "none"), "none").tolist() == [[-1.0, 1.0]]


def test_labels_between_go_from_one_end_to_the_other() -> None:
    steps = torch.tensor([[0.0], [0.5], [1.0]])
    assert moved(steps, "none").flatten().tolist() == [0.0, 0.5, 1.0]
    torch.testing.assert_close(moved(steps, "as_released").flatten(), torch.tensor([0.3, 0.5, 0.7]))
