"""Commands forked from a process that has imported the libraries: as if they had been started by themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reprise.launch import warm
from reprise.launch.warm import WarmServer, forkable, start
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
TRAIN = [sys.executable, str(ROOT / "train.py")]
CLI = [sys.executable, "-m", "reprise.cli.main"]
LONG = ["model=diffusion_2015", "logger=csv", "trainer.enable_progress_bar=false", "trainer.max_steps=100000"]


@pytest.fixture(scope="module")
def server() -> Iterator[WarmServer]:
    made = WarmServer(os.environ)
    yield made
    made.close()
    assert not made.folder.exists()


def output(server: WarmServer, command: list[str], path: Path, **variables: str) -> tuple[int, str]:
    with path.open("wb") as file:
        process = server.start(command, {**os.environ, **variables}, file.fileno(), file.fileno())
    return process.wait(120), path.read_text()


def cold(command: list[str]) -> tuple[int, str]:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    return done.returncode, done.stdout


@pytest.mark.parametrize("command", [[*CLI, "explain", "trainer.max_steps", "model=wavegrad"], [*TRAIN, "model=no"]])
def test_says_what_a_fresh_process_says(
    server: WarmServer, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert output(server, command, tmp_path / "out") == cold(command)


def test_only_commands_of_reprise_are_forked() -> None:
    assert forkable([*TRAIN, "seed=1"]) == ["train", "seed=1"]
    assert forkable([*CLI, "evaluate", "x"]) == ["evaluate", "x"]
    assert forkable([sys.executable, "/elsewhere/train.py"]) is None
    assert forkable(["sleep", "1"]) is None
    with pytest.raises(ValueError, match="no command of reprise"):
        start("nowhere", ["sleep", "1"], {}, 1, 2)


def test_a_run_can_be_asked_to_end_and_is_a_session_of_its_own(server: WarmServer, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = server.start([*TRAIN, *LONG, f"paths.outputs={tmp_path}"], os.environ, log.fileno(), log.fileno())
    assert os.getsid(process.pid) == process.pid
    assert process.poll() is None
    wait_for(lambda: any(tmp_path.rglob("metrics.csv")))
    process.terminate()
    assert process.wait(60) == 75, (tmp_path / "log").read_text()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_a_killed_process_says_by_which_signal(server: WarmServer, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = server.start([*TRAIN, *LONG, f"paths.outputs={tmp_path}"], os.environ, log.fileno(), log.fileno())
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.kill()
    assert process.wait(30) == -signal.SIGKILL


def test_processes_end_with_the_server(tmp_path: Path) -> None:
    own = WarmServer(os.environ)
    with (tmp_path / "log").open("wb") as log:
        process = own.start([*TRAIN, *LONG, f"paths.outputs={tmp_path}"], os.environ, log.fileno(), log.fileno())
    wait_for(lambda: any(tmp_path.rglob("metrics.csv")))
    os.kill(own._process.pid, signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL  # as far as anybody can tell
    wait_for(lambda: "stopped by SIGTERM" in (tmp_path / "log").read_text())  # with a checkpoint
    with pytest.raises(OSError, match=r"ended|refused|No such file"):
        own.start([*CLI, "--version"], os.environ, 1, 2)
    own.close()


def test_a_process_ends_with_whoever_asked_for_it(server: WarmServer, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = server.start([*TRAIN, *LONG, f"paths.outputs={tmp_path}"], os.environ, log.fileno(), log.fileno())
    wait_for(lambda: any(tmp_path.rglob("metrics.csv")))
    process._connection.close()
    wait_for(lambda: "stopped by SIGTERM" in (tmp_path / "log").read_text())


def test_libraries_alone_are_imported_before() -> None:
    assert not [name for name in warm._LIBRARIES if name.startswith("reprise")]


def wait_for(happened, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)
