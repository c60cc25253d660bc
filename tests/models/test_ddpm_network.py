"""The DDPM U-Net: size, agreement with a literal form, time embedding, initial weights, precision, refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.config.compose import compose_config, group_choices
from reprise.config.errors import ConfigError
from reprise.config.instantiate import instantiate
from reprise.config.paths import conf_dir
from reprise.models.ddpm.blocks import AttnBlock, Block, Down, GroupNorm, ResBlock, TimeEmbedding, Up
from reprise.models.ddpm.network import UNet
from reprise.nn.images import ImageShape
from tests.models import ddpm_literal as literal

RGB, GREY = ImageShape(3, 8), ImageShape(1, 8, 17)
SMALL: dict[str, Any] = {"channels": 8, "multipliers": (1, 2), "blocks": 1, "attention": (4,), "dropout": 0.0}


def made(shape: ImageShape = RGB, **sizes: Any) -> UNet:
    return UNet(shape, **(SMALL | sizes))


def randomised(module: Any, seed: int = 0) -> Any:
    """The module with weights that leave no layer idle, in float64."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for p in module.parameters():
            fan = p[0].numel() if p.dim() > 1 else 4
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype) / fan**0.5)
    return module


def inputs(shape: ImageShape = RGB, batch: int = 2, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(batch)
    x = torch.randn(batch, shape.channels, shape.side, shape.side, generator=generator, dtype=dtype)
    return x, torch.randint(0, 1000, (batch,), generator=generator)


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("shape", "channels", "multipliers", "count"),
    [
        (ImageShape(3, 32), 128, (1, 2, 2, 2), 35_746_307),  # 35.7 million in the paper
        (ImageShape(3, 256), 128, (1, 1, 2, 2, 4, 4), 113_673_219),  # 114 million
        (ImageShape(3, 256), 192, (1, 1, 2, 2, 4, 4), 255_677_955),  # about 256 million
    ],
)
def test_has_the_parameters_of_the_paper(shape: ImageShape, channels: int, multipliers: Any, count: int) -> None:
    with torch.device("meta"):
        assert parameters(UNet(shape, channels, multipliers)) == count


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"blocks": 2},
        {"multipliers": (1,), "attention": (8,)},
        {"multipliers": (2, 1, 3), "attention": (8, 2)},
        {"attention": ()},
        {"channels": 24, "multipliers": (1, 2)},
        {"learned_variance": True},
    ],
)
@pytest.mark.parametrize("shape", [RGB, GREY])
def test_computes_what_the_paper_describes(shape: ImageShape, sizes: dict[str, Any]) -> None:
    network = randomised(made(shape, **sizes))
    x, t = inputs(shape)
    size = SMALL | sizes
    wanted = literal.forward(network, x, t, len(size["multipliers"]), size["blocks"])
    torch.testing.assert_close(network(x, t), wanted)


def test_gradients_are_those_of_the_literal_form() -> None:
    network = randomised(made(blocks=2))
    x, t = inputs()
    weights = torch.randn_like(x)
    wanted = torch.autograd.grad((literal.forward(network, x, t, 2, 2) * weights).sum(), list(network.parameters()))
    for a, b in zip(
        torch.autograd.grad((network(x, t) * weights).sum(), list(network.parameters())), wanted, strict=True
    ):
        torch.testing.assert_close(a, b)


def test_time_embedding_is_the_closed_form() -> None:
    embedding = TimeEmbedding(8, 32)
    made = embedding.sinusoids(torch.tensor([0, 1, 999]))
    rates = torch.tensor([10000.0 ** (-i / 3) for i in range(4)], dtype=torch.float64)  # 1, 1/21.5, 1/464.2, 1/10000
    torch.testing.assert_close(made[0], torch.tensor([0.0] * 4 + [1.0] * 4, dtype=torch.float64))
    torch.testing.assert_close(made[1], torch.cat([rates.sin(), rates.cos()]))
    assert made[1, 0].item() == pytest.approx(math.sin(1.0))
    assert made[1, 3].item() == pytest.approx(math.sin(1e-4))
    assert made[2, 0].item() == pytest.approx(math.sin(999.0), abs=1e-12)
    assert made[2, 7].item() == pytest.approx(math.cos(0.0999), abs=1e-12)


