"""What a paper reported: its tables as printed, each figure a target, and its claims."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Sure = Literal["paper", "reference", "memory", "derived"]
Direction = Literal["lower", "higher", "match"]
Bound = Literal["=", "<=", ">=", "~"]
SpreadKind = Literal["std", "sem", "ci95", "ci", "unknown"]
Over = Literal["seeds", "samples", "raters", "folds", "repetitions", "unknown"]
Pick = Literal["final", "best"]
ClaimKind = Literal["ordering", "trend", "equivalence", "threshold"]
Relation = Literal["rises", "falls"]


@dataclass(frozen=True)
class Spread:
    """The figure printed behind a value's ±.

    Attributes:
        value: half width, in the value's unit.
        kind: standard deviation, standard error, 95 % interval, an interval of unstated level, or not stated.
        over: what it is the spread of.
        n: how many of these; None where not stated.
        digits: decimals the paper prints, where they are not those of the value.
    """

    value: float
    kind: SpreadKind = "unknown"
    over: Over = "unknown"
    n: int | None = None
    digits: int | None = None


@dataclass(frozen=True)
class Tolerance:
    """How far a reproduction may be off and still count as one; fixed before any run.

    Attributes:
        value: in the value's unit.
        reason: why this much.
    """

    value: float
    reason: str


@dataclass(frozen=True)
class Recipe:
    """What has to be run: an experiment, and what a row of the table changes of it.

    Attributes:
        experiment: PAPER/ROW of conf/experiment.
        overrides: words of `train.py` on top of it; they belong to the protocol.
    """

    experiment: str
    overrides: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """Words of `train.py`."""
        return [f"experiment={self.experiment}", *self.overrides]

    @property
    def label(self) -> str:
        """The experiment and its overrides, in one line."""
        return " ".join([self.experiment, *self.overrides])


@dataclass(frozen=True)
class Target:
    """One reported figure.

    Attributes:
        paper, table, row, column: where it stands.
        label: of the row.
        group: heading of the rows around it, as printed; "" for none.
        metric: label of the column.
        dataset, split: what it was measured on.
        protocol: how, in words: number of samples, windows, averaging.
        unit: of the value; "" for none.
        digits: decimals the paper prints.
        direction: which way is better; `match` where neither is.
        value: as printed; None where it could not be recovered, or the paper leaves it out; `note` says why.
        bound: whether the paper prints it as equal to, at most, at least or about the value.
        spread: behind the ±.
        sure: seen in the paper; seen elsewhere (code, another paper, a digest); recalled; or computed from others.
        source: where, in words.
        note: whatever a reader should know.
        baseline: somebody else's figure, quoted or run for comparison.
        public: whether outsiders can get the data.
        tolerance: None only where no verdict can be given.
        recipe: the experiment that yields it; None where there is none.
        measure: name of the value in run records, e.g. test/linear50/ls_mse; None where nothing measures it.
        version: protocol version of our metric that compares with it.
        pick: the measure's final value or its best over validations, where it is no test metric.
        scale: factor from our unit to the paper's.
        hardware: a word that must be in the name of the device (for speeds); None where any will do.
        why: why nobody outside can run it; None where one can.
        pending: why no experiment of this version yields it, although one could.
        standin: an experiment on public data that comes nearest.
        standin_measure: its measure.
        blank: what the paper prints where it has no figure, e.g. a dash for training that diverged; "" elsewhere.
    """

    paper: str
    table: str
    row: str
    column: str
    label: str
    metric: str
    value: float | None
    sure: Sure
    source: str
    direction: Direction
    dataset: str
    split: str
    public: bool
    group: str = ""
    protocol: str = ""
    unit: str = ""
    digits: int | None = None
    bound: Bound = "="
    spread: Spread | None = None
    note: str = ""
    baseline: bool = False
    tolerance: Tolerance | None = None
    recipe: Recipe | None = None
    measure: str | None = None
    version: int | None = None
    pick: Pick = "final"
    scale: float = 1.0
    hardware: str | None = None
    why: str | None = None
    pending: str | None = None
    standin: Recipe | None = None
    standin_measure: str | None = None
    blank: str = ""

    @property
    def id(self) -> str:
        """PAPER/TABLE/ROW/COLUMN."""
        return f"{self.paper}/{self.table}/{self.row}/{self.column}"

    @property
    def runnable(self) -> bool:
        """Whether an experiment of this version can give it a verdict."""
        return self.recipe is not None and self.why is None and self.value is not None

    @property
    def quoted(self) -> bool:
        """A competitor's figure that stands in the table for comparison only; it gets no verdict."""
        return self.baseline and self.recipe is None

    @property
    def printed(self) -> str:
        """The figure as the paper prints it, `not recovered` where there is none."""
        if self.value is None:
            return self.blank or "not recovered"
        text = number(self.value, self.digits)
        spread = ""
        if self.spread:
            spread = (
                f" ± {number(self.spread.value, self.digits if self.spread.digits is None else self.spread.digits)}"
            )
        return (
            f"{'' if self.bound == '=' else {'<=': '≤ ', '>=': '≥ ', '~': '≈ '}[self.bound]}{text}{spread}{self.unit}"
        )


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        id: its key.
        label: as printed.
        unit: of the values.
        direction: which way is better.
    """

    id: str
    label: str
    unit: str
    direction: Direction


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        id: its key.
        label: as printed.
        group: heading of the rows around it.
        baseline: somebody else's result.
        facts: texts under the table's fact columns.
        targets: by column; a column the paper leaves empty is not there.
    """

    id: str
    label: str
    group: str
    baseline: bool
    facts: tuple[str, ...]
    targets: dict[str, Target]


