"""`make bench`: python -m benchmarks [NAME ...]; all without a word.

A benchmark is a module of this folder with a function `run`.
"""

from __future__ import annotations

import ast
import importlib
import platform
import sys
from pathlib import Path

import torch


def parts(folder: Path = Path(__file__).parent) -> list[str]:
    """Names of the benchmarks, found without importing them."""
    found = []
    for path in sorted(folder.glob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in body):
            found.append(path.stem)
    return found


def main(words: list[str]) -> int:
    there = parts()
    if unknown := [w for w in words if w not in there]:
        print(f"no benchmark is called {unknown[0]}; there are {', '.join(there)}", file=sys.stderr)
        return 2
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {device}\n", flush=True)
    for name in words or there:
        importlib.import_module(f"benchmarks.{name}").run()
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
