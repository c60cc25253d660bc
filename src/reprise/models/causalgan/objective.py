"""Losses of CausalGAN (Kocaoglu et al., section 5), as the paper has them and as the released code has them.

D: probability of an image being real, D_LR: Labeler, D_LG: Anti-Labeler, all given as logits. l: labels in [0, 1].
The released flag loss_function counts the settings: 0 to 2 are `as_released` with `log_ratio`, `non_saturating` and
`minimax`, 3 to 5 `orthodox` with the same.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

Form = Literal["orthodox", "as_released"]
GANTerm = Literal["log_ratio", "non_saturating", "minimax"]


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G)), of logits (B,)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def gan_loss(fake: Tensor, term: GANTerm) -> Tensor:
    """The generator's GAN term, of the discriminator's logits (B,) for its images.

    Args:
        fake: logits of D(G).
        term: log_ratio, log((1 - D) / D), the paper's; non_saturating, -log D; minimax, log(1 - D).

    Raises:
        ValueError: another term.
    """
    if term == "log_ratio":
        return -fake.mean()
    if term == "non_saturating":
        return F.softplus(-fake).mean()
    if term == "minimax":
        return -F.softplus(fake).mean()
    raise ValueError(f"term is {term!r}. Expected 'log_ratio', 'non_saturating' or 'minimax'.")


def label_loss(logits: Tensor, labels: Tensor, form: Form = "orthodox") -> Tensor:
    """Cross-entropy of a labeler and labels, mean over examples and labels.

    orthodox: -l log D_L - (1 - l) log(1 - D_L), the paper's.
    as_released: the two change places: the label is the probability and the labeler's output the target,
    -D_L log l - (1 - D_L) log(1 - l), which is linear in D_L.

    Args:
        logits: (B, d) of D_L.
        labels: (B, d) in [0, 1]; within (0, 1) for `as_released`.
        form: orthodox or as_released.

    Raises:
        ValueError: another form.
    """
    if form == "orthodox":
        return F.binary_cross_entropy_with_logits(logits, labels)
    if form == "as_released":
        return F.binary_cross_entropy_with_logits(labels.logit(), logits.sigmoid())
    raise ValueError(f"form is {form!r}. Expected 'orthodox' or 'as_released'.")


def labeler_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Of the Labeler on real images: the cross-entropy the right way round, in the released code too."""
    return label_loss(logits, labels, "orthodox")


def anti_labeler_loss(logits: Tensor, labels: Tensor, form: Form = "orthodox") -> Tensor:
    """Of the Anti-Labeler on generated images, in the form in which the generator works against it."""
    return label_loss(logits, labels, form)


def anti_labeler_weight(t: int, decay: float | None) -> float:
    """exp(-t / T) at iteration t from 0; 1 for ever where T is None, as in the theory."""
    return 1.0 if decay is None else math.exp(-t / decay)


def generator_loss(
    fake: Tensor,
    labeler: Tensor,
    anti_labeler: Tensor | None,
    labels: Tensor,
    weight: float,
    gan_term: GANTerm = "non_saturating",
    form: Form = "orthodox",
    label_weight: float = 1.0,
) -> Tensor:
    """L_GAN + label_weight (L_LR - weight L_LG).

    Args:
        fake: (B,) the discriminator's logits for the generator's images.
        labeler, anti_labeler: (B, d) logits for these images; None leaves the Anti-Labeler's term out.
        labels: (B, d) that they were drawn for.
        weight: of the Anti-Labeler's term.
        gan_term: see gan_loss.
        form: see label_loss.
        label_weight: of both labelers' terms, which are means over labels; d gives their sums.
    """
    of_labels = label_loss(labeler, labels, form)
    if anti_labeler is not None:
        of_labels = of_labels - weight * label_loss(anti_labeler, labels, form)
    return gan_loss(fake, gan_term) + label_weight * of_labels
