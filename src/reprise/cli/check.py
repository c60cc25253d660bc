"""`reprise check`."""

from __future__ import annotations

import sys

USAGE = """
usage: reprise check [key=value ...]
       reprise check --papers
       reprise check --all

Composes and checks a config without building anything but a causal graph: keys, types, choices, mandatory values,
targets, unknown causes and cycles.
--papers checks the figures and claims in conf/paper: sources, tolerances, experiments, measures.
--all does it for every model, every arch and budget of it, every graph, every experiment, every search space of
conf/sweep, and the papers.
"""


def run(arguments: list[str]) -> int:
    """Check one config or all."""
    from reprise.cli.common import compose_checked, protocol_deviations
    from reprise.config.errors import ConfigError, suggest
    from reprise.config.graph import check_graph

    if arguments == ["--papers"]:
        return _check_papers()
    if "--all" in arguments:
        return max(_check_all([a for a in arguments if a != "--all"]), _check_papers())
    if options := [a for a in arguments if a.startswith("--")]:
        raise ConfigError(f"there is no option {options[0]}. {suggest(options[0], ['--papers', '--all'])}")
    composed = compose_checked(arguments)
    check_graph(composed.values)
    chosen = ", ".join(f"{k}={v}" for k, v in composed.choices.items() if v and k != "local")
    print(f"ok: {chosen}")
    for deviation in protocol_deviations(composed):
        print(f"  deviates: {deviation['key']} is {deviation['run']}, the experiment has {deviation['protocol']}")
    return 0


def _check_papers() -> int:
    """Check every paper; all errors are said, not only the first."""
    from reprise.config.errors import ConfigError
    from reprise.reproduction.papers import check_paper, paper_names

    failures, names = 0, paper_names()
    for name in names:
        try:
            paper = check_paper(name)
        except ConfigError as error:
            failures += 1
            print(error, file=sys.stderr)
            continue
        own = [t for t in paper.targets if not t.quoted]
        print(
            f"{name}: {len(own)} targets ({sum(t.runnable for t in own)} runnable), "
            f"{len(paper.targets) - len(own)} quoted figures, {len(paper.claims)} claims"
        )
    print(f"{len(names) - failures} of {len(names)} papers are right")
    return 2 if failures else 0


def _check_all(extra: list[str]) -> int:
    from reprise.config.compose import group_choices, read_choice
    from reprise.config.errors import ConfigError

    commands = [[f"model={m}"] for m in group_choices("model")]
    commands += [
        [f"model={m}", f"arch={a}"]
        for m in group_choices("model")
        for a in group_choices("arch")
        if a.startswith(f"{m}/")
    ]
    commands += [[f"model={group_choices('model')[0]}", f"trainer={t}"] for t in group_choices("trainer")]
    commands += [[f"model={group_choices('model')[0]}", f"logger={x}"] for x in group_choices("logger")]
    commands += [[f"model={group_choices('model')[0]}", f"callbacks={c}"] for c in group_choices("callbacks")]
    commands += [
        [f"model={m}", f"budget={b}"]
        for m in group_choices("model")
        for b in group_choices("budget")
        if b.rpartition("/")[0] in ("", m)  # conf/budget/MODEL is for that model
    ]
    commands += [["model=causal_controller", f"graph={g}"] for g in group_choices("graph")]
    commands += [[f"experiment={e}"] for e in group_choices("experiment")]
    failures = 0
    for command in commands:
        try:
            _check_one([*command, *extra])
        except ConfigError as error:
            failures += 1
            print(f"{' '.join(command)}: {error}", file=sys.stderr)
    spaces = [c for c in group_choices("sweep") if "space" in read_choice("sweep", c)]
    for space in spaces:
        try:
            _check_sweep(space, extra)
        except ConfigError as error:
            failures += 1
            print(f"sweep={space}: {error}", file=sys.stderr)
    commands += [[f"sweep={s}"] for s in spaces]
    print(f"{len(commands) - failures} of {len(commands)} configs are right")
    return 2 if failures else 0


def _check_sweep(name: str, extra: list[str]) -> None:
    """Check a search space: every choice and both ends of every interval."""
    from reprise.config.compose import read_choice
    from reprise.launch.plan import Planner
    from reprise.launch.search import check_space
    from reprise.launch.settings import read_settings, with_fixed
    from reprise.launch.space import read_space

    content = read_choice("sweep", name)
    settings = read_settings(content)
    space, fixed = read_space(settings.space, with_fixed(settings.fixed, extra))
    check_space(space, fixed, Planner())


def _check_one(command: list[str]) -> None:
    """Check one config; a folder that only its user can name is filled in, so that the rest is checked too."""
    from reprise.cli.common import compose_checked
    from reprise.config.errors import ConfigError
    from reprise.config.graph import check_graph

    try:
        composed = compose_checked(command)
    except ConfigError as error:
        if not str(error).startswith("data.root is missing"):
            raise
        composed = compose_checked([*command, "data.root=FOLDER"])
    check_graph(composed.values)
