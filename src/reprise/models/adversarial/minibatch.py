"""Minibatch features (Salimans et al. 2016): how near an example is to the others of its batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reprise.models.adversarial.together import gathered


class MinibatchFeatures(nn.Module):
    """Kernels of nearness, averaged over the global batch.

    With rows M_ik = (W h_i)_k, feature k of example i is the mean over examples j, itself among them, of
    exp(-|M_ik - M_jk|_1).

    Args:
        inputs: size of h.
        kernels: features, k.
        dims: size of a row M_ik.
    """

    def __init__(self, inputs: int, kernels: int, dims: int) -> None:
        super().__init__()
        # a bias would cancel in all differences: its gradient is 0, and Adam would step on its rounding errors
        self.linear = nn.Linear(inputs, kernels * dims, bias=False)
        self.kernels = kernels
        self.dims = dims

    def forward(self, h: Tensor) -> Tensor:
        """Features (B, kernels) in (0, 1] of h (B, inputs)."""
        rows = self.linear(h).view(len(h), self.kernels, self.dims)
        own = rows.to(torch.promote_types(rows.dtype, torch.float32)).transpose(0, 1)
        everyone = gathered(own.transpose(0, 1)).transpose(0, 1)
        # (kernels, B, all): torch.cdist needs no (B, all, kernels, dims)
        distances = torch.cdist(own.contiguous(), everyone.contiguous(), p=1.0)
        return torch.exp(-distances).mean(-1).T.to(h.dtype)
