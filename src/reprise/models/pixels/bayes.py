"""Classification by Bayes' rule with a class-conditional density: p(y | x) = p(x | y) p(y) / p(x), p(y) uniform."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from reprise.nn.pixels.network import PixelNetwork


def log_joint(network: PixelNetwork, image: Tensor) -> Tensor:
    """Log p(x | y) + log p(y) for every class y, with equal priors; its log-sum-exp is log p(x).

    Args:
        network: conditioned on the class.
        image: (B, C, H, W) whole numbers.

    Returns:
        (B, K) nats.
    """
    classes = network.shape.classes
    label = torch.arange(classes, device=image.device)
    columns = [network.log_prob(image, label[k].expand(len(image))) for k in range(classes)]
    return torch.stack(columns, 1) - math.log(classes)
