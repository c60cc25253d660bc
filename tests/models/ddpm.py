"""Small DDPM modules, data for them, and the process once more, literally: one loop a formula, in double precision."""

from __future__ import annotations

import contextlib
import functools
import math
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from reprise.diffusion.schedules import NoiseSchedule, linear
from reprise.models.ddpm.module import DDPM
from reprise.models.ddpm.network import UNet
from reprise.nn.images import ImageShape
from reprise.nn.randomness import ExampleDraws

SHAPE = ImageShape(1, 8, 5)
ADAM = functools.partial(torch.optim.Adam, lr=1e-3)


def schedule(steps: int = 12) -> NoiseSchedule:
    return linear(0.02, 0.3, steps)


class Formula(nn.Module):
    """a x + b t, and where a log-variance is asked for -3 - t / 10 + x / 4: a network of known output."""

    def __init__(self, learned_variance: bool = False, shape: ImageShape = SHAPE) -> None:
        super().__init__()
        self.shape = shape
        self.learned_variance = learned_variance
        self.a, self.b = nn.Parameter(torch.tensor(0.4)), nn.Parameter(torch.tensor(0.02))
        self.seen: list[tuple[int, bool]] = []  # t of the first image of each call, and whether it was training

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.seen.append((int(t[0]), self.training))
        time = t.to(x)[:, None, None, None]
        first = self.a * x + self.b * time
        return torch.cat([first, -3.0 - time / 10 + x / 4], 1) if self.learned_variance else first


def formula(steps: int = 12, variance: str = "large", shape: ImageShape = SHAPE, **settings: Any) -> DDPM:
    settings = {"samples": 0, "test_samples": 0, "interpolations": 0} | settings
    network: Any = Formula(variance == "learned", shape)
    return DDPM(network, schedule(steps), ADAM, seed=3, variance=variance, **settings)  # type: ignore[arg-type]


def unet(steps: int = 12, variance: str = "large", dropout: float = 0.0, **settings: Any) -> DDPM:
    torch.manual_seed(0)
    network = UNet(SHAPE, 8, (1, 2), 1, (4,), dropout, learned_variance=variance == "learned")
    settings = {"samples": 0, "test_samples": 0, "interpolations": 0} | settings
    return DDPM(network, schedule(steps), ADAM, seed=3, variance=variance, **settings)  # type: ignore[arg-type]


def known(module: DDPM) -> Any:
    """The network of `formula`."""
    return module.network


def lively(module: DDPM) -> DDPM:
    """With weights that are not nearly zero where an initial network's are."""
    generator = torch.Generator().manual_seed(1)
    for parameter in module.network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return module


def images(count: int, seed: int = 1, shape: ImageShape = SHAPE) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = (count, shape.channels, shape.side, shape.side)
    return torch.randint(shape.levels, size, generator=generator, dtype=torch.uint8)


def batch_of(count: int, group: int = 0, first: int = 0, shape: ImageShape = SHAPE) -> dict[str, Any]:
    """Images `first` ... `first + count - 1` of one sequence."""
    return {
        "image": images(first + count, shape=shape)[first:],
        "label": torch.arange(count) % 3,
        "position": torch.arange(first, first + count),
        "group": torch.full((count,), group),
        "id": [f"digit-{i}" for i in range(first, first + count)],
    }


def joined(*batches: dict[str, Any]) -> dict[str, Any]:
    found = {k: torch.cat([b[k] for b in batches]) for k in batches[0] if k != "id"}
    return found | {"id": [name for b in batches for name in b["id"]]}


def keys_of(batch: dict[str, Any]) -> list[int]:
    return [zlib.crc32(name.encode()) for name in batch["id"]]


def logged(module: DDPM) -> dict[str, float]:
    found: dict[str, float] = {}
    module.log = lambda name, value, **_: found.__setitem__(name, value)  # type: ignore[method-assign,assignment]
    return found


class Data:
    """A data module: test images, of which the last two were trained on, and as many others to compare with."""

    def __init__(self, cache: Path, count: int = 8) -> None:
        self.cache, self.num_workers = cache, 0
        self.read: list[tuple[str, int]] = []  # reference images that were read
        batch = batch_of(count)
        self.items = [{"image": image, "id": name} for image, name in zip(batch["image"], batch["id"], strict=True)]

    def eval_set(self, split: str) -> list[dict[str, Any]]:
        assert split == "test"
        return self.items

    def held_out(self) -> int:
        return len(self.items) - 2

    def reference_set(self, split: str) -> Any:
        values, read = images(9, 5 if split == "train" else 6), self.read

        class Reference:
            def __len__(self) -> int:
                return len(values)

            def __getitem__(self, row: int) -> dict[str, Any]:
                read.append((split, row))
                return {"image": values[row]}

        return Reference()

    def reference_digest(self, split: str) -> str:
        return f"made up, {split}"


def with_trainer(module: DDPM, cache: Path, rank: int = 0, world: int = 1, count: int = 8) -> Data:
    """Give the module a trainer of one of several processes; returns its data module."""
    data = Data(cache, count)
    module._trainer = SimpleNamespace(  # type: ignore[assignment]
        datamodule=data,
        global_rank=rank,
        world_size=world,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        precision_plugin=SimpleNamespace(forward_context=contextlib.nullcontext),
    )
    return data


