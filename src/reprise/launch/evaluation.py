"""`evaluate=true`: after training, `reprise evaluate RUN_DIR` in a process of its own."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from reprise.config.errors import Interrupted, RunError
from reprise.launch.drive import Stop, describe
from reprise.launch.parent import PARENT
from reprise.launch.warm import WARM, WarmProcess, start
from reprise.tracking.abandoned import LOCK
from reprise.tracking.record import RunRecord, own_evaluation, read_evaluations, read_record
from reprise.training.launcher import CHECK_IN, WORLD
from reprise.training.launcher import PARENT as RANK0
from reprise.training.strategy import RANK_VARIABLES

log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_POLL_SECONDS = 0.2
_END_SECONDS = 5.0  # that the evaluation may take to end when it is told to; it has nothing to save
_LOCK_SECONDS = 3.0


def evaluate_after(directory: Path) -> int:
    """Measure a finished run's best checkpoint on held-out data, unless that was done; a pruned run is left alone.

    Returns:
        exit code of the evaluation, which has said itself what went wrong.

    Raises:
        RunError: it was killed.
        Interrupted: this process was asked to stop.
        KeyboardInterrupt: by Ctrl-C.
    """
    record = _with_evaluations(directory)
    if record.state != "finished":
        return 0
    if (found := own_evaluation(record)) is not None:
        log.warning("%s is evaluated: %s", directory, directory / found["folder"])
        return 0
    _free_devices()
    sys.stdout.flush()
    command = [sys.executable, "-m", "reprise.cli.main", "evaluate", str(directory)]
    with Stop(_SIGNALS) as stop:
        process = _start(command)
        try:
            code = _wait(process, stop)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if code == 0:
        _with_evaluations(directory)
        return 0
    if stop.signals:
        if stop.signals[0] == signal.SIGINT:
            raise KeyboardInterrupt
        raise Interrupted(
            f"the evaluation of {directory} was stopped by {signal.Signals(stop.signals[0]).name}. The same command "
            "again makes it."
        )
    if code < 0:
        raise RunError(
            f"the evaluation of {directory} was {describe(code)}. Its training is finished; the same command again "
            "makes the evaluation."
        )
    return code


def _start(command: list[str]) -> subprocess.Popen[bytes] | WarmProcess:
    """Fork it from where this process was forked from, or start it."""
    if address := os.environ.get(WARM):
        sys.stderr.flush()
        with contextlib.suppress(OSError):
            return start(address, command, _environment(), 1, 2)
    return subprocess.Popen(command, env=_environment(), stdin=subprocess.DEVNULL)


def _wait(process: subprocess.Popen[bytes] | WarmProcess, stop: Stop) -> int:
    """Wait for the evaluation; when this process is asked to stop, so is that one, and soon ended."""
    while not stop.signals:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_POLL_SECONDS)
    process.terminate()
    try:
        return process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:  # a long batch is not left before its end
        process.kill()
        return process.wait()


def _environment() -> dict[str, str]:
    """Ours, without what makes a process a task of SLURM's or a rank of a run."""
    away = {*RANK_VARIABLES, "RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", RANK0, WORLD, CHECK_IN}
    kept = {k: v for k, v in os.environ.items() if k not in away and not k.startswith("SLURM_")}
    return kept | {PARENT: str(os.getpid())}


def _free_devices() -> None:
    """Give back the memory of the GPUs that training has left: the evaluation needs it."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _with_evaluations(directory: Path) -> RunRecord:
    """Read the record, and first write into it the evaluations that whoever made them could not write there."""
    record = read_record(directory)
    if record.evaluations != read_evaluations(directory):
        with contextlib.suppress(Timeout), FileLock(directory / LOCK).acquire(timeout=_LOCK_SECONDS):
            record = read_record(directory)
            record.write(directory)
    return record
