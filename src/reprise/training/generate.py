"""Make samples with a run's checkpoint and write them in the data's own format."""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reprise.config.errors import ConfigError
from reprise.training.restore import restore
from reprise.training.trainer import build_datamodule, prepare_process
from reprise.training.world import plan_world

_GROUP = 16  # inputs generated together; a larger folder is worked off group by group


@dataclass(frozen=True)
class Generated:
    """What was written: `files`, how long it took and, for sound, how long it plays (seconds)."""

    files: list[Path]
    seconds: float
    duration: float | None
    weights: str
    step: int


def generate(
    directory: Path,
    values: dict[str, Any],
    settings: dict[str, Any],
    options: dict[str, Any],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Generated:
    """Generate from every input and write the samples.

    Args:
        directory: the run.
        values: its config.
        settings: keys of conf/generate.yaml.
        options: the model's own, e.g. schedule and seed.
        on_progress: called with (refinement steps done, all).

    Raises:
        ConfigError: no input, or unknown settings.
        DataError: an input cannot be used.
    """
    if settings["input"] is None:
        raise ConfigError("input is missing. Expected input=PATH: a file, or a folder of files, to condition on.")
    world = plan_world({"accelerator": settings["accelerator"], "devices": 1, "strategy": "auto"})
    if str(settings["precision"]) not in ("32", "bf16"):
        raise ConfigError(f"precision={settings['precision']}. Expected 32 or bf16.")
    prepare_process(world)
    if "resample" in values["data"]:
        values = {**values, "data": {**values["data"], "resample": settings["resample"]}}
    datamodule = build_datamodule(values)
    source = Path(str(settings["input"])).expanduser()
    out = Path(settings["out"]).expanduser() if settings["out"] else directory / "generated"
    if out.exists() and not out.is_dir():
        raise ConfigError(f"out={out} is a file. Expected a folder.")
    inputs = list(datamodule.read_inputs(source))
    targets = [datamodule.sample_path(name, out).resolve() for name, _ in inputs]
    if twice := [t for i, t in enumerate(targets) if t in targets[:i]]:
        raise ConfigError(f"two inputs would be written to {twice[0]}. Rename one of them.")
    originals = {f.resolve() for f in ([source] if source.is_file() else source.iterdir())}
    if overwritten := [t for t in targets if t in originals]:
        raise ConfigError(f"{overwritten[0]} would be overwritten by its own copy. Choose another folder with out=DIR.")
    restored = restore(
        directory, {**values, "compile": settings["compile"]}, settings["checkpoint"], settings["weights"]
    )
    module: Any = restored.module
    device = torch.device("cuda" if world.accelerator in ("gpu", "cuda") else "cpu")
    module.to(device)
    steps = module.generate_steps(**{k: v for k, v in options.items() if k == "schedule"})
    groups = [inputs[i : i + _GROUP] for i in range(0, len(inputs), _GROUP)]
    files: list[Path] = []
    elapsed, samples, done = 0.0, 0, 0
    precise = str(settings["precision"]) == "32"
    for group in groups:

        def count(n: int) -> None:
            nonlocal done
            done += 1
            on_progress(done, steps * len(groups))

        start = time.perf_counter()
        context = contextlib.nullcontext() if precise else torch.autocast(device.type, torch.bfloat16)
        with context:
            # a clip's noise follows its name, so that it sounds the same alone and in a folder
            keys = [zlib.crc32(name.encode()) for name, _ in group]
            made = module.generate([c for _, c in group], keys=keys, on_step=count, **options)
        elapsed += time.perf_counter() - start
        for (name, _), sample in zip(group, made, strict=True):
            files.append(datamodule.write_sample(name, sample, out))
            samples += sample.shape[-1]
    rate = getattr(getattr(datamodule, "features", None), "sample_rate", None)
    return Generated(files, elapsed, samples / rate if rate else None, restored.weights, restored.entry.step)
