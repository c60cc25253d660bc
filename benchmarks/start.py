"""From the command to the first step, and the answers that need no step."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from benchmarks.timing import table


def seconds(*words: str, code: int = 0) -> float:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "reprise.cli.main", *words], capture_output=True)
    assert done.returncode == code, done.stderr.decode()
    return time.perf_counter() - start


def first_step(outputs: str) -> float:
    words = [
        "train",
        "model=wavegrad",
        "arch=wavegrad/tiny",
        "data.batch_size=4",
        "trainer.max_steps=1",
        "trainer.val_check_interval=1",
        "data.limit_val=1",
        f"paths.outputs={outputs}",
    ]
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "reprise.cli.main", *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stderr is not None
    elapsed = next(time.perf_counter() - start for line in process.stderr if line.startswith("step 1/"))
    process.stderr.read()
    process.wait()
    return elapsed


def run() -> None:
    with tempfile.TemporaryDirectory() as outputs:
        first_step(outputs)  # the embedded speech is made and cached
        rows = [
            ["reprise train --help", f"{min(seconds('train', '--help') for _ in range(3)):.2f}"],
            ["reprise check model=wavegrad", f"{min(seconds('check', 'model=wavegrad') for _ in range(3)):.2f}"],
            ["a typo answered", f"{min(seconds('train', 'model=wavegrad', 'seeed=1', code=2) for _ in range(3)):.2f}"],
            ["first training step", f"{min(first_step(outputs) for _ in range(2)):.2f}"],
        ]
    table("From the command to the answer", ["what", "seconds"], rows)
