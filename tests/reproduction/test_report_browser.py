"""The report's page in a real browser: filters, sorting, the drawer, themes, a phone's width, accessibility."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reprise.reproduction.report import PAGE, Media, render_page
from tests.reproduction.reports import rich_report
from tests.reproduction.runs import entry, write_grids

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'reprise[dev]'")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
CHROMIUM = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; `make system` installs it")
ROW = "e-kernels-rmse-implicit"


@dataclass
class Opened:
    """A page, what it complained of, and what it asked for."""

    page: Any
    complaints: list[str]
    asked: list[str]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("outputs")
    path = folder / PAGE
    path.write_text(render_page(rich_report(folder), Media(page=folder)), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Rows of all tables; a paper's file may get more of them."""
    report = rich_report(tmp_path_factory.mktemp("counted"), files=False)
    return sum(len(table.rows) for standing in report.papers for table in standing.paper.tables)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = tmp_path_factory.mktemp("home")  # a browser writes into its home; this one is nobody's
    with api.sync_playwright() as playwright:
        environment = {**os.environ, "HOME": str(home)}
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], env=environment)
        yield browser
        browser.close()


class Opener:
    """Opens the page in contexts of its own; closes them all at the end."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser = browser
        self.address = address
        self.contexts: list[Any] = []

    def __call__(self, hash_: str = "", width: int = 1280, height: int = 900, **options: Any) -> Opened:
        context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        opened = Opened(page, [], [])
        page.on("console", lambda m: opened.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: opened.complaints.append(str(e)))
        page.on("request", lambda r: opened.asked.append(r.url))
        page.goto(self.address + hash_)
        return opened


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Opener]:
    opener = Opener(browser, address)
    yield opener
    for context in opener.contexts:
        context.close()


def visible(page: Any, selector: str) -> int:
    return page.locator(selector).filter(visible=True).count()


def test_opens_from_disk_in_silence(visit: Opener, rows: int) -> None:
    found = visit()
    found.page.wait_for_load_state("load")
    found.page.locator("audio").first.scroll_into_view_if_needed()
    assert found.complaints == []
    assert {url.partition(":")[0] for url in found.asked} <= {"file", "data"}
    assert [url for url in found.asked if url.startswith("file")] == [visit.address]
    assert found.page.title() == "Reproduction report"
    assert found.page.evaluate("typeof window.alert") == "function"
    assert visible(found.page, "tr.row") == rows


def test_a_script_that_slipped_in_would_not_run(visit: Opener) -> None:
    found = visit()
    add = "const s = document.createElement('script'); s.textContent = 'window.slipped = 1'; document.body.append(s)"
    found.page.evaluate(f"() => {{ {add} }}")
    assert found.page.evaluate("window.slipped") is None
    assert any("Content Security Policy" in c for c in found.complaints)


def test_sounds_can_be_played_and_pictures_seen(visit: Opener) -> None:
    page = visit().page
    audio = page.locator("audio").first
    assert (audio.get_attribute("src") or "").startswith("data:audio/wav;base64,")
    heard = "a.onloadedmetadata = () => done(a.duration); a.onerror = fail; a.preload = 'metadata'; a.load()"
    seconds = audio.evaluate(f"a => new Promise((done, fail) => {{ {heard} }})")
    assert seconds == pytest.approx(0.5, abs=0.01)
    picture = page.locator(".sample img").first
    picture.scroll_into_view_if_needed()
    assert picture.evaluate("async i => { await i.decode(); return i.naturalWidth }") == 440


@pytest.mark.parametrize("width", [1320, 1200, 1000, 800])
def test_no_column_of_the_summary_is_cut_off(visit: Opener, width: int) -> None:
    page = visit(width=width).page
    inner, outer = page.locator("#summary .table").evaluate("t => [t.scrollWidth, t.clientWidth]")
    assert inner <= outer
    figures, claims = (page.locator(".matrix thead th.column").nth(i).bounding_box() for i in range(2))
    holds = page.locator(".matrix thead .k-holds").bounding_box()
    assert holds["x"] == pytest.approx(claims["x"], abs=1) and figures["x"] + figures["width"] <= claims["x"] + 1


@pytest.mark.parametrize(("width", "ratio"), [(1280, 1), (390, 1), (390, 3)])
def test_grids_of_images_fit_their_cards(browser: Any, tmp_path: Path, width: int, ratio: int) -> None:
    write_grids(entry(tmp_path, "kernels/implicit", 0))
    path = tmp_path / PAGE
    path.write_text(render_page(rich_report(tmp_path, files=False), Media(page=tmp_path)), encoding="utf-8")
    opener = Opener(browser, path.as_uri())
    page = opener(width=width, device_scale_factor=ratio).page
    try:
        for i, natural in enumerate([(1018, 1018), (914, 230)]):
            picture = page.get_by_role("img", name=f"picture of grid{i}")
            picture.scroll_into_view_if_needed()
            assert (
                tuple(picture.evaluate("async i => { await i.decode(); return [i.naturalWidth, i.naturalHeight] }"))
                == natural
            )
            seen, card = picture.bounding_box(), picture.locator("..").bounding_box()
            assert seen is not None and card is not None
            assert card["x"] < seen["x"] and seen["x"] + seen["width"] < card["x"] + card["width"]
            assert seen["width"] > 0.85 * card["width"]
            assert seen["width"] / seen["height"] == pytest.approx(natural[0] / natural[1], rel=0.01)
        assert page.evaluate("document.documentElement.scrollWidth") == width
    finally:
        for context in opener.contexts:
            context.close()


def test_filters_narrow_the_page_and_stand_in_the_address(visit: Opener, rows: int) -> None:
    page = visit().page
    page.get_by_role("combobox", name="Verdict").select_option("reproduced")
    assert page.locator("tr.row", has_text="SM, 10 components").is_visible()
    assert not page.locator("tr.row", has_text="Variational SM").is_visible()
    assert page.locator("tr.standin").filter(visible=True).count() == 0
    assert page.get_by_role("status").inner_text() == f"2 of {rows} rows, 0 of 8 claims"
    assert page.url.endswith("#verdict=reproduced")
    page.get_by_role("searchbox").fill("10 comp")
    assert page.get_by_role("status").inner_text().startswith(f"1 of {rows} rows")
    page.get_by_role("searchbox").fill("nothing has this")
    assert page.locator(".nothing").is_visible()
    page.get_by_role("button", name="Show all").click()
    assert page.get_by_role("status").inner_text() == f"{rows} rows, 8 claims"
    assert page.url.endswith("#")


def test_paper_runs_and_competitors(visit: Opener) -> None:
    page = visit().page
    page.get_by_role("combobox", name="Paper").select_option("p-wavegrad")
    assert not page.locator("#p-kernels").is_visible() and page.locator("#p-wavegrad").is_visible()
    page.get_by_label("competitors").uncheck()
    assert visible(page, "tr.row.baseline") == 0 and visible(page, "tr.row") > 5
    page.get_by_label("only with runs").check()
    rows = page.locator("tr.row").filter(visible=True)
    assert rows.count() == 5, "four rows with runs of a stand-in, one with runs of its own"
    assert page.evaluate("location.hash") == "#paper=p-wavegrad&runs=1&baselines="


def test_the_address_brings_the_view_back(visit: Opener) -> None:
    page = visit("#q=sparse&paper=p-kernels&runs=1&sort=t-kernels-rmse%3A2%3Adown").page
    assert page.get_by_role("searchbox").input_value() == "sparse"
    assert page.get_by_label("only with runs").is_checked()
    assert visible(page, "tr.row") == 1
    assert page.locator("[data-key='t-kernels-rmse'] [aria-sort]").get_attribute("aria-sort") == "descending"
    page = visit("#verdict=missing&at=t-wavegrad-table2").page
    assert page.get_by_role("combobox", name="Verdict").input_value() == "missing", (
        "a place that is hidden changes nothing"
    )
    assert visit("#%zz").complaints == []
    assert visit("#row=nothing&sort=a:b:c&verdict=%22%5D").complaints == []


def test_counts_of_the_summary_filter(visit: Opener, rows: int) -> None:
    page = visit().page
    page.locator(".matrix a[data-verdict='not-reproduced']").first.click()
    assert page.get_by_role("status").inner_text() == f"1 of {rows} rows, 0 of 8 claims"
    page.locator(".tile[data-verdict='stale']").click()
    assert page.get_by_role("status").inner_text() == f"1 of {rows} rows, 1 of 8 claims"


def test_sorting_by_a_column_and_back(visit: Opener) -> None:
    page = visit().page
    table = page.locator("[data-key='t-wavegrad-table1']")
    names = table.locator("tr.row a.open")
    paper = names.all_inner_texts()
    head = table.get_by_role("columnheader", name=re.compile("MOS.*reported"))
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    values = [float(v.split()[0]) for v in table.locator("tr.row .figure").all_inner_texts()]
    assert values == sorted(values) and len(values) == len(paper)
    assert table.locator("tr.group").filter(visible=True).count() == 0
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") is None and names.all_inner_texts() == paper


def test_a_standin_stays_below_its_row_when_sorted(visit: Opener) -> None:
    page = visit().page
    table = page.locator("[data-key='t-wavegrad-table2']")
    table.get_by_role("button", name="reported").nth(0).click()
    order = table.locator("tbody tr:not(.group)").evaluate_all("rows => rows.map(r => r.dataset.row ?? r.dataset.of)")
    assert order[0::2] == order[1::2] and len(order) == 14
    values = table.locator("tr.row").evaluate_all("rows => rows.map(r => Number(r.cells[3].dataset.value))")
    assert values == sorted(values)


def test_the_drawer_by_keyboard(visit: Opener) -> None:
    found = visit()
    page = found.page
    opener = page.locator(f"a.open[href='#{ROW}']")
    opener.focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name=re.compile("^IKL, implicit"))
    assert drawer.is_visible()
    assert page.evaluate("document.activeElement.textContent") == "Close"
    assert page.evaluate("document.getElementById('drawer').contains(document.activeElement)")
    assert drawer.get_by_text("train.py experiment=kernels/implicit seed=3").count() == 1
    assert f"row={ROW}" in page.url
    drawer.get_by_role("button", name="Next row").press("Enter")
    assert page.get_by_role("dialog", name="Variational SM").is_visible()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Next row"
    page.keyboard.press("Escape")
    assert not page.locator("#drawer").is_visible()
    assert page.evaluate("document.activeElement.hash") == "#e-kernels-rmse-variational"
    assert "row=" not in page.url
    opener.press("Enter")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.hash") == f"#{ROW}"
    assert page.locator(f"article#{ROW}").count() == 1, "it lies where it was"
    assert found.complaints == []


def test_tab_stays_in_the_drawer(visit: Opener) -> None:
    page = visit(f"#row={ROW}").page
    for _ in range(40):
        page.keyboard.press("Tab")
        inside = "document.activeElement === document.body || document.activeElement.closest('#drawer') !== null"
        assert page.evaluate(inside)


def test_a_command_is_copied(visit: Opener) -> None:
    page = visit(f"#row={ROW}", permissions=["clipboard-read", "clipboard-write"]).page
    card = page.locator("#drawer .run").first
    card.locator("summary").first.click()
    card.get_by_role("button", name="Copy").click()
    card.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").startswith(
        "python train.py experiment=kernels/implicit seed=0"
    )


def test_links_lead_out_of_the_drawer_to_what_is_folded(visit: Opener) -> None:
    page = visit(f"#row={ROW}").page
    card = page.locator("#drawer .run").first
    card.locator("summary").first.click()
    card.get_by_role("link", name="all 125").click()
    assert not page.locator("#drawer").is_visible()
    assert page.locator("details.packages").get_attribute("open") is not None
    assert page.get_by_text("package-007 0.7").is_visible()


def test_themes(visit: Opener) -> None:
    page = visit(color_scheme="dark").page
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(19, 23, 29)"
    button = page.get_by_role("button", name="Theme")
    button.click()
    assert button.inner_text() == "Theme: light" and page.evaluate(background) == "rgb(253, 253, 252)"
    page.reload()
    assert page.evaluate(background) == "rgb(253, 253, 252)", "the choice is remembered"
    button.click()
    button.click()
    assert button.inner_text() == "Theme: system" and page.evaluate(background) == "rgb(19, 23, 29)"


@pytest.mark.parametrize("width", [360, 768, 1024])
def test_no_page_is_wider_than_its_screen(visit: Opener, width: int) -> None:
    page = visit(width=width, height=740).page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate(f"location.hash = 'row={ROW}'")
    page.locator("#drawer").wait_for()
    page.locator("#drawer details").evaluate_all("found => found.forEach(d => { d.open = true })")
    assert page.evaluate("(d => d.scrollWidth - d.clientWidth)(document.getElementById('drawer'))") == 0


def test_without_scripts_everything_can_be_read(visit: Opener, rows: int) -> None:
    page = visit(java_script_enabled=False).page
    assert visible(page, "tr.row") == rows
    assert not page.locator("#controls").is_visible()
    page.locator(".all-evidence > summary").first.click()
    assert page.locator(f"article#{ROW}").is_visible()
    page.locator(f"article#{ROW}").get_by_role("link", name="seed 0").click()
    assert page.locator(":target .command").is_visible(), "the browser opens what holds the card"


def test_print_opens_what_is_folded(visit: Opener, tmp_path: Path) -> None:
    page = visit().page
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(f"article#{ROW}").is_visible()
    assert page.get_by_text("To run it again:").first.is_visible()
    assert not page.locator("#controls").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    assert page.pdf(path=tmp_path / "report.pdf", format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "state", ["drawer", *(pytest.param(s, marks=pytest.mark.slow) for s in ("closed", "open", "filtered"))]
)
def test_axe_finds_nothing(visit: Opener, scheme: str, state: str) -> None:
    address = {"drawer": f"#row={ROW}", "filtered": "#verdict=not-testable"}.get(state, "")
    page = visit(address, color_scheme=scheme).page
    if state == "open":
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    found = axe.Axe().run(page)
    wrong = [(v["id"], v["help"], [n["html"][:160] for n in v["nodes"][:3]]) for v in found.response["violations"]]
    assert wrong == []