@dataclass(frozen=True)
class Table:
    """A table, or a figure with numbers, as the paper prints it.

    Attributes:
        id: its key.
        title: what it shows.
        printed: where it stands: Table 2, Figure 4, section 3.
        note: whatever a reader should know.
        facts: headings of the columns that hold words (inputs, layers), before those with figures.
        columns, rows: in the paper's order.
    """

    id: str
    title: str
    printed: str
    note: str
    facts: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Term:
    """One thing that a claim compares.

    Attributes:
        label: for the reader.
        recipe: what is run; None while there is no experiment.
        measure: name of the value in run records.
        x: where it lies along a trend.
    """

    label: str
    recipe: Recipe | None
    measure: str
    x: float


@dataclass(frozen=True)
class Claim:
    """An ordering or trend that the paper states.

    Attributes:
        paper, id: where it belongs.
        text: in one sentence.
        kind: ordering (each term against the next), trend (slope over x), equivalence (two terms within the margin) or
            threshold (one term against a bound).
        terms: what is compared.
        relation: whether values rise or fall along the terms, or lie above (rises) or below (falls) the bound.
        direction: which way the measure is better.
        margin: of an equivalence.
        bound: of a threshold.
        version: protocol version of the measure.
        sure, source, note: as of a target.
        why: why nobody outside can test it.
        pending: why no experiment of this version tests it yet.
    """

    paper: str
    id: str
    text: str
    kind: ClaimKind
    sure: Sure
    source: str
    terms: tuple[Term, ...] = ()
    relation: Relation = "rises"
    direction: Direction = "lower"
    margin: Tolerance | None = None
    bound: float | None = None
    version: int | None = None
    note: str = ""
    why: str | None = None
    pending: str | None = None

    @property
    def runnable(self) -> bool:
        """Whether experiments of this version can test it."""
        return self.why is None and bool(self.terms) and all(t.recipe is not None for t in self.terms)


@dataclass(frozen=True)
class CodeLink:
    """Code that belongs to a paper.

    Attributes:
        url: of the repository.
        official: written by the authors.
        note: what it is.
    """

    url: str
    official: bool = False
    note: str = ""


@dataclass(frozen=True)
class Paper:
    """One publication.

    Attributes:
        name: file of conf/paper.
        title, authors, venue, year, arxiv, url: the citation; arxiv and url may be None.
        code: repositories.
        note: what of the paper was seen, what could not be recovered.
        tables, claims: in the paper's order.
    """

    name: str
    title: str
    authors: tuple[str, ...]
    venue: str
    year: int
    arxiv: str | None
    url: str | None
    code: tuple[CodeLink, ...] = ()
    note: str = ""
    tables: tuple[Table, ...] = ()
    claims: tuple[Claim, ...] = field(default=())

    @property
    def targets(self) -> list[Target]:
        """All reported figures, in the paper's order."""
        return [target for table in self.tables for row in table.rows for target in row.targets.values()]

    @property
    def citation(self) -> str:
        """Authors, title, venue, year, arXiv number, in one line."""
        who = ", ".join(self.authors[:3]) + (" et al." if len(self.authors) > 3 else "")
        where = f", {self.venue}" if self.venue else ""
        when = "" if any(w.isdigit() for w in self.venue.split()) else f", {self.year}"
        return f"{who}: {self.title}{where}{when}" + (f", arXiv {self.arxiv}" if self.arxiv else "")


def number(value: float, digits: int | None) -> str:
    """A number with the decimals the paper prints, or as short as it is written."""
    return f"{value:.10g}" if digits is None else f"{value:.{digits}f}"
