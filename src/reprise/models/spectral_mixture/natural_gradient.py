"""Adam on an approximate natural gradient of means and scales (Jung et al.).

The Fisher information of N(mu, sigma^2) in (log mu, log sigma) is diag(mu^2 / sigma^2, 2), so the natural gradient is
(sigma / mu)^2 times the gradient by log mu, and half of that by log sigma.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from reprise.config.errors import ConfigError

Kind = Literal["normalised", "fisher"]
_TINY = 1e-8


def natural_scale(grad: Tensor, kind: Kind) -> Tensor:
    """The natural gradient by log sigma (..., P).

    Args:
        grad: the gradient.
        kind: normalised, to length 1 over the last dimension, as released; fisher, as it is.
    """
    return _unit(0.5 * grad) if kind == "normalised" else 0.5 * grad


def natural_mean(grad: Tensor, mu: Tensor, sigma: Tensor, kind: Kind, cap: float) -> Tensor:
    """The natural gradient by log mu (..., P).

    Args:
        grad: the gradient.
        mu: means (..., P).
        sigma: deviations (..., P), after their own step.
        kind: normalised or fisher.
        cap: the most that (sigma / mu)^2 may be in `fisher`: a mean near 0 has no scale of its own.
    """
    factor = (sigma / (mu + _TINY)).square()
    return _unit(factor * grad) if kind == "normalised" else factor.clamp(max=cap) * grad


def _unit(vector: Tensor) -> Tensor:
    """Divide by the length over the last dimension; for one input that leaves the sign."""
    return vector / (vector.norm(dim=-1, keepdim=True) + _TINY)


class NaturalAdam(torch.optim.Optimizer):
    """Adam whose gradients by means and scales are natural ones.

    Parameter groups say in `role` what they hold: `log_mean`, `log_scale`, or anything else, which gets plain Adam.
    Scales take their step first, whatever the order of the groups.

    Args:
        params: groups.
        lr, betas, eps: as in Adam.
        kind: normalised, as released; fisher, with the true scaling.
        cap: of (sigma / mu)^2 in `fisher`.

    Raises:
        ConfigError: a value is out of range, or groups do not pair means with scales.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        kind: Kind = "normalised",
        cap: float = 10.0,
    ) -> None:
        if kind not in get_args(Kind):
            raise ConfigError(f"model.optimizer.kind is {kind!r}. Expected one of {', '.join(get_args(Kind))}.")
        if lr < 0.0 or not all(0.0 <= b < 1.0 for b in betas) or cap <= 0.0:
            raise ConfigError(f"lr={lr}, betas={list(betas)}, cap={cap}. Expected lr >= 0, betas in [0, 1), cap > 0.")
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "role": "other"})
        self.kind: Kind = kind
        self.cap = cap
        if [len(self._of("log_mean")), len(self._of("log_scale"))] != [1, 1]:
            raise ConfigError("NaturalAdam needs one parameter with role log_mean and one with role log_scale.")

    def _of(self, role: str) -> list[Tensor]:
        return [p for group in self.param_groups if group["role"] == role for p in group["params"]]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Take a step: scales, then means, then the rest."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        order = {"log_scale": 0, "log_mean": 1}
        for group in sorted(self.param_groups, key=lambda g: order.get(g["role"], 2)):
            for p in group["params"]:
                if p.grad is not None:
                    self._adam(p, self._direction(p, group["role"]), group)
        return loss

    def _direction(self, p: Tensor, role: str) -> Tensor:
        assert p.grad is not None
        if role == "log_scale":
            return natural_scale(p.grad, self.kind)
        if role == "log_mean":
            (log_scale,) = self._of("log_scale")
            return natural_mean(p.grad, p.exp(), log_scale.exp(), self.kind, self.cap)
        return p.grad

    def _adam(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
        state["step"] += 1
        step, (first, second) = int(state["step"]), group["betas"]
        state["exp_avg"].lerp_(grad, 1.0 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(grad, grad, value=1.0 - second)
        scale = (state["exp_avg_sq"].sqrt() / math.sqrt(1.0 - second**step)).add_(group["eps"])
        p.addcdiv_(state["exp_avg"], scale, value=-group["lr"] / (1.0 - first**step))
