"""Judging and writing the report of 1,000 and 10,000 records: what `reprise report` does, part by part.

The papers are those of conf/paper; the records are of two thousand settings or less, ten seeds each. Each report is a
process of its own.
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
REPORT = """
import json, sys, time
from pathlib import Path
times = [time.perf_counter()]
from reprise.reproduction.ledger import read_ledger
from reprise.reproduction.papers import read_papers
from reprise.reproduction.publish import make_report, write_report
root = Path(sys.argv[1])
papers = read_papers()
times.append(time.perf_counter())
ledger = read_ledger(root)
times.append(time.perf_counter())
report = make_report(papers, ledger, root)
times.append(time.perf_counter())
page = write_report(report, root)[0]
times.append(time.perf_counter())
print(json.dumps([b - a for a, b in zip(times, times[1:])] + [page.stat().st_size]))
"""


def write(folder: str) -> list[float]:
    """Seconds for papers, ledger, verdicts and files, and the bytes of the page."""
    done = subprocess.run([sys.executable, "-c", REPORT, folder], capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout)
    return found


def run() -> None:
    from tests.reproduction.simulate import simulate_many

    rows = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            simulate_many(Path(folder), count)
            best = min((write(folder) for _ in range(ROUNDS)), key=lambda found: sum(found[:4]))
        seconds = [f"{s:.2f}" for s in (*best[:4], sum(best[:4]))]
        rows.append([f"{count:,}", *seconds, f"{best[4] / 2**20:.1f}"])
    header = ["records", "papers", "ledger", "verdicts", "files", "all", "page, MiB"]
    table(f"The report, seconds, best of {ROUNDS}", header, rows)
