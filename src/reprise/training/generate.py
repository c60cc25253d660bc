"""Make samples with a run's checkpoint and write them in the data's own format."""

from __future__ import annotations

import contextlib
import inspect
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reprise.config.errors import ConfigError, DataError
from reprise.samples.base import Sample
from reprise.training.restore import restore
from reprise.training.schedules import with_saved_schedule
from reprise.training.trainer import build_datamodule, prepare_process
from reprise.training.world import plan_world

_TOGETHER = 16  # inputs generated at once, where the module does not say; more are worked off group by group


@dataclass(frozen=True)
class Generated:
    """What was written.

    Attributes:
        files: the samples.
        overview: what the module shows of all of them at once.
        seconds: how long generating took.
        duration: how long the samples play, in seconds; None where they do not play.
        weights, step: what they were made with.
    """

    files: list[Path]
    overview: list[Path]
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
    """Generate from every input, or without any, and write the samples.

    Args:
        directory: the run.
        values: its config.
        settings: keys of conf/generate.yaml.
        options: the model's own, e.g. schedule and seed.
        on_progress: called with (steps done, all).

    Raises:
        ConfigError: input that the model needs is missing, or unknown settings.
        DataError: an input cannot be used.
    """
    world = plan_world({"accelerator": settings["accelerator"], "devices": 1, "strategy": "auto"})
    if str(settings["precision"]) not in ("32", "bf16"):
        raise ConfigError(f"precision={settings['precision']}. Expected 32 or bf16.")
    if settings["count"] < 1:
        raise ConfigError(f"count={settings['count']}. Expected 1 or more.")
    prepare_process(world)
    datamodule = build_datamodule(values)
    out = Path(settings["out"]).expanduser() if settings["out"] else directory / "generated"
    if out.exists() and not out.is_dir():
        raise ConfigError(f"out={out} is a file. Expected a folder.")
    source = None if settings["input"] is None else Path(str(settings["input"])).expanduser()
    inputs = None if source is None else list(datamodule.read_inputs(source))
    if inputs is not None:
        _check_targets(datamodule, inputs, out, source)
    restored = restore(
        directory, {**values, "compile": settings["compile"]}, settings["checkpoint"], settings["weights"]
    )
    module: Any = restored.module
    options = with_saved_schedule(directory, options)
    if inputs is None:
        inputs = _inputs_without_files(module, datamodule, settings["count"], options)
        _check_targets(datamodule, inputs, out, None)
    device = torch.device("cuda" if world.accelerator in ("gpu", "cuda") else "cpu")
    module.to(device)
    files: list[Path] = []
    durations: list[float | None] = []
    made: list[Tensor] = []
    seconds = 0.0
    for names, samples, took in _groups(module, inputs, options, str(settings["precision"]) == "32", on_progress):
        seconds += took
        for name, sample in zip(names, samples, strict=True):
            files.append(datamodule.write_sample(name, sample, out))
            durations.append(datamodule.seconds_of(sample))
        made += samples if hasattr(module, "overview") else []
    return Generated(
        files=files,
        overview=_write_overview(module, inputs, made, options, out),
        seconds=seconds,
        duration=None if None in durations else sum(d for d in durations if d is not None),
        weights=restored.weights,
        step=restored.entry.step,
    )


def _check_targets(datamodule: Any, inputs: list[tuple[str, Any]], out: Path, source: Path | None) -> None:
    """Refuse to write two samples to one file, or a sample over an input."""
    targets = [datamodule.sample_path(name, out).resolve() for name, _ in inputs]
    if twice := [t for i, t in enumerate(targets) if t in targets[:i]]:
        raise ConfigError(f"two inputs would be written to {twice[0]}. Rename one of them.")
    if source is None:
        return
    originals = {f.resolve() for f in ([source] if source.is_file() else source.iterdir())}
    if overwritten := [t for t in targets if t in originals]:
        raise ConfigError(f"{overwritten[0]} would be overwritten by its own copy. Choose another folder with out=DIR.")


def _inputs_without_files(module: Any, datamodule: Any, count: int, options: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a module takes when no input is given: nothing, so many times, or the first test examples."""
    takes = _call(module.inputs_for, options) if hasattr(module, "inputs_for") else "given"
    if takes == "given":
        raise ConfigError("input is missing. Expected input=PATH: a file, or a folder of files, to condition on.")
    if takes == "none":
        return [(f"sample-{i:03d}", None) for i in range(count)]
    datamodule.prepare_data()
    datamodule.setup("test")
    inputs = list(datamodule.example_inputs(count))
    if not inputs:
        raise DataError(f"{type(datamodule).__name__} has no test example to generate from.")
    return inputs


def _groups(
    module: Any,
    inputs: list[tuple[str, Any]],
    options: dict[str, Any],
    precise: bool,
    on_progress: Callable[[int, int], None],
) -> Iterator[tuple[list[str], list[Tensor], float]]:
    """Generate from a few inputs at a time: their names, the samples, and the seconds that took."""
    size = getattr(module, "generation_batch", _TOGETHER)
    groups = [inputs[i : i + size] for i in range(0, len(inputs), size)]
    steps = _call(module.generate_steps, options) if hasattr(module, "generate_steps") else None
    done, total = 0, (steps or 1) * len(groups)

    def count(_: int = 0) -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    for group in groups:
        names = [name for name, _ in group]
        # a sample's noise follows its name, so that it is the same alone and among others
        keys = [zlib.crc32(name.encode()) for name in names]
        on_step = count if steps is not None else lambda n: None
        start = time.perf_counter()
        with contextlib.nullcontext() if precise else torch.autocast(module.device.type, torch.bfloat16):
            made = module.generate([c for _, c in group], keys=keys, on_step=on_step, **options)
        took = time.perf_counter() - start
        if steps is None:
            count()
        yield names, made, took


def _write_overview(
    module: Any, inputs: list[tuple[str, Any]], made: list[Tensor], options: dict[str, Any], out: Path
) -> list[Path]:
    """Write what the module shows of all samples at once, beside them, under a name that none of them has."""
    if not hasattr(module, "overview"):
        return []
    sample: Sample | None = _call(module.overview, options, [c for _, c in inputs], made)
    if sample is None:
        return []
    names = {name for name, _ in inputs}
    while sample.name in names:
        sample = replace(sample, name=f"{sample.name}_")
    return [shown.path for shown in sample.write(out)]


def _call(function: Callable[..., Any], options: dict[str, Any], *arguments: Any) -> Any:
    """Call a function of a module with those options that it takes."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return function(*arguments, **options)
    return function(*arguments, **{p.name: options[p.name] for p in parameters if p.name in options})
