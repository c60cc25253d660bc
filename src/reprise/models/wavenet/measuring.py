"""Computing metrics that many processes share."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from torch import Tensor
from torchmetrics import Metric


def computed(metrics: Mapping[str, Metric]) -> dict[str, Tensor]:
    """Values of metrics over all processes, which are then reset.

    A process that held nothing to add, as where there are fewer clips than processes, still takes part, and
    torchmetrics would warn of that.

    Args:
        metrics: by name; every process has to give the same in the same order.

    Returns:
        float32 by name.
    """
    found = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*was called before the ``update`` method", category=UserWarning)
        for name, metric in metrics.items():
            found[name] = metric.compute().float()
            metric.reset()
    return found
