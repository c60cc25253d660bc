"""`reprise VERB ...`: finds the verb's module and turns errors into one paragraph and an exit code.

A verb module has USAGE (its --help, printed without importing anything heavy) and run(arguments) -> exit code; its
help_text(words), where it has one, gives the --help that fits the other words.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

VERBS = {
    "train": "train a model, or resume a run",
    "evaluate": "measure a run's checkpoint on its test data",
    "generate": "make samples with a run's checkpoint",
    "list": "list models, data, experiments, papers and other choices",
    "show": "show a paper's tables, an experiment, a run or a sweep",
    "check": "check a config, or all of them, without building anything",
    "explain": "say where a config value comes from",
    "diff": "compare two runs: config, environment, data, metrics",
    "verify": "repeat a run's first steps and compare bit for bit",
    "reproduce": "plan and run what a paper's verdicts still lack",
    "report": "set reported beside reproduced figures, with verdicts",
    "card": "write a model card of a finished run",
    "demo": "train, evaluate and listen to a small WaveGrad in a few minutes",
    "import-wandb": "bring run records home that only W&B has",
    "wandb-sweep": "write a search space as a sweep definition of W&B",
    "tune-schedule": "search a short noise schedule for a diffusion run",
}


def usage() -> str:
    """Text of `reprise --help`."""
    rows = "\n".join(f"  {name:<14} {what}" for name, what in VERBS.items())
    return (
        "usage: reprise VERB [key=value ...]\n\n"
        "Reproduce papers: train, evaluate, generate, and keep the evidence.\n\n"
        f"{rows}\n\n`reprise VERB --help` says more. `python train.py ...` is `reprise train ...`."
    )


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the process's exit code.

    0 done, 1 failed, 2 wrong input, 75 interrupted with a checkpoint (requeue), 130 Ctrl-C.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    if words[0] == "--version":
        from reprise import __version__

        print(f"reprise {__version__}")
        return 0
    verb, rest = words[0], words[1:]
    if verb not in VERBS:
        from reprise.config.errors import suggest

        print(f"error: there is no verb {verb!r}. {suggest(verb, VERBS)}", file=sys.stderr)
        return 2
    module = importlib.import_module(f"reprise.cli.{verb.replace('-', '_')}")
    if any(w in ("-h", "--help") for w in rest):
        return guarded(lambda words: print(_help(module, words), flush=True) or 0, rest)
    return guarded(module.run, rest)


def _help(module: ModuleType, words: list[str]) -> str:
    """A verb's USAGE, or what its `help_text` says for the other words that were given."""
    if hasattr(module, "help_text"):
        return str(module.help_text([w for w in words if w not in ("-h", "--help")]))
    return str(module.USAGE).strip()


def guarded(run: object, arguments: list[str]) -> int:
    """Call a verb; errors that a user can act on become one paragraph on stderr."""
    from reprise.config.errors import UserError

    start_logging()
    try:
        return int(run(arguments))  # type: ignore[operator]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output is gone, and that is its right
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"error: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 1


def start_logging() -> None:
    """Messages of reprise from INFO on, of libraries from WARNING on, to stderr."""
    import logging

    def wanted(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or record.name.startswith("reprise")

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(wanted)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("reprise").setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
