"""Log-likelihood of test images under Gaussian windows around samples, as Goodfellow et al. 2014 estimate it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.metrics.base import WeightedMean

_BLOCK = 2**22  # distances held at once, 32 MiB


def default_sigmas() -> list[float]:
    """Widths that are tried: ten from 0.1 to 1, evenly in their logarithm (Goodfellow et al. 2014, code)."""
    return [10 ** (-1 + i / 9) for i in range(10)]


def _rows(images: Tensor) -> Tensor:
    return images.flatten(1).double()


def _blocks(images: Tensor, samples: Tensor) -> Sequence[Tensor]:
    return images.split(max(1, _BLOCK // len(samples)))


def _squared_distances(images: Tensor, samples: Tensor) -> Tensor:
    """|x_i - s_k|^2, (B, N) in float64; the products are a matrix product, of which rounding may leave -1e-13."""
    squares = images.square().sum(1)[:, None] + samples.square().sum(1)
    return torch.addmm(squares, images, samples.T, alpha=-2).clamp_min_(0.0)


def _log_windows(distances: Tensor, sigma: float, dims: int) -> Tensor:
    count = distances.shape[1]
    normaliser = dims * math.log(sigma * math.sqrt(2 * math.pi)) + math.log(count)
    return torch.logsumexp(distances / (-2 * sigma**2), dim=1) - normaliser


def parzen_log_prob(images: Tensor, samples: Tensor, sigma: float) -> Tensor:
    """Log of the mean of N(x; s, sigma^2 I) over all samples s, in nats.

    Args:
        images: x, (B, ...) of D numbers each.
        samples: s, (N, ...) of D numbers each.
        sigma: width of the windows, in units of the numbers.

    Returns:
        (B,) float64.
    """
    x, s = _rows(images), _rows(samples)
    found = [_log_windows(_squared_distances(block, s), sigma, s.shape[1]) for block in _blocks(x, s)]
    return torch.cat(found)


def choose_sigma(samples: Tensor, validation: Tensor, sigmas: Sequence[float]) -> float:
    """Width under which validation images have the largest mean log-likelihood; the first of equal ones.

    Args:
        samples: (N, ...).
        validation: (V, ...).
        sigmas: widths to try.

    Raises:
        ConfigError: there is no width to try, or one that is not positive.
    """
    if not sigmas or min(sigmas) <= 0:
        raise ConfigError(f"the widths of the Parzen windows are {list(sigmas)}. Expected some, each above 0.")
    x, s = _rows(validation), _rows(samples)
    totals = torch.zeros(len(sigmas), dtype=torch.float64, device=x.device)
    for block in _blocks(x, s):
        distances = _squared_distances(block, s)
        totals += torch.stack([_log_windows(distances, sigma, s.shape[1]).sum() for sigma in sigmas])
    return sigmas[int(totals.argmax())]


class ParzenLogLikelihood(WeightedMean):
    """Mean log-likelihood of test images under Gaussian windows around samples of a model, in nats per image.

    The protocol of Goodfellow et al. 2014: 10,000 samples and images of MNIST on the scale 0 to 1, the width chosen of
    ten by the first 1,000 validation images, the mean over all test images and its standard error. It says little of a
    model: the paper gives 349 bits to windows around training images, and values depend on width and number of samples.

    Samples are the same on every process and no state; sums over the test images are, so that the number of processes
    and the order of images do not matter.

    Attributes:
        sigma: width of the windows, NaN before `fit`.
        standard_error: of the mean that `compute` returned last: standard deviation over images / sqrt(their number).
    """

    version: ClassVar[int] = 1
    unit: ClassVar[str] = "nats"
    higher_is_better: bool | None = True

    def __init__(self) -> None:
        super().__init__()
        self.add_state("squares", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.squares: Tensor
        self.sigma = math.nan
        self.standard_error = torch.tensor(math.nan)
        self._samples: Tensor | None = None

    def fit(self, samples: Tensor, validation: Tensor, sigmas: Sequence[float] | None = None) -> None:
        """Put windows around samples, and choose their width.

        Args:
            samples: (N, ...), on the scale of the images.
            validation: (V, ...) images that decide the width.
            sigmas: widths to try; None for `default_sigmas`.

        Raises:
            ValueError: there are no samples or validation images, or they are of different sizes.
        """
        if not len(samples) or not len(validation) or samples[0].numel() != validation[0].numel():
            raise ValueError(
                f"expected samples and validation images of one size; received {tuple(samples.shape)}, "
                f"{tuple(validation.shape)}"
            )
        self._samples = samples
        self.sigma = choose_sigma(samples, validation, default_sigmas() if sigmas is None else sigmas)

    def update(self, images: Tensor) -> None:
        """Add test images (B, ...).

        Raises:
            RuntimeError: `fit` has not been called.
        """
        if self._samples is None:
            raise RuntimeError("there are no samples yet. Expected fit(samples, validation) before update(images)")
        log_prob = parzen_log_prob(images, self._samples, self.sigma)
        self.add_each(log_prob)
        self.squares += log_prob.square().sum().to(self.squares)

    def compute(self) -> Tensor:
        """Return the mean log-likelihood in nats, NaN when nothing was added, and set `standard_error` beside it."""
        mean = super().compute()
        self.standard_error = ((self.squares / self.weight - mean**2).clamp_min(0.0) / self.weight).sqrt()
        return mean
