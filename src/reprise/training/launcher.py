"""Starts the other ranks of a run and sees to it that all of them end together."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from reprise.config.errors import RunError

# What a worker learns from its environment: who started it, the world that one planned, where to say that it is ready.
PARENT, WORLD, CHECK_IN = "REPRISE_RANK0_PID", "REPRISE_WORLD", "REPRISE_CHECK_IN"
_GRACE_SECONDS = 15.0
_START_SECONDS = 600.0
_ENDED_WELL = (0, 75, 130)  # done, asked to stop, Ctrl-C


class WorkerLauncher(_SubprocessScriptLauncher):
    """Starts the other ranks of this node as workers, their output in logs/rank<r>.log of the run directory.

    Args:
        directory: run directory.
        task: what the workers are told to do.
        world: text that says which processes and devices are planned; each worker compares it with its own plan.
    """

    def __init__(self, *args: Any, directory: Path, task: list[str], world: str) -> None:
        super().__init__(*args)
        self.directory = directory
        self.task = task
        self.world = world
        self.closing = False
        self.on_death: Callable[[str], None] = lambda error: None
        self._deaths: list[int] = []  # ranks, as they were found dead

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Start the workers, wait until each is ready to join, watch them, and run `function` here.

        Raises:
            RunError: a worker could not start; the message ends with its log's last lines.
        """
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()
            threading.Thread(target=self._watch, daemon=True).start()
        elif CHECK_IN in os.environ:
            end = int(os.environ.pop(CHECK_IN))
            os.write(end, b"1")
            os.close(end)
        return function(*args, **kwargs)

    def _call_children_scripts(self) -> None:
        self._check_can_spawn_children()
        cluster = self.cluster_environment
        os.environ.update(
            MASTER_ADDR=cluster.main_address,
            MASTER_PORT=str(cluster.main_port),
            NODE_RANK=str(cluster.node_rank()),
            LOCAL_RANK=str(cluster.local_rank()),
            WORLD_SIZE=str(self.num_processes * self.num_nodes),
        )
        logs = self.directory / "logs"
        logs.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "reprise.training.worker", str(self.directory), *self.task]
        self.procs = []
        ready: dict[int, int] = {}  # rank -> the end of its pipe that is read here
        try:
            for rank in range(1, self.num_processes):
                ready[rank], theirs = os.pipe()
                environment = {
                    **os.environ,
                    "LOCAL_RANK": str(rank),
                    "OMP_NUM_THREADS": str(torch.get_num_threads()),
                    PARENT: str(os.getpid()),
                    WORLD: self.world,
                    CHECK_IN: str(theirs),
                }
                with (logs / f"rank{rank}.log").open("ab") as out:
                    process = subprocess.Popen(
                        command, env=environment, stdout=out, stderr=subprocess.STDOUT, pass_fds=[theirs]
                    )
                os.close(theirs)
                self.procs.append(process)
            self._wait_for_workers(dict(ready))
        finally:
            for end in ready.values():
                os.close(end)

    def _wait_for_workers(self, missing: dict[int, int]) -> None:
        # a process group that one of its members never joins waits for half an hour, in code that cannot be stopped
        deadline = time.monotonic() + _START_SECONDS
        while missing:
            said, _, _ = select.select(list(missing.values()), [], [], 0.2)
            for rank, end in list(missing.items()):
                if end in said and os.read(end, 1):
                    del missing[rank]
                elif end in said or self.procs[rank - 1].poll() is not None:  # closed without a word: it is ending
                    self.procs[rank - 1].wait(_GRACE_SECONDS)
                    raise RunError(self._describe(rank))
            if missing and time.monotonic() > deadline:
                late = min(missing)
                raise RunError(f"rank {late} was not ready after {_START_SECONDS:.0f} s; see {self._log(late)}")

    def _watch(self) -> None:
        """End this process when a worker died and it does not notice by itself (a collective that hangs)."""
        while not self.dead_ranks():
            if self.closing or all(p.poll() == 0 for p in self.procs):
                return
            time.sleep(0.5)
        deadline = (
            time.monotonic() + _GRACE_SECONDS
        )  # gloo raises here within seconds, and that error is the better one
        while time.monotonic() < deadline:
            if self.closing:
                return
            time.sleep(0.1)
        self.end_now()

    def end_now(self) -> None:
        """Note the death in the record, kill what is left of the workers, and leave without asking the main thread."""
        error = self.dead_worker() or "this process could not leave the process group after an error"
        print(f"error: {error}", file=sys.stderr, flush=True)
        try:
            self.on_death(error)
        finally:
            for process in self.procs:
                process.kill()
            os._exit(1)

    def dead_ranks(self) -> list[int]:
        """Ranks that ended with an error, the first found first."""
        for rank, process in enumerate(self.procs, 1):
            if process.poll() not in (None, *_ENDED_WELL) and rank not in self._deaths:
                self._deaths.append(rank)
        return self._deaths

    def dead_worker(self, patience: float = 0.0) -> str | None:
        """Say which worker failed, with the end of its log; None where none did within `patience` seconds."""
        deadline = time.monotonic() + patience
        while not self.dead_ranks() and time.monotonic() < deadline:
            time.sleep(0.1)
        # one that was killed takes the others down, and they end with errors of their own
        killed = [r for r in self._deaths if self.procs[r - 1].returncode < 0]
        culprit = next(iter(killed or self._deaths), None)
        return self._describe(culprit) if culprit is not None else None

    def _describe(self, rank: int) -> str:
        path, code = self._log(rank), self.procs[rank - 1].returncode
        tail = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        how = f"ended with code {code}"
        if code is not None and code < 0:
            try:
                how = f"was killed by {signal.Signals(-code).name}"
            except ValueError:
                how = f"was killed by signal {-code}"
        return f"rank {rank} {how}; see {path}: {' | '.join(tail)}"

    def _log(self, rank: int) -> Path:
        return self.directory / "logs" / f"rank{rank}.log"

    def join(self, patience: float) -> bool:
        """Wait for the workers to end by themselves; whether all did within `patience` seconds."""
        deadline = time.monotonic() + patience
        for process in self.procs:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return False
        return True

    def stop(self, patience: float = 10.0) -> None:
        """End the workers; the ones still there after `patience` seconds are killed."""
        self.closing = True
        for process in self.procs:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        if not self.join(patience):
            for process in self.procs:
                process.kill()
            self.join(patience)
