"""Reports made by hand: every verdict, a wide table, long and hostile texts, curves and samples on the disk."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from reprise.config.paths import conf_dir
from reprise.reproduction.paper import (
    Claim,
    CodeLink,
    Column,
    Paper,
    Recipe,
    Row,
    Spread,
    Table,
    Target,
    Term,
    Tolerance,
)
from reprise.reproduction.papers import parse_paper
from reprise.reproduction.standing import (
    ClaimStanding,
    Deviation,
    Kind,
    PaperStanding,
    Report,
    StandIn,
    Standing,
    TermStanding,
)
from tests.reproduction.runs import entry, ours, write_curves, write_samples

EVIL = "</script><script>alert('x')</script><img src=x onerror=alert(1)> & \"quoted\" 'single' \u202edesrever\x07"
LONG = (
    "The runs follow the protocol, but three seeds scatter by more than the tolerance, so that neither of the two "
    "one-sided tests says anything at 5 %; averaged_over_a_very_long_identifier_that_has_no_place_to_break_" + "x" * 60
)
DEVIATIONS = (
    Deviation("arch", "wavegrad/base", "wavegrad/small"),
    Deviation("data.batch_size", 256, 8),
    Deviation("model.network.up_channels", [512, 512, 256, 128, 128], [64, 64, 32, 16, 16]),
    Deviation("callbacks.ema.decay", "(absent)", 0.999),
)
REASONS: dict[Kind, str] = {
    "reproduced": "Both one-sided tests reject: our mean lies within the tolerance (p = 0.012, n = 5).",
    "better": "Our mean is better than reported by more than the tolerance (p = 0.003, n = 4); check the protocol.",
    "not reproduced": "Our mean is worse than reported by more than the tolerance (p < 0.001, n = 3).",
    "inconclusive": LONG,
    "scaled": "Only runs that deviate from the protocol exist.",
    "stale": "2 modules that the runs depend on have changed since.",
    "missing": "No run yet.",
    "not testable": "The speech is private.",
    "quoted": "A competitor's figure, quoted for comparison.",
}


def judge(target: Target, kind: Kind, values: list[float], root: Path, **changes: Any) -> Standing:
    """A standing of a verdict, with runs that give these values."""
    name = target.recipe.experiment if target.recipe else "none/none"
    runs = [entry(root, name, seed) for seed in range(len(values))]
    found = ours(values, runs) if values else None
    difference = found.mean - target.value if found and target.value is not None and kind != "scaled" else None
    return replace(
        Standing(target, kind, REASONS[kind], found, difference, runs=tuple(runs)),
        p_value={"reproduced": 0.012, "better": 0.003, "not reproduced": 0.0002, "inconclusive": 0.31}.get(kind),
        seeds_needed=7 if kind == "inconclusive" else None,
        deviations=DEVIATIONS if kind == "scaled" else (),
        changed=("reprise.models.wavegrad.network", "reprise.diffusion.schedules") if kind == "stale" else (),
        command=f"reprise reproduce {target.paper}/{target.row}"
        if kind in ("missing", "inconclusive", "stale")
        else "",
        estimate="about 3 d on one H100 for 3 seeds" if kind == "missing" else "",
        **changes,
    )


def wavegrad(root: Path) -> PaperStanding:
    """WaveGrad as conf/paper has it; private figures with a stand-in, a speed that is inconclusive."""
    paper = parse_paper(conf_dir() / "paper" / "wavegrad.yaml")
    targets = {}
    for target in paper.targets:
        kind: Kind = "quoted" if target.quoted else "missing" if target.runnable else "not testable"
        found = judge(target, kind, [], root)
        if kind == "not testable":
            found = replace(found, reason=target.why or target.pending or target.note)
        if target.standin and target.standin_measure:
            runs = (entry(root, target.standin.experiment, 0),)
            if "continuous" in target.standin.experiment:
                value = {"ls_mse": 221.1, "mcd": 6.83, "ffe": 16.74}.get(target.column, 3.1)
                standin = StandIn(target.standin.experiment, "scaled", ours([value], list(runs)), DEVIATIONS, runs)
            else:
                standin = StandIn(
                    target.standin.experiment, "missing", command="reprise reproduce wavegrad/x", estimate="2 d"
                )
            found = replace(found, standin=standin)
        if target.table == "speed" and not target.baseline:
            found = judge(target, "inconclusive", [0.21, 0.27], root)
        targets[target.id] = found
    claims = [_claim(paper.claims[0], root, [274.0, 259.0, 221.0, 194.0], "holds")]
    claims += [_claim(paper.claims[1], root, [259.0, 241.0], "contradicted")]
    claims += [
        ClaimStanding(c, "not testable" if c.why else "missing", c.why or "2 of 3 experiments have no run.")
        for c in paper.claims[2:]
    ]
    return PaperStanding(paper, targets, tuple(claims))


def _claim(claim: Claim, root: Path, means: list[float], outcome: Any) -> ClaimStanding:
    runs = [entry(root, "wavegrad/ljspeech_base_continuous", seed) for seed in range(3)]
    terms = tuple(
        TermStanding(term, ours([mean - 4.1, mean + 0.7, mean + 3.9], runs))
        for term, mean in zip(claim.terms, means, strict=True)
    )
    reason = "Every step of the order is shown." if outcome == "holds" else "The second term lies below the first."
    return ClaimStanding(claim, outcome, reason, terms, 3, 0.0004, 0.0012, DEVIATIONS[:2], tuple(runs))


COLUMNS = ("co2", "passenger", "housing", "concrete", "parkinsons", "skillcraft", "pol")
ROWS: tuple[tuple[str, str, Kind | None], ...] = (
    ("rbf", "RBF", "quoted"),
    ("spectral", "SM, 10 components", "reproduced"),
    ("implicit", "IKL, implicit spectral density with a network that has a long name", "better"),
    ("variational", "Variational SM", "not reproduced"),
    ("deep", "Deep kernel " + EVIL, "inconclusive"),
    ("sparse", "Sparse SM", "scaled"),
    ("nested", "Nested", "stale"),
    ("exact", "Exact", "missing"),
    ("private", "Private", "not testable"),
)


def kernels(root: Path) -> PaperStanding:
    """A paper with one wide table that has every verdict, and texts that want to be code."""
    columns = tuple(Column(c, c.capitalize() if c != "co2" else "CO₂ " + EVIL, "", "lower") for c in COLUMNS)
    rows, targets = [], {}
    for i, (name, label, kind) in enumerate(ROWS):
        group = EVIL if i == 0 else "stationary" if i < 4 else "not stationary"
        cells = {
            c: _kernel_target(i, j, name, label, c, group, kind == "quoted")
            for j, c in enumerate(COLUMNS)
            if (i, j) != (3, 6)
        }
        rows.append(Row(name, label, group, kind == "quoted", (EVIL if i == 4 else "exact",), cells))
        for j, target in enumerate(cells.values()):
            targets[target.id] = _kernel_standing(target, kind or "missing", i, j, root)
    wide = Table(
        "rmse",
        "RMSE of Gaussian processes by kernel",
        "Table 3",
        "Ten splits. " + EVIL,
        ("inference",),
        columns,
        tuple(rows),
    )
    single = _single(root, targets)
    paper = Paper(
        name="kernels",
        title="Learning Kernels with Random Features and a Title That Is as Long as Titles Are " + EVIL,
        authors=("A. Author", "B. Author", "C. Author", EVIL),
        venue="",
        year=2019,
        arxiv=None,
        url="javascript:alert(1)",
        code=(
            CodeLink("https://example.org/code", True, EVIL),
            CodeLink("http://example.org/plain", False, "not encrypted"),
        ),
        note="First paragraph. " + EVIL + "\n\nSecond paragraph.",
        tables=(wide, single),
    )
    return PaperStanding(paper, targets, _kernel_claims(root))


def _kernel_target(i: int, j: int, row: str, label: str, column: str, group: str, baseline: bool) -> Target:
    null = (i, j) == (2, 3)
    value = None if null else round(0.2 * (j + 1) + 0.03 * i, 2)
    return Target(
        paper="kernels",
        table="rmse",
        row=row,
        column=column,
        label=label,
        metric=column,
        value=value,
        sure=("paper", "memory", "reference", "derived")[(i + j) % 4],  # type: ignore[arg-type]
        source=EVIL if i == 4 else "Table 3, page 7",
        direction="lower",
        dataset=column,
        split="test",
        public=True,
        group=group,
        protocol="ten random splits, 90 % for training",
        digits=2,
        bound="<=" if (i, j) == (1, 1) else "=",
        spread=None if null else Spread(0.02, "sem", "folds", 10),
        note="the scan is not legible there" if null else "",
        baseline=baseline,
        tolerance=None if null or baseline else Tolerance(0.03, "the ± printed beside it, rounded up"),
        recipe=None if baseline else Recipe(f"kernels/{row}", (f"data={column}",)),
        measure=f"test/rmse/{column}",
        version=2,
        hardware="H100" if j == 1 else None,
    )


def _kernel_standing(target: Target, kind: Kind, i: int, j: int, root: Path) -> Standing:
    if kind in ("quoted", "missing", "not testable"):
        return judge(target, kind, [], root)
    if target.value is None:
        return replace(judge(target, "not testable", [], root), reason="The figure could not be recovered.")
    off = {"reproduced": 0.004, "better": -0.07, "not reproduced": 0.09, "inconclusive": 0.03}.get(kind, 0.2)
    n = {"reproduced": 5, "better": 4, "not reproduced": 3, "inconclusive": 3, "scaled": 1}.get(kind, 2)
    wide = 0.05 if kind == "inconclusive" else 0.006
    values = [target.value + off + wide * math.sin(1 + 2.1 * k + j) for k in range(n)]
    return judge(target, kind, values, root)


def _single(root: Path, targets: dict[str, Standing]) -> Table:
    """A table of one column, in its own unit, printed in the text."""
    rows = []
    for i, (name, kind) in enumerate(
        [("ours", "reproduced"), ("small", "scaled"), ("other", "quoted"), ("large", "missing")]
    ):
        base = _kernel_target(1, 0, name, f"{name} model", "parameters", "", kind == "quoted")
        target = replace(
            base, table="size", value=12.5 + i, unit=" M", digits=1, bound="~", spread=None, direction="match"
        )
        rows.append(Row(name, f"{name} model", "", kind == "quoted", (), {"parameters": target}))
        values = {"reproduced": [12.51, 12.49, 12.52], "scaled": [3.1]}.get(kind, [])
        targets[target.id] = judge(target, kind, values, root)  # type: ignore[arg-type]
    return Table(
        "size", "Parameters", "section 3", "", (), (Column("parameters", "parameters", " M", "match"),), tuple(rows)
    )


def _kernel_claims(root: Path) -> tuple[ClaimStanding, ...]:
    claim = Claim("kernels", "deeper", "Deeper is better. " + EVIL, "trend", "memory", EVIL, direction="higher")
    terms = tuple(Term(f"depth {d}", Recipe("kernels/deep", (f"model.depth={d}",)), "test/rmse", d) for d in (1, 2, 4))
    runs = [entry(root, "kernels/deep", s) for s in range(2)]
    standings = tuple(TermStanding(t, ours([1.0 / t.x, 1.3 / t.x], runs) if t.x < 4 else None) for t in terms)
    trend = ClaimStanding(replace(claim, terms=terms), "undecided", LONG, standings, 2, 0.2, 0.4, (), tuple(runs))
    bound = replace(claim, id="bound", text="RMSE stays below 0.5.", kind="threshold", bound=0.5, relation="falls")
    threshold = ClaimStanding(
        bound, "stale", "The code has changed since.", (TermStanding(terms[0], ours([0.4, 0.45], runs)),), 2
    )
    return trend, threshold


def rich_report(root: Path, files: bool = True) -> Report:
    """Two papers with everything a report can have; curves and samples are written below `root`."""
    papers = (kernels(root), wavegrad(root))
    if files:
        for seed in range(4):
            write_curves(entry(root, "kernels/implicit", seed))
        write_curves(entry(root, "wavegrad/ljspeech_base_continuous", 0))
        write_curves(entry(root, "wavegrad/ljspeech_base_continuous", 1), 400)
        write_samples(entry(root, "wavegrad/ljspeech_base_continuous", 0))
        write_samples(entry(root, "kernels/implicit", 0), 8)
    return Report(
        root=str(root),
        version="0.1.0",
        papers=papers,
        records=1042,
        rejected=(("runs/broken/s0-1/run.json", "is not valid JSON (line 3)"), (f"runs/{EVIL}/run.json", EVIL)),
        set_aside=3,
        unclaimed=2,
        newest="2026-11-20T13:08:15+00:00",
    )
