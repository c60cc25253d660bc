"""`make bench`: python -m benchmarks [wavegrad] [loop] [start] [rtf] [sweep] [ledger] [report]; all without a word."""

from __future__ import annotations

import platform
import sys

import torch

from benchmarks import ledger, loop, report, rtf, start, sweep, wavegrad

PARTS = {
    "wavegrad": wavegrad.run,
    "loop": loop.run,
    "start": start.run,
    "rtf": rtf.run,
    "sweep": sweep.run,
    "ledger": ledger.run,
    "report": report.run,
}


def main(words: list[str]) -> int:
    if unknown := [w for w in words if w not in PARTS]:
        print(f"no benchmark is called {unknown[0]}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {device}\n", flush=True)
    for name in words or PARTS:
        PARTS[name]()
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
