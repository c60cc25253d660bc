"""What the parts of one page share: ids, and which runs are shown where."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from reprise.reproduction.entry import Entry
from reprise.reproduction.report.markup import Ids, place
from reprise.reproduction.standing import PaperStanding, Report


@dataclass
class Context:
    """Everything that outlives one part of the page.

    Attributes:
        report: what is shown.
        page: directory the page will lie in; relative links start there.
        ids: of elements.
        packages: sets of installed packages met so far, by content; runs share few.
        shown: runs whose card stands on the page already.
    """

    report: Report
    page: Path
    ids: Ids = field(default_factory=Ids)
    packages: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)

    def run(self, entry: Entry) -> str:
        """Id of a run's card."""
        return self.ids.of("run", entry.id, place(entry.directory, self.report.root))


def evidence_runs(paper: PaperStanding) -> list[Entry]:
    """All runs that figures, stand-ins and claims of a paper rest on, each once, in order of experiment and seed."""
    found: dict[tuple[str, Path], Entry] = {}
    for standing in paper.targets.values():
        found |= {(r.id, r.directory): r for r in standing.runs}
        if standing.standin:
            found |= {(r.id, r.directory): r for r in standing.standin.runs}
    for claim in paper.claims:
        found |= {(r.id, r.directory): r for r in claim.runs}
    return sorted(found.values(), key=lambda r: (r.experiment or r.name, r.digest, r.seed, r.id, str(r.directory)))
