"""CausalBEGAN's sizes, and its losses and margins against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reprise.models.causalbegan.network import Networks
from reprise.models.causalbegan.objective import (
    Errors,
    convergence,
    discriminator_loss,
    generator_loss,
    image_error,
    label_error,
    margins,
    next_weights,
    shown_loss,
)
from reprise.nn.images import ImageShape


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_released_sizes() -> None:
    networks = Networks(9, ImageShape(3, 64))
    assert size(networks.generator) == pytest.approx(1.8e6, abs=0.05e6)
    assert size(networks.discriminator) == pytest.approx(13.4e6, abs=0.05e6)
    assert size(networks.labeler) == pytest.approx(9.9e6, abs=0.05e6)
    convolutions = [m for m in networks.labeler.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions if c.stride == (2, 2)] == [128, 256, 384]
    assert convolutions[-1].out_channels == 512


@pytest.mark.parametrize("side", [8, 32])
def test_every_size(side: int) -> None:
    networks = Networks(4, ImageShape(3, side), noise=8, code=5, maps=4)
    image = networks.generator(torch.rand(2, 8), torch.ones(2, 4))
    assert image.shape == networks.discriminator(image).shape == (2, 3, side, side)
    assert networks.discriminator.encoder(image).shape == (2, 5)
    assert networks.labeler(image).shape == (2, 4)
    with pytest.raises(ValueError, match="side is 24"):
        Networks(4, ImageShape(3, 24))


def numbers(*values: float) -> Errors:
    return Errors(*map(torch.tensor, values))


def test_errors_are_means() -> None:
    x, decoded = torch.tensor([[[[0.5, -1.0]]]]), torch.tensor([[[[0.0, -0.5]]]])
    assert float(image_error(decoded, x)) == pytest.approx(0.5)
    labels, p = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.8, 0.4]])
    assert float(label_error(labels, p.logit())) == pytest.approx((0.2**2 + 0.4**2) / 2)


def test_an_error_of_unequal_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"AE\(x\) has the shape \(4,\), x \(4, 3, 4, 4\)"):
        image_error(torch.zeros(4), torch.zeros(4, 3, 4, 4))  # a subtraction would stretch it


def test_margins_and_losses() -> None:
    errors, c = numbers(0.8, 0.1, 0.3, 0.05), torch.tensor([0.2, 0.5, 0.25])
    b = margins(errors, (0.5, 0.4, 0.6))
    expected = (0.5 * 0.8 - 0.1, 0.4 * 0.3 - 0.05)
    assert [float(x) for x in b] == pytest.approx([*expected, 0.6 * expected[0] - expected[1]])
    assert float(discriminator_loss(errors, c)) == pytest.approx(0.8 - 0.2 * 0.1 + 0.3 - 0.5 * 0.05)
    assert float(generator_loss(errors.image_fake, errors.label_fake, c)) == pytest.approx(0.1 + 0.25 * 0.05)
    assert float(generator_loss(errors.image_fake, errors.label_fake, c, third_margin=False)) == pytest.approx(0.15)
    measure = 0.8 + sum(abs(float(x)) for x in b)
    assert float(convergence(errors, b)) == pytest.approx(measure)
    assert float(convergence(errors, b, as_released=True)) == pytest.approx(measure + 0.3)


def test_a_cross_entropy_teaches_where_the_labeler_is_sure_of_the_wrong_value() -> None:
    labels, logits = torch.tensor([[1.0, 0.0]]), torch.tensor([[-12.0, 0.5]], requires_grad=True)
    p = logits.detach().sigmoid()
    for kind, value, slope in (
        ("square", ((p - labels) ** 2).mean(), (p - labels) * p * (1 - p)),  # of two labels: 2 / 2
        ("cross_entropy", -(p[0, 0].log() + (1 - p[0, 1]).log()) / 2, (p - labels) / 2),
    ):
        loss = shown_loss(labels, logits, kind)  # type: ignore[arg-type]
        assert float(loss.detach()) == pytest.approx(float(value), rel=1e-5)
        (found,) = torch.autograd.grad(loss, logits)
        assert found.tolist()[0] == pytest.approx(slope.tolist()[0], rel=1e-3)
    with pytest.raises(ValueError, match=r"label_loss is 'hinge'\. Expected square or cross_entropy"):
        shown_loss(labels, logits, "hinge")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("errors", "third"),
    [((0.2, 0.5, 0.3, 0.05), -0.1), ((0.8, 0.1, 0.1, 0.5), 0.15), ((0.2, 0.5, 0.1, 0.5), 0.0)],
    ids=["image margin below 0", "label margin below 0", "both"],
)
def test_the_third_margin_has_no_negative_parts(errors: tuple[float, ...], third: float) -> None:
    assert float(margins(numbers(*errors), (0.5, 0.5, 0.5))[2]) == pytest.approx(third)


def test_weights_move_by_the_margins_within_their_bounds() -> None:
    b = tuple(map(torch.tensor, (0.5, -2.0, 30.0)))
    found = next_weights(torch.tensor([0.1, 0.1, 0.9]), b, (0.1, 0.1, 0.01))  # type: ignore[arg-type]
    assert found.tolist() == pytest.approx([0.15, 0.0, 1.0])
