"""The report's page: everything of a report is on it, nothing of a record is ever code, no clock and no network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reprise.reproduction.report import Media, render_page
from reprise.reproduction.report.markup import text
from reprise.reproduction.standing import KINDS, OUTCOMES, PaperStanding, Report
from tests.reproduction.reports import EVIL, kernels, rich_report, wavegrad
from tests.reproduction.runs import entry, ours, png, write_grids, write_samples

VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """Elements, attributes and text of a page; complains about tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in <{tag}>"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.words).split())

    def named(self, css: str) -> list[dict[str, str | None]]:
        return [a for _, a in self.elements if css in (a.get("class") or "").split()]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def report(root: Path) -> Report:
    return rich_report(root)


@pytest.fixture(scope="module")
def html(report: Report, root: Path) -> str:
    return render_page(report, Media(page=root))


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_hostile_text_is_text(html: str, page: Page) -> None:
    tags = Counter(tag for tag, _ in page.elements)
    assert (tags["script"], tags["style"]) == (1, 1)
    assert all(name[:2] != "on" for _, attributes in page.elements for name in attributes)
    assert "<script>alert('x')</script>" in page.said  # shown as it is
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\ud800-\udfff]", html)
    assert EVIL not in html
    html.encode("utf-8")


def test_no_address_but_https_links_files_and_data(page: Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "poster", "srcset", "data", "xlink:href"):
            value = attributes.get(name)
            if value is None:
                continue
            if re.match(r"^[a-z][a-z0-9+.-]*:|^//", value):
                ok = value.startswith("https://") if tag == "a" else value.startswith("data:")
                assert ok, f"<{tag} {name}={value[:60]!r}>"
            else:
                assert tag in ("a", "use"), f"<{tag} {name}={value[:60]!r}>"
    links = {a["href"] for tag, a in page.elements if tag == "a"}
    assert "https://arxiv.org/abs/2009.00713" in links
    assert not any("javascript" in str(href) for href in links)
    assert "javascript:alert(1)" in page.said  # the address is shown, not followed


def test_policy_forbids_all_but_what_is_inline(page: Page) -> None:
    policy = next(a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:")
    assert "unsafe" not in policy and "http" not in policy
    assert len(re.findall(r"'sha256-[A-Za-z0-9+/]{43}='", policy)) == 2
    assert not any("style" in a for _, a in page.elements), "the policy refuses style attributes"


def test_every_verdict_and_outcome_is_shown_and_explained(report: Report, page: Page) -> None:
    badges = Counter(c for a in page.named("badge") for c in (a["class"] or "").split() if c.startswith("k-"))
    for kind, meaning in (*KINDS.items(), *OUTCOMES.items()):
        assert badges[f"k-{kind.replace(' ', '-')}"] >= 2, f"{kind}: in its place and in the legend"
        assert " ".join(meaning.split()) in page.said
    for paper in report.papers:
        for standing in paper.targets.values():
            assert " ".join(text(standing.reason).split())[:60] in " ".join(text(page.said).split())


def test_counts_of_the_summary(report: Report, page: Page) -> None:
    tiles = page.named("tile")
    assert [a["data-verdict"] for a in tiles] == [k.replace(" ", "-") for k in report.counts]
    assert f"2 papers with {sum(report.counts.values())} figures." in page.said
    assert f"Outsiders can test {sum(report.counts.values()) - report.counts['not testable']} of them" in page.said
    derived = f" ({report.derived} of them derived: computed, not printed)" if report.derived else ""
    assert f"reproduced{derived}. The name of a row" in page.said


def test_every_row_has_its_evidence(report: Report, page: Page) -> None:
    rows = {a["data-row"] for a in page.named("row")}
    articles = {a["id"] for tag, a in page.elements if tag == "article" and "evidence" in (a.get("class") or "")}
    assert rows == articles
    assert len(rows) == sum(len(t.rows) for p in report.papers for t in p.paper.tables)
    cards = {a["id"] for _, a in page.elements if (a.get("id") or "").startswith("run-")}
    assert len(cards) == len(page.named("run"))
    assert {c for a in page.named("evidence") for c in (a["data-cards"] or "").split()} <= cards


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("Table 1", "Table 1: Parameters"),
        ("section 3.4", "section 3.4: Parameters"),
        ("in the text", "Parameters"),
        ("place not recalled", "Parameters"),
        ("not printed", "Parameters"),
        ("appendix, arXiv v2", "Parameters"),
        ("Table 5 (number recalled, from a survey)", "Parameters"),
    ],
)
def test_contents_say_what_a_table_shows(tmp_path: Path, printed: str, expected: str) -> None:
    standing = kernels(tmp_path)
    tables = tuple(replace(t, printed=printed) if t.id == "size" else t for t in standing.paper.tables)
    report = replace(
        rich_report(tmp_path, files=False), papers=(replace(standing, paper=replace(standing.paper, tables=tables)),)
    )
    html = render_page(report, Media(page=tmp_path))
    listed = re.findall(r">([^<]*)</a>", html.partition('<nav class="contents"')[2].partition("</nav>")[0])
    others = [t for t in tables if t.id != "size"]
    assert listed[len(others)] == expected
    assert all(any(t.title in words for words in listed) for t in others)
    assert {"Claims", "Runs"} <= set(listed)
    heading = '<h3>Parameters <span class="where">' if expected == "Parameters" else f"<h3>{printed} <span>Parameters"
    assert heading in html


