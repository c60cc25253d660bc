"""The network for images of Sohl-Dickstein et al. 2015 (Appendix D.2.1, Figure D.1).

Two pathways lead from x^(t) to features of each pixel: multi-scale convolutions, and dense layers over the whole image.
Layers with 1x1 kernels follow, and a linear one that gives coefficients y of J functions of time, from which z^mu and
z^Sigma are read out at t. Time is no input of the network itself.

Shapes: B images, C colours, n pixels a side, F features of a pixel, J bumps, T steps.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from reprise.config.errors import ConfigError
from reprise.nn.images import ImageShape

Style = Literal["paper", "code"]
_LEAK = 0.05  # code


def bump_functions(steps: int, bumps: int, width: float = 1.0) -> Tensor:
    """Functions of time g_j(t) = exp(-(t - tau_j)^2 / 2 w^2) / sum_k exp(-(t - tau_k)^2 / 2 w^2), equation 63.

    The centres tau lie evenly from the first step to the last (code; the paper says between 0 and T).

    Args:
        steps: T.
        bumps: J.
        width: w in units of the spacing of the centres: 1 in the paper, 1/2 in the code.

    Returns:
        (T, J) float64, row t - 1 for step t; each row sums to one.

    Raises:
        ConfigError: a number is not positive.
    """
    for name, value in (("steps", steps), ("bumps", bumps), ("bump_width", width)):
        if value <= 0:
            raise ConfigError(f"{name} of the network is {value}. Expected more than 0.")
    t = torch.linspace(-1, 1, steps, dtype=torch.float64)[:, None]
    tau = torch.linspace(-1, 1, bumps, dtype=torch.float64)
    w = width * 2 / max(bumps - 1, 1)
    return torch.softmax(-((t - tau) ** 2) / (2 * w**2), dim=1)


class MultiScaleConvolution(nn.Module):
    """Convolution of an image and of smaller copies of it (Appendix D.2.1, "Multi-Scale Convolution").

    1. The image is halved by mean pooling, again and again. 2. Each size has a 3x3 convolution of its own. 3. All are
    enlarged to full size by repeating pixels, and added. 4. A soft rectifier, log(1 + exp), follows. The code has a
    leaky rectifier at each size instead, before these are added, and takes their mean.

    Args:
        channels: of the input.
        filters: of the output.
        scales: number of sizes; 1 is a common convolution.
        style: where the nonlinearity is, and which.
    """

    def __init__(self, channels: int, filters: int, scales: int, style: Style) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(_convolution(channels, filters) for _ in range(scales))
        self.style = style

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, n, n) to (B, filters, n, n); n is a multiple of 2^(scales - 1)."""
        pyramid = [x]
        for _ in self.convolutions[1:]:
            pyramid.append(functional.avg_pool2d(pyramid[-1], 2))
        *finer, coarsest = zip(pyramid, self.convolutions, strict=True)
        total = self._convolved(*coarsest)
        for image, convolution in reversed(finer):
            total = self._convolved(image, convolution) + functional.interpolate(total, scale_factor=2.0)
        return functional.softplus(total) if self.style == "paper" else total / len(pyramid)

    def _convolved(self, image: Tensor, convolution: nn.Module) -> Tensor:
        found: Tensor = convolution(image)
        return functional.leaky_relu(found, _LEAK) if self.style == "code" else found


class TimeReadout(nn.Module):
    """Linear coefficients of the bump functions, and their sum at t (equation 62).

    z_o(t) = sum_j g_j(t) (w_oj . h + b_oj). Weights are mixed by g(t) before they meet the pixels, which is the same
    sum at a J-th of the cost.

    Args:
        features: F.
        outputs: values of a pixel.
        steps: T.
        bumps: J.
        width: of the bumps, in units of their spacing.
    """

    g: Tensor

    def __init__(self, features: int, outputs: int, steps: int, bumps: int, width: float) -> None:
        super().__init__()
        weight = nn.init.orthogonal_(torch.empty(outputs * bumps, features))  # code
        self.weight = nn.Parameter(weight.view(outputs, bumps, features))
        self.bias = nn.Parameter(torch.zeros(outputs, bumps))
        self.register_buffer("g", bump_functions(steps, bumps, width).float(), persistent=False)

    def forward(self, h: Tensor, t: Tensor) -> Tensor:
        """(B, F, n, n) features and (B,) steps 1 ... T to (B, outputs, n, n)."""
        g_BJ = self.g[t - 1]
        weight_BOF = torch.einsum("bj,ojf->bof", g_BJ, self.weight)
        bias_BO = g_BJ @ self.bias.T
        z = torch.baddbmm(bias_BO[:, :, None], weight_BOF, h.flatten(2))
        return z.view(len(h), -1, *h.shape[2:])


