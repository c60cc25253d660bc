"""What a loader process does before its first example."""

from __future__ import annotations

import os
import signal
import threading

from lightning_fabric.utilities.seed import pl_worker_init_function


def start_loader(worker: int) -> None:
    """Leave signals to the process that trains, apart from its own SIGTERM, and seed as Lightning does.

    A scheduler that wants a job to end, or a Ctrl-C on a terminal, signals every process of the job. The training
    process then finishes its iteration and saves; it could not if its loader was gone.
    """
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if hasattr(signal, "sigwaitinfo"):  # macOS has none: there only SIGKILL, or the parent's end, ends a loader early
        threading.Thread(target=_wait_for_parent, args=(os.getppid(),), daemon=True).start()
    pl_worker_init_function(worker)


def _wait_for_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
