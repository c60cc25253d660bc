"""Run a plan through a launcher; started again, it goes on."""

from __future__ import annotations

from collections.abc import Sequence

from reprise.config.compose import compose_config
from reprise.launch.outcome import Outcome
from reprise.launch.points import run_points
from reprise.reproduction.planning import Plan


def run_plan(plan: Plan, launcher: str, launcher_words: Sequence[str] = ()) -> Outcome:
    """Train and measure what a plan still lacks.

    Args:
        plan: what is to be run.
        launcher: local, ray or slurm.
        launcher_words: its settings, hydra.launcher.KEY=VALUE.

    Returns:
        how it went; a failed run does not stop the others.
    """
    batch = [words for job in plan.jobs for words in job.batch]
    name = f"reproduce-{plan.name.replace('/', '-')}"
    return run_points(name, batch, launcher, launcher_words, identity=[plan.name, *plan.overrides])


def outputs_of(words: Sequence[str]) -> str:
    """The root of runs that words of `train.py` give: paths.outputs."""
    return str(compose_config(words).values["paths"]["outputs"])
