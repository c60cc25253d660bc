"""`trainer=slurm`: the tasks that srun started are the processes of one run. Imports nothing heavy.

Task 0 is rank 0: it composes the config, makes or finds the run directory, and leaves slurm.json there. The other tasks
compose nothing: they wait for that file and work from the run directory, as workers do elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reprise.config.errors import ConfigError, Interrupted, RunError
from reprise.tracking.files import write_json
from reprise.tracking.record import FILE as RECORD

FILE = "slurm.json"
NAME = "slurm"  # in trainer.plugins
_START_SECONDS = 600.0  # between two tasks' starts: imports over a network, the model's construction
_LAST_WORD_SECONDS = 15.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Step:
    """A job step of which this process is a task.

    Attributes:
        job: id of the job.
        restart: how often the job was requeued.
        step: id of the step in the job.
        tasks, nodes: how many there are.
        per_node: tasks of each node.
        rank, local_rank, node_rank: of this task.
    """

    job: str
    restart: int
    step: str
    tasks: int
    nodes: int
    per_node: tuple[int, ...]
    rank: int
    local_rank: int
    node_rank: int

    @classmethod
    def here(cls) -> Step | None:
        """The step of this process; None outside of srun, and in a shell that `srun --pty` opened."""
        get = os.environ.get
        if "SLURM_STEP_NUM_TASKS" not in os.environ or "SLURM_PROCID" not in os.environ:
            return None
        if sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty():
            return None
        tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
        return cls(
            job=get("SLURM_JOB_ID", ""),
            restart=int(get("SLURM_RESTART_COUNT", "0")),
            step=get("SLURM_STEP_ID", "0"),
            tasks=tasks,
            nodes=int(get("SLURM_STEP_NUM_NODES", "1")),
            per_node=tasks_per_node(get("SLURM_STEP_TASKS_PER_NODE", str(tasks))),
            rank=int(os.environ["SLURM_PROCID"]),
            local_rank=int(get("SLURM_LOCALID", "0")),
            node_rank=int(get("SLURM_NODEID", "0")),
        )


def tasks_per_node(text: str) -> tuple[int, ...]:
    """Read SLURM's way of counting: `2(x3),1` is 2, 2, 2, 1."""
    found: list[int] = []
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", text):
        found += [int(count)] * int(times or 1)
    return tuple(found)


def asks_for_slurm(trainer: dict[str, Any]) -> bool:
    """Whether a trainer config means the tasks of a job step.

    Raises:
        ConfigError: trainer.plugins names something else.
    """
    plugins = trainer.get("plugins")
    if plugins in (None, []):
        return False
    if plugins != [NAME]:
        raise ConfigError(f"trainer.plugins={plugins!r}. Expected [{NAME}], which trainer=slurm sets, or null.")
    return True


def fill_in(trainer: dict[str, Any]) -> dict[str, Any]:
    """Return a trainer config with devices and num_nodes as srun started tasks for them.

    Raises:
        ConfigError: there is no job step, it has several tasks of a run that is one process, or it has not as many
            tasks as the config says.
    """
    step = Step.here()
    if not asks_for_slurm(trainer):
        if step is not None and step.tasks > 1:
            raise ConfigError(
                f"srun started {step.tasks} tasks of this command, but its trainer starts its processes itself. Use "
                "trainer=slurm, where each task is one process of the run, or srun --ntasks=1."
            )
        return trainer
    if step is None:
        raise ConfigError(
            "trainer=slurm works within a job step of SLURM only: srun python train.py ... trainer=slurm paths.run=DIR "
            "in an sbatch script, or python train.py -m ... trainer=slurm hydra/launcher=slurm. Elsewhere use "
            "trainer=auto, gpu, cpu or ddp (for a run that began under SLURM, add trainer.plugins=null "
            "trainer.devices=N trainer.num_nodes=1)."
        )
    if len(set(step.per_node)) > 1:
        raise ConfigError(
            f"srun started {', '.join(map(str, step.per_node))} tasks on the {step.nodes} nodes. Expected as many on "
            "each: use --nodes=N --ntasks-per-node=M."
        )
    devices, nodes = asked(trainer)
    if devices not in (None, step.per_node[0]):
        raise ConfigError(
            f"trainer.devices={devices}, but srun started {step.per_node[0]} tasks on each node. Use "
            f"--ntasks-per-node={devices}, or trainer.devices=auto."
        )
    if nodes not in (None, step.nodes):
        raise ConfigError(
            f"trainer.num_nodes={nodes}, but the job step has {step.nodes} nodes. Use --nodes={nodes}, or "
            "trainer.num_nodes=-1 for as many as there are."
        )
    return {**trainer, "devices": step.per_node[0], "num_nodes": step.nodes}


