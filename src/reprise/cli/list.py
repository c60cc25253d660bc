"""`reprise list`."""

from __future__ import annotations

import re

USAGE = """
usage: reprise list [models|archs|data|experiments|papers|trainers|callbacks|loggers|budgets|graphs|
                     sweeps|launchers]

Lists what can be chosen, with the first line of each file's comment. Without a word: models, data, experiments.
Of papers it says how many figures they report, how many of these an experiment yields, and their verdicts by the runs
below outputs.
"""

GROUPS = {
    "models": "model",
    "archs": "arch",
    "data": "data",
    "experiments": "experiment",
    "trainers": "trainer",
    "callbacks": "callbacks",
    "loggers": "logger",
    "budgets": "budget",
    "graphs": "graph",
    "sweeps": "sweep",
    "launchers": "hydra/launcher",
}


def run(arguments: list[str]) -> int:
    """Print the choices of one or several groups."""
    from reprise.config.errors import ConfigError, suggest

    plurals = {group: name for name, group in GROUPS.items()}  # the group's own name will do as well
    words = [plurals.get(word, word) for word in arguments or ["models", "data", "experiments"]]
    for word in words:
        if word not in GROUPS and word != "papers":
            raise ConfigError(f"{word!r} cannot be listed. {suggest(word, [*GROUPS, 'papers'])}")
    for i, word in enumerate(words):
        if i:
            print()
        print(f"{word}:")
        for name, text in _papers() if word == "papers" else _choices(GROUPS[word]):
            print(f"  {name:<38} {text}")
    return 0


def _choices(group: str) -> list[tuple[str, str]]:
    from reprise.config.compose import group_choices
    from reprise.config.paths import conf_dir

    found = [(name, summary(conf_dir() / group / f"{name}.yaml")) for name in group_choices(group)]
    # Hydra's own launchers train in the process that is started, and are refused
    return [row for row in found if row[1] or not group.startswith("hydra/")]


def _papers() -> list[tuple[str, str]]:
    from reprise.cli.common import standing_of
    from reprise.config.compose import group_choices
    from reprise.reproduction.terminal import counts_line

    return [(s.paper.name, counts_line(s)) for s in standing_of(group_choices("paper"), None)]


def summary(path: object) -> str:
    """First sentence of a config file's comment, or nothing where the file is another package's."""
    from pathlib import Path

    file = Path(str(path))
    if not file.is_file():
        return ""
    lines = [x.lstrip("# ") for x in file.read_text(encoding="utf-8").splitlines() if x.startswith("# ")]
    text = next((x for x in lines if not x.startswith("@package")), "")
    return re.split(r"(?<! al)\. ", text)[0].rstrip(".")
