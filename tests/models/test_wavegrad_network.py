"""The WaveGrad network against the paper's counts, a plain formulation and its own claims."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.config.compose import compose_config
from reprise.config.errors import ConfigError
from reprise.config.instantiate import instantiate
from reprise.models.wavegrad.network import (
    SLOPE,
    DBlock,
    LevelEncoding,
    UBlock,
    UpsamplingConv,
    WaveGradNetwork,
)


def build(arch: str, **changes: Any) -> WaveGradNetwork:
    node = compose_config(["model=wavegrad", f"arch=wavegrad/{arch}"]).values["model"]["network"]
    network = instantiate({**node, **changes})
    assert isinstance(network, WaveGradNetwork)
    return network


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("arch", "changes", "expected"),
    [
        ("base", {}, 15_120_353),  # the paper's 15 M
        ("base", {"downsampling": "strided_odd"}, 15_513_569),
        ("base", {"downsampling": "interpolate", "widen": "first"}, 15_920_993),  # public code, 128 mels
        ("base", {"downsampling": "interpolate", "widen": "first", "n_mels": 80}, 15_810_401),  # and 80 mels
        ("base", {"downsampling": "strided", "widen": "first"}, 17_301_889),
        ("large", {}, 22_597_601),  # the paper's 23 M
        (
            "large",
            {"downsampling": "interpolate", "widen": "first", "repeat_dblocks": True},
            26_645_345,
        ),
    ],
)
def test_parameter_counts(arch: str, changes: dict[str, Any], expected: int) -> None:
    with torch.device("meta"):
        assert count(build(arch, **changes)) == expected


def test_base_splits_its_parameters() -> None:
    with torch.device("meta"):
        network = build("base", downsampling="interpolate", widen="first")
    assert count(network.ublocks) == 8_953_344
    assert count(network.dblocks) == 2_904_064
    assert count(network.films) == 3_767_328
    assert count(network.mel_in) + count(network.wave_in) + count(network.out) == 296_257


def test_level_encoding_vectors() -> None:
    encoding = LevelEncoding(32, 5000.0)
    full, half = encoding(torch.tensor([1.0, 0.5], dtype=torch.float64))
    assert full[:3].tolist() == pytest.approx([-0.9880, 0.0188, -0.7942], abs=1e-4)
    assert full[16].item() == pytest.approx(0.1547, abs=1e-4)
    assert half[:3].tolist() == pytest.approx([-0.6501, -1.0000, -0.8966], abs=1e-4)
    assert half[16].item() == pytest.approx(0.7598, abs=1e-4)


def test_level_encoding_tells_near_levels_apart() -> None:
    levels = torch.tensor([0.9999, 0.9998], dtype=torch.float64)
    a, b = LevelEncoding(512, 5000.0)(levels)
    assert (a - b).norm().item() == pytest.approx(1.9, abs=0.1)
    a, b = LevelEncoding(512, 1.0)(levels)
    assert (a - b).norm().item() < 1e-3


@pytest.mark.parametrize("factor", [1, 2, 3, 5])
def test_upsampling_convolution_equals_repeat_then_convolve(factor: int) -> None:
    torch.manual_seed(factor)
    layer = UpsamplingConv(6, 4, factor).double()
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 7, 6, dtype=torch.float64)
    plain = F.conv1d(x.transpose(1, 2).repeat_interleave(factor, 2), layer.weight, layer.bias, padding=1)
    assert torch.allclose(layer(x), plain.transpose(1, 2), atol=1e-12)


def plain_ublock(block: UBlock, u: Tensor, gamma: Tensor, xi: Tensor) -> Tensor:
    """Figure 4 read literally, channels first."""

    def conv(layer: Any, x: Tensor) -> Tensor:
        k = layer.kernel_size[0]
        return F.conv1d(x, layer.weight, layer.bias, padding=layer.dilation[0] * (k // 2), dilation=layer.dilation[0])

    def lrelu(x: Tensor) -> Tensor:
        return F.leaky_relu(x, SLOPE)

    up = u.repeat_interleave(block.factor, 2)
    main = conv(block.conv_1, lrelu(u).repeat_interleave(block.factor, 2))
    main = conv(block.conv_2, lrelu(gamma * main + xi))
    h = main + conv(block.skip, up)
    second = conv(block.conv_3, lrelu(gamma * h + xi))
    return h + conv(block.conv_4, lrelu(gamma * second + xi))


def test_ublock_is_figure_4() -> None:
    torch.manual_seed(0)
    block = UBlock(6, 4, 3, [1, 2, 4, 8]).double()
    u, gamma, xi = torch.randn(2, 6, 10).double(), torch.randn(2, 4, 30).double(), torch.randn(2, 4, 30).double()
    ours = block(u.transpose(1, 2), (gamma.transpose(1, 2), xi.transpose(1, 2)))
    assert torch.allclose(ours.transpose(1, 2), plain_ublock(block, u, gamma, xi), atol=1e-10)


@pytest.mark.parametrize(
    ("downsampling", "widen"), [("strided", "last"), ("strided_odd", "first"), ("interpolate", "first")]
)
def test_dblock_lowers_the_rate(downsampling: Any, widen: Any) -> None:
    for factor in (2, 3, 5):
        assert DBlock(4, 8, factor, downsampling, widen)(torch.randn(2, 60, 4)).shape == (2, 60 // factor, 8)


def test_a_kernel_of_3_leaves_gaps_at_factor_5_and_an_odd_kernel_does_not() -> None:
    # centres 0, 5, ..., 55 of 60 samples; the first window loses its left half to the padding
    for downsampling, expected in (("strided", 3 * 12 - 1), ("strided_odd", 58)):
        block = DBlock(2, 2, 5, downsampling, "last")  # type: ignore[arg-type]
        x = torch.randn(1, 60, 2, requires_grad=True)
        block(x).sum().backward()
        assert x.grad is not None
        assert int((x.grad[0].abs().sum(1) > 0).sum()) == expected


@pytest.fixture
def tiny() -> WaveGradNetwork:
    torch.manual_seed(0)
    return build("tiny", mel_channels=16, up_channels=[8] * 5, wave_channels=4, down_channels=[4, 4, 8, 8]).double()


def test_gradient_reaches_every_parameter(tiny: WaveGradNetwork) -> None:
    y, mel = torch.randn(2, 1500).double(), torch.randn(2, 128, 5).double()
    tiny(y, mel, torch.tensor([0.3, 0.9])).abs().mean().backward()
    for name, parameter in tiny.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    "changes", [{}, {"downsampling": "strided_odd"}, {"repeat_ublocks": True, "repeat_dblocks": True}]
)
def test_receptive_field_lies_within_the_halo(changes: dict[str, Any]) -> None:
    network = build("tiny", mel_channels=8, up_channels=[4] * 5, wave_channels=4, down_channels=[4] * 4, **changes)
    network = network.double()
    frames, frame = 60, 30
    y = torch.randn(1, frames * 300).double().requires_grad_()
    mel = torch.randn(1, 128, frames).double().requires_grad_()
    network(y, mel, torch.tensor([0.5]))[0, frame * 300 : (frame + 1) * 300].sum().backward()
    assert y.grad is not None
    assert mel.grad is not None
    touched = y.grad[0].nonzero()
    mels = mel.grad[0].abs().sum(0).nonzero()
    reach = max(
        frame - int(touched.min()) / 300,
        int(touched.max()) / 300 - frame - 1,
        frame - int(mels.min()),
        int(mels.max()) - frame,
    )
    assert reach <= network.halo()
    assert network.halo() - reach < 4, "the halo costs more than it has to"


def test_choices_and_lengths_are_checked() -> None:
    with pytest.raises(ConfigError, match="5 factors need 5 up_channels"):
        build("tiny", up_channels=[8, 8])
    with pytest.raises(ConfigError, match="even"):
        build("tiny", wave_channels=3)
    with pytest.raises(ConfigError, match="expected 1"):
        build("tiny", dilations=[[2, 2, 4, 8]] * 5)


def test_weights_are_orthogonal_in_blocks(tiny: WaveGradNetwork) -> None:
    weight = tiny.ublocks[1][0].conv_2.weight.flatten(1)  # type: ignore[index, union-attr]
    assert torch.allclose(weight @ weight.T, torch.eye(len(weight)).double(), atol=1e-5)


def test_hop_is_the_product_of_the_factors(tiny: WaveGradNetwork) -> None:
    assert tiny.hop_length == math.prod([5, 5, 3, 2, 2]) == 300
