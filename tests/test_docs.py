"""Tables in the docs come from run records, and what the docs name exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from reprise.cli.evaluate import metric_table
from reprise.cli.main import VERBS
from reprise.config.compose import group_choices
from reprise.config.protocol import digest
from reprise.reproduction.markdown import BEGIN, END, cell
from reprise.tracking.record import read_record
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"<!-- (outputs/reproduction/\S+) -->\n\n```\n(.*?)\n```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_tables_come_from_records(page: Path) -> None:
    for directory, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        assert text == metric_table(read_record(ROOT / directory).evaluations[-1]["metrics"])


def test_the_readme_shows_what_was_run() -> None:
    """That its table is up to date is checked by `make lint`; here, that it is the one that is written by machine."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.partition(BEGIN)[2].partition(END)[0]
    for name in group_choices("paper"):
        assert f"| {cell(name)} |" in block


def test_the_readme_names_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    said = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("## Install as a package")[2].partition("\n## ")[0]
    )
    assert [extra for extra in project["optional-dependencies"] if f"`{extra}`" not in said] == []


def test_committed_records_are_whole() -> None:
    records = sorted((ROOT / "outputs" / "reproduction").rglob("run.json"))
    assert records
    for path in records:
        record = read_record(path.parent)
        assert record.state == "finished"
        assert record.evaluations
        assert len(digest(record.config)) == 64


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_names_in_the_docs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"RESULTS_|DEMO_TABLE", text)
    for verb in re.findall(r"^    reprise ([a-z-]+)", text, re.MULTILINE):
        assert verb in VERBS
    for experiment in re.findall(r"experiment=(\w+/\w+)", text):
        assert experiment in group_choices("experiment")
    for folder, link in [(page.parent, x) for x in re.findall(r"\]\(([\w/.-]+\.md)\)", text)]:
        assert (folder / link).is_file()
