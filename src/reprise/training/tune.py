"""Tune a short schedule for a run's checkpoint on its validation clips and save it beside the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reprise.config.errors import ConfigError
from reprise.tracking.files import write_json
from reprise.training.restore import restore
from reprise.training.schedules import FOLDER
from reprise.training.trainer import build_datamodule, prepare_process
from reprise.training.world import plan_world


def tune_schedule(
    directory: Path,
    values: dict[str, Any],
    steps: int = 6,
    rounds: int = 2,
    clips: int = 4,
    checkpoint: str = "best",
    weights: str = "auto",
    on_trial: Callable[[list[float], float, float], None] = lambda betas, value, best: None,
) -> Path:
    """Search and save RUN_DIR/schedules/tuned<steps>.json, which `reprise generate` finds by its name.

    Args:
        directory: the run.
        values: its config.
        steps: iterations of the schedule.
        rounds: passes of the search.
        clips: validation clips to score on.
        checkpoint, weights: what to load.
        on_trial: called after each schedule tried.

    Raises:
        ConfigError: the model has no schedules to tune, or a number is out of range.
    """
    for name, value, low in (("steps", steps, 2), ("rounds", rounds, 1), ("clips", clips, 1)):
        if value < low:
            raise ConfigError(f"{name}={value}. Expected {low} or more.")
    prepare_process(plan_world({"accelerator": "auto", "devices": 1, "strategy": "auto"}))
    restored = restore(directory, values, checkpoint, weights)
    module: Any = restored.module
    if not hasattr(module, "tune_schedule"):
        raise ConfigError(f"{type(module).__name__} has no noise schedule to tune.")
    datamodule = build_datamodule(values)
    datamodule.prepare_data()
    datamodule.setup("validate")
    held_out: Any = datamodule.eval_set("val")
    batch = [held_out[i] for i in range(min(clips, len(held_out)))]
    betas, value, history = module.tune_schedule(batch, steps, rounds, on_trial)
    path = directory / FOLDER / f"tuned{steps}.json"
    path.parent.mkdir(exist_ok=True)
    result = {
        "betas": betas,
        "ls_mse": value,
        "clips": [item["id"] for item in batch],
        "checkpoint": restored.entry.file,
        "weights": restored.weights,
        "tried": len(history),
        "history": history,
    }
    write_json(path, result)
    return path
