"""`reprise verify`."""

from __future__ import annotations

USAGE = """
usage: reprise verify RUN_DIR [steps=N]

Trains the first steps of a run anew, from its record, and compares loss and every tensor bit for bit.
Prints "equal", or the first step and tensor that differ. Exit code 0 when equal, 1 when not.
"""


def run(arguments: list[str]) -> int:
    """Verify and print the verdict."""
    from reprise.cli.common import key_values, run_directory
    from reprise.config.errors import ConfigError, suggest

    directory, words = run_directory(arguments, "reprise verify RUN_DIR [steps=N]")
    given = key_values(words)
    if unknown := [k for k in given if k != "steps"]:
        raise ConfigError(f"{unknown[0]} is not an option of verify. {suggest(unknown[0], ['steps'])}")
    steps = given.get("steps")
    if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool) or steps < 1):
        raise ConfigError(f"steps is {steps!r}. Expected a whole number of 1 or more.")
    from reprise.training.verify import verify

    verdict = verify(directory, steps)
    if verdict.difference is None:
        print(f"equal: the first {verdict.steps} steps of {directory} repeat bit for bit")
    else:
        print(f"different: {verdict.difference}")
    for change in verdict.changes:
        print(f"  {change}")
    return 0 if verdict.difference is None else 1
