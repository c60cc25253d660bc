"""Each mistake in a paper file is named with its file, its place, what was expected and the nearest name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reprise.config.errors import ConfigError
from reprise.reproduction.papers import parse_paper, read_paper
from tests.reproduction.small_paper import CELL, CLAIM, COLUMN, EXPERIMENT, GONE, MAIN, ROW, write

HEAD_MISTAKES = [
    ({"titl": "x"}, "has an unknown key 'titl'. Did you mean 'title'?"),
    ({"title": GONE}, "title is None. Expected text."),
    ({"title": "  "}, "title is '  '. Expected text."),
    ({"authors": "Ada Author"}, "authors: is 'Ada Author'. Expected a list of names."),
    ({"authors": ["Ada", 3]}, "authors: is ['Ada', 3]. Expected a list of names."),
    ({"year": "2020"}, "year: is '2020'. Expected a year."),
    ({"year": True}, "year: is True. Expected a year."),
    ({"arxiv": 2009.00713}, "arxiv: is 2009.00713. Expected a quoted number such as '2009.00713', or null."),
    ({"arxiv": "2009.713"}, "arxiv: is '2009.713'. Expected a quoted number such as '2009.00713', or null."),
    ({"url": "http://x.org"}, "url: is 'http://x.org'. Expected https://..."),
    ({"code": "https://x.org"}, "code: is 'https://x.org'. Expected a list."),
    ({"code": [{"urls": "https://x.org"}]}, "code[0]: has an unknown key 'urls'. Did you mean 'url'?"),
    ({"code": [{"note": "n"}]}, "code[0]: url is None. Expected text."),
    ({"code": [{"url": "git@x.org"}]}, "code[0].url: is 'git@x.org'. Expected https://..."),
    ({"code": [{"url": "https://x.org", "official": "no"}]}, "code[0].official: is 'no'. Expected true or false."),
    ({"defaults": {"datasets": "x"}}, "defaults: has an unknown key 'datasets'. Did you mean 'dataset'"),
    ({"defaults": {"version": "1"}}, "defaults.version: is '1'. Expected a whole number."),
    ({"columns": {}}, "columns: is empty. Expected names with their content."),
    ({"tables": GONE}, "tables: is empty. Expected names with their content."),
]
COLUMN_MISTAKES = [
    ({f"{COLUMN}.units": "%"}, "columns.bpd: has an unknown key 'units'. Did you mean 'unit'"),
    ({"columns.Bpd": {}}, "columns: has the name 'Bpd'. Expected lower case letters, digits and _."),
    ({"columns.fid": {"label": "FID"}}, "columns: fid: no table has them. Delete them, or name them there."),
    ({f"{COLUMN}.label": GONE}, "columns.bpd: label is None. Expected text."),
    ({f"{COLUMN}.baseline": 1}, "columns.bpd.baseline: is 1. Expected true or false."),
    ({f"{COLUMN}.direction": "down"}, "columns.bpd.direction: is 'down'. Valid names: higher, lower, match."),
    ({f"{COLUMN}.direction": "lowest"}, "columns.bpd.direction: is 'lowest'. Did you mean 'lower'?"),
    ({f"{COLUMN}.digits": 2.5}, "columns.bpd.digits: is 2.5. Expected a whole number."),
    ({f"{COLUMN}.digits": True}, "columns.bpd.digits: is True. Expected a whole number."),
    ({f"{COLUMN}.digits": -1}, f"{CELL}.digits: is -1. Expected 0 or more."),
    ({f"{COLUMN}.scale": "100"}, "columns.bpd.scale: is '100'. Expected a number."),
    ({f"{COLUMN}.public": "yes"}, "columns.bpd.public: is 'yes'. Expected true or false."),
    ({f"{COLUMN}.overrides": "a=1"}, "columns.bpd.overrides: is 'a=1'. Expected a list."),
    ({f"{COLUMN}.tolerance": 0.02}, "columns.bpd.tolerance: is 0.02. Expected keys and values."),
    ({f"{COLUMN}.source": 3}, "columns.bpd.source: is 3. Expected text."),
]
TABLE_MISTAKES = [
    ({MAIN: ["x"]}, "tables.main: is ['x']. Expected keys and values."),
    ({f"{MAIN}.titl": "x"}, "tables.main: has an unknown key 'titl'. Did you mean 'title'"),
    ({f"{MAIN}.title": GONE}, "tables.main: title is None. Expected text."),
    ({f"{MAIN}.printed": GONE}, "tables.main: printed is None. Expected text."),
    ({f"{MAIN}.columns": []}, "tables.main.columns: is empty. Expected a list of names from the columns of the paper."),
    ({f"{MAIN}.columns": ["bdp"]}, "tables.main.columns: names 'bdp'. Did you mean 'bpd'?"),
    ({f"{MAIN}.columns": [["bpd"]]}, "tables.main.columns: names ['bpd']. Did you mean 'bpd'?"),
    ({f"{MAIN}.columns": ["bpd", "bpd"]}, "tables.main.columns: is ['bpd', 'bpd']. Expected each name once."),
    ({f"{MAIN}.facts": "layers"}, "tables.main.facts: is 'layers'. Expected a list."),
    ({f"{MAIN}.facts": [12]}, "tables.main.facts: is [12]. Expected a list of headings."),
    ({f"{MAIN}.rows": {}}, "tables.main.rows: is empty. Expected names with their content."),
    (
        {f"{MAIN}.rows.Full Model": {}},
        "tables.main.rows: has the name 'Full Model'. Expected lower case letters, digits and _.",
    ),
    (
        {f"{ROW}.labels": "x"},
        "tables.main.rows.ours: has an unknown key 'labels'. Did you mean 'label'",
    ),
    ({f"{ROW}.label": GONE}, "tables.main.rows.ours: label is None. Expected text."),
    ({f"{ROW}.baseline": "yes"}, "tables.main.rows.ours.baseline: is 'yes'. Expected true or false."),
    ({f"{ROW}.values": GONE}, "tables.main.rows.ours.values: is None. Expected keys and values."),
    ({f"{ROW}.values": {"bdp": 3}}, "tables.main.rows.ours.values: has an unknown key 'bdp'. Did you mean 'bpd'?"),
    ({f"{ROW}.facts": [1]}, "tables.main.rows.ours.facts: is [1]. Expected 0, as the table has headings."),
    (
        {f"{MAIN}.facts": ["dilated"], f"{ROW}.facts": [False]},
        "tables.main.rows.ours.facts: is [False]. Expected words and numbers; quote 'yes' and 'no'.",
    ),
]
FIGURE_MISTAKES = [
    ({CELL: "3.14 bits"}, f"{CELL}: is '3.14 bits'. Expected a figure such as 3.14, '<= 5.40' or '4.47 ± 0.04'."),
    ({CELL: "< 5.40"}, f"{CELL}: is '< 5.40'. Expected a figure such as 3.14, '<= 5.40' or '4.47 ± 0.04'."),
    ({CELL: "3,14"}, f"{CELL}: is '3,14'. Expected a figure such as 3.14, '<= 5.40' or '4.47 ± 0.04'."),
    ({CELL: float("nan")}, f"{CELL}: is nan. Expected a figure such as 3.14, '<= 5.40' or '4.47 ± 0.04'."),
    ({CELL: True}, f"{CELL}: is True. Expected a number, a text such as '4.47 ± 0.04', or null."),
    ({CELL: [3.14]}, f"{CELL}: is [3.14]. Expected a number, a text such as '4.47 ± 0.04', or null."),
    ({CELL: None}, f"{CELL}: is null. Expected a note that says why (note or unrecovered)."),
    ({CELL: {"note": "n"}}, f"{CELL}: has no value. Expected a number, a text as printed, or null."),
    ({CELL: {"value": 1, "notes": "n"}}, f"{CELL}: has an unknown key 'notes'. Did you mean 'note'?"),
    ({CELL: {"value": 1, "bound": "<"}}, f"{CELL}.bound: is '<'. Did you mean '<='?"),
    ({CELL: {"value": 1, "spread": {"value": "x"}}}, f"{CELL}.spread.value: is 'x'. Expected a number."),
    ({CELL: {"value": 1, "spread": {"vale": 1}}}, f"{CELL}.spread: has an unknown key 'vale'. Did you mean 'value'"),
    (
        {f"{COLUMN}.spread": {"value": 0.1}},
        f"{CELL}: inherits the value of a spread. Expected that beside the figure, as in 4.47 ± 0.04.",
    ),
    (
        {CELL: "1 ± 1", f"{COLUMN}.spread": {"kid": "std"}},
        f"{CELL}.spread: has an unknown key 'kid'. Did you mean 'kind'?",
    ),
    ({CELL: "1 ± 1", f"{COLUMN}.spread": {"kind": "sd"}}, f"{CELL}.spread.kind: is 'sd'. Did you mean 'std'?"),
    ({CELL: "1 ± 1", f"{COLUMN}.spread": {"over": "seed"}}, f"{CELL}.spread.over: is 'seed'. Did you mean 'seeds'?"),
    ({CELL: "1 ± 1", f"{COLUMN}.spread": {"n": 0}}, f"{CELL}.spread.n: is 0. Expected a count, or null."),
    ({CELL: "1 ± 1", f"{COLUMN}.spread": {"n": True}}, f"{CELL}.spread.n: is True. Expected a count, or null."),
    ({f"{COLUMN}.dataset": GONE}, f"{CELL}: dataset is None. Expected text."),
    ({f"{COLUMN}.split": None}, f"{CELL}: split is None. Expected text."),
    ({f"{COLUMN}.source": GONE}, f"{CELL}: source is None. Expected text."),
    ({f"{COLUMN}.sure": "papers"}, f"{CELL}.sure: is 'papers'. Did you mean 'paper'?"),
    ({f"{COLUMN}.pick": "x"}, f"{CELL}.pick: is 'x'. Valid names: best, final."),
    (
        {f"{COLUMN}.public": GONE},
        f"{CELL}: public is missing. Expected true or false: whether outsiders can get the data.",
    ),
]
RECIPE_MISTAKES = [
    (
        {f"{COLUMN}.pending": GONE},
        f"{CELL}: has no experiment. Name one, or say why nobody outside can run it (why) or why not yet (pending).",
    ),
    (
        {f"{COLUMN}.public": False},
        f"{CELL}: has data that outsiders cannot get. Say so in why, and name a standin if there is one.",
    ),
    (
        {f"{ROW}.experiment": "wavegrad/base_continous"},
        f"{CELL}: names the experiment 'wavegrad/base_continous'. Did you mean 'wavegrad/base_continuous'",
    ),
    (
        {f"{ROW}.standin": "wavegrad/bose_continuous"},
        f"{CELL}.standin: names the experiment 'wavegrad/bose_continuous'. Did you mean 'wavegrad/base_continuous'",
    ),
    (
        {f"{ROW}.experiment": EXPERIMENT, f"{COLUMN}.measure": GONE},
        f"{CELL}: has an experiment but no measure. Expected e.g. measure: test/bpd.",
    ),
    (
        {f"{ROW}.experiment": EXPERIMENT, f"{COLUMN}.measure": "test/{at}/bpd"},
        f"{CELL}: has an experiment but no measure. Expected e.g. measure: test/bpd.",
    ),
    (
        {f"{ROW}.experiment": EXPERIMENT, f"{COLUMN}.tolerance": GONE},
        f"{CELL}: has no tolerance. Expected value, percent or spreads, and the reason.",
    ),
    (
        {f"{ROW}.experiment": EXPERIMENT, f"{COLUMN}.tolerance": {"spreads": 2, "reason": "r"}},
        f"{CELL}.tolerance: is in spreads, but the figure has none. Expected value or percent.",
    ),
    (
        {f"{COLUMN}.tolerance": {"value": 1, "percent": 2, "reason": "r"}},
        f"{CELL}.tolerance: Expected one of value, percent, spreads.",
    ),
    ({f"{COLUMN}.tolerance": {"reason": "r"}}, f"{CELL}.tolerance: Expected one of value, percent, spreads."),
    ({f"{COLUMN}.tolerance": {"value": 1}}, f"{CELL}.tolerance: reason is None. Expected text."),
    (
        {f"{COLUMN}.tolerance": {"values": 1, "reason": "r"}},
        f"{CELL}.tolerance: has an unknown key 'values'. Did you mean 'value'?",
    ),
    (
        {f"{COLUMN}.tolerance": {"value": 0, "reason": "r"}},
        f"{CELL}.tolerance.value: is 0. Expected a number above 0.",
    ),
    (
        {f"{COLUMN}.tolerance": {"percent": "5", "reason": "r"}},
        f"{CELL}.tolerance.percent: is '5'. Expected a number above 0.",
    ),
    (
        {CELL: 0, f"{COLUMN}.tolerance": {"percent": 5, "reason": "r"}},
        f"{CELL}.tolerance.percent: gives 0, which nothing can meet. Expected a value.",
    ),
]
CLAIM_MISTAKES = [
    (
        {f"{CLAIM}.relations": "falls"},
        "claims.wider: has an unknown key 'relations'. Did you mean 'relation'",
    ),
    ({"claims.Wider": {}}, "claims: has the name 'Wider'. Expected lower case letters, digits and _."),
    ({f"{CLAIM}.kind": "order"}, "claims.wider.kind: is 'order'. Did you mean 'ordering'?"),
    ({f"{CLAIM}.kind": GONE}, "claims.wider.kind: is None. Valid names: equivalence, ordering, threshold, trend."),
    ({f"{CLAIM}.relation": "fall"}, "claims.wider.relation: is 'fall'. Did you mean 'falls'?"),
    ({f"{CLAIM}.direction": "up"}, "claims.wider.direction: is 'up'. Valid names: higher, lower, match."),
    ({f"{CLAIM}.text": GONE}, "claims.wider: text is None. Expected text."),
    ({f"{CLAIM}.source": GONE}, "claims.wider: source is None. Expected text."),
    ({f"{CLAIM}.sure": GONE}, "claims.wider.sure: is None. Valid names: derived, memory, paper, reference."),
    ({f"{CLAIM}.version": "1"}, "claims.wider.version: is '1'. Expected a whole number."),
    (
        {f"{CLAIM}.pending": GONE},
        "claims.wider: has no experiments to test it. Name them, or say why not (why, pending).",
    ),
    ({f"{CLAIM}.terms": {"label": "x"}}, "claims.wider.terms: is {'label': 'x'}. Expected a list."),
    ({f"{CLAIM}.terms": ["x"]}, "claims.wider.terms[0]: is 'x'. Expected keys and values."),
    (
        {f"{CLAIM}.terms": [{"labels": "x"}]},
        "claims.wider.terms[0]: has an unknown key 'labels'. Did you mean 'label'?",
    ),
    ({f"{CLAIM}.terms": [{"label": "x"}, {"x": 1}]}, "claims.wider.terms[1]: label is None. Expected text."),
    ({f"{CLAIM}.terms": [{"label": "a", "x": "1"}]}, "claims.wider.terms[0].x: is '1'. Expected a number."),
    ({f"{CLAIM}.terms": [{"label": "a"}]}, "claims.wider.terms: has 1. Expected two or more, as in every ordering."),
    ({f"{CLAIM}.kind": "trend"}, "claims.wider.terms: has 2. Expected three or more, as in every trend."),
    ({f"{CLAIM}.kind": "threshold"}, "claims.wider.terms: has 2. Expected one, as in every threshold."),
    (
        {f"{CLAIM}.kind": "equivalence", f"{CLAIM}.terms": [{"label": n} for n in "abc"]},
        "claims.wider.terms: has 3. Expected two, as in every equivalence.",
    ),
    (
        {f"{CLAIM}.kind": "trend", f"{CLAIM}.terms": [{"label": "a", "x": x} for x in (1, 2, 2)]},
        "claims.wider.terms: has two terms at the same x. A trend needs different ones.",
    ),
    (
        {f"{CLAIM}.terms": [{"label": "a", "experiment": "wavegrad/base_contin"}]},
        "claims.wider.terms[0]: names the experiment 'wavegrad/base_contin'. Did you mean 'wavegrad/base_continuous'",
    ),
    (
        {f"{CLAIM}.measure": "test/{at}/bpd", f"{CLAIM}.terms": [{"label": "a", "experiment": EXPERIMENT}]},
        "claims.wider.terms[0]: has no measure. Expected e.g. measure: test/bpd, with at where it says {at}.",
    ),
    ({f"{CLAIM}.bound": "x"}, "claims.wider.bound: is 'x'. Expected a number."),
    (
        {f"{CLAIM}.kind": "threshold", f"{CLAIM}.terms": [{"label": "a", "experiment": EXPERIMENT}]},
        "claims.wider: is a threshold without a bound. Expected bound: a number.",
    ),
    (
        {f"{CLAIM}.kind": "equivalence", f"{CLAIM}.terms": [{"label": n, "experiment": EXPERIMENT} for n in "ab"]},
        "claims.wider: is an equivalence without a margin. Expected margin: {value: ..., reason: ...}.",
    ),
    ({f"{CLAIM}.margin": {"value": 1}}, "claims.wider.margin: reason is None. Expected text."),
    (
        {f"{CLAIM}.margin": {"percent": 5, "reason": "r"}},
        "claims.wider.margin: is relative to nothing. Expected a value, in the unit of the measure.",
    ),
]


def refusal(file: Path) -> str:
    """The message without the name of the file, which has to begin it."""
    with pytest.raises(ConfigError) as error:
        parse_paper(file)
    message = str(error.value)
    assert message.startswith(str(file))
    return message.removeprefix(str(file)).removeprefix(": ")


@pytest.mark.parametrize(
    ("changes", "message"),
    HEAD_MISTAKES + COLUMN_MISTAKES + TABLE_MISTAKES + FIGURE_MISTAKES + RECIPE_MISTAKES + CLAIM_MISTAKES,
)
def test_a_mistake_is_named_with_its_place(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    found = refusal(write(tmp_path, changes))
    # Other names may be near; what is checked is that the nearest comes first.
    assert found.startswith(message) if message.endswith("'") else found == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is None. Expected keys and values."),
        ("- a\n", "is ['a']. Expected keys and values."),
        ("title: A\nyear: 2020\ntitle: B\n", "is no valid YAML: the key 'title' is given twice"),
        ("columns: {a: {label: A, unit: x, label: B}}\n", "is no valid YAML: the key 'label' is given twice"),
        ("? [a, b]\n: 1\n", "is no valid YAML: ['a', 'b'] cannot be a key"),
        ("title: [\n", "is no valid YAML: while parsing"),
        ("title: !!python/object:os.system x\n", "is no valid YAML: could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_paper_is_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    assert refusal(file).strip().startswith(message)


def test_a_key_given_twice_is_named_with_its_line(tmp_path: Path) -> None:
    file = write(tmp_path, {})
    file.write_text(file.read_text() + "year: 2021\n")
    line = len(file.read_text().splitlines())
    assert f"line {line}, column 1" in refusal(file)


def test_a_file_that_cannot_be_read_is_an_error_of_the_user(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.yaml").strip() == "cannot be read: No such file or directory."
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("title: Gr\xf6\xdfe\n".encode("latin-1"))
    assert "is no valid YAML" in refusal(latin)


def test_a_paper_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"there is no paper 'wavegard'\. Did you mean 'wavegrad'"):
        read_paper("wavegard")
