"""A model card of a finished run: README.md with model-index metadata, all of it from the run record."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from reprise.config.errors import RunError
from reprise.reproduction.markdown import cell, grid
from reprise.reproduction.paper import Paper
from reprise.tracking.record import RunRecord, own_evaluation

CARD = "README.md"
_MARK = "<!-- model card written by `reprise card` -->"
# What a model that learns from a room's data does, in the terms of model hubs.
_TASKS = {
    "reprise.data.audio.": "audio-to-audio",
    "reprise.data.images.": "unconditional-image-generation",
    "reprise.data.text.": "text-classification",
    "reprise.data.graphs.": "graph-ml",
    "reprise.data.tabular.": "tabular-regression",
    "reprise.data.series.": "time-series-forecasting",
}


def write_card(directory: Path, record: RunRecord, paper: Paper | None) -> Path:
    """Write README.md into a run directory.

    Args:
        directory: of the run.
        record: of it.
        paper: that its experiment belongs to, if any.

    Raises:
        RunError: the run is not finished, or a README.md that is no card is there.
    """
    from reprise.tracking.files import write_atomic

    if record.state != "finished":
        raise RunError(
            f"{directory} is {record.state}. A card is of a finished run: python train.py resume={directory}"
        )
    path = directory / CARD
    if path.exists() and _MARK not in path.read_text(encoding="utf-8", errors="replace"):
        raise RunError(f"{path} is there and was not written by this command. Move it away first.")
    write_atomic(path, render_card(record, paper))
    return path


def render_card(record: RunRecord, paper: Paper | None) -> str:
    """Make the text of a card."""
    parts = [
        f"---\n{_yaml(metadata(record, paper))}---",
        _MARK,
        f"# {cell(record.name)}, seed {record.seed}",
        _what(record, paper),
        "## Results",
        _results(record),
        "## Protocol",
        _deviations(record),
        "## To repeat it",
        _repeat(record),
        "## Files",
        _files(record),
    ]
    if paper is not None:
        parts += ["## Citation", cell(paper.citation)]
    return "\n\n".join(parts) + "\n"


def metadata(record: RunRecord, paper: Paper | None) -> dict[str, Any]:
    """What stands at the head of the card, as model hubs read it; a measurement that was cut is left out of it."""
    data = record.config.get("data")
    target = str(data.get("_target_", "")) if isinstance(data, dict) else ""
    tags = record.config.get("tags") if isinstance(record.config.get("tags"), list) else []
    task = next((t for prefix, t in _TASKS.items() if target.startswith(prefix)), "other")
    dataset = target.rpartition(".")[2] or "unknown"
    found: dict[str, Any] = {
        "library_name": "pytorch",
        "pipeline_tag": task,
        "tags": [
            "reprise",
            *(str(t) for t in (paper.name if paper else None, *(tags or [])) if t),
        ],
    }
    if task == "other":
        del found["pipeline_tag"]
    results = []
    shown = _shown(record)
    for split, metrics in _measured(record) if shown is None or not shown.get("changes") else []:
        results.append(
            {
                "task": {"type": task},
                "dataset": {"type": _slug(dataset), "name": dataset, "split": split},
                "metrics": [
                    {"type": name.rpartition("/")[2], "name": name, "value": value, "verified": False}
                    for name, value, _ in metrics
                ],
            }
        )
    if results:
        found["model-index"] = [{"name": f"{record.name}-s{record.seed}", "results": results}]
    return found


def _measured(record: RunRecord) -> list[tuple[str, list[tuple[str, float, Any]]]]:
    """Finite metrics by split: those of the evaluation that is shown, else the last of training."""
    evaluation = _shown(record)
    entries = evaluation["metrics"] if evaluation else record.metrics
    entries = {k: v for k, v in entries.items() if k.startswith(("val/", "test/"))}
    splits: dict[str, list[tuple[str, float, Any]]] = {}
    for name, entry in entries.items():
        value = float(entry["value"])
        if math.isfinite(value):
            splits.setdefault(name.partition("/")[0], []).append((name, value, entry.get("version")))
    return list(splits.items())


def _shown(record: RunRecord) -> dict[str, Any] | None:
    """The evaluation that the card shows: the run's own, else the newest; None without any."""
    if (own := own_evaluation(record)) is not None:
        return own
    return max(record.evaluations, key=lambda e: str(e.get("time", ""))) if record.evaluations else None


def _what(record: RunRecord, paper: Paper | None) -> str:
    about = f"A run of the experiment `{cell(record.experiment)}`" if record.experiment else "A run"
    of = f" of *{cell(paper.title)}*" if paper else ""
    count = len(record.deviations)
    protocol = f"It deviates from the protocol in {count} values, listed below, so it is no test of the paper."
    if not count:
        protocol = "It follows the protocol without deviations." if record.experiment else ""
    trained = f"{record.iteration} iterations, {cell(record.weights)} weights"
    return " ".join(f"{about}{of}: {trained}. {protocol} One seed is no verdict.".split())


def _results(record: RunRecord) -> str:
    rows = [["metric", "value", "protocol version"]]
    for _, metrics in _measured(record):
        rows += [[name, f"{value:.6g}", str(version or "")] for name, value, version in metrics]
    if len(rows) == 1:
        return "Nothing was measured."
    evaluation = _shown(record)
    if evaluation is None:
        return f"On the validation set, at the end of training.\n\n{grid(rows)}"
    changes = "".join(f", {cell(k)}={cell(v)}" for k, v in (evaluation.get("changes") or {}).items())
    examples = evaluation.get("examples")
    head = (
        f"Measured on {examples} example{'' if examples == 1 else 's'}, with the {cell(evaluation.get('weights'))} "
        f"weights of step {evaluation.get('step')}{changes}."
    )
    return f"{head}\n\n{grid(rows)}"


def _deviations(record: RunRecord) -> str:
    if not record.deviations:
        return "No deviations." if record.experiment else "The run belongs to no experiment."
    rows = [["key", "protocol", "this run"]]
    return grid(rows + [[str(d["key"]), str(d.get("protocol")), str(d.get("run"))] for d in record.deviations])


def _repeat(record: RunRecord) -> str:
    environment = record.environment
    hardware = environment.get("hardware") or {}
    packages = environment.get("packages") or {}
    kept = ", ".join(f"{k} {packages[k]}" for k in ("torch", "pytorch-lightning", "torchmetrics") if k in packages)
    devices = ", ".join(hardware.get("gpus") or []) or hardware.get("cpu") or "unknown hardware"
    rows = [
        ["command", record.command],
        ["commit", f"{record.code.get('commit')}{' and code.patch' if record.code.get('patch_sha256') else ''}"],
        ["data", json.dumps(record.data, sort_keys=True)],
        ["ran on", f"{environment.get('world_size', 1)} x {devices}, Python {environment.get('python')}, {kept}"],
        ["cost", f"{float(record.cost.get('device_seconds') or 0):.0f} device-seconds"],
    ]
    return grid([["", ""], *rows])


def _files(record: RunRecord) -> str:
    if not record.checkpoints:
        return "No checkpoints are recorded."
    rows = [["checkpoint", "step", "roles", "SHA-256"]]
    for entry in record.checkpoints:
        roles = ", ".join(entry.get("roles") or [])
        rows.append([str(entry["file"]), str(entry["step"]), roles, str(entry.get("sha256"))])
    return grid(rows)


def _yaml(content: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _slug(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
