"""The autoregressive image networks that the benchmarks measure, at one small size each."""

from __future__ import annotations

import torch

from benchmarks.timing import module_of
from reprise.nn.pixels.network import PixelNetwork

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ARCHS = {
    "pixelcnn": "base",
    "row_lstm": "base",
    "diagonal_bilstm": "mnist",
    "multiscale_pixelrnn": "small",
    "gated_pixelcnn": "mnist",
    "pixelcnn_pp": "small",
}
IMAGES = {"28x28 binary": ("binarized_mnist", 28), "32x32 RGB": ("cifar10", 32)}


def network(model: str, data: str = "binarized_mnist", side: int = 28, *overrides: str) -> PixelNetwork:
    """A network with new weights, on the GPU where there is one; in training mode.

    Args:
        model: a key of ARCHS.
        data: images: their channels and levels.
        side: of the images.
        overrides: further ones, such as "model.network.hidden=8".
    """
    words = [f"model={model}", f"arch={model}/{ARCHS[model]}", f"data={data}", f"data.shape.side={side}"]
    if model == "multiscale_pixelrnn":
        words.append(f"model.network.side={side // 4}")
    made: PixelNetwork = module_of(*words, *overrides).network
    return made.to(DEVICE)


def parameters(of: torch.nn.Module) -> str:
    return f"{sum(p.numel() for p in of.parameters()):,}"
