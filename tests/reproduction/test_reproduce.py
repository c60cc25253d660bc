"""`reprise reproduce`: planned, run through a launcher, gone on with after a kill, reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reprise.cli.main import main
from reprise.reproduction.estimate import Estimate
from tests.conftest import ROOT

POINT = Path(__file__).with_name("measuring_point.py")
BASE, LARGE = "wavegrad/ljspeech_base_continuous", "wavegrad/ljspeech_large_continuous"
WORDS = ("wavegrad/larger_helps", "--seeds", "3", "--no-probe", "budget=smoke", "hydra.launcher.n_jobs=2")


def started(outputs: Path) -> list[str]:
    path = outputs / "starts"
    return sorted(path.read_text().split("\n")[:-1]) if path.exists() else []


def drive(outputs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own, whose points are the stand-in."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, str(POINT), "drive", *words, f"paths.outputs={outputs}"]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120)


def test_it_plans_runs_goes_on_after_a_kill_and_reports(tmp_path: Path) -> None:
    (tmp_path / "die-1").touch()
    killed = drive(tmp_path, *WORDS)
    assert killed.returncode < 0
    assert "6 runs" in killed.stdout and "not known: no similar run" in killed.stdout

    again = drive(tmp_path, *WORDS)
    assert again.returncode == 0, again.stderr
    assert "6 finished of 6 points" in again.stdout
    everything = [f"{e} {s}" for e in (BASE, LARGE) for s in range(3)]
    repeated = started(tmp_path)
    assert set(repeated) == set(everything)
    assert len(repeated) - len(everything) <= 2  # only what was under way at the kill

    data = json.loads((tmp_path / "reports" / "wavegrad" / "report.json").read_text(encoding="utf-8"))
    kinds = {t["kind"] for t in data["papers"][0]["targets"].values()}
    assert kinds == {"not testable", "quoted", "missing"}  # never a verdict: every run deviates
    (claim,) = (c for c in data["papers"][0]["claims"] if c["claim"]["id"] == "larger_helps")
    assert claim["outcome"] == "holds" and claim["n"] == 3 and len(claim["deviations"]) > 3
    assert (tmp_path / "reports" / "wavegrad" / "index.html").is_file()

    third = drive(tmp_path, *WORDS)
    assert third.returncode == 0 and "0 runs" in third.stdout
    assert started(tmp_path) == repeated


def test_runs_of_older_code_are_made_again(tmp_path: Path) -> None:
    words = ("wavegrad/larger_helps", "--seeds", "1", "--no-probe", "budget=smoke", "hydra.launcher.n_jobs=2")
    assert drive(tmp_path, *words).returncode == 0
    for path in tmp_path.rglob("run.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        record["code"]["sources"] = dict.fromkeys(record["code"]["sources"], "0" * 16)
        path.write_text(json.dumps(record), encoding="utf-8")
    again = drive(tmp_path, *words)
    assert again.returncode == 0 and "2 runs" in again.stdout
    assert started(tmp_path) == [f"{e} 0" for e in (BASE, BASE, LARGE, LARGE)]
    assert "0 runs" in drive(tmp_path, *words).stdout


def test_a_failed_run_is_said_and_run_again(tmp_path: Path) -> None:
    (tmp_path / "fail-2").touch()
    first = drive(tmp_path, *WORDS)
    assert first.returncode == 1 and "the fault is there" in first.stdout
    assert "index.html" in first.stdout  # what there is, is reported
    (tmp_path / "fail-2").unlink()
    second = drive(tmp_path, *WORDS)
    assert second.returncode == 0 and "2 runs" in second.stdout
    assert len(started(tmp_path)) == 8


def test_a_dry_run_trains_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REPRISE_KATHLEEN", raising=False)  # with it, experiments on these recordings are planned too
    assert main(["reproduce", "wavegrad", "--dry-run", f"paths.outputs={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert "wavegrad, 3 seeds" in out and "15 runs" in out and f"\n{LARGE}\n  seeds  0, 1, 2 (none there)" in out
    assert "not run: table1/base_1000" in out and "listeners give this score" in out
    assert list(tmp_path.iterdir()) == []


def test_a_probe_tells_the_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    asked = []

    def probe(words):
        asked.append(words)
        return Estimate(7200.0, 3 * 2**30, "from a probe of 2 iterations, training only")

    monkeypatch.setattr("reprise.reproduction.estimate.probe", probe)
    monkeypatch.setattr("reprise.reproduction.reproduce.run_points", lambda *a, **k: type("O", (), {"exit_code": 0})())
    words = ["wavegrad/more_iterations", f"paths.outputs={tmp_path}"]
    assert main(["reproduce", *words]) == 0
    out = capsys.readouterr().out
    assert "each   2 device-hours, 3.0 GiB (from a probe of 2 iterations, training only)" in out
    assert "in all 6 device-hours" in out
    assert asked == [(f"experiment={BASE}", f"paths.outputs={tmp_path}")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["wavegrd"], "Did you mean 'wavegrad'"),
        (["wavegrad", "--sedes", "3"], "Did you mean '--seeds'?"),
        (["wavegrad", "--seeds", "many"], "Expected int"),
        (["wavegrad", "--seeds"], "--seeds lacks its value"),
        (["wavegrad/table3"], "wavegrad has no 'table3'"),
        (["wavegrad/table1"], "cannot be run: listeners give this score"),
        (["wavegrad", "seed=3"], "the plan decides seed"),
        (["wavegrad", "data.batchsize=3", "--dry-run"], "data.batch_size"),
        (["wavegrad", "--launcher", "slrum"], "Did you mean 'slurm'?"),
        (["wavegrad", "--root", "elsewhere", "--dry-run"], "runs are read where they are made"),
        ([], "one name is needed"),
    ],
)
def test_wrong_words_are_one_paragraph(words, message, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *words, f"paths.outputs={tmp_path}"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
