"""The forward process and its posterior, as pure functions (Ho et al. 2020, eqs. 4, 6, 7)."""

from __future__ import annotations

from torch import Tensor


def per_example(value: Tensor, like: Tensor) -> Tensor:
    """Reshape (B,) values so that they broadcast over `like`, (B, ...), in its dtype and on its device."""
    return value.to(like).reshape(-1, *([1] * (like.ndim - 1)))


def diffuse(x_0: Tensor, level: Tensor, noise: Tensor) -> Tensor:
    """Draw from q(x_n | x_0): level * x_0 + sqrt(1 - level^2) * noise (eq. 4).

    Args:
        x_0: (B, ...) clean data.
        level: (B,) sqrt(alpha_bar), in float64 where precision near 1 matters.
        noise: standard normal, shape of x_0.
    """
    spread = (1.0 - level.double() ** 2).clamp_min(0.0).sqrt()
    return per_example(level, x_0) * x_0 + per_example(spread, x_0) * noise


def posterior_weights(alpha_bar: Tensor, alpha_bar_before: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of x_0 and x_n in the mean of q(x_{n-1} | x_n, x_0), and its variance (eqs. 6 and 7), each (B,)."""
    beta = 1.0 - alpha_bar / alpha_bar_before
    weight_0 = alpha_bar_before.sqrt() * beta / (1.0 - alpha_bar)
    weight_n = (1.0 - beta).sqrt() * (1.0 - alpha_bar_before) / (1.0 - alpha_bar)
    return weight_0, weight_n, (1.0 - alpha_bar_before) / (1.0 - alpha_bar) * beta


def posterior(x_0: Tensor, x_n: Tensor, alpha_bar: Tensor, alpha_bar_before: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(x_{n-1} | x_n, x_0) (eqs. 6 and 7).

    Args:
        x_0, x_n: (B, ...).
        alpha_bar, alpha_bar_before: (B,) at n and n - 1.

    Returns:
        mean (B, ...) and variance (B,).
    """
    weight_0, weight_n, variance = posterior_weights(alpha_bar, alpha_bar_before)
    return per_example(weight_0, x_0) * x_0 + per_example(weight_n, x_n) * x_n, variance


def predicted_x_0(x_n: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Invert `diffuse`: the x_0 that a predicted noise stands for."""
    spread = (1.0 - level.double() ** 2).clamp_min(0.0).sqrt()
    return (x_n - per_example(spread, x_n) * noise) / per_example(level, x_n)


def reverse_mean(x_n: Tensor, noise: Tensor, alpha: float, alpha_bar: float) -> Tensor:
    """Mean of p(x_{n-1} | x_n) from a predicted noise (eq. 11; WaveGrad, Algorithm 2, line 4)."""
    return (x_n - (1.0 - alpha) / (1.0 - alpha_bar) ** 0.5 * noise) / alpha**0.5
