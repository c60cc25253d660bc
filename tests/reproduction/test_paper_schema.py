"""What a paper file may say: what each figure inherits, how it is printed, who gets a verdict; claims."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from reprise.reproduction.paper import Spread, Tolerance
from reprise.reproduction.papers import parse_paper, read_papers
from tests.reproduction.small_paper import (
    CELL,
    CLAIM,
    COLUMN,
    EXPERIMENT,
    GONE,
    MAIN,
    PAPER,
    ROW,
    paper,
    target,
    write,
)


def test_the_paper_that_the_tests_change_is_right(tmp_path: Path) -> None:
    whole = paper(tmp_path, {})
    assert [t.id for t in whole.targets] == ["a_model/main/ours/bpd"]
    assert whole.targets[0].tolerance == Tolerance(0.02, "printed so")
    assert [c.id for c in whole.claims] == ["wider"]


def test_the_papers_are_read_in_the_order_asked_for() -> None:
    assert [p.name for p in read_papers(["wavenet", "wavegrad"])] == ["wavenet", "wavegrad"]


# What a figure inherits.

LEVELS = ["defaults", COLUMN, MAIN, ROW, CELL]


@pytest.mark.parametrize("level", range(len(LEVELS)))
def test_the_innermost_level_wins(level: int, tmp_path: Path) -> None:
    changes: dict[str, Any] = {CELL: {"value": 3.14}}
    for i, place in enumerate(LEVELS[: level + 1]):
        changes[f"{place}.dataset"] = f"given at {i}"
    if level == 0:
        changes[f"{COLUMN}.dataset"] = GONE
    assert target(tmp_path, changes).dataset == f"given at {level}"


def test_null_takes_back_what_is_inherited(tmp_path: Path) -> None:
    given = {
        "defaults": {"scale": 100, "pick": "best", "digits": 3, "protocol": "p", "hardware": "V100", "unit": "%"},
        CELL: {"value": 3.14},
    }
    kept = target(tmp_path, given)
    assert (kept.scale, kept.pick, kept.digits, kept.protocol) == (100, "best", 3, "p")
    assert (kept.hardware, kept.unit) == ("V100", "%")

    nulls = dict.fromkeys(
        ["scale", "pick", "digits", "protocol", "hardware", "unit", "tolerance", "measure", "version"]
    )
    back = target(tmp_path, given | {ROW: {"label": "Ours", "values": {"bpd": 3.14}, **nulls}})
    assert (back.scale, back.pick, back.digits, back.protocol, back.hardware, back.unit) == (
        1,
        "final",
        2,
        "",
        None,
        "",
    )
    assert (back.tolerance, back.measure, back.version) == (None, None, None)


def test_a_tolerance_replaces_the_inherited_one_whole(tmp_path: Path) -> None:
    own = {"percent": 10, "reason": "printed with one digit"}
    assert target(tmp_path, {CELL: 2.0, f"{ROW}.tolerance": own}).tolerance == Tolerance(0.2, "printed with one digit")


def test_the_meaning_of_a_spread_is_merged_key_by_key(tmp_path: Path) -> None:
    found = target(
        tmp_path,
        {
            "defaults": {"spread": {"kind": "std", "over": "seeds", "n": 3}},
            f"{COLUMN}.spread": {"over": "folds"},
            f"{ROW}.spread": {"n": 10},
            CELL: "1.50 ± 0.2",
        },
    )
    assert found.spread == Spread(0.2, kind="std", over="folds", n=10, digits=1)


def test_a_spread_that_is_not_explained_is_of_unknown_meaning(tmp_path: Path) -> None:
    assert target(tmp_path, {CELL: "1.5 ± 0.2"}).spread == Spread(0.2, "unknown", "unknown", None, 1)


def test_the_value_of_a_spread_can_stand_by_itself(tmp_path: Path) -> None:
    cell = {"value": 1.5, "spread": {"value": 0.25, "kind": "ci95"}}
    found = target(tmp_path, {f"{COLUMN}.spread": {"over": "raters"}, CELL: cell})
    assert found.spread == Spread(0.25, kind="ci95", over="raters", digits=2)
    assert found.printed == "1.5 ± 0.25"


def test_a_meaning_without_a_spread_makes_none(tmp_path: Path) -> None:
    assert target(tmp_path, {f"{COLUMN}.spread": {"kind": "std"}}).spread is None


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"value": 0.05}, 0.05),
        ({"percent": 10}, 0.2),
        ({"spreads": 2}, 0.6),
    ],
)
def test_a_tolerance_has_three_forms(given: dict[str, float], value: float, tmp_path: Path) -> None:
    found = target(tmp_path, {CELL: "-2.0 ± 0.3", f"{COLUMN}.tolerance": {**given, "reason": "r"}})
    assert found.tolerance is not None
    assert found.tolerance.value == pytest.approx(value)


def test_at_fills_the_measure_of_the_figure_and_of_its_standin(tmp_path: Path) -> None:
    found = target(
        tmp_path,
        {
            f"{COLUMN}.measure": "test/{at}/bpd",
            f"{ROW}.experiment": EXPERIMENT,
            f"{ROW}.standin": "wavegrad/ljspeech_base_continuous",
            f"{ROW}.overrides": ["seed=1", "data.crop_frames=3"],
            f"{ROW}.at": "step_10",
            f"{ROW}.standin_at": "step_20",
        },
    )
    assert (found.measure, found.standin_measure) == ("test/step_10/bpd", "test/step_20/bpd")
    assert found.recipe is not None and found.standin is not None
    assert found.recipe.words == [f"experiment={EXPERIMENT}", "seed=1", "data.crop_frames=3"]
    assert found.standin.label == "wavegrad/ljspeech_base_continuous seed=1 data.crop_frames=3"


def test_a_group_holds_until_the_next_one(tmp_path: Path) -> None:
    rows = {
        name: {"label": name, "values": {"bpd": 1}, **({"group": group} if group is not GONE else {})}
        for name, group in [("a", GONE), ("b", "earlier work"), ("c", GONE), ("d", "ours"), ("e", None), ("f", GONE)]
    }
    whole = paper(tmp_path, {f"{MAIN}.rows": rows})
    assert [r.group for r in whole.tables[0].rows] == ["", "earlier work", "earlier work", "ours", "", ""]
    assert [t.group for t in whole.targets] == [r.group for r in whole.tables[0].rows]


def test_a_group_ends_with_its_table(tmp_path: Path) -> None:
    second = copy.deepcopy(PAPER["tables"]["main"])
    whole = paper(tmp_path, {f"{ROW}.group": "ours", "tables.second": second})
    assert [t.rows[0].group for t in whole.tables] == ["ours", ""]


def test_notes_of_the_cell_and_the_row_are_joined(tmp_path: Path) -> None:
    found = target(tmp_path, {f"{ROW}.note": "of the row", CELL: {"value": 1, "note": "of the cell"}})
    assert found.note == "of the cell of the row"


def test_one_reason_can_explain_all_gaps_of_a_table(tmp_path: Path) -> None:
    found = target(tmp_path, {CELL: None, f"{MAIN}.unrecovered": "the table was not seen"})
    assert (found.value, found.note, found.printed) == (None, "the table was not seen", "not recovered")
    own = target(tmp_path, {CELL: {"value": None, "note": "smudged"}, f"{MAIN}.unrecovered": "the table was not seen"})
    assert own.note == "smudged"


def test_a_dash_is_printed_as_the_paper_does(tmp_path: Path) -> None:
    assert target(tmp_path, {CELL: {"value": None, "note": "diverged", "blank": "–"}}).printed == "–"
    assert target(tmp_path, {CELL: {"value": 1, "blank": "–"}}).blank == ""


# What is printed.


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("3.14", "3.14"),
        ("3.10", "3.10"),
        ("300", "300"),
        ("-2.5", "-2.5"),
        ("'<= 5.40'", "≤ 5.40"),
        ("'>=5'", "≥ 5"),
        ("~ 84.62", "≈ 84.62"),
        ("4.47 ± 0.04", "4.47 ± 0.04"),
        ("4.4 +- 0.10", "4.4 ± 0.10"),
        ("1.0e-05", "1e-05"),
        ("5.0e+20", "5e+20"),
        (".5", "0.5"),
        ("{value: 3.1, digits: 3}", "3.100"),
        ("{value: 20.0, bound: <=, unit: ' %'}", "≤ 20.0 %"),
        ("{value: '4.47 ± 0.04', unit: ' dB'}", "4.47 ± 0.04 dB"),
    ],
)
def test_a_figure_keeps_its_printed_form(given: str, printed: str, tmp_path: Path) -> None:
    file = write(tmp_path, {})
    text = file.read_text()
    assert text.count("bpd: 3.14") == 1
    file.write_text(text.replace("bpd: 3.14", f"bpd: {given}"))
    assert parse_paper(file).targets[0].printed == printed


def test_words_of_a_row_keep_their_printed_form(tmp_path: Path) -> None:
    file = write(tmp_path, {f"{MAIN}.facts": ["layers", "rate", "input"], f"{ROW}.facts": [12, 0.5, None]})
    file.write_text(file.read_text().replace("- 0.5", "- 0.50"))
    assert parse_paper(file).tables[0].rows[0].facts == ("12", "0.50", "")


def test_a_row_without_words_has_empty_ones(tmp_path: Path) -> None:
    assert paper(tmp_path, {f"{MAIN}.facts": ["layers", "input"]}).tables[0].rows[0].facts == ("", "")


# Who gets a verdict.


@pytest.mark.parametrize(
    ("changes", "runnable", "quoted"),
    [
        ({}, False, False),
        ({f"{ROW}.experiment": EXPERIMENT}, True, False),
        ({f"{ROW}.experiment": EXPERIMENT, f"{ROW}.why": "listeners are needed"}, False, False),
        ({f"{ROW}.experiment": EXPERIMENT, CELL: {"value": None, "note": "smudged"}}, False, False),
        ({f"{ROW}.baseline": True, f"{COLUMN}.pending": GONE}, False, True),
        ({f"{COLUMN}.baseline": True, f"{COLUMN}.pending": GONE}, False, True),
        ({f"{ROW}.baseline": True, f"{ROW}.experiment": EXPERIMENT}, True, False),
        ({f"{COLUMN}.public": False, f"{ROW}.why": "private", f"{ROW}.standin": EXPERIMENT}, False, False),
        ({f"{COLUMN}.public": False, f"{ROW}.baseline": True}, False, True),
    ],
)
def test_what_is_runnable_and_what_is_quoted(
    changes: dict[str, Any], runnable: bool, quoted: bool, tmp_path: Path
) -> None:
    found = target(tmp_path, changes)
    assert (found.runnable, found.quoted) == (runnable, quoted)


def test_an_experiment_ends_what_was_pending(tmp_path: Path) -> None:
    assert target(tmp_path, {}).pending == "no model of it yet"
    assert target(tmp_path, {f"{ROW}.experiment": EXPERIMENT}).pending is None


# Claims.


def test_a_claim_with_experiments_is_runnable_and_no_longer_pending(tmp_path: Path) -> None:
    terms = [{"label": "a", "experiment": EXPERIMENT, "x": 6}, {"label": "b", "experiment": EXPERIMENT}]
    claim = paper(tmp_path, {f"{CLAIM}.terms": terms}).claims[0]
    assert claim.runnable
    assert claim.pending is None
    assert [(t.measure, t.x) for t in claim.terms] == [("test/bpd", 6.0), ("test/bpd", 1.0)]


def test_a_claim_one_of_whose_terms_lacks_an_experiment_is_pending(tmp_path: Path) -> None:
    terms = [{"label": "a", "experiment": EXPERIMENT}, {"label": "b"}]
    claim = paper(tmp_path, {f"{CLAIM}.terms": terms}).claims[0]
    assert not claim.runnable
    assert claim.pending == "no model of it yet"


def test_a_claim_that_nobody_can_test_is_not_runnable(tmp_path: Path) -> None:
    terms = [{"label": "a", "experiment": EXPERIMENT}, {"label": "b", "experiment": EXPERIMENT}]
    claim = paper(tmp_path, {f"{CLAIM}.terms": terms, f"{CLAIM}.why": "listeners are needed"}).claims[0]
    assert not claim.runnable


def test_a_claim_inherits_from_the_defaults(tmp_path: Path) -> None:
    given = {"sure": "memory", "source": "recalled", "pending": "not yet"}
    claim = paper(tmp_path, {"defaults": given, **{f"{CLAIM}.{key}": GONE for key in given}}).claims[0]
    assert (claim.sure, claim.source, claim.pending) == ("memory", "recalled", "not yet")
    assert (claim.relation, claim.direction, claim.bound, claim.margin) == ("falls", "lower", None, None)


def test_a_term_can_have_its_own_measure(tmp_path: Path) -> None:
    terms = [{"label": "a", "measure": "val/bpd"}, {"label": "b", "at": "late"}]
    claim = paper(tmp_path, {f"{CLAIM}.measure": "test/{at}/bpd", f"{CLAIM}.terms": terms}).claims[0]
    assert [t.measure for t in claim.terms] == ["val/bpd", "test/late/bpd"]


def test_thresholds_and_equivalences_keep_bound_and_margin(tmp_path: Path) -> None:
    terms = [{"label": n, "experiment": EXPERIMENT} for n in "ab"]
    threshold = {f"{CLAIM}.kind": "threshold", f"{CLAIM}.bound": 3, f"{CLAIM}.terms": terms[:1]}
    assert paper(tmp_path, threshold).claims[0].bound == 3.0
    margin = {"value": 0.1, "reason": "the tolerance of the figures"}
    equivalence = {f"{CLAIM}.kind": "equivalence", f"{CLAIM}.margin": margin, f"{CLAIM}.terms": terms}
    assert paper(tmp_path, equivalence).claims[0].margin == Tolerance(0.1, "the tolerance of the figures")


def test_a_paper_links_to_arxiv_unless_it_names_a_page(tmp_path: Path) -> None:
    assert paper(tmp_path, {"arxiv": "2009.00713"}).url == "https://arxiv.org/abs/2009.00713"
    assert paper(tmp_path, {"arxiv": "2009.00713", "url": "https://x.org"}).url == "https://x.org"
    assert paper(tmp_path, {}).url is None
