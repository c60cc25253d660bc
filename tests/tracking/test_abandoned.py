"""Only a run that nobody trains, and that still calls itself running, is closed for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from reprise.tracking.abandoned import LOCK, close_abandoned
from reprise.tracking.record import RunRecord, read_record


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    record = RunRecord("id", "name", 0, "command", {}, "0" * 64, iteration=7)
    record.sessions.append({"start": "2020-01-01T00:00:00+00:00", "pid": 123})
    record.write(tmp_path)
    return tmp_path


def test_a_running_record_that_nobody_holds_is_closed_once(directory: Path) -> None:
    assert close_abandoned(directory, "it was killed", pid=123)
    record = read_record(directory)
    assert (record.state, record.exit_code, record.error) == ("failed", 1, "it was killed")
    assert (record.sessions[-1]["state"], record.sessions[-1]["to_step"]) == ("failed", 7)
    assert not close_abandoned(directory, "again")
    assert read_record(directory).error == "it was killed"


def test_a_session_of_another_process_is_left_alone(directory: Path) -> None:
    assert not close_abandoned(directory, "it was killed", pid=124)
    assert read_record(directory).state == "running"


def test_a_run_that_is_being_trained_is_left_alone_until_its_process_is_gone(directory: Path) -> None:
    code = (
        f"from filelock import FileLock; import time; x = FileLock({str(directory / LOCK)!r}); x.acquire(); print(); "
    )
    holder = subprocess.Popen([sys.executable, "-c", code + "time.sleep(600)"], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    assert not close_abandoned(directory, "it was killed")
    assert read_record(directory).state == "running"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert close_abandoned(directory, "it was killed")
    with FileLock(directory / LOCK).acquire(timeout=0):
        assert read_record(directory).state == "failed"


def test_a_folder_without_a_record_has_nothing_to_close(tmp_path: Path) -> None:
    assert not close_abandoned(tmp_path, "it was killed")
    assert not list(tmp_path.iterdir())