class Literal:
    """The process of a module for one image, of which the network is `Formula`, by the paper's equations."""

    def __init__(self, module: DDPM) -> None:
        self.predicts, self.variance = module.reverse.predicts, module.reverse.variance
        self.levels, self.dims = module.shape.levels, module.shape.dims
        self.size = (module.shape.channels, module.shape.side, module.shape.side)
        self.a, self.b = float(known(module).a.detach()), float(known(module).b.detach())
        self.beta = [math.nan, *module.reverse.schedule.betas.tolist()]
        self.steps = len(self.beta) - 1
        self.bar = [math.prod(1 - b for b in self.beta[1 : t + 1]) for t in range(self.steps + 1)]

    def scaled(self, image: Tensor) -> Tensor:
        return image.double() / (self.levels - 1) * 2 - 1

    def diffused(self, x_0: Tensor, t: int, noise: Tensor) -> Tensor:
        return self.bar[t] ** 0.5 * x_0 + (1 - self.bar[t]) ** 0.5 * noise

    def output(self, x: Tensor, t: int) -> Tensor:
        return self.a * x + self.b * (t - 1)

    def posterior(self, x_0: Tensor, x: Tensor, t: int) -> Tensor:
        """mu tilde of eq. 7."""
        bar, before = self.bar[t], self.bar[t - 1]
        first = before**0.5 * self.beta[t] / (1 - bar) * x_0
        return first + (1 - self.beta[t]) ** 0.5 * (1 - before) / (1 - bar) * x

    def small(self, t: int) -> float:
        """beta tilde of eq. 7; that of t = 2 at t = 1."""
        t = max(t, 2)
        return (1 - self.bar[t - 1]) / (1 - self.bar[t]) * self.beta[t]

    def sigma_squared(self, x: Tensor, t: int, variance: str | None = None) -> Tensor:
        kind = variance or self.variance
        if kind == "learned":
            return (-3.0 - (t - 1) / 10 + x / 4).exp()
        return torch.full_like(x, self.beta[t] if kind == "large" and t > 1 else self.small(t))

    def x_0(self, x: Tensor, t: int, clip: bool) -> Tensor:
        """What the output stands for."""
        out = self.output(x, t)
        if self.predicts == "epsilon":
            out = (x - (1 - self.bar[t]) ** 0.5 * out) / self.bar[t] ** 0.5
        elif self.predicts == "mean":
            at_zero = self.posterior(torch.zeros_like(x), x, t)
            out = (out - at_zero) / (self.posterior(torch.ones_like(x), x, t) - at_zero)
        return out.clamp(-1, 1) if clip else out

    def mean(self, x: Tensor, t: int, clip: bool) -> Tensor:
        return self.output(x, t) if self.predicts == "mean" else self.posterior(self.x_0(x, t, clip), x, t)

    def target(self, x_0: Tensor, x: Tensor, t: int, noise: Tensor) -> Tensor:
        return {"epsilon": noise, "x_0": x_0, "mean": self.posterior(x_0, x, t)}[self.predicts]

    def term(self, x_0: Tensor, x: Tensor, t: int, clip: bool) -> float:
        """L_{t-1} of eq. 5 in nats, with the released code's distribution function."""
        mean, variance = self.mean(x, t, clip), self.sigma_squared(x, t)
        if t > 1:
            truth, least = self.posterior(x_0, x, t), self.small(t)
            values = 0.5 * ((variance / least).log() + (least + (truth - mean) ** 2) / variance - 1)
            return float(values.sum())
        total, half = 0.0, 1 / (self.levels - 1)
        for value, middle, square in zip(x_0.flatten(), mean.flatten(), variance.flatten(), strict=True):
            v, m, s = float(value), float(middle), float(square) ** 0.5
            above = 1.0 if v > 1 - half else _tanh_cdf((v + half - m) / s)
            below = 0.0 if v < half - 1 else _tanh_cdf((v - half - m) / s)
            total -= math.log(max(above - below, 1e-12))
        return total

    def prior(self, x_0: Tensor) -> float:
        bar = self.bar[-1]
        return float((0.5 * (bar * x_0**2 - bar - math.log(1 - bar))).sum())

    def bound(self, image: Tensor, key: int) -> tuple[list[float], list[float]]:
        """Terms L_0 ... L_{T-1} and last L_T, in nats; squared errors of the x_0 predicted at t = 1 ... T."""
        draws, x_0 = ExampleDraws(0, "bound", [key]), self.scaled(image)
        terms, errors = [], []
        for t in range(1, self.steps + 1):
            x = self.diffused(x_0, t, draws.normal(*self.size)[0].double())
            terms.append(self.term(x_0, x, t, clip=True))
            errors.append(float(((self.x_0(x, t, clip=True) - x_0) ** 2).sum()))
        return [*terms, self.prior(x_0)], errors

    def pixels(self, x: Tensor) -> Tensor:
        return ((x + 1) / 2 * (self.levels - 1)).round().clamp(0, self.levels - 1)


def _tanh_cdf(x: float) -> float:
    return 0.5 * (1 + math.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3)))
