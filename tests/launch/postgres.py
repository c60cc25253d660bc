"""A PostgreSQL server of Debian's package, on loopback, in a folder that goes away with it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PASSWORD = "s3cr3t-0f-the-study"


def binaries() -> Path | None:
    """Folder of the newest server that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run a server; yields the URL of an empty database, password and all. Skips the test where there is none."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    if (programs := binaries()) is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt install postgresql)")
    user: str | None = None
    if os.geteuid() == 0:  # the server refuses root
        try:
            user = pwd.getpwnam("postgres").pw_name
        except KeyError:
            pytest.skip("run as root, PostgreSQL needs a user `postgres`")
    folder = Path(tempfile.mkdtemp(prefix="reprise-postgres-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    secret = folder / "password"
    secret.write_text(PASSWORD, encoding="utf-8")
    if user is not None:
        for path in (folder, secret):
            shutil.chown(path, user, "postgres")
    data = folder / "data"
    words = ["-D", str(data), "-U", "reprise", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
    subprocess.run([programs / "initdb", *words], check=True, capture_output=True, user=user, cwd="/")
    settings = (f"port={port}", "listen_addresses=127.0.0.1", "fsync=off", f"unix_socket_directories={folder}")
    process = subprocess.Popen(
        [programs / "postgres", "-D", data, *(w for s in settings for w in ("-c", s))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=user,
        cwd="/",
    )
    url = f"postgresql://reprise:{PASSWORD}@127.0.0.1:{port}/postgres"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(url, connect_timeout=2).close()
                break
            except psycopg.OperationalError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)
