"""`reprise card`."""

from __future__ import annotations

USAGE = """
usage: reprise card RUN_DIR

Writes a model card, README.md with model-index metadata, into the directory of a finished run: results, deviations from
the protocol, how to repeat it, checkpoints with their digests. All of it comes from the run record.
"""


def run(arguments: list[str]) -> int:
    """Write the card."""
    from reprise.cli.common import run_directory
    from reprise.config.errors import ConfigError
    from reprise.reproduction.card import write_card
    from reprise.reproduction.papers import paper_names, read_paper
    from reprise.tracking.record import read_record

    directory, words = run_directory(arguments, "reprise card RUN_DIR")
    if words:
        raise ConfigError(f"{words[0]!r} is one word too many. Expected: reprise card RUN_DIR")
    record = read_record(directory)
    name = (record.experiment or "").partition("/")[0]
    print(write_card(directory, record, read_paper(name) if name in paper_names() else None))
    return 0
