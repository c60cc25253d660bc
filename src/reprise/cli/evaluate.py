"""`reprise evaluate`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

USAGE = """
usage: reprise evaluate RUN_DIR [key=value ...]

Measures a run's checkpoint on the test part of its data, or on all where they have no parts, exactly, and adds the
result to the run record.

  checkpoint=best|last      which checkpoint
  weights=auto|raw|ema      which weights; auto takes the averaged ones where the run kept them
  samples=2                 samples written per row
  any.key=value             changes the run's own config for this evaluation, e.g.
                            model.evaluation_schedules=[manual6,fibonacci25] data.limit_test=4

`python train.py ... evaluate=true` does it once after training, without changes.
"""


def run(arguments: list[str]) -> int:
    """Evaluate and print the metrics as a table."""
    from reprise.cli.common import apply_to, key_values, run_directory, settings_for
    from reprise.launch.parent import follow_parent
    from reprise.tracking.directory import read_config
    from reprise.tracking.record import read_record

    follow_parent(signal.SIGKILL)  # there is nothing to save, and a long batch does not heed SIGTERM
    directory, words = run_directory(arguments, "reprise evaluate RUN_DIR [key=value ...]")
    read_record(directory)
    values = read_config(directory)
    settings, changes = settings_for("evaluate", key_values(words))
    if changes:
        values = apply_to(values, changes, f"the config of {directory}")
    from reprise.training.evaluate import evaluate

    result = evaluate(
        directory, values, changes, settings["checkpoint"], settings["weights"], settings["samples"], _announce
    )
    examples = result["examples"]
    print(
        f"{directory}: step {result['step']} ({Path(result['checkpoint']).name}), {result['weights']} weights, "
        f"{examples} example{'' if examples == 1 else 's'} measured, {result['cost']['wall_seconds']:.0f} s"
    )
    print(metric_table(result["metrics"]))
    print(f"samples and result.json: {directory / result['folder']}")
    return 0


def _announce(folder: Path) -> None:
    print(f"evaluation: {folder}", file=sys.stderr, flush=True)


_WIDEST = 160  # characters of a line that still reads as a table


def metric_table(metrics: dict[str, Any]) -> str:
    """Lay metrics out as a table: a row for each test/ROW, a column a metric; with many metrics, a line for each."""
    values = {name: float(entry["value"]) for name, entry in metrics.items()}
    wide = _wide(values)
    return wide if max(map(len, wide.splitlines())) <= _WIDEST else _tall(values)


def _wide(values: dict[str, float]) -> str:
    """Metrics named test/ROW/METRIC as rows and columns; test/METRIC stands in a row `test`."""
    rows: dict[str, dict[str, float]] = {}
    for name, value in values.items():
        split, *rest = name.split("/")
        row, metric = rest if len(rest) == 2 else (split, "/".join(rest))
        rows.setdefault(row, {})[metric] = value
    columns = list(dict.fromkeys(m for row in rows.values() for m in row))
    return _laid_out(columns, {row: [found.get(c) for c in columns] for row, found in rows.items()})


def _tall(values: dict[str, float]) -> str:
    """A line a metric; test/GROUP/METRIC stands beside test/METRIC where there is one."""
    lines: dict[str, dict[str, float]] = {}
    for name, value in values.items():
        split, *rest = name.split("/")
        grouped = len(rest) > 1 and f"{split}/{'/'.join(rest[1:])}" in values
        group, metric = (rest[0], "/".join(rest[1:])) if grouped else (split, "/".join(rest))
        lines.setdefault(metric, {})[group] = value
    columns = list(dict.fromkeys(group for line in lines.values() for group in line))
    return _laid_out(columns, {metric: [found.get(c) for c in columns] for metric, found in lines.items()})


def _laid_out(columns: list[str], rows: dict[str, list[float | None]]) -> str:
    width = max([len(r) for r in rows] + [4]) + 2
    wide = [max(14, len(c) + 2) for c in columns]
    lines = [" " * width + "".join(f"{c:>{w}}" for c, w in zip(columns, wide, strict=True))]
    for row, cells in rows.items():
        texts = ("" if cell is None else f"{cell:.4g}" for cell in cells)
        lines.append(f"{row:<{width}}" + "".join(f"{text:>{w}}" for text, w in zip(texts, wide, strict=True)))
    return "\n".join(line.rstrip() for line in lines)
