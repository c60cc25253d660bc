"""Feature networks: what turns images into the numbers that FID and Inception Score are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError, DataError, UserError


class FeatureNetwork(ABC):
    """A network with fixed weights, loaded at its first use.

    It is no `nn.Module` itself and keeps its network out of pickles and copies, so that a LightningModule which holds
    one neither counts its parameters nor saves them in checkpoints.

    Args:
        weights: file of its weights, for a network that does not come with them.

    Attributes:
        name: part of the metrics' names.
        version: raised when the same image gives other features.
        dims: D, numbers of a feature vector.
        classes: K of the logits, None where the network has none and so gives no score.
        batch: images that go through the network at once.
        takes_weights: whether a file of weights can be given.

    Raises:
        ConfigError: a file is given to a network that comes with its weights.
    """

    name: str
    version: int = 1
    dims: int
    classes: int | None = None
    batch: int = 128
    takes_weights: bool = False

    def __init__(self, weights: str | None = None) -> None:
        if weights is not None and not self.takes_weights:
            raise ConfigError(
                f"model.quality.features.weights={weights}, but {self.name} features come with their weights. Set it "
                "to null."
            )
        self.weights = weights
        self._network: nn.Module | None = None

    @property
    def key(self) -> str:
        """What decides the features of an image: one word for each set of weights."""
        return f"{self.name}-v{self.version}"

    @abstractmethod
    def build(self) -> nn.Module:
        """Load the network.

        Returns:
            a module that takes uint8 (B, 3, H, W), 0 to 255, and returns features (B, D) and logits (B, K) or None.

        Raises:
            UserError: what `check` raises.
        """

    @abstractmethod
    def check(self, fetch: bool = True) -> None:
        """Refuse early what could not be loaded; the network itself is not loaded.

        Args:
            fetch: download weights that are missing, where they can be downloaded.

        Raises:
            ConfigError: a package is missing.
            DataError: weights are missing, cannot be fetched, or are other ones.
        """

    def available(self) -> bool:
        """Whether all that the network needs is there already. Fetches nothing."""
        try:
            self.check(fetch=False)
        except UserError:
            return False
        return True

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features and logits of images, in float64, on the images' device.

        The network runs in full float32, whatever precision the model around it has.

        Args:
            images: uint8 (B, 3, H, W), 0 to 255; see `to_bytes`.

        Returns:
            (B, D), and (B, K) or None.
        """
        network = self._loaded(images.device)
        found = []
        with _full_precision(images.device):
            for part in images.split(self.batch):
                found.append(network(part))
        features = torch.cat([f.double() for f, _ in found]) if found else images.new_zeros(0, self.dims).double()
        if self.classes is None:
            return features, None
        return features, torch.cat([y.double() for _, y in found])

    def _loaded(self, device: torch.device) -> nn.Module:
        # outside Lightning's inference mode, so that the weights stay plain tensors; torch's layers draw initial
        # weights from the global state, which belongs to the model's training
        with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
            if self._network is None:
                self._network = self.build().eval().requires_grad_(False)
            self._network = self._network.to(device)
        return self._network

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_network": None}


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """No gradients, no autocast, no TF32, the same algorithms each time."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.no_grad(),
            torch.autocast(device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


def to_bytes(images: Tensor, levels: int) -> Tensor:
    """Images as every feature network takes them: three colours of 0 to 255.

    A value v becomes the whole number nearest to 255 v / (levels - 1), halves upwards; grey is repeated.

    Args:
        images: (B, C, H, W) of whole numbers 0 ... levels - 1; C is 1 (grey) or 3 (red, green, blue).
        levels: 2 to 256.

    Returns:
        uint8 (B, 3, H, W).

    Raises:
        DataError: another shape or type, or a value out of range.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.is_floating_point():
        raise DataError(
            f"images are {images.dtype} of shape {tuple(images.shape)}. Expected whole numbers (B, 1, H, W) or "
            "(B, 3, H, W)."
        )
    if images.numel() and not 0 <= int(images.min()) <= int(images.max()) < levels:
        raise DataError(
            f"images hold values from {int(images.min())} to {int(images.max())}. Expected 0 to {levels - 1}."
        )
    top = levels - 1
    values = images if levels == 256 else (images.long() * 510 + top).div(2 * top, rounding_mode="floor")
    return values.to(torch.uint8).expand(-1, 3, -1, -1)
