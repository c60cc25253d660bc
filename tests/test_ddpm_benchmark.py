"""The benchmark of DDPM measures what it says, with and without the packages it compares with."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from benchmarks import ddpm, ddpm_packages
from benchmarks.contender import CLIP, Case, Contender
from torch import Tensor, nn

TINY = Case("mnist", 1, 8, 8, (1, 2), 4, 2)
DEEP = Case("cifar10", 3, 32, 32, (1, 2, 2, 2), 16, 2)


class Recorder(nn.Module):
    """In place of a package's network: notes what it is asked to be, and is a convolution."""

    asked: dict[str, Any]

    def __init__(self, *args: Any, **asked: Any) -> None:
        super().__init__()
        type(self).asked = {**asked, **({"dim": args[0]} if args else {})}
        colours = asked.get("channels", asked.get("in_channels"))
        self.conv = nn.Conv2d(colours, colours, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Any:
        return SimpleNamespace(sample=self.conv(x))


class Plain(Recorder):
    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.conv(x)


class Scheduler:
    def __init__(self, steps: int, **_: Any) -> None:
        self.steps = steps

    def add_noise(self, x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        assert x_0.min() < -0.9
        assert x_0.max() > 0.9
        return x_0 + noise

    def step(self, predicted: Tensor, t: int, x_t: Tensor) -> Any:
        assert 0 <= t < self.steps
        return SimpleNamespace(prev_sample=x_t - predicted)


class Diffusion(nn.Module):
    def __init__(self, network: nn.Module, **asked: Any) -> None:
        super().__init__()
        self.network, self.asked = network, asked

    def forward(self, x_0: Tensor) -> Tensor:
        return (self.network(x_0, x_0) - x_0).square().mean()

    def p_sample(self, x_t: Tensor, t: int) -> tuple[Tensor, None]:
        return self.network(x_t, x_t), None


class Average:
    updates = 0

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def step(self, *_: Any) -> None:
        Average.updates += 1

    update = step


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for the packages."""
    diffusers = ModuleType("diffusers")
    diffusers.UNet2DModel, diffusers.DDPMScheduler = Recorder, Scheduler  # type: ignore[attr-defined]
    utils = ModuleType("diffusers.training_utils")
    utils.EMAModel = Average  # type: ignore[attr-defined]
    other = ModuleType("denoising_diffusion_pytorch")
    other.Unet, other.GaussianDiffusion = Plain, Diffusion  # type: ignore[attr-defined]
    ema = ModuleType("ema_pytorch")
    ema.EMA = Average  # type: ignore[attr-defined]
    for module in (diffusers, utils, other, ema):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0")
    monkeypatch.setattr(Average, "updates", 0)


def trained(contender: Contender, case: Case = TINY) -> bool:
    """Whether a step changes the weights, by no more than the clipped gradients allow."""
    before = [p.detach().clone() for p in contender.network.parameters()]
    contender.train(case.images())
    norm = torch.stack([p.grad.norm() for p in contender.network.parameters() if p.grad is not None]).norm()
    assert norm <= CLIP * 1.001
    return any((p != b).any() for p, b in zip(contender.network.parameters(), before, strict=True))


def test_ours_trains_averages_and_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    averages = []
    monkeypatch.setattr(ddpm.EMA, "on_train_batch_end", lambda self, *_: averages.append(dict(self.average)))
    contender = ddpm.ours(TINY)
    assert trained(contender)
    assert [len(a) for a in averages] == [len(list(contender.network.parameters()))]
    drawn: Any = contender.sample(3, 2)
    assert drawn.shape == (3, 1, 8, 8)
    assert contender.network.training


def test_work_is_counted_for_one_image() -> None:
    contender = ddpm.ours(TINY)
    assert contender.parameters() == sum(p.numel() for p in contender.network.parameters())
    # first and last convolution, and more
    assert contender.multiplications(TINY) > 2 * 8 * 9 * 64


def test_bfloat16_reaches_the_layers() -> None:
    contender = ddpm.ours(TINY)
    seen: list[torch.dtype] = []
    contender.network.conv_in.register_forward_hook(lambda module, x, y: seen.append(y.dtype))  # type: ignore[union-attr]
    assert contender.half().loss(TINY.images()).isfinite()
    contender.half().sample(1, 1)
    contender.loss(TINY.images())
    assert seen == [torch.bfloat16, torch.bfloat16, torch.float32]


def test_compiling_is_asked_of_the_network_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: asked.append(self))
    contender = ddpm.ours(TINY)
    assert contender.compiled() is contender
    assert asked == [contender.network]


@pytest.mark.usefixtures("packages")
def test_diffusers_is_asked_for_a_network_like_ours() -> None:
    ddpm_packages.diffusers(DEEP)
    asked = Recorder.asked
    assert asked["block_out_channels"] == [32, 64, 64, 64]
    assert asked["down_block_types"] == ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"]
    assert asked["up_block_types"] == ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(("same", "multipliers"), [("widths", (2, 2, 2, 2)), ("arguments", (1, 2, 2, 2))])
def test_denoising_diffusion_pytorch_is_asked_for_a_network_like_ours(same: str, multipliers: tuple[int, ...]) -> None:
    ddpm_packages.denoising_diffusion_pytorch(DEEP, same)
    asked = Plain.asked
    assert (asked["dim"], asked["init_dim"], asked["dim_mults"]) == (32, 32, multipliers)
    assert asked["full_attn"] == (False, True, False, False)
    assert asked["attn_heads"] == 1


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("package", [name for group in ddpm_packages.PACKAGES.values() for name in group])
def test_packages_train_average_and_sample(package: str) -> None:
    contender = ddpm_packages.available()[package](TINY)
    assert trained(contender)
    assert Average.updates == 1
    drawn: Any = contender.sample(3, 2)
    assert drawn.shape == (3, 1, 8, 8)
    assert contender.network.training


@pytest.mark.usefixtures("packages")
def test_tables_name_everybody(capsys: pytest.CaptureFixture[str]) -> None:
    others = ddpm_packages.available()
    ddpm.compare([TINY], others, rounds=1)
    ddpm.settings(TINY, others, 1, {"float32": ddpm.SETTINGS["float32"]})
    lines = capsys.readouterr().out.splitlines()
    for name in (*others, ddpm.OURS):
        assert sum(f" {name}  " in line for line in lines) == 2
    assert sum(" reprise  " in line and line.count("1.00x") == 2 for line in lines) == 2


def test_without_packages_ours_is_measured_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert ddpm_packages.available() == {}
    out = capsys.readouterr().out
    assert "diffusers cannot take part" in out
    assert "denoising-diffusion-pytorch cannot take part" in out
    assert out.count("`make bench` installs it") == 2
    ddpm.compare([TINY], {}, rounds=1)
    assert " reprise  " in capsys.readouterr().out


def test_a_package_that_imports_torchvision_without_need_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "draws_pictures.py").write_text("from torchvision import transforms as T, utils\n")
    (tmp_path / "needs_more.py").write_text("import nowhere_to_be_found\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    hidden = SimpleNamespace(find_spec=lambda name, *_: _refuse(name))
    monkeypatch.setattr(sys, "meta_path", [hidden, *sys.meta_path])
    assert "without torchvision" in ddpm_packages.load("draws-pictures")
    assert "torchvision" not in sys.modules
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        ddpm_packages.load("needs-more")


def _refuse(name: str) -> None:
    if name == "torchvision":
        raise ModuleNotFoundError("No module named 'torchvision'", name="torchvision")
