"""Pictures of spectral mixtures."""

from __future__ import annotations

import numpy as np
import torch

from reprise.models.spectral_mixture.initial import periodogram
from reprise.models.spectral_mixture.mixture import Mixture, power
from reprise.samples.curves import Curve

_FLOOR = 1e-9  # least share that is drawn


@torch.no_grad()
def density_curve(mixture: Mixture, x: np.ndarray, y: np.ndarray, x_label: str) -> Curve:
    """Power of the learnt mixture and of the data's periodogram by frequency, as shares of all that is shown.

    Args:
        mixture: of one input.
        x: training inputs (N,).
        y: training targets (N,).
        x_label: what x is, with its unit.
    """
    frequencies, density = periodogram(x, y)
    step = frequencies[1] - frequencies[0]
    edges = torch.from_numpy(np.append(frequencies, frequencies[-1] + step) - 0.5 * step).clamp(min=0.0)
    learnt = power(Mixture(*(part.detach().cpu() for part in mixture)), edges).numpy()
    shares = [np.maximum(part / max(part.sum(), 1e-300), _FLOOR).tolist() for part in (learnt, density)]
    return Curve(
        name="spectral_density",
        caption="spectral density, learnt and of the training data",
        group="spectral density",
        x=(f"frequency, cycles a unit of {x_label}", frequencies.tolist()),
        series={"learnt": shares[0], "periodogram": shares[1]},
        log_y=True,
    )
