"""Data parallel training whose other ranks read the resolved config instead of composing one.

Lightning starts ranks by running the parent's command line again, and under Hydra such a rank may compose another
config. Here rank r runs `python -m reprise.training.worker RUN_DIR TASK` and reads RUN_DIR/config.yaml.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

log = logging.getLogger(__name__)
_GRACE_SECONDS = 15.0
_INTERRUPTED = 75
_RANK_VARIABLES = (
    "MASTER_ADDR",
    "MASTER_PORT",
    "NODE_RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "PL_GLOBAL_SEED",
    "PL_SEED_WORKERS",
)


class WorkerLauncher(_SubprocessScriptLauncher):
    """Starts the other ranks of this node as workers, their output in logs/rank<r>.log of the run directory."""

    def __init__(self, *args: Any, directory: Path, task: list[str]) -> None:
        super().__init__(*args)
        self.directory = directory
        self.task = task
        self.closing = False
        self.on_death: Callable[[], None] = lambda: None

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Start the workers, watch them, and run `function` here."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()
            threading.Thread(target=self._watch, daemon=True).start()
        return function(*args, **kwargs)

    def _watch(self) -> None:
        """End this process when a worker died and it does not notice by itself (a collective that hangs)."""
        while all(p.poll() in (None, 0) for p in self.procs):
            if all(p.poll() == 0 for p in self.procs):
                return
            time.sleep(0.5)
        time.sleep(_GRACE_SECONDS)  # gloo raises here within seconds, and that error is the better one
        if not self.closing:
            log.error("%s", self.dead_worker() or "a worker process died")
            self.on_death()
            os._exit(1)

    def dead_worker(self) -> str | None:
        """Say which worker failed, with the end of its log."""
        for rank, process in enumerate(self.procs, 1):
            if process.poll() not in (None, 0, _INTERRUPTED):
                path = self.directory / "logs" / f"rank{rank}.log"
                tail = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
                return f"rank {rank} ended with code {process.returncode}; see {path}: {' | '.join(tail)}"
        return None

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
        for rank in range(1, self.num_processes):
            with (logs / f"rank{rank}.log").open("ab") as log:
                environment = {**os.environ, "LOCAL_RANK": str(rank)}
                self.procs.append(subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))


class WorkerDDP(DDPStrategy):
    """DDP with WorkerLauncher; evaluation goes past the DDP wrapper, since shards may be uneven.

    Args:
        directory: run directory.
        task: what the workers are told to do, e.g. ["train"].
    """

    def __init__(self, directory: Path, task: list[str], **settings: Any) -> None:
        super().__init__(**settings)
        self._directory = directory
        self._task = task

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = WorkerLauncher(
            self.cluster_environment, self.num_processes, self.num_nodes, directory=self._directory, task=self._task
        )

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module's own step: no gradients, so nothing to synchronise."""
        assert self.lightning_module is not None
        with self.precision_plugin.val_step_context():
            return self.lightning_module.validation_step(*args, **kwargs)

    def test_step(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module's own step."""
        assert self.lightning_module is not None
        with self.precision_plugin.test_step_context():
            return self.lightning_module.test_step(*args, **kwargs)

    def stop_workers(self, patience: float = 10.0) -> None:
        """End the other ranks of this node; the ones still there after `patience` seconds are killed."""
        if not isinstance(self._launcher, WorkerLauncher):
            return
        self._launcher.closing = True
        processes = self._launcher.procs
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def rank_variables() -> Iterator[None]:
    """Leave the process as it was found: no rank variables, no process group."""
    saved = {k: os.environ[k] for k in _RANK_VARIABLES if k in os.environ}
    try:
        yield
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for key in _RANK_VARIABLES:
            os.environ.pop(key, None)
        os.environ.update(saved)
