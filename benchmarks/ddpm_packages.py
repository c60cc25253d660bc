"""DDPM's work with the PyPI packages denoising-diffusion-pytorch and diffusers, as contenders of the benchmark.

Each is asked for what DDPM has: the linear schedule, prediction of the noise, dropout 0.1, one head of attention at the
same resolution, sigma_t^2 as it offers it; all else is as the package has it.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from benchmarks.contender import DEVICE, Case, Contender

LR, DECAY, DROPOUT, STEPS = 2e-4, 0.9999, 0.1, 1000
INSTALL = "`make bench` installs it"


def scaled(images: Tensor) -> Tensor:
    return images.float() / 127.5 - 1.0


def diffusers(case: Case) -> Contender:
    """UNet2DModel of the same widths, DDPMScheduler, EMAModel."""
    from diffusers import DDPMScheduler, UNet2DModel
    from diffusers.training_utils import EMAModel

    kinds = ["Attn" if attends else "" for attends in case.attends]
    network = UNet2DModel(
        sample_size=case.side,
        in_channels=case.colours,
        out_channels=case.colours,
        layers_per_block=2,
        block_out_channels=case.widths,
        down_block_types=[f"{kind}DownBlock2D" for kind in kinds],
        up_block_types=[f"{kind}UpBlock2D" for kind in reversed(kinds)],
        attention_head_dim=case.widths[-1],  # one head
        norm_num_groups=min(32, case.channels // 4),
        norm_eps=1e-6,
        dropout=DROPOUT,
    ).to(DEVICE)
    scheduler = DDPMScheduler(STEPS, beta_schedule="linear", variance_type="fixed_large")

    def loss(images: Tensor) -> Tensor:
        x_0 = scaled(images)
        noise, t = torch.randn_like(x_0), torch.randint(STEPS, (len(x_0),), device=DEVICE)
        x_t = scheduler.add_noise(x_0, noise, t)
        return torch.nn.functional.mse_loss(network(x_t, t).sample, noise)

    @torch.no_grad()
    def sample(batch: int, steps: int) -> Tensor:
        network.eval()
        x_t = torch.randn(batch, case.colours, case.side, case.side, device=DEVICE)
        for t in range(STEPS - 1, STEPS - 1 - steps, -1):
            x_t = scheduler.step(network(x_t, t).sample, t, x_t).prev_sample
        network.train()
        return x_t

    average = EMAModel(network.parameters(), decay=DECAY)
    optimizer = torch.optim.Adam(network.parameters(), LR)
    return Contender(network, loss, optimizer, lambda: average.step(network.parameters()), sample)


def denoising_diffusion_pytorch(case: Case, same: str) -> Contender:
    """Unet, GaussianDiffusion and ema_pytorch's EMA.

    Args:
        case: sizes.
        same: "widths": at each resolution as many channels as ours; "arguments": dim and dim_mults as ours. They
            differ, since a dim_mult says how wide a resolution is left, not how wide it is; so the second network is
            the smaller one.
    """
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet
    from ema_pytorch import EMA

    widths, multipliers = case.widths, case.multipliers
    if same == "arguments":
        at = [case.channels, *widths[:-1]]
    else:
        at, multipliers = widths, (*multipliers[1:], multipliers[-1])
    network = Unet(
        case.channels,
        init_dim=at[0],
        dim_mults=multipliers,
        channels=case.colours,
        dropout=DROPOUT,
        attn_heads=1,
        attn_dim_head=tuple(widths),
        full_attn=tuple(case.attends),
    ).to(DEVICE)
    diffusion = GaussianDiffusion(
        network, image_size=case.side, objective="pred_noise", beta_schedule="linear", auto_normalize=False
    ).to(DEVICE)

    def sample(batch: int, steps: int) -> Tensor:
        diffusion.eval()
        x_t = torch.randn(batch, case.colours, case.side, case.side, device=DEVICE)
        for t in range(STEPS - 1, STEPS - 1 - steps, -1):
            x_t, _ = diffusion.p_sample(x_t, t)
        diffusion.train()
        return x_t

    average = EMA(network, beta=DECAY, update_after_step=0, update_every=1)
    optimizer = torch.optim.Adam(network.parameters(), LR)
    return Contender(network, lambda images: diffusion(scaled(images)), optimizer, average.update, sample)


PACKAGES: dict[str, dict[str, Callable[[Case], Contender]]] = {
    "diffusers": {"diffusers": diffusers},
    "denoising-diffusion-pytorch": {
        "denoising-diffusion-pytorch, same widths": lambda case: denoising_diffusion_pytorch(case, "widths"),
        "denoising-diffusion-pytorch, same arguments": lambda case: denoising_diffusion_pytorch(case, "arguments"),
    },
}


def available() -> dict[str, Callable[[Case], Contender]]:
    """What can take part, by name; prints what cannot, and versions."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    found: dict[str, Callable[[Case], Contender]] = {}
    for package, contenders in PACKAGES.items():
        try:
            version = importlib.metadata.version(package)
            remark = load(package)
        except ImportError as error:
            print(f"{package} cannot take part ({error}): {INSTALL}")
            continue
        print(f"{package} {version}{remark}")
        found |= contenders
    return found


def load(package: str) -> str:
    """Import a package; a remark on what it had to do without.

    denoising-diffusion-pytorch imports torchvision for its data sets and for writing pictures, which is not installed
    here: the wheel on PyPI is built for CUDA and cannot be imported beside a torch for CPUs. Where it is missing, names
    of no content take its place while the package is loaded.
    """
    try:
        importlib.import_module(package.replace("-", "_"))
        return ""
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
    absent = ModuleType("torchvision")
    absent.transforms = absent.utils = None  # type: ignore[attr-defined]
    sys.modules["torchvision"] = absent
    try:
        importlib.import_module(package.replace("-", "_"))
    finally:
        del sys.modules["torchvision"]
    return " (without torchvision, which only its data sets use)"
