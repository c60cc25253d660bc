"""What the local launcher costs on top of its points: wall time and CPU time a point, from 1 to 64 points.

The points train nothing. What a process costs by itself (starting Python, writing the record) is measured beside them,
one after the other without a launcher, and taken off.
"""

from __future__ import annotations

import contextlib
import io
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import table

PROGRAM = [sys.executable, "-S", str(Path(__file__).with_name("trivial_point.py"))]
POINTS = (1, 4, 16, 64)
JOBS = 2


def bare(count: int = 20) -> float:
    """Seconds of a trivial point without a launcher."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        for _ in range(count):
            subprocess.run([*PROGRAM, f"paths.run={folder}", "seed=0"], check=True)
        return (time.perf_counter() - start) / count


def sweep(points: int) -> tuple[float, float]:
    """Wall seconds of a sweep, and CPU seconds of the launching process alone."""
    from reprise.cli.main import main

    with tempfile.TemporaryDirectory() as outputs, contextlib.redirect_stderr(io.StringIO()):
        words = ["model=wavegrad", f"seed=range({points})", f"paths.outputs={outputs}", f"hydra.launcher.n_jobs={JOBS}"]
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            code = main(["train", "-m", *words])
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
        assert code == 0
        return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def run() -> None:
    import reprise.launch.local

    real = reprise.launch.local.program
    reprise.launch.local.program = lambda: PROGRAM  # type: ignore[attr-defined]
    try:
        alone = bare()
        sweep(1)  # imports
        rows = []
        for points in POINTS:
            wall, cpu = min(sweep(points) for _ in range(3))
            work = alone * -(-points // JOBS)
            rows.append(
                [
                    str(points),
                    f"{wall:.2f}",
                    f"{work:.2f}",
                    f"{1000 * (wall - work) / points:.0f}",
                    f"{1000 * cpu / points:.0f}",
                ]
            )
    finally:
        reprise.launch.local.program = real
    header = ["points", "wall s", "of it the points' own s", "overhead ms a point", "launcher's CPU ms a point"]
    table(f"Local launcher, {JOBS} points at a time, trivial points of {1000 * alone:.0f} ms", header, rows)