def test_ids_are_unique_and_every_inner_link_leads_somewhere(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        href = attributes.get("href") or ""
        if href.startswith("#"):
            assert href[1:] in ids, f"<{tag} href={href}>"
        for name in ("aria-labelledby",):
            assert attributes.get(name) is None or attributes[name] in ids or attributes[name] == "drawer-title"


def test_figures_come_with_interval_n_difference_and_deviations(page: Page) -> None:
    assert "0.235 ± 0.005 n = 5" in page.said
    assert re.search(r"\+0\.\d+ \(\+[\d.]+ %\)", page.said)
    assert "0.555 n = 1" in page.said, "one seed has no interval, and says so"
    assert "4 deviations" in page.said
    assert "model.network.up_channels [512, 512, 256, 128, 128] [64, 64, 32, 16, 16]" in page.said
    assert "7 seeds in all would decide" in page.said
    assert "reprise.models.wavegrad.network" in page.said
    assert "Estimated cost: about 3 d on one H100 for 3 seeds." in page.said


def test_runs_that_do_not_count_are_counted(page: Page) -> None:
    assert "set aside 3 re-runs of a run that counts already" in page.said
    assert "unclaimed 2 runs that no figure or claim names" in page.said


def test_what_is_not_known_is_said(page: Page) -> None:
    assert "not recovered" in page.said
    assert "which is which is not sure" in page.said
    assert len(page.named("sure")) > 40
    assert "Every reported figure here is recalled, not seen in the paper." in page.said


def test_standins_have_rows_of_their_own(page: Page, tmp_path: Path) -> None:
    standins = page.named("standin")
    standing = wavegrad(tmp_path)
    measured = [s.target for s in standing.targets.values() if s.standin]
    assert len(standins) == len({(t.table, t.row) for t in measured}) >= 7
    assert "table2" in {t.table for t in measured}
    assert {a["data-of"] for a in standins} <= {a["data-row"] for a in page.named("row")}
    assert "221.1 n = 1" in page.said


def test_provenance_of_a_run(page: Page) -> None:
    for words in (
        "python train.py experiment=kernels/implicit seed=0 trainer=ddp",
        "e8aea323abe51631c16cf49f4b270624ba908d5c , clean tree",
        "76ef8c99ded863bdd318a08d9760926d9785a1c28e8ecd188aba926c43ad646d",
        "4 × NVIDIA H100 80GB HBM3, AMD EPYC, 16 cores, 128.0 GiB",
        "precision 32-true, world size 4",
        "Python 3.11.7",
        "torch 2.9.1",
        "peak memory 31.0 GiB",
        "2 kWh",
    ):
        assert words in page.said
    hrefs = [a.get("href") for t, a in page.elements if t == "a"]
    assert "https://wandb.ai/x/reprise/runs/1" in hrefs
    assert "runs/kernels/implicit/s0-15b61686/evaluations/e1/" in hrefs


def test_a_run_whose_record_says_little(root: Path) -> None:
    empty = {"code": {}, "environment": {}, "data": {}, "cost": {}, "wandb": None, "evaluations": (), "begun": ""}
    bare = entry(root, "kernels/spectral", 0, **empty)
    odd = entry(root, "kernels/spectral", 1, wandb={"url": "javascript:alert(2)"}, cost={"device_seconds": None})
    standing = wavegrad(root)
    key = next(iter(standing.targets))
    standing.targets[key] = replace(
        standing.targets[key], runs=(bare, odd), ours=ours([1.0, float("nan")], [bare, odd])
    )
    page = Page(render_page(Report("x", "0", (standing,), 2), Media(page=root)))
    assert "no commit known" in page.said and "javascript:alert(2)" in page.said and "not a number" in page.said
    assert not any("javascript" in str(a.get("href")) for _, a in page.elements)


def test_claims_with_their_tests(page: Page) -> None:
    assert "n = 3 paired seeds · p < 0.001 · p = 0.001 after Holm" in page.said
    assert "Tested at a budget: 2 deviations that all compared runs share" in page.said
    assert "ordering: the measure falls from each term to the next; lower is better" in page.said
    assert "threshold: the mean lies below 0.5" in page.said
    assert "274 ± 10" in page.said


def test_pictures_of_figures_and_curves(page: Page) -> None:
    spoken = [a["aria-label"] or "" for t, a in page.elements if t == "svg" and a.get("role") == "img"]
    assert any("reported 0.43, ours 0.4341 ± 0.0065, n = 5, reproduced" in s for s in spoken)
    assert any(s.startswith("train/loss over iterations, logarithmic: seed 0 ends at") for s in spoken)
    lines = [a["points"] or "" for t, a in page.elements if t == "polyline"]
    assert len(lines) == 12, "two pictures each of four and of two seeds"
    assert max(len(points.split()) for points in lines) == 200
    assert "nan" not in "".join(lines)


def test_samples_are_embedded_within_the_limits(report: Report, root: Path) -> None:
    def sources(media: Media) -> list[str]:
        return [a["src"] or "" for _, a in Page(render_page(report, media)).elements if "src" in a]

    every = sources(Media(page=root))
    assert Counter(s.split(";")[0] for s in every) == {"data:image/png": 8, "data:audio/wav": 16}
    size = max(len(s) for s in every)
    few = sources(Media(page=root, total_bytes=5 * size))
    assert 0 < sum(map(len, few)) <= 5 * size + 40 * len(few)
    assert sources(Media(page=root, file_bytes=10)) == []
    linked = render_page(report, Media("link", root))
    assert (
        "data:audio" not in linked and 'href="runs/kernels/implicit/s0-15b61686/evaluations/e1/samples/clip0' in linked
    )
    none = Page(render_page(report, Media("none", root)))
    assert "Samples" not in none.said and not [a for t, a in none.elements if t == "audio"]


def test_pictures_are_named_by_what_lies_beside_them(tmp_path: Path) -> None:
    write_samples(entry(tmp_path, "wavegrad/ljspeech_base_continuous", 0), 1)
    write_grids(entry(tmp_path, "kernels/implicit", 0), 2)
    page = Page(render_page(rich_report(tmp_path, files=False), Media(page=tmp_path)))
    assert [a["alt"] for t, a in page.elements if t == "img"] == [
        "picture of grid0",
        "picture of grid1",
        "clip0_manual6: picture of its sound",
    ]
    classes = [a.get("class") for _, a in page.elements]
    assert (classes.count("sample seen"), classes.count("sample"), classes.count("sounds")) == (2, 1, 1)


def test_only_real_files_of_the_run_are_embedded(tmp_path: Path) -> None:
    run = entry(tmp_path, "wavegrad/ljspeech_base_continuous", 0)
    write_samples(run, 1)
    folder = run.directory / "evaluations/e1/samples"
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(16, 16))
    (folder / "a_link.png").symlink_to(secret)
    (folder / "fake.png").write_bytes(b"<svg onload=alert(1)>")
    html = render_page(rich_report(tmp_path, files=False), Media(page=tmp_path))
    assert html.count("data:image/png") == 1
    assert "a_link" not in html and "fake.png" in html  # a file that is no picture is linked, as one over the limit is


