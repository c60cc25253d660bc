"""The network that FID and Inception Score of papers are measured with."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import urllib.request
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor, nn

from reprise.config.errors import ConfigError, DataError
from reprise.metrics.images.features import FeatureNetwork

FILE = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
SIZE = 95_628_359  # bytes
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
_WITHOUT = "Or leave image quality out: model.quality=null model.val_quality=null monitor=val/bpd."
_PACKAGES = {"torch_fidelity": "torch-fidelity", "torchvision": "torchvision"}


class InceptionOutputs(nn.Module):
    """torch-fidelity's Inception, one pass for features and logits.

    Args:
        weights: state of the network, as the file of weights holds it.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        # The extractor wants to unpickle a file of anything; it gets one of what was read as tensors alone.
        file = io.BytesIO()
        torch.save(weights, file)
        file.seek(0)
        self.extractor: Any = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=file
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 2048) and logits (B, 1008) of uint8 images (B, 3, H, W), which are resized to 299 x 299."""
        features, logits = self.extractor(images)
        return features, logits


class Inception(FeatureNetwork):
    """2048 features and 1008 logits (without bias) of the Inception network of 2015-12-05, by torch-fidelity.

    It is the network of the TTUR code by which papers measure FID, ported to PyTorch with its resizing. For the
    Inception Score papers use OpenAI's code, which runs the same network in TensorFlow: values agree closely, but this
    port is not that code.

    Args:
        weights: file of the weights, under whatever name; None for `weights-inception-2015-12-05-6726825d.pth` in
            torch's own cache ($TORCH_HOME/hub/checkpoints), downloaded when it is missing (96 MB).
    """

    name = "inception"
    version = 1
    dims = 2048
    classes = 1008
    batch = 64
    takes_weights = True

    def __init__(self, weights: str | None = None) -> None:
        super().__init__(weights)
        self._checked: Path | None = None

    @property
    def path(self) -> Path:
        """File of the weights."""
        if self.weights is not None:
            return Path(self.weights).expanduser()
        return Path(torch.hub.get_dir()) / "checkpoints" / FILE

    def check(self, fetch: bool = True) -> None:
        """Look for the packages and for the weights, whose SHA-256 is compared.

        Raises:
            ConfigError: torch-fidelity or torchvision is not installed.
            DataError: there are no weights, they are other ones, or the download failed.
        """
        missing = [name for module, name in _PACKAGES.items() if importlib.util.find_spec(module) is None]
        if missing:
            raise ConfigError(
                f"image quality by Inception needs {' and '.join(missing)}: pip install 'reprise[fid]' (torchvision "
                f"must fit the installed torch {torch.__version__}). {_WITHOUT}"
            )
        path = self.path
        if self._checked == path:
            return
        if not path.is_file():
            if self.weights is not None or not fetch:
                raise DataError(f"{path} is missing. {_by_hand(path)}")
            _download(path)
        elif (found := _sha256(path)) != SHA256:
            raise DataError(
                f"{path} holds other weights than published figures are measured with: SHA-256 is {found}, expected "
                f"{SHA256}. Delete it. {_by_hand(path)}"
            )
        self._checked = path

    def build(self) -> nn.Module:
        """Load the network; see `check` for what it raises."""
        self.check()
        return InceptionOutputs(torch.load(self.path, map_location="cpu", weights_only=True))


def _by_hand(path: Path) -> str:
    return (
        f"Fetch {URL} ({SIZE:,} bytes; pytorch-fid's pt_inception-2015-12-05-6726825d.pth is the same file) and put it "
        f"to {path}, or set model.quality.features.weights=FILE. {_WITHOUT}"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(path: Path) -> None:
    """Fetch the weights; the file gets its name when its digest is right."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if path.is_file():  # another process was faster
                return
            with urllib.request.urlopen(URL, timeout=60) as answer, part.open("wb") as file:
                while block := answer.read(1 << 20):
                    file.write(block)
            if (found := _sha256(part)) != SHA256:
                raise OSError(f"SHA-256 of what arrived is {found}, expected {SHA256}")
            os.replace(part, path)
    except OSError as error:
        raise DataError(f"{URL} could not be downloaded: {error}. {_by_hand(path)}") from None
    finally:
        part.unlink(missing_ok=True)
