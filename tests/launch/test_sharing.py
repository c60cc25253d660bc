"""Processes share a study: each trial runs once, there are as many as wanted, and no secret gets about."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reprise.launch.tickets import Tickets
from reprise.tracking.provenance import redact
from reprise.tracking.study import STORAGE, open_storage, shown
from tests.launch.postgres import PASSWORD, server
from tests.launch.searching import book, ends, load, start, states, sweep_folder


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with server() as url:
        yield url


def share(outputs: Path, url: str | None, *words: str, processes: int = 2, **environment: str) -> list[str]:
    """Run a search in several processes at once; returns what they said."""
    if url is not None:
        environment[STORAGE] = url
    both = [start(outputs, *words, **environment) for _ in range(processes)]
    said = [p.communicate(timeout=180)[0] for p in both]
    assert [p.returncode for p in both] == [0] * processes, said
    return said


def files_with(folder: Path, text: str) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


def test_two_processes_share_a_study_in_postgresql(tmp_path: Path, postgres: str) -> None:
    words = ["sweep=wavegrad_lr", "hydra.launcher.n_jobs=1", "hydra.sweeper.n_trials=12", "budget=smoke"]
    words += ["hydra.sweeper.pruner=median"]  # so that the trials are told where the storage is
    said = share(tmp_path, postgres, *words, FAKE_SECONDS="0.2")
    study = load(tmp_path, postgres)
    assert states(study) == ["COMPLETE"] * 12
    assert len(set(ends(tmp_path))) == len(ends(tmp_path)) == 12
    owners = {t.user_attrs["reprise:owner"]["pid"] for t in study.trials}
    assert len(owners) == 2, "one of them did everything"
    # the trials know the storage, and nobody else
    log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert f"postgresql+psycopg://reprise:{PASSWORD}@" in log
    (tmp_path / "log.txt").unlink()
    assert files_with(tmp_path, PASSWORD) == []
    assert not any(PASSWORD in s for s in said)
    assert files_with(sweep_folder(tmp_path), "postgresql+psycopg://reprise:***@127.0.0.1")


def test_a_url_on_the_command_line_is_starred_wherever_it_is_kept(tmp_path: Path, postgres: str) -> None:
    words = ["sweep=wavegrad_lr", "hydra.launcher.n_jobs=1", "hydra.sweeper.n_trials=1", "seed=3"]
    words += [f"hydra.sweeper.storage={postgres}"]
    (said,) = share(tmp_path, None, *words, processes=1)
    assert files_with(tmp_path, PASSWORD) == []
    assert PASSWORD not in said
    command = book(tmp_path)["command"]
    assert "hydra.sweeper.storage=postgresql://reprise:***@127.0.0.1" in command


def test_a_server_frees_the_lock_of_a_process_that_dies(postgres: str) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with Tickets(postgres, "x").hold():
            os.write(write, b"held")
            time.sleep(60)
        os._exit(0)
    assert os.read(read, 4) == b"held"
    with Tickets(postgres, "y").hold():
        pass  # another study is another lock
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with Tickets(postgres, "x").hold():
        pass


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_two_processes_share_a_study_in_a_file(tmp_path: Path, kind: str) -> None:
    url = f"{kind}:///{tmp_path / 'study'}" if kind == "sqlite" else f"journal:{tmp_path / 'study'}"
    words = ["sweep=wavegrad_lr", "hydra.launcher.n_jobs=1", "hydra.sweeper.n_trials=6"]
    share(tmp_path, url, *words, FAKE_SECONDS="0.2")
    study = load(tmp_path, url)
    assert states(study) == ["COMPLETE"] * 6
    assert len(set(ends(tmp_path))) == len(ends(tmp_path)) == 6


def test_who_waits_takes_over_what_a_killed_process_left(tmp_path: Path) -> None:
    words = ["sweep=wavegrad_lr", "hydra.launcher.n_jobs=1", "hydra.sweeper.n_trials=1"]
    first = start(tmp_path, *words, FAKE_SECONDS="60")
    deadline = time.monotonic() + 60
    while not (tmp_path / "log.txt").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = start(tmp_path, *words)
    time.sleep(3)
    assert second.poll() is None, "it did not wait"
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    out, _ = second.communicate(timeout=60)
    assert second.returncode == 0, out
    assert states(load(tmp_path)) == ["COMPLETE"]
    lines = [line.split()[:2] for line in (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()]
    assert [what for what, _ in lines] == ["start", "start", "end"]
    assert len({directory for _, directory in lines}) == 1


def test_a_password_is_starred() -> None:
    url = "postgresql://u:p%40ss@host:5432/db?sslmode=require"
    assert shown(url) == "postgresql://u:***@host:5432/db?sslmode=require"
    assert shown("mysql://h/db?user=u&password=x") == "mysql://h/db?user=u&password=***"
    assert shown("sqlite:////a/b.db") == "sqlite:////a/b.db"
    assert redact(f"train.py -m hydra.sweeper.storage={url}") == f"train.py -m hydra.sweeper.storage={shown(url)}"
    assert redact("see https://docs.python.org/3/ and a@b.c") == "see https://docs.python.org/3/ and a@b.c"


def test_a_storage_that_is_not_there_says_so(tmp_path: Path) -> None:
    from reprise.config.errors import ConfigError, RunError

    with pytest.raises(RunError, match=r"postgresql\+psycopg://u:\*\*\*@127.0.0.1:9/x does not answer"):
        open_storage("postgresql://u:secret@127.0.0.1:9/x")
    with pytest.raises(ConfigError, match=r"nosuch://u:\*\*\*@h/x cannot be used"):
        open_storage("nosuch://u:secret@h/x")
    with pytest.raises(RunError, match="is not there"):
        open_storage(f"sqlite:///{tmp_path / 'none.db'}", create=False)
    (tmp_path / "text.db").write_text("this is no database, " * 100, encoding="utf-8")
    with pytest.raises(RunError, match="does not answer: file is not a database"):
        open_storage(f"sqlite:///{tmp_path / 'text.db'}")
