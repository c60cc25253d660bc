"""The report on W&B: the same tables, and the curves of the runs that are there."""

from __future__ import annotations

import re
from typing import Any

from reprise.config.errors import ConfigError, RunError
from reprise.reproduction.entry import Entry
from reprise.reproduction.markdown import paper_markdown, summary_table
from reprise.reproduction.standing import KINDS, PaperStanding, Report

_PLACE = re.compile(r"^[\w.-]+/[\w. -]+$")


def build(report: Report, place: str) -> Any:
    """Build the report; nothing is sent.

    Args:
        report: what it shows.
        place: ENTITY/PROJECT.

    Returns:
        a wandb_workspaces.reports.v2.Report.

    Raises:
        ConfigError: the place is none, or the package is not installed.
    """
    if not _PLACE.match(place):
        raise ConfigError(f"wandb is {place!r}. Expected ENTITY/PROJECT.")
    try:
        import wandb_workspaces.reports.v2 as wr
    except ImportError:
        raise ConfigError("a W&B report needs wandb-workspaces: pip install 'reprise[reports]'.") from None
    entity, project = place.split("/")
    blocks: list[Any] = [wr.MarkdownBlock(text=summary_table(report)), wr.TableOfContents()]
    for standing in report.papers:
        runs = _runs_on_wandb(standing)
        if standing.counts["missing"] + standing.counts["not testable"] == sum(standing.counts.values()) and not runs:
            continue  # a paper without a run has nothing to show here
        blocks += [wr.H1(text=standing.paper.title), wr.MarkdownBlock(text=paper_markdown(standing))]
        if runs:
            blocks.append(_curves(wr, entity, project, standing, runs))
    legend = "\n".join(f"- **{kind}**: {text}" for kind, text in KINDS.items())
    blocks += [wr.H1(text="What the verdicts mean"), wr.MarkdownBlock(text=legend)]
    description = f"{report.records} run records, newest {report.newest or 'none'}; Reprise {report.version}"
    return wr.Report(
        project=project, entity=entity, title="Reproduction report", description=description, blocks=blocks
    )


def publish(report: Report, place: str) -> str:
    """Build the report and save it on W&B; returns its address.

    Raises:
        RunError: W&B cannot be reached, or refuses.
    """
    built = build(report, place)
    try:
        built.save()
    except Exception as error:  # the client raises its own kinds for keys, networks and permissions
        raise RunError(
            f"the report could not be saved at W&B ({type(error).__name__}: {error}). Is a key there?"
        ) from None
    return str(built.url)


def _runs_on_wandb(standing: PaperStanding) -> list[Entry]:
    """The evidence that W&B has too, each run once."""
    states = standing.targets.values()
    evidence = [s.runs for s in states]
    evidence += [s.standin.runs for s in states if s.standin]
    evidence += [claim.runs for claim in standing.claims]
    entries = {run.id: run for runs in evidence for run in runs}
    return [run for run in entries.values() if run.wandb and run.wandb.get("mode") == "online"]


def _curves(wr: Any, entity: str, project: str, standing: PaperStanding, runs: list[Entry]) -> Any:
    """Curves of a paper's runs, which are grouped by experiment there."""
    experiments = sorted({run.experiment for run in runs if run.experiment})
    names = ", ".join(repr(name) for name in experiments)
    monitors = sorted({name for run in runs for name in run.metrics if name.startswith("val/")})
    return wr.PanelGrid(
        runsets=[
            wr.Runset(entity=entity, project=project, name=standing.paper.name, filters=f"Metric('Group') in [{names}]")
        ],
        panels=[
            wr.LinePlot(title=name, y=[name], groupby="Group", groupby_aggfunc="mean", groupby_rangefunc="minmax")
            for name in ("train/loss", *monitors)
        ],
    )
