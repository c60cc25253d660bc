"""Random Fourier features of a spectral mixture, for all components at once.

M spectral points f = mu_q + sigma_q eps in all, m_q of them of component q. Features are
sqrt(w_q / m_q) [cos 2 pi f.x, sin 2 pi f.x], so that their inner product is the kernel in expectation; the diagonal is
exact.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from reprise.models.spectral_mixture.mixture import Mixture


class SpectralPoints(NamedTuple):
    """Frequencies with their weights.

    Attributes:
        f: (..., M, P), cycles a unit of x.
        amplitude: (..., M), sqrt(w_q / m_q).
    """

    f: Tensor
    amplitude: Tensor


def belongs(counts: Tensor) -> Tensor:
    """Which component each spectral point belongs to, as a matrix (..., M, Q) of zeros and ones in float64.

    A product with it is a GEMM, and its gradient too: no scattered additions, so it is deterministic everywhere.

    Args:
        counts: m_q (..., Q), whole numbers with one sum M.
    """
    ends = counts.cumsum(-1)
    point = torch.arange(int(ends.reshape(-1, ends.shape[-1])[0, -1]), device=counts.device)
    before = (ends - counts)[..., None, :]
    return ((point[:, None] >= before) & (point[:, None] < ends[..., None, :])).double()


def spectral_points(mixture: Mixture, counts: Tensor, member: Tensor, noise: Tensor) -> SpectralPoints:
    """Draw spectral points.

    Args:
        mixture: Q components.
        counts: m_q (..., Q), at least 1 each.
        member: `belongs(counts)`, (..., M, Q).
        noise: standard normal (..., M, P).
    """
    f = member @ mixture.mu + (member @ mixture.sigma) * noise
    amplitude = (member @ (mixture.w / counts)[..., None])[..., 0].sqrt()
    return SpectralPoints(f, amplitude)


def features(x: Tensor, points: SpectralPoints) -> Tensor:
    """Phi (..., N, 2M), cosines before sines, of x (N, P)."""
    phase = 2.0 * math.pi * (x @ points.f.mT)
    amplitude = points.amplitude[..., None, :]
    return torch.cat([amplitude * phase.cos(), amplitude * phase.sin()], -1)
