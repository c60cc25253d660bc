"""`reprise tune-schedule`."""

from __future__ import annotations

import sys

USAGE = """
usage: reprise tune-schedule RUN_DIR [steps=6] [rounds=2] [clips=4] [checkpoint=best] [weights=auto]

Searches a short noise schedule by LS-MSE on validation clips: digits 1 to 9 times decades from 1e-6 to 1e-1, as the
paper did for its six iterations, one step after the other. Saves RUN_DIR/schedules/tuned<steps>.json;
`reprise generate RUN_DIR schedule=tuned6 ...` uses it.
"""


def run(arguments: list[str]) -> int:
    """Tune and print the schedule found."""
    import json

    from reprise.cli.common import key_values, run_directory
    from reprise.config.check import check_parameters
    from reprise.tracking.directory import read_config

    directory, words = run_directory(arguments, "reprise tune-schedule RUN_DIR [key=value ...]")
    options = key_values(words)
    check_parameters("reprise.training.tune.tune_schedule", options, "tune-schedule")
    values = read_config(directory)
    from reprise.training.tune import tune_schedule

    tried = 0

    def progress(betas: list[float], value: float, best: float) -> None:
        nonlocal tried
        tried += 1
        if value == best or tried % 10 == 0:
            shown = ", ".join(f"{b:.0e}" for b in betas)
            print(f"{tried:4d}  LS-MSE {value:8.3f}  best {best:8.3f}  [{shown}]", file=sys.stderr, flush=True)

    path = tune_schedule(directory, values, on_trial=progress, **options)
    result = json.loads(path.read_text(encoding="utf-8"))
    print(f"{path.stem}: LS-MSE {result['ls_mse']:.4g} after {result['tried']} schedules: {result['betas']}")
    print(path)
    return 0