def asked(trainer: dict[str, Any]) -> tuple[int | None, int | None]:
    """Devices per node and nodes that a trainer config asks for; None where it takes what there is."""
    devices, nodes = trainer.get("devices"), trainer.get("num_nodes")
    if isinstance(devices, list):
        devices = len(devices)
    if not (devices in (None, "auto") or str(devices).lstrip("-").isdigit()):
        raise ConfigError(f"trainer.devices={devices!r}. Expected a number, a list, or auto.")
    count = None if devices in (None, "auto", -1, "-1") else int(devices)
    return count, None if nodes in (None, -1) else int(nodes)


def on_one_machine(trainer: dict[str, Any], processes: int = 1) -> dict[str, Any]:
    """Return the config of a run that may have begun under SLURM for as many processes on this machine alone."""
    if not asks_for_slurm(trainer):
        return trainer
    return {**trainer, "plugins": None, "num_nodes": 1, "devices": processes}


def announce(directory: Path, task: list[str], world: str) -> None:
    """On rank 0: choose where the processes meet and tell the other tasks, which wait for it.

    Args:
        directory: run directory.
        task: what they are told to do; empty where nothing is left to do.
        world: text that says which processes and devices are planned.
    """
    step = Step.here()
    if step is None or step.rank != 0:
        return
    os.environ["MASTER_ADDR"] = address = os.environ.get("MASTER_ADDR") or _address(step)
    os.environ["MASTER_PORT"] = port = os.environ.get("MASTER_PORT") or str(_free_port())
    key = {"job": step.job, "restart": step.restart, "step": step.step}
    write_json(directory / FILE, {**key, "address": address, "port": port, "task": task, "world": world})


def follow(step: Step, directory: Path) -> int:
    """On the other ranks: wait for rank 0, do this rank's part, and return the exit code.

    Raises:
        RunError: rank 0 did not come within ten minutes.
    """
    session = _wait(step, directory)
    if not session["task"]:
        return 0  # the run is finished
    os.environ |= {"MASTER_ADDR": session["address"], "MASTER_PORT": session["port"]}
    os.environ["LOCAL_RANK"] = str(step.local_rank)
    from reprise.training import worker
    from reprise.training.launcher import WORLD

    os.environ[WORLD] = session["world"]

    try:
        code = worker.main([str(directory), *session["task"]])
    except Exception:
        traceback.print_exc()
        code = 1
    if code == Interrupted.exit_code:
        return 0  # the exit code of the step is that of rank 0, which has the same reason to end
    if code:
        _hear_out(directory)
    return code


def _wait(step: Step, directory: Path) -> dict[str, Any]:
    key = {"job": step.job, "restart": step.restart, "step": step.step}
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):  # not there yet
            found = json.loads((directory / FILE).read_text(encoding="utf-8"))
            if {k: found.get(k) for k in key} == key:
                return dict(found)
        time.sleep(_POLL_SECONDS)
    raise RunError(
        f"task {step.rank} of job {step.job} waited {_START_SECONDS:.0f} s for task 0 to begin in {directory}. Look at "
        "the output of task 0; is the folder on a disk that all nodes share?"
    )


def _hear_out(directory: Path) -> None:
    """Let rank 0 write its record first: srun ends all tasks as soon as one has failed."""
    deadline = time.monotonic() + _LAST_WORD_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            if json.loads((directory / RECORD).read_text(encoding="utf-8")).get("state") != "running":
                return
        time.sleep(_POLL_SECONDS)


def _address(step: Step) -> str:
    """A name of this node that the others can reach."""
    if step.nodes == 1:
        return "127.0.0.1"
    for name in (os.environ.get("SLURMD_NODENAME"), socket.gethostname()):
        with contextlib.suppress(OSError):
            if name and socket.getaddrinfo(name, None):
                return name
    return socket.gethostname()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
