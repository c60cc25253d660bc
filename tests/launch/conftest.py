"""A place where points end at once, so that a search takes a second; nothing else of it is pretended."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import pytest

from reprise.cli.main import main
from reprise.launch.book import read_book
from reprise.launch.drive import End
from reprise.launch.point import Point
from reprise.tracking.study import open_storage

Train = Callable[[Point], dict[str, Any]]


def parabola(point: Point) -> dict[str, Any]:
    """What a run's record says beyond its identity."""
    x = math.log10(float(point.params.get("model.optimizer.lr", "1e-3")))
    best = (x + 3.3) ** 2
    return {
        "state": "finished",
        "metrics": {
            "val/ls_mse": {"value": best + 0.5, "step": 6, "best": best, "best_step": 3},
            "perf/samples_per_sec": {"value": 10 * x, "step": 6},
            "val/broken": {"value": "nan", "step": 6},
        },
    }


class InstantPlace:
    """Writes a point's record when it starts."""

    name = "instant"
    train: Train = staticmethod(parabola)
    width = 1
    jobs = False

    def __init__(self, **settings: Any) -> None:
        self._ended: list[tuple[Point, End]] = []
        self._taken = 0
        self.started: list[Point] = []

    def has_room(self) -> bool:
        return self._taken < self.width

    def take(self, point: Point) -> bool:
        if not self.has_room():
            return False
        self._taken += 1
        return True

    def start(self, points: list[Point], group: str | None) -> None:
        for point in points:
            self.started.append(point)
            if self.jobs:
                point.placement["job"] = point.placement.get("job") or f"j{point.index}"
            found = type(self).train(point)
            record = {"schema": 1, "id": "x", "name": "wavegrad", "seed": 0, "command": "", "config": {}}
            record |= {"config_digest": point.digest, **found}
            (point.directory / "run.json").write_text(json.dumps(record), encoding="utf-8")
            code = {"finished": 0, "pruned": 0, "interrupted": 75}.get(found["state"], 1)
            self._ended.append((point, End(code)))

    def poll(self) -> list[tuple[Point, End]]:
        ended, self._ended, self._taken = self._ended, [], 0
        return ended

    def running(self) -> int:
        return len(self._ended)

    def stop(self) -> str:
        return "stopping"

    def kill(self) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class Searches:
    """Runs searches below a folder, in this process."""

    outputs: Path
    capsys: pytest.CaptureFixture[str]
    place: type[InstantPlace]
    said: str = field(default="")

    def __call__(self, *words: str, code: int = 0) -> str:
        assert main(["train", "-m", *words, f"paths.outputs={self.outputs}"]) == code
        captured = self.capsys.readouterr()
        self.said = captured.out + captured.err
        return self.said

    @property
    def folder(self) -> Path:
        (found,) = (self.outputs / "sweeps").iterdir()
        return found

    def study(self, url: str | None = None, name: str | None = None) -> optuna.Study:
        storage = open_storage(url or f"sqlite:///{self.folder / 'study.db'}", create=False)
        return optuna.load_study(study_name=name or self.folder.name, storage=storage)

    def states(self) -> list[str]:
        return [t.state.name for t in self.study().trials]

    def book(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "sweep.json").read_text(encoding="utf-8")))


@pytest.fixture
def search(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Searches]:
    """Run searches whose points end at once."""

    class Place(InstantPlace):
        pass

    monkeypatch.setattr("reprise.launch.local.LocalPool", Place)
    monkeypatch.setattr("reprise.launch.drive._POLL_SECONDS", (0.0, 0.0))
    if "page" not in request.keywords:  # drawing takes longer than everything else
        monkeypatch.setattr("reprise.launch.report.write_page", lambda results, directory: directory / "index.html")
    yield Searches(tmp_path, capsys, Place)


STAND_IN = Path(__file__).with_name("stand_in.py")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points of the local pool are stand_in.py instead of train.py."""
    monkeypatch.setattr("reprise.launch.local.program", lambda: [sys.executable, str(STAND_IN)])
    paths = [str(STAND_IN.parents[2]), os.environ.get("PYTHONPATH")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in paths if p))


@pytest.fixture
def sweep(stand_in: None, tmp_path: Path) -> Callable[..., int]:
    """Run `train.py -m model=wavegrad ...` in this process, outputs in tmp_path."""
    from reprise.cli.main import main

    return lambda *words: main(["train", "-m", "model=wavegrad", f"paths.outputs={tmp_path}", *words])


def starts(outputs: Path) -> list[list[Any]]:
    """What the stand-in noted at each start: seed, run directory, threads, GPUs."""
    path = outputs / "starts"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def book_of(outputs: Path) -> dict[str, Any]:
    """The newest sweep.json."""
    files = sorted(outputs.glob("sweeps/*/sweep.json"), key=lambda p: p.stat().st_mtime_ns)
    return read_book(files[-1].parent)
