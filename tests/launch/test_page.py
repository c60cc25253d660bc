"""The page of a sweep: it stands alone, says everything, and trusts no text."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reprise.launch.objectives import Objective
from reprise.launch.page import make_page, write_page
from reprise.launch.point import Point
from reprise.launch.results import Axis, Results, Trial, grid_results, write_csv
from tests.launch.conftest import Searches

EVIL = "<script>alert('x')</script> & $x^2$"


def results(count: int, objectives: int = 1) -> Results:
    wanted = [Objective("val/loss", "best", "minimize"), Objective(EVIL, "last", "maximize")][:objectives]
    axes = [Axis("lr", log=True), Axis(EVIL, ("a", EVIL)), Axis("depth")]
    trials = []
    for i in range(count):
        state = {3: "failed", 5: "pruned", 6: "running"}.get(i, "finished")
        params = {"lr": repr(10 ** -(1 + i % 5 / 2)), EVIL: EVIL if i % 2 else "a"}
        params |= {"depth": str(i)} if i % 2 else {}
        values = (0.01 * 3.0 ** (i % 7), float(i))[:objectives] if state in ("finished", "pruned") else ()
        error = EVIL if state == "failed" else None
        trials.append(Trial(i, state, values, params, Path(f"/o/runs/r{i} #"), 1.5, error))
    found = Results(EVIL, wanted, trials, axes, best=[0], facts=[("storage", EVIL)], commands={0: f"train {EVIL}"})
    found.importances, found.note = {"lr": 0.9, EVIL: 0.1}, EVIL
    return found


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [v or "" for k, v in attrs if k in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(("count", "objectives"), [(1, 1), (9, 1), (9, 2)])
def test_a_page_stands_alone_and_escapes_everything(count: int, objectives: int) -> None:
    page = make_page(results(count, objectives), Path("/o/sweeps/s"))
    reader = Reader()
    reader.feed(page)
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    assert all(x.startswith(("../../runs/r", "#")) for x in reader.links), reader.links
    assert "../../runs/r0%20%23/" in reader.links
    assert not re.search(r"url\((?!#)", page)
    assert EVIL in reader.text
    for part in ("History of val/loss", "Importances", "Parallel coordinates", "Slices: val/loss", "All trials"):
        assert part in reader.text
    assert ("Pareto front" in reader.text) == (objectives == 2)
    assert reader.tags.count("tr") == count + 1
    assert "var(--ink)" in page
    assert not re.search("#0[1-6]0[1-6]0[1-6]", page), "a colour that no theme has"
    assert page == make_page(results(count, objectives), Path("/o/sweeps/s")), "it must not change by itself"


def test_a_table_of_all_trials(tmp_path: Path) -> None:
    rows = list(csv.DictReader(write_csv(results(9), tmp_path).read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 9
    assert rows[3]["state"] == "failed"
    assert rows[3]["error"] == EVIL
    assert rows[3]["val/loss (best)"] == ""
    assert float(rows[1]["val/loss (best)"]) == 0.03
    assert (rows[1]["depth"], rows[2]["depth"]) == ("1", "")


def test_a_page_without_any_finished_trial(tmp_path: Path) -> None:
    found = results(9)
    found.trials, found.best = [t for t in found.trials if t.state in ("failed", "running")], []
    found.importances, found.note = {}, "too few"
    text = write_page(found, tmp_path).read_text(encoding="utf-8")
    assert "too few" in text
    assert "<svg" not in text


@pytest.mark.page
def test_a_search_leaves_its_page(search: Searches) -> None:
    out = search("sweep=wavegrad_ema", "hydra.sweeper.n_trials=10")
    page = (search.folder / "index.html").read_text(encoding="utf-8")
    assert f"page: {search.folder / 'index.html'}" in out
    assert "PED-ANOVA over 10 finished trials" in page
    assert "where callbacks is ema" in page
    best = search.study().best_trial
    assert "best val/ls_mse</div>" in page
    assert f"{best.value:.5g}" in page
    assert "Train it anew: <code>python train.py model=wavegrad" in page
    rows = list(csv.DictReader((search.folder / "trials.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(r["val/ls_mse (best)"]) for r in rows] == [t.value for t in search.study().trials]
    assert [r["callbacks.ema.decay"] != "" for r in rows] == [r["callbacks"] == "ema" for r in rows]


@pytest.mark.page
def test_a_grid_leaves_one_too(search: Searches) -> None:
    out = search("model=wavegrad", "model.optimizer.lr=1e-5,1e-4,1e-2", "trainer.gradient_clip_val=1.0,null")
    page = (search.folder / "index.html").read_text(encoding="utf-8")
    assert f"page: {search.folder / 'index.html'}" in out
    assert "Slices: val/ls_mse" in page
    assert "Importances" not in page
    assert len((search.folder / "trials.csv").read_text(encoding="utf-8").splitlines()) == 7


def test_axes_of_a_grid_follow_from_its_values() -> None:
    def point(index: int, params: dict[str, str]) -> Point:
        run = {
            "name": "m",
            "seed": 0,
            "digest": "d",
            "monitor": "val/loss",
            "mode": "min",
            "max_steps": 6,
            "outputs": "o",
        }
        more = {"trainer": {}, "logs_to_wandb": False, "state": "finished", "objective": float(index)}
        return Point(index=index, overrides=(), params=params, directory=Path("r"), **run, **more)  # type: ignore[arg-type]

    found = grid_results(
        "g", [point(i, {"lr": v, "arch": a}) for i, (v, a) in enumerate([("1e-5", "x"), ("1e-2", "y")])]
    )
    assert found.axes == [Axis("lr", None, True), Axis("arch", ("x", "y"), False)]
    assert found.best == [0]
