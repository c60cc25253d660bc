"""Reading the ledger: the time, and the memory it keeps, for 1,000 and 10,000 records of full size.

Each reading is a process of its own, so that nothing is remembered from the one before; the system has the files in
memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import table

COUNTS = (1_000, 10_000)
ROUNDS = 3
READ = """
import json, os, sys, time
from pathlib import Path
from reprise.reproduction.ledger import read_ledger
def resident():  # a process starts with the largest size of its parent, so resource.getrusage will not do
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
before, start = resident(), time.perf_counter()
ledger = read_ledger(Path(sys.argv[1]))
seconds = time.perf_counter() - start
print(json.dumps([seconds, resident() - before, len(ledger.entries), len(ledger.protocols)]))
"""


def read(folder: str) -> tuple[float, float, int, int]:
    """Seconds, MiB, runs and protocols of one reading."""
    done = subprocess.run([sys.executable, "-c", READ, folder], capture_output=True, text=True, check=True)
    seconds, memory, entries, protocols = json.loads(done.stdout)
    return seconds, memory, entries, protocols


def run() -> None:
    from tests.reproduction.simulate import simulate_many

    rows = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            simulate_many(Path(folder), count)
            found = [read(folder) for _ in range(ROUNDS)]
            assert found[0][2] == count
            size = next(Path(folder).rglob("run.json")).stat().st_size
        seconds, memory = min(f[0] for f in found), min(f[1] for f in found)
        rows.append(
            [
                f"{count:,}",
                f"{size / 1024:.0f}",
                f"{found[0][3]:,}",
                f"{seconds:.2f}",
                f"{1e6 * seconds / count:.0f}",
                f"{memory:.0f}",
            ]
        )
    header = ["records", "KiB each", "protocols", "seconds", "us a record", "MiB"]
    table(f"Reading the ledger, best of {ROUNDS}", header, rows)
