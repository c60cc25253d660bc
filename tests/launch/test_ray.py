"""Points as tasks of a real Ray cluster on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reprise.tracking.record import read_record
from tests.conftest import ROOT
from tests.launch.conftest import book_of, starts
from tests.launch.stand_in import staged

pytest.importorskip("ray", reason="Ray is not installed: pip install 'reprise[ray]'")
CLUSTER = ["hydra/launcher=ray", "hydra.launcher.address=local", "+hydra.launcher.init.num_cpus=2"]
CLUSTER += ["+hydra.launcher.init.include_dashboard=false", "+hydra.launcher.init.object_store_memory=100000000"]


@pytest.fixture
def ray_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """As `sweep`, on Ray; the code that is shipped is the project's, with the stand-in as train.py."""
    from reprise.cli.main import main
    from reprise.launch import ray_place

    monkeypatch.setattr(ray_place, "stage_code", staged(ray_place.stage_code))
    return lambda *words: main(["train", "-m", "model=wavegrad", f"paths.outputs={tmp_path}", *CLUSTER, *words])


def test_points_run_and_a_failed_one_is_shown(
    tmp_path: Path, ray_sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fail-2").touch()
    assert ray_sweep("seed=0,1,2,3") == 1
    printed = capsys.readouterr().out
    assert printed.startswith("3 finished, 1 failed of 4 points")
    assert "failed seed=2: the fault is there" in printed
    book = book_of(tmp_path)
    assert book["launcher"] == "ray"
    assert {p["placement"]["threads"] for p in book["points"]} == {1}
    for point in book["points"]:
        record = read_record(Path(point["directory"]))
        assert record.state == point["state"]
        assert (Path(point["directory"]) / "logs" / "point.log").is_file()
    (tmp_path / "fail-2").unlink()
    # the rest goes on another cluster whose workers see none of this machine's folders
    assert ray_sweep("seed=0,1,2,3", "hydra.launcher.storage=copy") == 0
    assert [seed for seed, *_ in starts(tmp_path)].count(2) == 2
    assert len(starts(tmp_path)) == 5
    again = book_of(tmp_path)["points"][2]
    assert len(read_record(Path(again["directory"])).sessions) == 2  # it went on with what was sent along
    assert not list(Path(again["directory"]).glob("logs/.shared-*"))


def test_what_no_node_has(tmp_path: Path, ray_sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert ray_sweep("seed=0", "hydra.launcher.num_cpus=64") == 1
    assert "no node of the Ray cluster has 64 CPUs" in capsys.readouterr().out
    assert ray_sweep("seed=0", "hydra.launcher.storage=cloud") == 2
    assert "Expected auto, shared or copy" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["shared", "copy"])
def test_a_signal_stops_the_points(tmp_path: Path, storage: str) -> None:
    (tmp_path / "wait-1").touch()
    command = [sys.executable, "-m", "tests.launch.stand_in", "sweep", "model=wavegrad", f"paths.outputs={tmp_path}"]
    words = [*command, *CLUSTER, f"hydra.launcher.storage={storage}", "seed=0,1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(words, cwd=ROOT, env=environment)
    deadline = time.monotonic() + 90
    while len(starts(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.0)  # until the stand-in listens to signals
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 75
    assert [p["state"] for p in book_of(tmp_path)["points"]] == ["finished", "interrupted"]
    record = read_record(Path(book_of(tmp_path)["points"][1]["directory"]))
    assert record.state == "interrupted"
