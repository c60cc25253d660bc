"""CausalGAN's losses against their formulas, number by number."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from reprise.models.causalgan.objective import (
    Form,
    GANTerm,
    anti_labeler_loss,
    anti_labeler_weight,
    discriminator_loss,
    gan_loss,
    generator_loss,
    label_loss,
    labeler_loss,
)

D = [0.2, 0.9, 0.6]  # discriminator's probabilities
LR = [[0.3, 0.8], [0.9, 0.1], [0.6, 0.5]]
LG = [[0.7, 0.4], [0.2, 0.3], [0.5, 0.9]]
LABELS = [[0.7, 0.1], [0.9, 0.35], [0.55, 0.6]]


def logits(p: list[float] | list[list[float]]) -> torch.Tensor:
    return torch.tensor(p, dtype=torch.float64).logit()


def cross_entropy(p: list[list[float]], target: list[list[float]]) -> float:
    terms = [
        -t * math.log(q) - (1 - t) * math.log(1 - q)
        for row, other in zip(p, target, strict=True)
        for q, t in zip(row, other, strict=True)
    ]
    return sum(terms) / len(terms)


GAN = {
    "log_ratio": sum(math.log(1 - d) - math.log(d) for d in D) / 3,
    "non_saturating": sum(-math.log(d) for d in D) / 3,
    "minimax": sum(math.log(1 - d) for d in D) / 3,
}
LABEL = {
    "orthodox": (cross_entropy(LR, LABELS), cross_entropy(LG, LABELS)),
    "as_released": (cross_entropy(LABELS, LR), cross_entropy(LABELS, LG)),
}


@pytest.mark.parametrize("form", get_args(Form))
@pytest.mark.parametrize("gan_term", get_args(GANTerm))
def test_every_loss_function_of_the_released_flag(form: Form, gan_term: GANTerm) -> None:
    targets = torch.tensor(LABELS, dtype=torch.float64)
    loss = generator_loss(logits(D), logits(LR), logits(LG), targets, 0.4, gan_term, form)
    labeler, anti = LABEL[form]
    assert float(loss) == pytest.approx(GAN[gan_term] + labeler - 0.4 * anti, rel=1e-12)
    weighed = generator_loss(logits(D), logits(LR), logits(LG), targets, 0.4, gan_term, form, label_weight=2.5)
    assert float(weighed) == pytest.approx(GAN[gan_term] + 2.5 * (labeler - 0.4 * anti), rel=1e-12)
    without = generator_loss(logits(D), logits(LR), None, targets, 0.4, gan_term, form)
    assert float(without) == pytest.approx(GAN[gan_term] + labeler, rel=1e-12)
    assert float(anti_labeler_loss(logits(LG), targets, form)) == pytest.approx(anti, rel=1e-12)


def test_the_labeler_is_trained_the_right_way_round() -> None:
    found = labeler_loss(logits(LR), torch.tensor(LABELS, dtype=torch.float64))
    assert float(found) == pytest.approx(cross_entropy(LR, LABELS), rel=1e-12)


def test_one_label_gives_the_papers_expression() -> None:
    """-rho E log D_L given 1, -(1 - rho) E log(1 - D_L) given 0."""
    labels, probabilities = torch.tensor([[1.0], [0.0], [0.0], [1.0], [0.0]]), [0.8, 0.3, 0.4, 0.6, 0.1]
    ones, zeros = [0.8, 0.6], [0.3, 0.4, 0.1]
    expected = -0.4 * sum(map(math.log, ones)) / 2 - 0.6 * sum(math.log(1 - p) for p in zeros) / 3
    assert float(label_loss(torch.tensor(probabilities).logit()[:, None], labels)) == pytest.approx(expected, rel=1e-5)


def test_the_released_form_is_linear_in_the_labelers_output() -> None:
    targets = torch.tensor(LABELS, dtype=torch.float64)
    p = logits(LR).sigmoid().requires_grad_()
    gradient = torch.autograd.grad(label_loss(p.logit(), targets, "as_released"), p)[0]
    torch.testing.assert_close(gradient, -targets.logit() / 6)


def test_discriminator_loss() -> None:
    real = [0.5, 0.7, 0.9]
    expected = -sum(map(math.log, real)) / 3 - sum(math.log(1 - d) for d in D) / 3
    assert float(discriminator_loss(logits(real), logits(D))) == pytest.approx(expected, rel=1e-12)


def test_the_anti_labelers_weight_decays() -> None:
    assert anti_labeler_weight(0, 3000.0) == 1.0
    assert anti_labeler_weight(3000, 3000.0) == pytest.approx(1 / math.e)
    assert anti_labeler_weight(10**6, None) == 1.0


def test_other_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="term is 'hinge'"):
        gan_loss(logits(D), "hinge")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="form is 'flipped'"):
        label_loss(logits(LR), torch.tensor(LABELS), "flipped")  # type: ignore[arg-type]
