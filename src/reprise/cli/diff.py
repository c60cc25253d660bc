"""`reprise diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

USAGE = """
usage: reprise diff RUN_A RUN_B

Compares two runs: config, code, environment, data and metrics. Prints only what differs.
"""


def run(arguments: list[str]) -> int:
    """Print the differences of two run records."""
    from reprise.config.errors import ConfigError
    from reprise.tracking.record import read_record

    if len(arguments) != 2:
        raise ConfigError("two run directories are needed: reprise diff RUN_A RUN_B")
    a, b = (read_record(Path(word).expanduser()) for word in arguments)
    parts: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("config", a.config, b.config),
        ("code", a.code, b.code),
        ("environment", a.environment, b.environment),
        ("data", a.data, b.data),
        ("metrics", _values(a.metrics), _values(b.metrics)),
        (
            "run",
            {"seed": a.seed, "state": a.state, "iteration": a.iteration},
            {"seed": b.seed, "state": b.state, "iteration": b.iteration},
        ),
    ]
    print(f"A {arguments[0]}\nB {arguments[1]}")
    different = False
    for title, left, right in parts:
        different |= _print_part(title, left, right)
    if not different:
        print("no difference")
    return 0


def _values(metrics: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: entry.get("value") for name, entry in metrics.items()}


def _print_part(title: str, left: dict[str, Any], right: dict[str, Any]) -> bool:
    from reprise.cli.common import format_value
    from reprise.config.protocol import difference

    found = difference(left, right)
    if not found:
        return False
    print(f"\n{title}")
    width = min(48, max(len(key) for key, _, _ in found))
    for key, was, now in found:
        line = f"  {key:<{width}}  {format_value(was)}  ->  {format_value(now)}"
        if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (was, now)) and title == "metrics":
            line += f"  ({now - was:+.4g})"
        print(line)
    return True
