"""WaveGrad's training step and one sampling iteration against the PyPI package `wavegrad`, at equal widths.

The package is fetched with pip (source only: it asks for torchaudio, which its network does not use) and read from a
temporary folder. Ours runs with the architecture of the paper and, as `same layers`, with the package's own choice of
layers (interpolation instead of strided convolutions, widening in the first convolution).
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from benchmarks.timing import in_turns, module_of, table
from reprise.training.trainer import prepare_process
from reprise.training.world import plan_world

VERSION = "0.1.5"
WIDTHS = {"base": 1, "small": 4, "tiny": 8}
CASES = [("tiny", 16), ("small", 8), ("base", 2)]  # arch, crops of 24 frames


def package() -> ModuleType | None:
    """Load the package's model.py, or None when it cannot be fetched."""
    with tempfile.TemporaryDirectory() as scratch:
        fetched = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--no-deps",
                "--no-binary=:all:",
                "--no-build-isolation",
                "-d",
                scratch,
                f"wavegrad=={VERSION}",
            ],
            capture_output=True,
        )
        archives = list(Path(scratch).glob("wavegrad-*.tar.gz"))
        if fetched.returncode or not archives:
            return None
        with tarfile.open(archives[0]) as tar:
            tar.extractall(scratch, filter="data")
        path = next(Path(scratch).rglob("wavegrad/model.py"))
        spec = importlib.util.spec_from_file_location("wavegrad_model", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def theirs(model: Any, divide: int) -> torch.nn.Module:
    """The package's network with all widths divided."""
    from torch import nn

    def c(*widths: int) -> list[int]:
        return [w // divide for w in widths]

    network = model.WaveGrad(None)
    down = [(32, 128, 2), (128, 128, 2), (128, 256, 3), (256, 512, 5)]
    up = [(768, 512, 5), (512, 512, 5), (512, 256, 3), (256, 128, 2), (128, 128, 2)]
    network.downsample = nn.ModuleList(
        [model.Conv1d(1, 32 // divide, 5, padding=2), *(model.DBlock(*c(a, b), f) for a, b, f in down)]
    )
    film = [(32, 128), (128, 128), (128, 256), (256, 512), (512, 512)]
    network.film = nn.ModuleList(model.FiLM(*c(a, b)) for a, b in film)
    network.upsample = nn.ModuleList(
        model.UBlock(*c(a, b), f, [1, 2, 1, 2] if i < 2 else [1, 2, 4, 8]) for i, (a, b, f) in enumerate(up)
    )
    network.first_conv = model.Conv1d(128, 768 // divide, 3, padding=1)
    network.last_conv = model.Conv1d(128 // divide, 1, 3, padding=1)
    return network  # type: ignore[no-any-return]


def run() -> None:
    model = package()
    if model is None:
        print("the PyPI package wavegrad cannot be fetched: this comparison is left out")
        return
    # Their step is also timed as their process would run: the allocator is as glibc sets it up.
    same = ["model.network.downsampling=interpolate", "model.network.widen=first"]
    rows: dict[str, list[list[str]]] = {"training step": [], "sampling iteration": []}
    networks = {
        arch: {
            "wavegrad": theirs(model, WIDTHS[arch]),
            "reprise": module_of("model=wavegrad", f"arch=wavegrad/{arch}").network,
            "same layers": module_of("model=wavegrad", f"arch=wavegrad/{arch}", *same).network,
        }
        for arch, _ in CASES
    }
    results: dict[tuple[str, str], dict[str, float]] = {}
    for prepared in (False, True):
        if prepared:
            prepare_process(plan_world({"accelerator": "auto", "devices": 1}))
        for arch, batch in CASES:
            y, mel, level = torch.randn(batch, 7200), torch.randn(batch, 128, 24), torch.rand(batch)
            noise = torch.randn(batch, 7200)

            def step(
                network: torch.nn.Module, y: Any = y, mel: Any = mel, level: Any = level, noise: Any = noise
            ) -> None:
                network.zero_grad(set_to_none=True)
                (noise - network(y, mel, level).reshape(noise.shape)).abs().mean().backward()

            long = (torch.randn(1, 48000), torch.randn(1, 128, 160), torch.rand(1))

            @torch.no_grad()
            def iteration(network: torch.nn.Module, long: Any = long) -> None:
                network(*long)

            chosen = {n: m for n, m in networks[arch].items() if prepared or n == "wavegrad"}
            for what, call in (("training step", step), ("sampling iteration", iteration)):
                rounds = 5 if arch == "base" else 11
                times = in_turns({n: (lambda m=m, call=call: call(m)) for n, m in chosen.items()}, rounds)
                suffix = "" if prepared else " (plain process)"
                results.setdefault((what, arch), {}).update({n + suffix: t for n, t in times.items()})
    for (what, arch), times in results.items():
        ms = {n: f"{1000 * t:.1f}" for n, t in times.items()}
        ours = times["reprise"]
        rows[what].append(
            [
                arch,
                ms["wavegrad (plain process)"],
                ms["wavegrad"],
                ms["reprise"],
                ms["same layers"],
                f"{times['wavegrad (plain process)'] / ours:.2f}x",
                f"{times['wavegrad'] / ours:.2f}x",
                f"{times['wavegrad'] / times['same layers']:.2f}x",
            ]
        )
    header = [
        "width",
        "wavegrad [ms]",
        "wavegrad, our allocator [ms]",
        "reprise [ms]",
        "same layers [ms]",
        "speed-up",
        "... our allocator",
        "... and same layers",
    ]
    for what, lines in rows.items():
        title = f"WaveGrad {what} against PyPI wavegrad {VERSION}"
        table(f"{title}, float32, median of interleaved calls", header, lines)
