"""A run record from what W&B keeps of a run that did not send its own: config, summary, metadata."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any

from reprise.config.compose import compose_config, group_choices
from reprise.config.errors import RunError, UserError
from reprise.config.protocol import deviations, digest
from reprise.tracking.provenance import redact
from reprise.tracking.record import RunRecord

# A run of unknown source counts as one whose source has changed: no verdict may rest on it.
UNKNOWN_SOURCE = {"(source not recorded)": ""}
_STATES = {
    "finished": "finished",
    "failed": "failed",
    "crashed": "failed",
    "killed": "interrupted",
    "preempting": "interrupted",
    "preempted": "interrupted",
    "running": "running",
}
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def rebuild(run: Any, origin: Mapping[str, str]) -> RunRecord:
    """Put together a record; what W&B does not know is left out, never guessed.

    Args:
        run: a run of `wandb.Api`.
        origin: entity and project.

    Raises:
        RunError: it was not logged by Reprise, or has not begun.
    """
    if run.state not in _STATES:
        raise RunError(f"W&B says it is {run.state}. Expected a run that has begun.")
    config = {k: v for k, v in run.config.items() if k != "config_digest"}
    missing = [k for k in ("model", "data", "trainer", "seed") if k not in config]
    if missing or "config_digest" not in run.config:
        raise RunError(f"its config has no {(missing or ['config_digest'])[0]}: it was not logged by Reprise.")
    if type(config["seed"]) is not int:
        raise RunError(f"its seed is {str(config['seed'])[:80]!r}. Expected an integer.")
    metadata = run.metadata if isinstance(run.metadata, dict) else {}
    overrides = _overrides(metadata)
    experiment = _experiment(run, overrides)
    reference = _composed(overrides if overrides else [f"experiment={experiment}"] if experiment else [])
    config = _retyped(config, reference)
    protocol = _composed([f"experiment={experiment}"]) if experiment else {}
    summary = {k: _NOT_FINITE.get(v, v) if isinstance(v, str) else v for k, v in run.summary_metrics.items()}
    step = summary.get("trainer/global_step")
    iteration = step if type(step) is int else 0
    state, error = _state(run.state, config, iteration)
    seed = config["seed"]
    return RunRecord(
        id=run.id,
        name=experiment or str(run.name or run.id).removesuffix(f"-s{seed}"),
        seed=seed,
        command=redact(shlex.join([str(metadata.get("program") or "train.py"), *overrides])),
        config=config,
        config_digest=digest(config),
        experiment=experiment,
        overrides=[redact(word) for word in overrides],
        deviations=deviations(protocol, config) if protocol else [],
        code={"commit": _commit(metadata), "dirty": None, "sources": UNKNOWN_SOURCE},
        environment=_environment(metadata, config),
        state=state,
        error=error,
        sessions=[_session(run, metadata)],
        cost=_cost(summary),
        metrics=_metrics(summary),
        wandb={
            "id": run.id,
            "mode": "online",
            "project": origin["project"],
            "url": run.url,
            "sweep": run.sweep_name,
        },
        weights=_weights(config),
        iteration=iteration,
    )


def _overrides(metadata: Mapping[str, Any]) -> list[str]:
    arguments = metadata.get("args")
    return [str(a) for a in arguments if "=" in str(a)] if isinstance(arguments, list) else []


def _experiment(run: Any, overrides: list[str]) -> str | None:
    """What the command line chose; without one, the tag that our logger sets."""
    chosen = [w.partition("=")[2] for w in overrides if w.startswith("experiment=")]
    if overrides:
        return chosen[-1] if chosen else None
    tags = [t for t in run.tags or () if t in group_choices("experiment")]
    return tags[0] if len(tags) == 1 else None


def _composed(words: list[str]) -> dict[str, Any]:
    """The config of a command line; empty where this version has no such."""
    try:
        return compose_config(words).values if words else {}
    except UserError:
        return {}


def _retyped(value: Any, reference: Any) -> Any:
    """A value as it was before W&B stored it: there 1.0 comes back as 1, which is equal but has another digest."""
    if isinstance(value, dict) and isinstance(reference, dict):
        return {k: _retyped(v, reference.get(k)) for k, v in value.items()}
    if isinstance(value, list) and isinstance(reference, list) and len(value) == len(reference):
        return [_retyped(v, r) for v, r in zip(value, reference, strict=True)]
    numbers = (int, float)
    if type(value) in numbers and type(reference) in numbers and value == reference:
        return reference
    return value


def _state(state: str, config: Mapping[str, Any], iteration: int) -> tuple[str, str | None]:
    """Map a state of W&B; a search that ends a run early also leaves it finished there."""
    mapped = _STATES[state]
    trainer = config["trainer"] if isinstance(config["trainer"], dict) else {}
    wanted = trainer.get("max_steps")
    if mapped == "finished" and type(wanted) is int and iteration < wanted and trainer.get("max_time") is None:
        return "interrupted", f"ended after {iteration} of {wanted} iterations"
    return mapped, None if mapped in ("finished", "running") else f"W&B says it {state}"


def _weights(config: Mapping[str, Any]) -> str:
    """Validation takes averaged weights where the config keeps them and does not say otherwise."""
    callbacks = config.get("callbacks")
    for callback in callbacks.values() if isinstance(callbacks, dict) else ():
        if isinstance(callback, dict) and str(callback.get("_target_")).endswith(".EMA"):
            return "ema" if callback.get("evaluate", True) else "raw"
    return "raw"


def _commit(metadata: Mapping[str, Any]) -> str | None:
    git = metadata.get("git")
    found = git.get("commit") if isinstance(git, dict) else None
    return str(found) if found else None


def _environment(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    gpus = metadata.get("gpu_nvidia")
    names = [str(g.get("name")) for g in gpus if isinstance(g, dict)] if isinstance(gpus, list) else []
    memory = metadata.get("memory")
    total = memory.get("total") if isinstance(memory, dict) else None
    hardware = {
        "cpu": metadata.get("cpu"),
        "cores": metadata.get("cpu_count_logical") or metadata.get("cpu_count"),
        "memory_bytes": int(total) if isinstance(total, (int, float, str)) and str(total).isdigit() else None,
        "gpus": names or ([str(metadata["gpu"])] if metadata.get("gpu") else []),
    }
    found = {"python": metadata.get("python"), "platform": metadata.get("os"), "hardware": hardware}
    trainer = config["trainer"] if isinstance(config["trainer"], dict) else {}
    return {k: v for k, v in found.items() if v} | {k: trainer[k] for k in ("precision",) if k in trainer}


def _session(run: Any, metadata: Mapping[str, Any]) -> dict[str, Any]:
    found = {"start": utc(run.created_at), "end": utc(run.heartbeat_at), "host": metadata.get("host")}
    return {k: str(v) for k, v in found.items() if v}


def utc(time: Any) -> str:
    """A time of W&B, which is UTC whether it says so or not, as records write it."""
    text = str(time or "").removesuffix("Z")
    return f"{text}+00:00" if text and "+" not in text else text


def _cost(summary: Mapping[str, Any]) -> dict[str, Any]:
    seconds = summary.get("_runtime")
    return {"wall_seconds": float(seconds)} if isinstance(seconds, (int, float)) else {}


def _metrics(summary: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Last values; at which step and by which version of a metric they were measured, W&B does not know."""
    return {
        name: {"value": value}
        for name, value in summary.items()
        if type(value) in (int, float) and "/" in name and not name.startswith(("trainer/", "samples/", "_"))
    }
