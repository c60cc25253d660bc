"""Plan what a paper's verdicts still lack: experiment by experiment, seed by seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reprise.config.errors import ConfigError, suggest
from reprise.config.protocol import digest
from reprise.launch.plan import Planner
from reprise.reproduction.entry import Entry
from reprise.reproduction.estimate import Estimate, Estimator
from reprise.reproduction.paper import Paper, Recipe
from reprise.reproduction.standing import LEAST_SEEDS, PaperStanding

if TYPE_CHECKING:
    from reprise.reproduction.ledger import Ledger

STAND_IN, CLAIM = " (stand-in)", "claim "  # how the names of what wants a run end or begin
_DECIDED = ("reproduced", "better", "not reproduced")
_SETTLED = ("holds", "contradicted")
# Words that the plan itself decides.
_OWN = ("experiment", "model", "seed", "evaluate", "sweep", "resume", "paths.run")


@dataclass(frozen=True)
class Job:
    """An experiment with the seeds that are to be run.

    Attributes:
        recipe: the experiment.
        words: of `train.py`, the seed not among them.
        seeds: to run.
        have: seeds that the ledger has already.
        wanted_by: rows and claims that need it.
        estimate: of one run; None where not known.
    """

    recipe: Recipe
    words: tuple[str, ...]
    seeds: tuple[int, ...]
    have: tuple[int, ...]
    wanted_by: tuple[str, ...]
    estimate: Estimate | None = None

    @property
    def batch(self) -> list[list[str]]:
        """One list of words for each run."""
        return [[*self.words, f"seed={seed}", "evaluate=true"] for seed in self.seeds]


@dataclass(frozen=True)
class Plan:
    """What is to be run for a paper.

    Attributes:
        name: PAPER or PAPER/ROW, as asked.
        seeds: asked for.
        overrides: of the user.
        jobs: in the paper's order; one whose seeds are all there has none left.
        skipped: (row, why) of what cannot be run.
    """

    name: str
    seeds: int
    overrides: tuple[str, ...]
    jobs: tuple[Job, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def runs(self) -> int:
        """Runs still to be made."""
        return sum(len(job.seeds) for job in self.jobs)

    def estimated(self, estimates: dict[Recipe, Estimate]) -> Plan:
        """The same plan with further estimates."""
        jobs = (replace(job, estimate=job.estimate or estimates.get(job.recipe)) for job in self.jobs)
        return replace(self, jobs=tuple(jobs))


def is_done(entry: Entry) -> bool:
    """Whether a run counts: finished, measured as it is, and with the code of now."""
    measured = any(not e.changes and not e.changed for e in entry.evaluations)
    return entry.state == "finished" and not entry.changed and measured


def select(paper: Paper, row: str | None) -> dict[Recipe, list[str]]:
    """Recipes that a paper's verdicts need, each with the rows and claims that need it.

    Args:
        paper: the publication.
        row: an experiment, table, row or claim of it; None for all.

    Raises:
        ConfigError: nothing of that name, or nothing of it can be run.
    """
    found: dict[Recipe, list[str]] = {}
    for name, recipe, names in _wanted(paper):
        if row is None or row in names:
            wanted = found.setdefault(recipe, [])
            if name not in wanted:
                wanted.append(name)
    if not found and row is not None:
        _explain(paper, row)
    return found


def _wanted(paper: Paper) -> Iterable[tuple[str, Recipe, tuple[str, ...]]]:
    """What needs a recipe: (its name, the recipe, the names by which a user may ask for it)."""
    for target in paper.targets:
        place = f"{target.table}/{target.row}"
        if target.runnable and target.recipe is not None:
            yield place, target.recipe, _names(target.recipe, target.table, target.row, place, target.column)
        elif target.standin is not None and target.standin_measure is not None:
            yield f"{place}{STAND_IN}", target.standin, _names(target.standin, target.table, target.row, place)
    for claim in paper.claims:
        if claim.runnable:
            for term in claim.terms:
                assert term.recipe is not None
                yield f"{CLAIM}{claim.id}", term.recipe, _names(term.recipe, claim.id)


def _names(recipe: Recipe, *others: str) -> tuple[str, ...]:
    return (recipe.experiment.partition("/")[2], *others)


def _explain(paper: Paper, row: str) -> None:
    """Say why nothing of a paper can be run for a row."""
    whys = {t.why or t.pending or t.note for t in paper.targets if row in (t.table, t.row, f"{t.table}/{t.row}")}
    whys |= {c.why or c.pending or "" for c in paper.claims if c.id == row}
    if whys:
        raise ConfigError(f"{paper.name}/{row} cannot be run: {'; '.join(sorted(w for w in whys if w))}.")
    names = {n for _, _, names in _wanted(paper) for n in names} | {t.row for t in paper.targets}
    raise ConfigError(f"{paper.name} has no {row!r}. {suggest(row, names)}")


def make_plan(
    standing: PaperStanding,
    row: str | None,
    seeds: int,
    overrides: Sequence[str],
    ledger: Ledger,
    estimator: Estimator,
) -> Plan:
    """Plan the runs that a paper, or a row of it, still lacks.

    Args:
        standing: of the paper now.
        row: see `select`.
        seeds: how many each experiment should have: 0, 1, ...
        overrides: words of `train.py` for all of them.
        ledger: what has been run.
        estimator: of costs.

    Raises:
        ConfigError: a name or a number is wrong, or a config is: of a whole paper, every one. An experiment of a whole
            paper whose config alone is wrong, such as one that needs data.root, is left out and says so.
    """
    if seeds < 1:
        raise ConfigError(f"seeds is {seeds}. Expected 1 or more; a verdict needs {LEAST_SEEDS}.")
    for word in overrides:
        key = word.lstrip("+~").partition("=")[0]
        if key in _OWN:
            raise ConfigError(f"{word} cannot be given: the plan decides {key}. Expected changes of the protocol.")
    paper = standing.paper
    decided = () if overrides else decided_recipes(standing)
    planner = Planner()
    jobs = []
    skipped = []
    refused: list[tuple[str, ConfigError]] = []
    for recipe, wanted_by in select(paper, row).items():
        if row is None and recipe in decided:
            skipped.append((recipe.label, "all that needs it has its verdict"))
            continue
        words = [*recipe.words, *overrides]
        try:
            key = digest(planner.compose(words).values)
        except ConfigError as error:
            if row is not None:
                raise
            refused.append((recipe.label, error))
            continue
        have = {e.seed for e in ledger.entries if e.digest == key and is_done(e)}
        missing = tuple(s for s in range(seeds) if s not in have)
        estimate = estimator.of_words(words)
        jobs.append(Job(recipe, tuple(words), missing, tuple(sorted(have)), tuple(wanted_by), estimate))
    if refused and not jobs:
        raise refused[0][1]
    skipped += [(label, str(error)) for label, error in refused]
    skipped += [(name, why) for name, why in _impossible(paper) if row is None]
    name = paper.name if row is None else f"{paper.name}/{row}"
    return Plan(name, seeds, tuple(overrides), tuple(jobs), tuple(skipped))


def decided_recipes(standing: PaperStanding) -> set[Recipe]:
    """Recipes all of whose rows and claims have their verdict."""
    wanted, open_ones = set(), set()
    for state in standing.targets.values():
        recipe = state.target.recipe if state.target.runnable else state.target.standin
        if recipe is None:
            continue
        wanted.add(recipe)
        ours = state.standin.ours if state.standin is not None and state.standin.state == "measured" else None
        measured = ours is not None and ours.n >= LEAST_SEEDS
        if state.kind not in _DECIDED and not (state.kind == "not testable" and measured):
            open_ones.add(recipe)
    for claim in standing.claims:
        recipes = {term.recipe for term in claim.claim.terms if term.recipe is not None}
        wanted |= recipes
        if claim.claim.runnable and claim.outcome not in _SETTLED:
            open_ones |= recipes
    return wanted - open_ones


def _impossible(paper: Paper) -> list[tuple[str, str]]:
    """Rows that nothing can be run for, with the reason, rows of one reason together."""
    reasons: dict[str, list[str]] = {}
    run = {name.removesuffix(STAND_IN) for name, _, _ in _wanted(paper)}
    for target in paper.targets:
        place = f"{target.table}/{target.row}"
        if target.quoted or place in run:
            continue
        why = target.why or target.pending or target.note
        if place not in reasons.setdefault(why, []):
            reasons[why].append(place)
    return [(", ".join(places), why) for why, places in reasons.items()]
