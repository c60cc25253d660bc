"""`reprise reproduce`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reprise.reproduction.planning import Plan

USAGE = """
usage: reprise reproduce PAPER [--seeds 3] [key=value ...]
       reprise reproduce PAPER/ROW [--seeds 3] [key=value ...]

Plans what the verdicts of a paper (or of a row, table, claim or experiment of it) still lack, prints the plan with its
cost, runs and measures it through a launcher, and writes the report. The same command again goes on where it was.

  --seeds 3                         runs of each experiment: seeds 0, 1, 2; what the ledger has is not run again
  --dry-run                         print the plan; train nothing
  --launcher local|ray|slurm        where the runs go
  --no-probe                        do not train two iterations where no similar run tells the cost
  --root outputs                    where runs are made and read, and where the report goes: paths.outputs
  key=value                         a change of every run, e.g. trainer=ddp, or budget=smoke (then rows are `scaled`)
  hydra.launcher.n_jobs=1           a setting of the launcher
"""


def run(arguments: list[str]) -> int:
    """Plan, run, report."""
    from reprise.cli.common import key_values, settings_for, without_dashes
    from reprise.config.compose import group_choices
    from reprise.config.errors import ConfigError, suggest
    from reprise.launch.point import quoted
    from reprise.reproduction.assess import assess
    from reprise.reproduction.estimate import Estimator, try_probe
    from reprise.reproduction.evidence import Evidence
    from reprise.reproduction.ledger import read_ledger
    from reprise.reproduction.papers import paper_names, read_paper
    from reprise.reproduction.planning import make_plan, select
    from reprise.reproduction.publish import make_report, write_report
    from reprise.reproduction.reproduce import outputs_of, run_plan

    words = without_dashes(["--probe=false" if a == "--no-probe" else a for a in arguments], "reproduce")
    names = [w for w in words if "=" not in w and not w.startswith("~")]
    if len(names) != 1:
        raise ConfigError(f"one name is needed: reprise reproduce PAPER[/ROW]. Papers: {', '.join(paper_names())}.")
    changes = [w for w in words if w not in names]
    plain = [w for w in changes if not w.startswith(("hydra.", "hydra/"))]
    settings, _ = settings_for("reproduce", key_values([w for w in plain if _is_setting(w)]))
    overrides = [w for w in plain if not _is_setting(w)]
    launcher_words = [w for w in changes if w not in plain]
    name, _, row = names[0].partition("/")
    paper = read_paper(name)
    wanted = select(paper, row or None)
    if not wanted:
        raise ConfigError(
            f"no experiment of this version belongs to {name}. `reprise show {name}` says why of each row."
        )
    if settings["launcher"] not in (known := group_choices("hydra/launcher")):
        raise ConfigError(f"there is no launcher {settings['launcher']!r}. {suggest(settings['launcher'], known)}")
    if settings["root"] is not None and not any(w.startswith("paths.outputs=") for w in overrides):
        overrides = [*overrides, f"paths.outputs={quoted(settings['root'])}"]
    root = Path(outputs_of([*next(iter(wanted)).words, *overrides])).expanduser()
    if settings["root"] is not None and Path(settings["root"]).expanduser() != root:
        raise ConfigError(
            f"--root {settings['root']} and paths.outputs={root} differ: runs are read where they are made."
        )
    ledger = read_ledger(root)
    estimator = Estimator(ledger)
    standing = assess([paper], Evidence(ledger, [paper]))[0]
    plan = make_plan(standing, row or None, settings["seeds"], overrides, ledger, estimator)
    if not settings["dry_run"] and settings["probe"]:
        unknown = {job.recipe: job.words for job in plan.jobs if job.seeds and job.estimate is None}
        found = {recipe: try_probe(words) for recipe, words in unknown.items()}
        plan = plan.estimated({recipe: estimate for recipe, estimate in found.items() if estimate is not None})
    print_plan(plan)
    if settings["dry_run"]:
        return 0
    code = 0
    if plan.runs:
        code = run_plan(plan, settings["launcher"], launcher_words).exit_code
    from reprise.cli.report import print_counts

    report = make_report([read_paper(name)], read_ledger(root), root)
    print_counts(report)
    for path in write_report(report, root / "reports" / name):
        print(path)
    return code


def _is_setting(word: str) -> bool:
    from reprise.cli.common import defaults_of

    return word.partition("=")[0] in defaults_of("reproduce")


def print_plan(plan: Plan) -> None:
    """Print what is to be run, what is there, what it costs, and what cannot be run."""
    import textwrap

    from reprise.reproduction.estimate import hours

    changes = f" with {' '.join(plan.overrides)}" if plan.overrides else ""
    print(f"{plan.name}, {plan.seeds} seeds{changes}: {plan.runs} runs")
    total, unknown = 0.0, 0
    for job in plan.jobs:
        there = f"there: {_listed(job.have)}" if job.have else "none there"
        print(f"\n{job.recipe.label}\n  seeds  {_listed(job.seeds) or 'nothing to run'} ({there})")
        cost = job.estimate.text if job.estimate else "not known: no similar run"
        print(f"  each   {cost}")
        for line in textwrap.wrap(_purpose(job.wanted_by), 110, initial_indent="  for    ", subsequent_indent=" " * 9):
            print(line)
        if job.estimate is not None:
            total += job.estimate.device_seconds * len(job.seeds)
        else:
            unknown += len(job.seeds)
    if plan.runs:
        parts = [hours(total)] if total else []
        parts += [f"{unknown} runs of unknown cost"] if unknown else []
        print(f"\nin all {' and '.join(parts)}")
    for name, why in plan.skipped:
        print(*textwrap.wrap(f"not run: {name}: {why}", 118, subsequent_indent="  "), sep="\n")


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _purpose(wanted_by: Sequence[str]) -> str:
    """Rows and claims in one line: those of a table together."""
    from reprise.reproduction.planning import CLAIM, STAND_IN

    groups: dict[str, list[str]] = {}
    for name in wanted_by:
        standin = name.endswith(STAND_IN)
        if name.startswith(CLAIM):
            groups.setdefault("claims", []).append(name.removeprefix(CLAIM))
        else:
            table, _, row = name.removesuffix(STAND_IN).partition("/")
            groups.setdefault(f"{'stand-in of ' if standin else ''}{table}", []).append(row)
    return "; ".join(f"{head} {', '.join(names)}" for head, names in groups.items())
