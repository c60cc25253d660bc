"""`reprise show`."""

from __future__ import annotations

from pathlib import Path

USAGE = """
usage: reprise show PAPER [--root outputs]
       reprise show PAPER/ROW
       reprise show RUN_DIR
       reprise show SWEEP_DIR

Shows a paper (its tables as printed, with the state of each row beside it, judged by the runs below the root), an
experiment (its protocol with sources), a run (state, metrics, deviations, cost, evidence) or a sweep (state and
objective of each point, what failed and how to run it again).
"""


def run(arguments: list[str]) -> int:
    """Show one thing."""
    from reprise.config.compose import group_choices
    from reprise.config.errors import ConfigError, suggest

    root, words = _root(arguments)
    if len(words) != 1:
        raise ConfigError("one name is needed: reprise show PAPER, PAPER/ROW, RUN_DIR or SWEEP_DIR")
    name = words[0]
    experiments, papers = group_choices("experiment"), group_choices("paper")
    if name in papers:
        return _show_paper(name, root)
    if root is not None:
        raise ConfigError("--root goes with a paper: its rows are judged by the runs below the root.")
    if name in experiments:
        return _show_experiment(name)
    folder = Path(name).expanduser()
    if (folder / "sweep.json").is_file():
        return _show_sweep(folder)
    if folder.is_dir():
        return _show_run(folder)
    raise ConfigError(
        f"{name!r} is no paper, experiment, run directory or sweep directory. {suggest(name, [*papers, *experiments])}"
    )


def _root(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Take --root out of the words."""
    from reprise.config.errors import ConfigError

    words = list(arguments)
    for i, word in enumerate(words):
        if word == "--root":
            if i + 1 == len(words):
                raise ConfigError("--root lacks its value. Expected e.g. --root outputs.")
            return words[i + 1], [*words[:i], *words[i + 2 :]]
        if word.startswith("--root="):
            return word.partition("=")[2], [*words[:i], *words[i + 1 :]]
    return None, words


def _show_paper(name: str, root: str | None) -> int:
    from reprise.cli.common import standing_of
    from reprise.reproduction.terminal import print_paper

    (standing,) = standing_of([name], root)
    print_paper(standing)
    return 0


def _show_experiment(name: str) -> int:
    import yaml

    from reprise.cli.common import format_value
    from reprise.config.compose import compose_config
    from reprise.config.paths import conf_dir, show_path
    from reprise.config.protocol import protocol_values

    file = conf_dir() / "experiment" / f"{name}.yaml"
    print(f"{name}  ({show_path(file)})\n")
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") and not line.startswith("# @package"):
            print(line[2:])
    print("\nprotocol (reprise explain KEY says where a value comes from):")
    for key, value in protocol_values(compose_config([f"experiment={name}"]).values).items():
        if not key.startswith(("callbacks.", "tags")):
            text = yaml.safe_dump(value, default_flow_style=True).strip() if isinstance(value, list) else None
            print(f"  {key:<44} {text or format_value(value)}")
    return 0


def _show_sweep(directory: Path) -> int:
    from rich.console import Console

    from reprise.launch.book import read_book
    from reprise.launch.outcome import Outcome
    from reprise.launch.point import Point
    from reprise.launch.view import draw

    raw = read_book(directory)
    points = [Point.from_json(p) for p in raw["points"]]
    print(f"{directory}: {raw.get('state')}, {raw.get('sweeper')} on {raw.get('launcher')}, begun {raw.get('started')}")
    print(f"command  {raw.get('command')}\n")
    Console(soft_wrap=True).print(draw(points, rows=len(points)))
    print()
    for line in Outcome(directory, points, str(raw.get("group")), 0.0).lines()[1:]:
        print(line.removeprefix("  "))
    return 0


def _show_run(directory: Path) -> int:
    from reprise.cli.common import format_value
    from reprise.cli.evaluate import metric_table
    from reprise.tracking.record import read_record

    record = read_record(directory)
    environment, cost = {"accelerator": "unknown", "precision": "unknown"} | record.environment, record.cost
    state = record.state
    if state == "running" and record.sessions and not _alive(record.sessions[-1]):
        state = f"running when it was killed; go on with: python train.py resume={directory}"
    rows = {
        "name": record.name,
        "state": state,
        "error": record.error,
        "seed": record.seed,
        "command": record.command,
        "step": record.iteration,
        "weights evaluated": record.weights,
        "commit": f"{record.code.get('commit')}{' + code.patch' if record.code.get('patch_sha256') else ''}",
        "hardware": "{world_size} x {accelerator}, {precision}".format_map(
            {"accelerator": "?", "precision": "?"} | environment
        )
        if "world_size" in environment
        else None,
        "parameters": environment.get("parameters"),
        "data": record.data.get("recordings_sha256", record.data),
        "cost": ", ".join(f"{k} {format_value(v)}" for k, v in cost.items() if v is not None),
        "W&B": f"{record.wandb['id']} ({record.wandb['mode']})" if record.wandb else None,
    }
    for key, value in rows.items():
        if value is not None:
            print(f"{key:<18} {value}")
    print("\nmetrics")
    for name, entry in record.metrics.items():
        best = f"   best {entry['best']:.6g} at step {entry.get('best_step', 'unknown')}" if "best" in entry else ""
        step = f"  (step {entry['step']})" if "step" in entry else ""  # W&B does not know it of an imported run
        print(f"  {name:<24} {float(entry['value']):.6g}{step}{best}")
    for evaluation in record.evaluations:
        print(
            f"\nevaluation {evaluation['folder']}, step {evaluation['step']}, {evaluation['weights']} weights, "
            f"{evaluation.get('examples', 'unknown')} examples"
        )
        print(metric_table(evaluation["metrics"]))
    if record.experiment or record.deviations:
        print(f"\n{len(record.deviations)} deviations from {record.experiment or 'its first config'}")
        for d in record.deviations:
            print(f"  {d['key']:<40} {format_value(d.get('protocol'))}  ->  {format_value(d.get('run'))}")
    return 0


def _alive(session: dict[str, object]) -> bool:
    import os
    import socket

    if session.get("host") != socket.gethostname():
        return True  # another machine's process cannot be seen from here
    return Path(f"/proc/{session.get('pid')}").exists() if os.path.isdir("/proc") else True