def test_time_may_be_broken() -> None:
    network = randomised(made())
    x, _ = inputs()
    whole, broken = (network(x, torch.tensor(t)) for t in ([3, 7], [3.0, 7.5]))
    torch.testing.assert_close(whole[0], broken[0])
    assert not torch.allclose(whole[1], broken[1])


def test_normalises_in_the_papers_groups() -> None:
    assert [GroupNorm(c).num_groups for c in (128, 192, 256, 384, 512, 1024)] == [32] * 6
    assert [GroupNorm(c).num_groups for c in (8, 16, 24, 32, 64, 96)] == [2, 4, 4, 8, 16, 16]
    assert GroupNorm(128).eps == 1e-6


def test_halves_as_tensorflow_pads() -> None:
    down = Down(8)
    with torch.no_grad():
        down.conv.weight.zero_()
        down.conv.weight[:, :, 0, 0] = torch.eye(8)  # picks the first pixel that a step sees
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(down(x), x[:, :, ::2, ::2])


@pytest.mark.parametrize("side", [1, 2, 5])
def test_doubles_as_repeating_and_convolving(side: int) -> None:
    up = randomised(Up(8))
    x = torch.randn(2, 8, side, side + 1, dtype=torch.float64, requires_grad=True)
    wanted = F.conv2d(F.interpolate(x, scale_factor=2.0), up.conv.weight, up.conv.bias, padding=1)
    torch.testing.assert_close(up(x), wanted)
    weights, of = torch.randn_like(wanted), [x, *up.parameters()]
    for a, b in zip(*(torch.autograd.grad((y * weights).sum(), of) for y in (up(x), wanted)), strict=True):
        torch.testing.assert_close(a, b)


def test_starts_at_nearly_zero() -> None:
    network = made(dropout=0.3)
    x, t = inputs(dtype=torch.float32)
    assert 0 < network(x, t).abs().max() < 1e-3
    with torch.no_grad():
        h, embedded = torch.randn(2, 8, 4, 4), torch.randn(2, 32)
        for block in (ResBlock(8, 8, 32, 0.0), Block(8, 8, 32, 0.0, True)):
            assert (block(h, embedded) - h).abs().max() < 1e-3
        assert (AttnBlock(8)(h) - h).abs().max() < 1e-3


def test_weights_start_as_in_the_authors_code() -> None:
    network = made(channels=64)
    for name, p in network.named_parameters():
        if name.endswith("bias"):
            assert not p.any(), name
        elif "norm" in name:
            assert (p == 1).all(), name
        else:
            rows = p.chunk(3) if "qkv" in name else [p]  # three layers of C to C
            for part in rows:
                fan = (part.shape[0] + part.shape[1]) * part[0, 0].numel() / 2
                nearly_zero = name.endswith(("conv_out.weight", "proj.weight"))
                bound = math.sqrt(3.0 / fan) * (1e-5 if nearly_zero else 1.0)
                assert part.abs().max() <= bound * (1 + 1e-6), name
                assert part.std().item() == pytest.approx(bound / math.sqrt(3.0), rel=0.15), name  # uniform


def test_gradients_are_finite_and_reach_every_weight() -> None:
    network = made(dropout=0.1).train()
    x, t = inputs(dtype=torch.float32)
    F.mse_loss(network(x, t), torch.randn_like(x)).backward()
    for name, p in network.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.any(), name


