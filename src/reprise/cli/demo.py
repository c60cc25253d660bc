"""`reprise demo`, `make demo`."""

from __future__ import annotations

import sys
from pathlib import Path

USAGE = """
usage: reprise demo [key=value ...]

Trains a small WaveGrad on embedded speech (a few minutes on two cores), evaluates it, vocodes held-out sentences,
writes wav files and pictures and says what the numbers mean. Words are passed on to `reprise train`.
"""

RECIPE = ["model=wavegrad", "arch=wavegrad/tiny", "budget=quick", "model.optimizer.lr=1e-3"]
SCHEDULES = ["naive6", "manual6", "fibonacci25", "linear50"]

MEANING = """
What the numbers mean (lower is better unless said otherwise; definitions: docs/papers/wavegrad.md)
  ls_mse        distance of log-mel spectrograms from the true recording
  mcd_db        mel-cepstral distortion in dB: how far the timbre is off
  ffe_percent   frames with a wrong pitch or a wrong voiced/unvoiced decision
  stoi          intelligibility, 0 to 1, higher is better
  rtf           seconds of computing per second of sound on this machine
One network was trained once; each row only samples it with another noise schedule. naive6 and manual6 both take six
steps: the paper's point is that a well-chosen short schedule makes up for many iterations. A few hundred steps of a
network of an eighth of the paper's width give the rhythm and the loudness of a sentence under much noise, and no clear
words; the paper trains a million steps. outputs/reproduction/wavegrad holds samples of a longer run on real speech.
"""


def run(arguments: list[str]) -> int:
    """Train, evaluate, show."""
    from reprise.cli.common import compose_checked
    from reprise.cli.evaluate import metric_table

    overrides = [*RECIPE, *arguments]
    composed = compose_checked(overrides)
    from reprise.training.evaluate import evaluate
    from reprise.training.fit import start

    print("1/2  training a WaveGrad of 0.27 M parameters on embedded speech", flush=True)
    directory = start(composed.values, composed.choices, overrides, [], _announce)
    print("2/2  vocoding held-out sentences with four noise schedules", flush=True)
    values = {**composed.values, "model": {**composed.values["model"], "evaluation_schedules": SCHEDULES}}
    result = evaluate(directory, values, {"model.evaluation_schedules": SCHEDULES}, "last", "auto", 1)
    print(f"\nheld-out sentences after {result['step']} steps, {result['examples']} clips")
    print(metric_table(result["metrics"]))
    print(MEANING)
    samples = directory / result["folder"] / "samples"
    print("Listen and look (truth beside generated):")
    for picture in sorted(samples.glob("*.png")):
        print(f"  {_relative(picture.with_suffix('.wav'))}  {_relative(picture)}")
    print(f"Everything about this run: reprise show {_relative(directory)}")
    return 0


def _relative(path: Path) -> Path:
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path


def _announce(directory: Path) -> None:
    print(f"run directory: {directory}", file=sys.stderr, flush=True)
