"""The Swiss roll in two dimensions, scaled by a constant to variance 1."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from reprise.config.errors import ConfigError
from reprise.data.generated.base import Distribution

_FIRST, _LAST = 1.5 * math.pi, 4.5 * math.pi  # angles of the two ends
_NODES = 100_000  # of the midpoint rule; the moments are exact to ten digits


class SwissRoll(Distribution):
    """Points (t cos t, t sin t), t uniform from 1.5 pi to 4.5 pi: x and z of scikit-learn's `make_swiss_roll`.

    Points are divided by one constant, so that E |x|^2 = 2: "scaled by a constant to give them variance 1", "unit
    norm", not whitened (Sohl-Dickstein et al. 2015, Table 1 and Appendix A). They are not shifted.

    Args:
        noise: standard deviation of Gaussian noise added to each coordinate before scaling, as in scikit-learn's.
    """

    name: ClassVar[str] = "swiss_roll"

    def __init__(self, noise: float = 0.0) -> None:
        if noise < 0.0:
            raise ConfigError(f"noise is {noise:g}. Expected 0 or more.")
        self.noise = noise
        nodes = curve((np.arange(_NODES) + 0.5) / _NODES)
        self.scale = float(np.sqrt((nodes**2).mean() + noise**2))

    @property
    def dims(self) -> int:
        """Two."""
        return 2

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One point (2,)."""
        point = curve(rng.random()) + self.noise * rng.standard_normal(2)
        return (point / self.scale).astype(np.float32)

    def settings(self) -> dict[str, Any]:
        """Noise and scaling."""
        return {"noise": self.noise, "scale": self.scale}


def curve(share: np.ndarray | float) -> np.ndarray:
    """Points (..., 2) of the roll, unscaled, at shares (...) of the way in t from its inner to its outer end."""
    t = _FIRST + (_LAST - _FIRST) * np.asarray(share)
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=-1)
