"""Entry point of ranks other than 0: `python -m reprise.training.worker RUN_DIR TASK [ARGUMENTS]`.

Reads the resolved config from the run directory; composes nothing and writes nothing but its log, unless rank 0 dies.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from reprise.config.errors import Interrupted, Pruned, RunError, UserError
from reprise.training.parent import ParentWatch

_LINK_SECONDS = 1.5  # between an error that another process's death causes here and that death being seen


def main(arguments: list[str]) -> int:
    """Run this rank's part of a task."""
    from reprise.training.launcher import PARENT

    directory, task = Path(arguments[0]), arguments[1:]
    rank, parent = int(os.environ["LOCAL_RANK"]), os.environ.get(PARENT)
    watch = None
    if parent is not None:  # else srun has started all ranks, and ends all when one dies
        watch = ParentWatch(directory, int(parent), rank, writes=task[0] == "train")
        watch.start()
    try:
        _run(directory, task)
    except (Interrupted, Pruned) as error:
        return error.exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BaseException:
        traceback.print_exc()
        if watch is not None and watch.is_gone(_LINK_SECONDS):
            watch.end()
        return 1
    return 0


def _run(directory: Path, task: list[str]) -> None:
    from reprise.tracking.directory import read_config
    from reprise.tracking.run import Run
    from reprise.training.fit import fit_process
    from reprise.training.launcher import WORLD
    from reprise.training.world import plan_world

    run = Run(directory, read_config(directory))
    world = plan_world(run.values["trainer"])
    planned = os.environ[WORLD]
    if str(world) != planned:  # processes that plan different groups would wait for each other
        raise RunError(
            f"the processes of this run do not agree: rank {os.environ['LOCAL_RANK']} reads {world} in the trainer "
            f"settings of {directory}, rank 0 started it for {planned}."
        )
    if task[0] == "train":
        threads, *checkpoint = task[1:]
        fit_process(run, world, Path(checkpoint[0]) if checkpoint else None, task, threads=int(threads) or None)
    elif task[0] == "verify":
        fit_process(run, world, None, task, stop_after=int(task[1]), threads=int(task[2]))
    else:
        from reprise.training.evaluate import evaluate_process

        evaluate_process(run, world, Path(task[1]), task[2], task)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
