"""A process that has imported what runs need, and forks one for each command.

To import torch and Lightning takes as long as many a run of a kernel method does, and a run with an evaluation does it
twice. The server imports libraries only, nothing of reprise that a record would then name among its sources, and it
computes nothing. So what is forked from it is a process like any other, with its own environment, session and output.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from reprise.launch.parent import PARENT, follow_parent

WARM = "REPRISE_WARM"  # where the server listens, for what the processes themselves start
_LIBRARIES = ("torch", "pytorch_lightning", "torchmetrics", "hydra", "omegaconf", "scipy.signal", "matplotlib.figure")
_POLL_SECONDS = 0.02
_REQUEST_SECONDS = 10.0  # that sending a request may take
_SIZE = struct.Struct("<Q")


class WarmProcess:
    """A forked command, in the form of `subprocess.Popen`.

    Attributes:
        pid: of the process, which leads a session of its own.
        returncode: its exit code, or minus the signal that ended it; None while it runs.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._said = b""
        self.returncode: int | None = None
        while b"\n" not in self._said:
            if not (part := connection.recv(64)):
                raise OSError("the process that forks others has ended")
            self._said += part
        first, self._said = self._said.split(b"\n", 1)
        self.pid = int(first)

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.returncode is None:
            self._listen(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self.returncode is None:
            self._listen(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("a forked command", timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def _listen(self, timeout: float | None) -> None:
        self._connection.settimeout(timeout if timeout is None or timeout > 0.0 else 1e-6)
        try:
            while b"\n" not in self._said:
                if not (part := self._connection.recv(64)):
                    self.returncode = -signal.SIGKILL  # the server is gone, and its processes follow it
                    return
                self._said += part
        except TimeoutError:
            return
        self.returncode = int(self._said)
        self._connection.close()


class WarmServer:
    """Starts the server and ends it.

    Args:
        environment: of the server; the number of threads is read when libraries are imported.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="reprise-"))  # only its owner can reach into it
        self.address = str(self.folder / "warm")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "reprise.launch.warm", self.address],
            env={**environment, PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start(
        self, command: list[str], environment: Mapping[str, str], stdout: int, stderr: int, cwd: Path | None = None
    ) -> WarmProcess:
        """Fork a command; `forkable` says which.

        Args:
            command: as given to `subprocess.Popen`.
            environment: all its variables.
            stdout, stderr: file descriptors of its output.
            cwd: its working directory; None for this process's.

        Raises:
            OSError: the server cannot be reached.
        """
        while not os.path.exists(self.address):
            if self._process.poll() is not None:
                raise OSError(f"the process that forks others ended with {self._process.returncode}")
            time.sleep(_POLL_SECONDS)
        return start(self.address, command, environment, stdout, stderr, cwd)

    def close(self) -> None:
        """End the server; processes that still run are asked to end."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def forkable(command: list[str]) -> bool:
    """Whether a command is one of reprise, for this interpreter, on a system that can fork it."""
    if sys.platform != "linux" or command[:1] != [sys.executable]:
        return False
    train = Path(__file__).resolve().parents[3] / "train.py"
    return command[1:3] == ["-m", "reprise.cli.main"] or (len(command) > 1 and Path(command[1]) == train)


def start(
    address: str, command: list[str], environment: Mapping[str, str], stdout: int, stderr: int, cwd: Path | None = None
) -> WarmProcess:
    """Fork a command from the server that listens at an address.

    Raises:
        OSError: nobody listens.
        ValueError: the command cannot be forked.
    """
    if not forkable(command):
        raise ValueError(f"{command} is no command of reprise. Start it as a program.")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    while True:
        try:
            connection.connect(address)
            break
        except BlockingIOError:  # many at once
            time.sleep(_POLL_SECONDS)
    request = {"argv": command[1:], "cwd": str(cwd or Path.cwd())}
    body = json.dumps(request | {"environment": {**environment, WARM: address}}).encode()
    socket.send_fds(connection, [_SIZE.pack(len(body))], [stdout, stderr])
    connection.sendall(body)
    return WarmProcess(connection)


def serve(address: str) -> NoReturn:
    """Import, listen and fork, until SIGTERM; a forked process leaves by SystemExit."""
    follow_parent()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address + ".new")
    listener.listen(64)
    os.rename(address + ".new", address)  # whoever finds it can connect
    import importlib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _LIBRARIES:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is shared stays shared
    children: dict[int, socket.socket] = {}
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select(_POLL_SECONDS if children else None):
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.settimeout(_REQUEST_SECONDS)
                if (pid := _fork(connection, [listener, *children.values()], selector)) is None:
                    continue
                children[pid] = connection
                selector.register(connection, selectors.EVENT_READ)
            else:  # whoever asked for it has ended, and it must not outlive them
                selector.unregister(key.fileobj)
                for pid, connection in children.items():
                    if connection is key.fileobj:
                        os.kill(pid, signal.SIGTERM)
        _reap(children, selector)


def _reap(children: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            connection = children.pop(pid)
            with contextlib.suppress(KeyError):
                selector.unregister(connection)
            with contextlib.suppress(OSError):
                connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            connection.close()


def _fork(connection: socket.socket, ours: list[socket.socket], selector: selectors.BaseSelector) -> int | None:
    """Read a request and fork; in the new process, run it and leave.

    Returns:
        the new process; None where the request broke off.
    """
    head, outputs, body = b"", list[int](), b""
    with contextlib.suppress(OSError):
        head, outputs, _, _ = socket.recv_fds(connection, _SIZE.size, 2)
        while len(head) == _SIZE.size and len(body) < _SIZE.unpack(head)[0]:
            if not (part := connection.recv(1 << 16)):
                break
            body += part
    if len(outputs) != 2 or len(head) != _SIZE.size or len(body) != _SIZE.unpack(head)[0]:
        for output in outputs:
            os.close(output)
        connection.close()
        return None
    server = os.getpid()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries may hold threads that wait; what is forked starts its own
        pid = os.fork()
    if pid == 0:
        os.setsid()
        connection.sendall(b"%d\n" % os.getpid())  # from here on a signal reaches the whole session
        for one in (connection, *ours):
            one.close()
        selector.close()
        _run(json.loads(body), outputs, server)
        raise SystemExit
    for output in outputs:
        os.close(output)
    return pid


def _run(request: dict[str, Any], outputs: list[int], server: int) -> None:
    """Become the process that was asked for; it leaves by SystemExit."""
    import random
    import runpy

    import numpy as np

    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (outputs[0], 1), (outputs[1], 2)):
        os.dup2(source, target)
    for leftover in (nothing, *outputs):
        if leftover > 2:
            os.close(leftover)
    os.environ.clear()
    os.environ.update(request["environment"] | {PARENT: str(server)})
    os.chdir(request["cwd"])
    random.seed()
    np.random.seed()
    program, *words = request["argv"]
    if program == "-m":
        sys.argv = words
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [program, *words]
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