class ImageNetwork(nn.Module):
    """Mean and variance of a reverse step, before the chain makes them a mean and a variance.

    Args:
        shape: of the images.
        steps: T (paper: 1000, and 500 for bark).
        bumps: J (code: 10).
        bump_width: w in units of the bumps' spacing: 1 (paper), 1/2 (code).
        convolution_layers: multi-scale convolutions; 0 leaves that pathway out (paper: for MNIST).
        filters: of each of them.
        scales: sizes of the image that each of them sees.
        dense_layers: layers over the whole image; 0 leaves that pathway out (paper: in use for CIFAR-10 and MNIST).
        dense_hidden: units of each of them, but for the last.
        dense_outputs: features of each pixel that the last of them gives.
        pixel_layers: layers with 1x1 kernels, the readout being the last of them.
        pixel_hidden: features of a pixel between these.
        style: "paper": softplus after the sizes are added, tanh in all other layers; "code": leaky rectifiers, those of
            the convolutions before the sizes are averaged.

    Raises:
        ConfigError: a number is out of range, there is no pathway, or the images cannot be halved so often.
    """

    def __init__(
        self,
        shape: ImageShape,
        steps: int = 1000,
        bumps: int = 10,
        bump_width: float = 1.0,
        convolution_layers: int = 4,
        filters: int = 20,
        scales: int = 1,
        dense_layers: int = 4,
        dense_hidden: int = 500,
        dense_outputs: int = 2,
        pixel_layers: int = 2,
        pixel_hidden: int = 20,
        style: Style = "paper",
    ) -> None:
        super().__init__()
        layers = {"convolution_layers": convolution_layers, "dense_layers": dense_layers}
        sizes = {
            "filters": filters,
            "scales": scales,
            "dense_hidden": dense_hidden,
            "dense_outputs": dense_outputs,
            "pixel_layers": pixel_layers,
            "pixel_hidden": pixel_hidden,
        }
        for lowest, numbers in ((0, layers), (1, sizes)):
            for name, value in numbers.items():
                if value < lowest:
                    raise ConfigError(f"model.network.{name} is {value}. Expected {lowest} or more.")
        if style not in get_args(Style):
            raise ConfigError(f"model.network.style is {style!r}. Expected one of {', '.join(get_args(Style))}.")
        if not convolution_layers and not dense_layers:
            raise ConfigError(
                "convolution_layers and dense_layers are both 0. Expected one of the two pathways at least."
            )
        if convolution_layers and shape.side % 2 ** (scales - 1):
            raise ConfigError(
                f"model.network.scales is {scales}, which halves images of side {shape.side} {scales - 1} times. "
                f"Expected a side that is a multiple of {2 ** (scales - 1)}, or fewer scales."
            )
        self.shape = shape
        self.style = style
        self.steps = steps
        widths = [shape.channels, *[filters] * convolution_layers]
        self.convolutions = nn.Sequential(*(MultiScaleConvolution(i, o, scales, style) for i, o in pairwise(widths)))
        self.dense = self._dense(dense_layers, dense_hidden, dense_outputs)
        # both pathways in use: each has unit weight, however many its features (code)
        both = bool(convolution_layers and dense_layers)
        self.weights = (filters**-0.5, dense_outputs**-0.5) if both else (1.0, 1.0)
        features = filters * bool(convolution_layers) + dense_outputs * bool(dense_layers)
        widths = [features, *[pixel_hidden] * (pixel_layers - 1)]
        self.pixels = nn.Sequential()
        for i, o in pairwise(widths):
            self.pixels.append(_orthogonal(nn.Conv2d(i, o, 1)))
            self.pixels.append(self._nonlinearity())
        self.readout = TimeReadout(widths[-1], 2 * shape.channels, steps, bumps, bump_width)

    def _nonlinearity(self) -> nn.Module:
        return nn.Tanh() if self.style == "paper" else nn.LeakyReLU(_LEAK)

    def _dense(self, layers: int, hidden: int, outputs: int) -> nn.Sequential:
        pixels = self.shape.side**2
        widths = [self.shape.dims, *[hidden] * (layers - 1), outputs * pixels][: layers + 1]
        found = nn.Sequential()
        for i, o in pairwise(widths):
            found.append(_orthogonal(nn.Linear(i, o)))
            found.append(self._nonlinearity())
        return found

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Read out z^mu and z^Sigma.

        Args:
            x: x^(t), (B, C, n, n).
            t: (B,) whole numbers 1 ... T.

        Returns:
            raw mean and raw variance, (B, C, n, n) each.
        """
        features = []
        if len(self.convolutions):
            features.append(self.convolutions(x) * self.weights[0])
        if len(self.dense):
            features.append(self.dense(x.flatten(1)).view(len(x), -1, *x.shape[2:]) * self.weights[1])
        z = self.readout(self.pixels(torch.cat(features, 1)), t)
        raw_mean, raw_variance = z.chunk(2, dim=1)
        return raw_mean, raw_variance


def _convolution(channels: int, filters: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, filters, 3, padding=1)
    # code: made for smooth images, whose neighbouring pixels add up in magnitude rather than in variance
    nn.init.normal_(layer.weight, std=math.sqrt(1 / filters) / 9)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _orthogonal(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """Initial weights of all layers but the convolutions (code)."""
    nn.init.orthogonal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
