"""How much of what came before a Gated PixelCNN cannot see (Gated PixelCNN, section 2.2 and Figure 1)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.gated_pixelcnn.layer import GatedLayer
from reprise.models.gated_pixelcnn.network import GatedPixelCNN


def reach(network: GatedPixelCNN) -> tuple[int, int]:
    """Rows above and columns to either side that the kernels span: the box in which a pixel could be seen."""
    layers: list[GatedLayer] = list(network.layers)  # type: ignore[arg-type]
    columns = sum(layer.kernel // 2 for layer in layers)
    # the vertical kernels span as many rows again below the row above, to which they are shifted
    return columns + (network.stacks == "two"), columns


def seen(network: GatedPixelCNN, draws: int = 8) -> Tensor:
    """Which pixels of the box have a gradient, at the pixel in the middle of the box's last row.

    What kernels span is no matter of training: weights, image and the weights of the output's sum are drawn anew, in
    double precision, so that neither a unit that is off nor an underflow is taken for a pixel that cannot be seen.

    Args:
        network: the model, which is left as it is.
        draws: how often; a gradient in one of them suffices.

    Returns:
        (rows + 1, 2 columns + 1) of bool; the last row is that of the pixel itself.

    Raises:
        ConfigError: the network is conditional.
    """
    if network.conditioning != "none":
        raise ConfigError(
            "a condition is not what hides pixels, and its maps fit one size only. Expected conditioning=none."
        )
    with torch.inference_mode(False), torch.enable_grad():  # gradients, also where a caller evaluates
        return _seen(copy.deepcopy(network).double().eval(), *reach(network), draws)


def _seen(twin: GatedPixelCNN, rows: int, columns: int, draws: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)

    def drawn(shape: torch.Size | tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(next(twin.parameters()).device)

    found = torch.zeros(rows + 1, 2 * columns + 1, dtype=torch.bool)
    for _ in range(draws):
        for parameter in twin.parameters():
            parameter.data = drawn(parameter.shape) / max(1, parameter[0].numel()) ** 0.5
        x = drawn((1, twin.shape.channels, *found.shape)).requires_grad_()
        maps = twin(x)[:, :, rows, columns]
        (gradient,) = torch.autograd.grad((maps * drawn(maps.shape)).sum(), x)
        found |= (gradient[0] != 0).any(0).cpu()
    return found


def blind_spot_percent(network: GatedPixelCNN) -> float:
    """Share of earlier pixels within reach of the kernels whose gradient is exactly zero, in percent.

    One stack of L masked 3x3 layers hides L (L - 1) / 2 of 2 L (L + 1) pixels, up to a quarter; two stacks hide none.

    Args:
        network: an unconditional model.
    """
    found = seen(network).flatten()
    columns = reach(network)[1]
    earlier = len(found) - columns - 1  # up to the pixel itself
    return 100.0 * float((~found[:earlier]).double().mean())
