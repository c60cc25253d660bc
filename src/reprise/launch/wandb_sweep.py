"""A search space as a sweep of W&B: its agents then call train.py with Hydra's words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from reprise.config.errors import ConfigError
from reprise.config.paths import checkout
from reprise.launch.objectives import read_objectives
from reprise.launch.parameter import Parameter, text
from reprise.launch.plan import Planner
from reprise.launch.samplers import SAMPLERS
from reprise.launch.search import check_space
from reprise.launch.settings import Settings, with_fixed
from reprise.launch.space import read_space
from reprise.tracking.pruners import PRUNERS, build_pruner, named

_METHODS = {"random": "random", "qmc": "random", "brute": "grid"}  # the others model what they have seen: bayes
_LISTED = 256  # values that are written out where no distribution of W&B fits


def definition(settings: Settings, words: Sequence[str], loader: Any = None) -> dict[str, Any]:
    """Describe a search for `wandb sweep`.

    Args:
        settings: of the sweep file and the command line.
        words: that belong to the points; sweeps in Hydra's syntax are part of the space.
        loader: Hydra's config loader.

    Raises:
        ConfigError: the search is wrong, or W&B cannot express it.
    """
    space, fixed = read_space(settings.space, with_fixed(settings.fixed, list(words)), loader)
    if space.conditional:
        names = ", ".join(p.name for p in space.parameters if p.when)
        raise ConfigError(
            f"{names} exists only under a condition, which a W&B sweep cannot say. Fix what the condition names, e.g. "
            f"{next(p.when[0][0] for p in space.parameters if p.when)}=VALUE, or use hydra/sweeper=optuna."
        )
    if plus := [p.key for p in space.parameters if p.key.startswith("+")]:
        raise ConfigError(
            f"{plus[0]} is added by a plus, which a W&B agent cannot write. Put the key into a config file."
        )
    template = check_space(space, fixed, Planner())
    objectives = read_objectives(settings.objectives, template.monitor, template.mode)
    if len(objectives) > 1:
        raise ConfigError(f"a W&B sweep has one metric, not {len(objectives)}. Set hydra.sweeper.objectives=null.")
    sampler, _ = named(settings.sampler, "hydra.sweeper.sampler", SAMPLERS)
    top = checkout()
    call = ["${interpreter}", "${program}"] if top else ["reprise", "train"]
    found: dict[str, Any] = {
        "program": "train.py" if top else "reprise",
        "method": _METHODS.get(sampler, "bayes"),
        "metric": {"name": objectives[0].metric, "goal": objectives[0].direction},
        "run_cap": settings.n_trials,
        "parameters": {p.name: _spread(p, grid=_METHODS.get(sampler) == "grid") for p in space.parameters},
        "command": ["${env}", *call, *fixed, "${args_no_hyphens}"],
    }
    if settings.pruner is not None:
        found["early_terminate"] = _early(settings.pruner, template.trainer.get("val_check_interval"))
    return found


def _spread(parameter: Parameter, grid: bool) -> dict[str, Any]:
    low, high, step = parameter.low, parameter.high, parameter.step
    if parameter.kind == "categorical":
        numbers = all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in parameter.choices)
        return {"values": [c if numbers else text(c) for c in parameter.choices]}  # an agent would write None for null
    if grid or (step is not None and not math.isclose(low / step, round(low / step), abs_tol=1e-9)):
        return {"values": _listed(parameter)}  # W&B rounds to multiples of the step, counted from 0
    if parameter.kind == "int":
        if parameter.log:
            return {"distribution": "q_log_uniform_values", "min": int(low), "max": int(high), "q": 1}
        if step in (None, 1):
            return {"distribution": "int_uniform", "min": int(low), "max": int(high)}
        return {"values": _listed(parameter)}  # a quantised distribution would give 4.0 where 4 is meant
    if parameter.log:
        return {"distribution": "log_uniform_values", "min": low, "max": high}
    if step is not None:
        return {"distribution": "q_uniform", "min": low, "max": high, "q": step}
    return {"distribution": "uniform", "min": low, "max": high}


def _listed(parameter: Parameter) -> list[Any]:
    size = parameter.size()
    if size is None or size > _LISTED:
        raise ConfigError(
            f"{parameter.name}: W&B would need all its values, which are more than {_LISTED}. Set a step."
        )
    step = parameter.step or 1
    if parameter.kind == "int":
        return [int(parameter.low) + i * int(step) for i in range(size)]
    return [float(f"{parameter.low + i * step:.12g}") for i in range(size)]


def _early(pruner: Any, interval: Any) -> dict[str, Any]:
    """Hyperband as W&B has it, whose iterations are logged values: one a validation here."""
    build_pruner(pruner)
    name, options = named(pruner, "hydra.sweeper.pruner", PRUNERS)
    if name not in ("asha", "hyperband"):
        raise ConfigError(
            f"a W&B sweep ends runs early by hyperband only, not by {name}. Use pruner=hyperband or null."
        )
    every = interval if isinstance(interval, int) else 1

    def validations(steps: Any) -> int:
        return max(1, math.ceil(steps / every))

    found: dict[str, Any] = {"type": "hyperband", "eta": options.get("reduction_factor", 4 if name == "asha" else 3)}
    least, most = options.get("min_resource"), options.get("max_resource")
    if isinstance(most, int):
        found |= {"max_iter": validations(most), "s": 2}
    else:
        found["min_iter"] = validations(least) if isinstance(least, int) else 3
    return found