def test_same_report_gives_the_same_bytes(
    report: Report, root: Path, html: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert render_page(report, Media(page=root)) == html
    again = rich_report(root)
    assert render_page(again, Media(page=root)) == html


def test_a_report_without_records_or_papers(tmp_path: Path) -> None:
    nothing = Page(render_page(Report("outputs", "0.1.0", (), 0), Media(page=tmp_path)))
    assert "No paper was asked for." in nothing.said and "0 records below outputs" in nothing.said
    empty = wavegrad(tmp_path)
    fresh = {k: replace(s, ours=None, runs=(), standin=None) for k, s in empty.targets.items()}
    page = Page(
        render_page(Report("outputs", "0.1.0", (replace(empty, targets=fresh, claims=()),), 0), Media(page=tmp_path))
    )
    assert not page.named("forest") and "Learning curves" not in page.said


def test_a_thousand_records_stay_readable(tmp_path: Path) -> None:
    standing = kernels(tmp_path)
    runs = [entry(tmp_path, f"kernels/e{i % 25}", i, id=f"run{i}") for i in range(1000)]
    for i, key in enumerate(standing.targets):
        standing.targets[key] = replace(standing.targets[key], runs=tuple(runs[i * 15 : i * 15 + 15]))
    html = render_page(Report(str(tmp_path), "0.1.0", (standing,), 1000), Media(page=tmp_path))
    assert html.count('class="run"') > 950
    assert len(html) < 8e6


def test_the_page_loads_neither_torch_nor_lightning() -> None:
    script = (
        "import sys, reprise.reproduction.report, json;"
        "print(json.dumps([m for m in ('torch', 'pytorch_lightning', 'matplotlib', 'wandb') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_broken_metrics_file_ends_nothing(tmp_path: Path) -> None:
    report = rich_report(tmp_path)
    for file in tmp_path.rglob("metrics.csv"):
        file.write_text("step,name,value\n1,train/loss,half\n", encoding="utf-8")
    assert "Learning curves" not in Page(render_page(report, Media(page=tmp_path))).said


def page_of(standing: PaperStanding) -> Page:
    return Page(render_page(Report("outputs", "0.1.0", (standing,), 0), Media()))


def test_a_place_that_is_long_or_not_the_only_one_stands_behind_the_title(root: Path) -> None:
    standing = kernels(root)
    wide, single = standing.paper.tables
    tables = (wide, replace(single, printed="a place in the paper that has no number"))
    long = page_of(replace(standing, paper=replace(standing.paper, tables=tables)))
    assert "Parameters a place in the paper that has no number" in long.said
    tables = (replace(wide, printed="in the text"), replace(single, printed="in the text"))
    twice = page_of(replace(standing, paper=replace(standing.paper, tables=tables)))
    assert "RMSE of Gaussian processes by kernel in the text" in twice.said and "Parameters in the text" in twice.said
