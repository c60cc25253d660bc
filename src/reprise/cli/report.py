"""`reprise report`."""

from __future__ import annotations

from pathlib import Path

USAGE = """
usage: reprise report [--root outputs] [--paper NAME] [--out FOLDER]

Sets reported beside reproduced figures, with statistics and evidence: index.html (one file that needs no other),
REPORT.md and report.json.

  --root outputs         whose run records are read
  --out FOLDER           where the files go; the root, unless given
  --paper NAME[,NAME]    only these papers
  --media embed          samples: embed (in the page), link (to the run's files) or none
  --readme README.md     write the table between the markers of this file anew
  --check                with --readme: write nothing; fail where the table is not up to date
  --wandb ENTITY/PROJECT also make a report on W&B
"""


def run(arguments: list[str]) -> int:
    """Write the report, or check a README."""
    from reprise.cli.common import existing, key_values, settings_for, without_dashes
    from reprise.config.errors import ConfigError, RunError, suggest
    from reprise.reproduction.ledger import read_ledger
    from reprise.reproduction.markdown import readme_block, with_block
    from reprise.reproduction.papers import read_papers
    from reprise.reproduction.publish import make_report, write_report
    from reprise.tracking.files import write_atomic

    settings, others = settings_for("report", key_values(without_dashes(arguments, "report")))
    if others:
        raise ConfigError(f"there is no setting {next(iter(others))!r}. {suggest(next(iter(others)), settings)}")
    root = existing(Path(settings["root"]).expanduser())
    if settings["check"] and settings["readme"] is None:
        raise ConfigError("--check lacks --readme FILE: that file's table is what is checked.")
    names = [name.strip() for name in (settings["paper"] or "").split(",") if name.strip()]
    report = make_report(read_papers(dict.fromkeys(names) or None), read_ledger(root), root)
    if settings["readme"] is not None:
        path = Path(settings["readme"])
        old = path.read_text(encoding="utf-8")
        new = with_block(old, readme_block(report), str(path))
        if settings["check"]:
            if new != old:
                raise RunError(f"the table in {path} is not what the records of {root} give. Run `make report`.")
            print(f"{path} is up to date with {report.records} records of {root}")
            return 0
        if new != old:
            write_atomic(path, new)
    written = write_report(report, Path(settings["out"] or root).expanduser(), settings["media"])
    print_counts(report)
    for path in written:
        print(path)
    if settings["wandb"] is not None:
        from reprise.reproduction.wandb_report import publish

        print(publish(report, settings["wandb"]))
    return 0


def print_counts(report: object) -> None:
    """Say how many records there are, and how many figures have which verdict."""
    from reprise.reproduction.standing import Report

    assert isinstance(report, Report)
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.counts.items() if count)
    aside = f", {report.set_aside} re-runs set aside" if report.set_aside else ""
    print(f"{report.records} records{aside}; {len(report.papers)} papers: {kinds}")
    for path, why in report.rejected:
        print(f"  not read: {path}: {why}")
