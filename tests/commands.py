"""Commands of reprise in processes of their own, forked from one that has imported the libraries."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from reprise.launch.warm import WarmServer, forkable

ROOT = Path(__file__).resolve().parents[1]


@functools.cache
def _server() -> WarmServer:
    server = WarmServer(os.environ)
    atexit.register(server.close)
    return server


def run(
    command: list[str], env: Mapping[str, str] | None = None, timeout: float | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` with its output captured as text; what cannot be forked is started."""
    environment = os.environ if env is None else env
    whole = [command[0], str(ROOT / "train.py"), *command[2:]] if command[1:2] == ["train.py"] else command
    if forkable(whole) is None:
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=timeout, cwd=cwd)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = _server().start(whole, environment, out.fileno(), err.fileno(), cwd)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, code, out.read().decode(), err.read().decode())


def reprise(*words: str, check: bool = True, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run `reprise`."""
    done = run([sys.executable, "-m", "reprise.cli.main", *words], **settings)  # type: ignore[arg-type]
    if check and done.returncode:
        raise AssertionError(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done
