"""Losses and margins of CausalBEGAN, as the released code has them (causal_began/CausalBEGAN.py).

L(x) = |AE(x) - x|, S(u, v) = (u - v)^2, both means; l(x): the Labeler's probabilities; l_x, l_g: labels of real and of
generated images. b_1, b_2, b_3 are called balance_k, balance_l and balance_z there, c_1, c_2, c_3 k_t, l_t and z_t.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

LabelLoss = Literal["square", "cross_entropy"]


class Errors(NamedTuple):
    """L(x), L(G), S(l_x, l(x)) and S(l_g, l(G)), numbers (); means over the global batch where margins are made."""

    image_real: Tensor
    image_fake: Tensor
    label_real: Tensor
    label_fake: Tensor


def image_error(decoded: Tensor, image: Tensor) -> Tensor:
    """L(x), the mean absolute difference of AE(x) and x, of one shape.

    Raises:
        ValueError: the shapes differ; a subtraction would stretch one to the other.
    """
    if decoded.shape != image.shape:
        raise ValueError(f"AE(x) has the shape {tuple(decoded.shape)}, x {tuple(image.shape)}. Expected the same.")
    return (decoded - image).abs().mean()


def label_error(labels: Tensor, logits: Tensor) -> Tensor:
    """S(l, sigmoid(logits)), the mean square of the difference; (B, d) both."""
    return F.mse_loss(logits.sigmoid(), labels)


def shown_loss(labels: Tensor, logits: Tensor, kind: LabelLoss = "square") -> Tensor:
    """What the generator pays for labels that its images do not show, (); (B, d) both.

    Where the Labeler is sure of the wrong value, the square of a sigmoid is flat and teaches nothing; the
    cross-entropy, which is ours, is steepest there.

    Raises:
        ValueError: the kind is unknown.
    """
    if kind == "square":
        return label_error(labels, logits)
    if kind == "cross_entropy":
        return F.binary_cross_entropy_with_logits(logits, labels)
    raise ValueError(f"label_loss is {kind!r}. Expected square or cross_entropy.")


def margins(errors: Errors, gamma: tuple[float, float, float]) -> tuple[Tensor, Tensor, Tensor]:
    """b_1, b_2 and b_3, the margin of margins: labels are worked on where the image margin is the larger one.

    Args:
        errors: of an iteration.
        gamma: gamma_1, gamma_2, gamma_3.
    """
    b_1 = gamma[0] * errors.image_real - errors.image_fake
    b_2 = gamma[1] * errors.label_real - errors.label_fake
    b_3 = gamma[2] * b_1.relu() - b_2.relu()
    return b_1, b_2, b_3


def next_weights(c: Tensor, b: tuple[Tensor, Tensor, Tensor], lambdas: tuple[float, float, float]) -> Tensor:
    """c_j + lambda_j b_j, kept within [0, 1].

    Args:
        c: (3,) the weights.
        b: the margins.
        lambdas: how fast they move.
    """
    return (c + torch.stack(b) * c.new_tensor(lambdas)).clamp(0.0, 1.0)


def discriminator_loss(errors: Errors, c: Tensor) -> Tensor:
    """Loss_D = L(x) - c_1 L(G) + S(l_x, l(x)) - c_2 S(l_g, l(G)), of the auto-encoder and the Labeler."""
    return errors.image_real - c[0] * errors.image_fake + errors.label_real - c[1] * errors.label_fake


def generator_loss(image_fake: Tensor, shown: Tensor, c: Tensor, third_margin: bool = True) -> Tensor:
    """Loss_G = L(G) + c_3 S(l_g, l(G)); without the third margin its weight is 1.

    Args:
        image_fake: L(G).
        shown: S(l_g, l(G)), or the cross-entropy in its place; see `shown_loss`.
        c: (3,) the weights.
        third_margin: whether the margin of margins is used.
    """
    return image_fake + (c[2] * shown if third_margin else shown)


def convergence(errors: Errors, b: tuple[Tensor, Tensor, Tensor], as_released: bool = False) -> Tensor:
    """M = L(x) + |b_1| + |b_2| + |b_3|; the released code adds S(l_x, l(x)) to it."""
    measure = errors.image_real + b[0].abs() + b[1].abs() + b[2].abs()
    return measure + errors.label_real if as_released else measure
