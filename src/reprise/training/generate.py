"""Make samples with a run's checkpoint and write them in the data's own format."""

from __future__ import annotations

import contextlib
import inspect
import re
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reprise.config.errors import ConfigError, DataError
from reprise.samples.base import Sample
from reprise.samples.stream import WavStream
from reprise.training.restore import restore
from reprise.training.schedules import with_saved_schedule
from reprise.training.trainer import build_datamodule, prepare_process
from reprise.training.world import plan_world

_Grow = Callable[[Sequence[Tensor]], None]

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
    inputs = _given_inputs(datamodule, source, settings["text"])
    if inputs is not None:
        _check_targets(datamodule, inputs, out, source)
    restored = restore(
        directory, {**values, "compile": settings["compile"]}, settings["checkpoint"], settings["weights"]
    )
    module: Any = restored.module
    options = with_saved_schedule(directory, options)
    if settings["text"] is not None and _takes(module, options) == "none":
        raise ConfigError("text was given to a model that is not conditioned on any. Leave it out.")
    if inputs is None:
        inputs = _inputs_without_files(module, datamodule, settings["count"], options)
        _check_targets(datamodule, inputs, out, None)
    device = torch.device("cuda" if world.accelerator in ("gpu", "cuda") else "cpu")
    module.to(device)
    files: list[Path] = []
    durations: list[float | None] = []
    made: list[Tensor] = []
    seconds = 0.0
    precise = str(settings["precision"]) == "32"
    for names, samples, took in _groups(module, datamodule, inputs, out, options, precise, on_progress):
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


def _given_inputs(datamodule: Any, source: Path | None, text: Any) -> list[tuple[str, Any]] | None:
    """What stands in files, or what a text is to sound like; None without either."""
    if text is None:
        return None if source is None else list(datamodule.read_inputs(source))
    if source is not None:
        raise ConfigError("text and input were both given. Expected one of them.")
    if not hasattr(datamodule, "inputs_of_text"):
        raise ConfigError(
            f"text was given, but {type(datamodule).__name__}, the data of this run, makes no inputs of texts. "
            "Leave text out, or choose a run of data=linguistic_speech."
        )
    words = re.findall(r"\w+", str(text).lower())
    if not words:
        raise ConfigError(f"text={text!r} has no word to say. Expected a sentence.")
    return [("-".join(words[:6])[:60], datamodule.inputs_of_text(str(text)))]


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
    takes = _takes(module, options)
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


def _takes(module: Any, options: dict[str, Any]) -> str:
    return str(_call(module.inputs_for, options)) if hasattr(module, "inputs_for") else "given"


def _groups(
    module: Any,
    datamodule: Any,
    inputs: list[tuple[str, Any]],
    out: Path,
    options: dict[str, Any],
    precise: bool,
    on_progress: Callable[[int, int], None],
) -> Iterator[tuple[list[str], list[Tensor], float]]:
    """Generate from a few inputs at a time: their names, the samples, and the seconds that took.

    A module's `generate_steps` says how often it calls `on_step`; one that takes `conditions` is asked for each group.
    `on_step(n, steps, parts)`: `steps` are done at once where they are given, and `parts` is what each sample has
    grown by where it comes in order, as sound does.
    """
    size = getattr(module, "generation_batch", _TOGETHER)
    groups = [inputs[i : i + size] for i in range(0, len(inputs), size)]
    counted = hasattr(module, "generate_steps")
    done, total = 0, sum(_steps(module, group, options) if counted else 1 for group in groups)

    def count(steps: int) -> None:
        nonlocal done
        done += steps
        on_progress(done, total)

    for group in groups:
        names = [name for name, _ in group]
        # a sample's noise follows its name, so that it is the same alone and among others
        keys = [zlib.crc32(name.encode()) for name in names]
        with _growing(datamodule, names, out) as grow:

            def step(n: int, steps: int = 1, parts: Sequence[Tensor] = (), grow: _Grow = grow) -> None:
                grow(parts)
                if counted:
                    count(steps)

            start = time.perf_counter()
            with contextlib.nullcontext() if precise else torch.autocast(module.device.type, torch.bfloat16):
                made = module.generate([c for _, c in group], keys=keys, on_step=step, **options)
            took = time.perf_counter() - start
        if not counted:
            count(1)
        yield names, made, took


def _steps(module: Any, group: list[tuple[str, Any]], options: dict[str, Any]) -> int:
    steps: int = _call(module.generate_steps, {**options, "conditions": [c for _, c in group]})
    return steps


@contextlib.contextmanager
def _growing(datamodule: Any, names: list[str], out: Path) -> Iterator[_Grow]:
    """Append parts of samples to their files while they are drawn, where these are wav files."""
    paths = [datamodule.sample_path(name, out) for name in names]
    files: list[WavStream] = []
    with contextlib.ExitStack() as stack:

        def grow(parts: Sequence[Tensor]) -> None:
            if parts and not files and all(path.suffix == ".wav" for path in paths):
                files.extend(stack.enter_context(WavStream(path, datamodule.sample_rate)) for path in paths)
            for file, part in zip(files, parts):  # noqa: B905 there are no files for other samples, or no parts
                file.write(part)

        yield grow


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
