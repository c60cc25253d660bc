"""The losses of critic and controller: WGAN with gradient penalty (Gulrajani et al. 2017), the choice of the paper.

Shapes: R replicas, B rows, m inputs of the critic.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Judge = Callable[[Tensor], Tensor]  # (R, B, m) to (R, B)


def mixed_rows(real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """Rows between: alpha real + (1 - alpha) fake, with alpha (R, B) one number a row."""
    return alpha[:, :, None] * real + (1.0 - alpha[:, :, None]) * fake


def gradient_penalty(critic: Judge, mixed: Tensor) -> Tensor:
    """E (|grad D| - 1)^2 over mixed rows: (R,), by differentiating twice."""
    mixed = mixed.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return (torch.linalg.vector_norm(gradient, dim=2) - 1.0).square().mean(1)


def critic_loss(
    critic: Judge, real: Tensor, fake: Tensor, alpha: Tensor, penalty: float, weight: Tensor | None = None
) -> Tensor:
    """E D(fake) - E D(real) + penalty E (|grad D(mixed)| - 1)^2: (R,).

    `Critic.gradient` is the same in closed form.

    Args:
        critic: D.
        real: (R, B, m).
        fake: (R, B, m).
        alpha: (R, B), uniform on [0, 1].
        penalty: lambda.
        weight: (R, B) of the real rows; None: all 1.
    """
    of_real = critic(real) if weight is None else weight * critic(real)
    slope = gradient_penalty(critic, mixed_rows(real, fake, alpha))
    return critic(fake).mean(1) - of_real.mean(1) + penalty * slope


def controller_loss(critic: Judge, fake: Tensor) -> Tensor:
    """-E D(fake): (R,)."""
    return -critic(fake).mean(1)
