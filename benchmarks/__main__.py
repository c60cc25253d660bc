"""`make bench`: python -m benchmarks [NAME ...]; all without a word.

A benchmark is a module of this folder with a function `run`. It prints a table; `--help` lists them and runs none.
"""

from __future__ import annotations

import ast
import importlib
import platform
import sys
from pathlib import Path

USAGE = """
usage: python -m benchmarks [NAME ...]

Measures speed side by side and prints a table for each. Without a name: all of them, one after the other.
"""
HERE = Path(__file__).parent


def parts(folder: Path = HERE) -> dict[str, str]:
    """Names of the benchmarks, each with the first line of what it says of itself, found without importing them."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main(words: list[str]) -> int:
    there = parts()
    if {"-h", "--help"} & set(words):
        print(USAGE.strip(), *(f"  {name:<16} {said}" for name, said in there.items()), sep="\n")
        return 0
    if unknown := [w for w in words if w not in there]:
        print(f"no benchmark is called {unknown[0]}; there are {', '.join(there)}", file=sys.stderr)
        return 2
    import torch  # seconds, which neither the list nor a wrong name should wait for

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {device}\n", flush=True)
    for name in words or there:
        importlib.import_module(f"benchmarks.{name}").run()
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
