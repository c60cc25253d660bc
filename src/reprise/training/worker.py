"""Entry point of ranks other than 0: `python -m reprise.training.worker RUN_DIR TASK [ARGUMENTS]`.

Reads the resolved config from the run directory; composes nothing and writes nothing but its log.
"""

from __future__ import annotations

import sys
from pathlib import Path

from reprise.config.errors import Interrupted, Pruned, UserError


def main(arguments: list[str]) -> int:
    """Run this rank's part of a task."""
    from reprise.tracking.directory import read_config
    from reprise.tracking.run import Run
    from reprise.training.fit import fit_process
    from reprise.training.world import plan_world

    directory, task = Path(arguments[0]), arguments[1:]
    run = Run(directory, read_config(directory))
    world = plan_world(run.values["trainer"])
    try:
        if task[0] == "train":
            checkpoint = Path(task[1]) if len(task) > 1 else None
            fit_process(run, world, checkpoint, task)
        elif task[0] == "verify":
            fit_process(run, world, None, task, stop_after=int(task[1]), threads=int(task[2]), only_callbacks=())
        else:
            from reprise.training.evaluate import evaluate_process

            evaluate_process(run, world, Path(task[1]), task[2], task)
    except (Interrupted, Pruned) as error:
        return error.exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
