"""Where mixed precision would spoil a likelihood."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_full_precision(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a network's last layer outside autocast: 8 bits of a mean or a logit are worth hundredths of a bit."""
    if not torch.is_autocast_enabled(x.device.type):
        return layer(x)
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())