def test_recomputing_gives_the_same_gradients_with_dropout() -> None:
    gradients = []
    for checkpoint in (False, True):
        network = randomised(made(dropout=0.4, checkpoint=checkpoint)).float().train()
        x, t = inputs(dtype=torch.float32)
        torch.manual_seed(3)
        network(x, t).square().mean().backward()
        gradients.append([p.grad.clone() for p in network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    torch.manual_seed(4)
    assert not torch.equal(network(x, t), network(x, t))  # dropout was on


@pytest.mark.parametrize("checkpoint", [False, True])
def test_bfloat16_stays_close(checkpoint: bool) -> None:
    network = randomised(made(channels=32, checkpoint=checkpoint)).float().train()
    x, t = inputs(dtype=torch.float32)
    exact = network(x, t)
    exact.square().mean().backward()
    wanted = torch.cat([p.grad.flatten() for p in network.parameters()])
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        made_there = network(x, t)
    made_there.square().mean().backward()
    assert made_there.dtype == torch.float32  # the last layer keeps full precision
    assert (made_there - exact).abs().mean() < 0.03 * exact.abs().mean()
    found = torch.cat([p.grad.flatten() for p in network.parameters()])
    assert F.cosine_similarity(found, wanted, 0) > 0.995


def test_images_of_a_batch_know_nothing_of_each_other() -> None:
    network = randomised(made(blocks=2))
    x, t = inputs(batch=3)
    together = network(x, t)
    torch.testing.assert_close(together, torch.cat([network(x[b : b + 1], t[b : b + 1]) for b in range(3)]))


def test_layout_of_the_input_does_not_matter() -> None:
    network = randomised(made())
    x, t = inputs()
    torch.testing.assert_close(network(x.contiguous(memory_format=torch.channels_last), t), network(x, t))
    assert network(x, t).is_contiguous()


@pytest.mark.parametrize("shape", [RGB, GREY])  # of one channel, images say nothing of their layout
def test_all_maps_have_channels_last(shape: ImageShape) -> None:
    network = made(shape, blocks=2)
    seen: list[bool] = []
    for module in network.modules():
        if isinstance(module, Block | Down | Up):
            module.register_forward_hook(
                lambda m, x, y: seen.append(y.is_contiguous(memory_format=torch.channels_last))
            )
    network(*inputs(shape, dtype=torch.float32))
    assert len(seen) == 14 and all(seen)


def test_learned_variance_doubles_the_channels() -> None:
    network = made(learned_variance=True)
    x, t = inputs(dtype=torch.float32)
    assert network(x, t).shape == (2, 6, 8, 8)
    assert parameters(network) - parameters(made()) == 3 * (8 * 9 + 1)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"channels": 30}, "channels is 30. Expected a multiple of 8, such as 32"),
        ({"channels": 3}, "channels is 3. Expected a multiple of 8, such as 8"),
        ({"multipliers": ()}, r"multipliers is \[\]"),
        ({"multipliers": (1, 0)}, r"multipliers is \[1, 0\]"),
        ({"multipliers": (1, 2, 2, 2, 2)}, r"8 does not divide by 16. Expected at most 4, such as \[1, 2, 2, 2\]"),
        ({"blocks": 0}, "blocks is 0"),
        ({"attention": (16,)}, r"side 16, but those of this network have sides 8, 4. .* such as \[8\], or \[\]"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_refuses_sizes_that_do_not_fit(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**sizes)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_is_one_graph_in_training(checkpoint: bool) -> None:
    network = randomised(made(dropout=0.4, checkpoint=checkpoint)).float().train()
    x, t = inputs(dtype=torch.float32)
    torch.compile(network, fullgraph=True, backend="eager")(x, t).square().mean().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # of torch, when its compiler is imported
def test_compiled_is_the_same() -> None:
    network = randomised(made()).float().train()
    x, t = inputs(dtype=torch.float32)
    compiled = torch.compile(network, fullgraph=True)
    results = []
    for run in (compiled, network):
        y = run(x, t)
        results.append([y, *torch.autograd.grad(y.square().mean(), list(network.parameters()))])
    for found, wanted in zip(*results, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("arch", "images", "count"),
    [
        ("cifar10", ("cifar10", 32), 35_746_307),
        ("cifar10_64", ("cifar10", 32), 8_952_067),
        ("cifar10_32", ("cifar10", 32), 2_245_763),
        ("images256", ("image_folder", 256), 113_673_219),
        ("bedroom_large", ("image_folder", 256), 255_677_955),
        ("celeba64", ("image_folder", 64), 25_694_211),
        ("mnist", ("mnist", 28), 686_769),
        ("small", ("digits", 8), 395_641),
    ],
)
def test_every_arch_has_the_size_it_says(arch: str, images: tuple[str, int], count: int) -> None:
    data, side = images
    options = [f"data={data}", f"data.shape.side={side}", *(["data.root=x"] if data == "image_folder" else [])]
    node = compose_config(["model=ddpm", f"arch=ddpm/{arch}", *options]).values["model"]["network"]
    with torch.device("meta"):
        assert parameters(instantiate(node)) == count
    description = (conf_dir() / "arch" / "ddpm" / f"{arch}.yaml").read_text(encoding="utf-8")
    assert f" {count:,} parameters" in description


def test_every_arch_is_held_to_its_size() -> None:
    [mark] = [m for m in test_every_arch_has_the_size_it_says.pytestmark if m.name == "parametrize"]
    assert {f"ddpm/{arch}" for arch, _, _ in mark.args[1]} == {
        c for c in group_choices("arch") if c.startswith("ddpm/")
    }
