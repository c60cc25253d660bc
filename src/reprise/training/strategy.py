"""Data parallel training whose other ranks read the resolved config instead of composing one.

Lightning starts ranks by running the parent's command line again, and under Hydra such a rank may compose another
config. Here rank r runs `python -m reprise.training.worker RUN_DIR TASK` and reads RUN_DIR/config.yaml.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy

from reprise.config.errors import RunError, UserError
from reprise.training.identity import disagreement
from reprise.training.launcher import WorkerLauncher

log = logging.getLogger(__name__)
_END_SECONDS = 60.0  # for workers to leave by themselves after the last barrier
_DESTROY_SECONDS = 20.0
RANK_VARIABLES = (
    "MASTER_ADDR",
    "MASTER_PORT",
    "NODE_RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "PL_GLOBAL_SEED",
    "PL_SEED_WORKERS",
)


class WorkerDDP(DDPStrategy):
    """DDP with WorkerLauncher; evaluation goes past the DDP wrapper, since shards may be uneven.

    Args:
        directory: run directory.
        task: what the workers are told to do, e.g. ["train"].
        world: text that says which processes and devices are planned.
        identity: what every process has to agree on before anything is trained or evaluated.
    """

    def __init__(self, directory: Path, task: list[str], world: str, identity: dict[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self._directory = directory
        self._task = task
        self._world = world
        self._identity = identity

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = WorkerLauncher(
            self.cluster_environment,
            self.num_processes,
            self.num_nodes,
            directory=self._directory,
            task=self._task,
            world=self._world,
        )

    @property
    def workers(self) -> WorkerLauncher:
        """The launcher, which knows the other processes of this node."""
        assert isinstance(self._launcher, WorkerLauncher)
        return self._launcher

    def setup_environment(self) -> None:
        """Join the process group and compare what its members hold.

        Raises:
            RunError: on every rank, where they differ.
        """
        super().setup_environment()
        everyone: list[Any] = [None] * self.world_size
        dist.all_gather_object(everyone, self._identity)
        if complaint := disagreement(everyone):
            self.workers.join(5.0)  # they are leaving for the same reason, and say so in their logs
            raise RunError(complaint)

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


@contextlib.contextmanager
def ending_together(strategy: Any, on_death: Callable[[str], None] = lambda error: None) -> Iterator[None]:
    """Let no worker outlive what happens inside, and name a worker that died as the cause of an error here.

    Args:
        strategy: of the trainer; one without workers is left alone.
        on_death: called with the error before this process is ended from a thread, since the main one hangs.

    Raises:
        RunError: a worker died; the message ends with its log's last lines.
    """
    if not isinstance(strategy, WorkerDDP):
        yield
        return
    workers = strategy.workers
    workers.on_death = on_death
    try:
        yield
    except BaseException as error:
        # a worker that died is the cause of an error here, unless the error says what went wrong itself
        dead = None if isinstance(error, UserError) else workers.dead_worker(5.0 if _is_broken_link(error) else 0.0)
        workers.stop()
        # the peers are gone: leaving the group may wait for them, and then nobody is left to end this process
        timer = threading.Timer(_DESTROY_SECONDS, workers.end_now)
        timer.daemon = True
        timer.start()
        _leave_group()
        timer.cancel()
        if dead:
            raise RunError(dead) from error
        raise
    workers.closing = True
    if not workers.join(_END_SECONDS):
        log.warning("a worker did not end by itself and is stopped")
        workers.stop()


def _is_broken_link(error: BaseException) -> bool:
    """Whether an error is what the others get when a process dies, which may be seen before its death is."""
    return isinstance(error, dist.DistError) or any(w in str(error).lower() for w in ("gloo", "nccl", "connection"))


def _leave_group() -> None:
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


@contextlib.contextmanager
def rank_variables() -> Iterator[None]:
    """Leave the process as it was found: no rank variables, no process group."""
    saved = {k: os.environ[k] for k in RANK_VARIABLES if k in os.environ}
    try:
        yield
    finally:
        _leave_group()
        for key in RANK_VARIABLES:
            os.environ.pop(key, None)
        os.environ.update(saved)
