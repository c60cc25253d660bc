"""Write a ledger of made-up runs whose truth is known: every verdict, every outcome, every trap.

`simulate(folder)` writes the runs of simulated.yaml and returns what must be found in them. The configs are really
composed, so digests and deviations are real; values over seeds have exactly the mean and the deviation they are given.

    python -m tests.reproduction.simulate FOLDER [COUNT]     # COUNT: that many plain records instead
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import orjson

from reprise.reproduction.papers import parse_paper
from reprise.tracking.provenance import packages
from reprise.tracking.record import RunRecord
from tests.reproduction.simulated_records import (
    CONTINUOUS,
    DISCRETE,
    EXACT,
    HOSTILE,
    LARGE,
    LOWER_RATE,
    evaluation,
    make_record,
    spread,
    store,
)
from tests.reproduction.simulated_truth import Simulated

PAPER = Path(__file__).with_name("simulated.yaml")
SEEDS = 10
BUDGET = {"data.batch_size": 32, "model.validation_schedule": HOSTILE[0]}
OLD = "reprise.models.wavegrad.objective"


class Writer:
    """Writes runs one after the other.

    Args:
        truth: what is written is noted there.
    """

    def __init__(self, truth: Simulated) -> None:
        self.truth = truth
        self.number = 0

    def place(self, name: str, seed: int, digest: str) -> Path:
        """A new run directory, numbered as `reprise` does."""
        first = self.truth.folder / "runs" / name / f"s{seed}-{digest[:8]}"
        return next(p for k in range(1, 99) if not (p := Path(f"{first}-{k}" if k > 1 else first)).exists())

    def run(
        self,
        group: str,
        words: tuple[str, ...],
        seed: int,
        values: dict[str, float],
        changes: dict[str, Any] | None = None,
        eval_changes: dict[str, Any] | None = None,
        eval_version: int = 1,
        more: list[dict[str, Any]] | None = None,
        media: bool = False,
        **fields: Any,
    ) -> Path:
        """Write one run; `values` are metrics by name, those that begin with test/ are an evaluation's."""
        record = make_record(words, seed, self.number, changes)
        for name, value in fields.items():
            setattr(record, name, value)
        if "val/ls_mse" in values:
            best = values["val/ls_mse"]
            record.metrics["val/ls_mse"] = {
                "value": best + 8,
                "step": record.iteration,
                "best": best,
                "best_step": record.iteration * 5 // 6,
                "version": 1,
            }
        tested = {n: v for n, v in values.items() if n.startswith("test/")}
        results = [evaluation(tested, self.number, 1, eval_changes, eval_version)] if tested else []
        directory = self.place(record.name, seed, record.config_digest)
        store(directory, record, [*results, *(more or [])], media)
        self.truth.runs.setdefault(group, []).append(directory)
        self.number += 1
        return directory

    def group(
        self, group: str, words: tuple[str, ...], figures: dict[str, tuple[float, float]], n: int, **how: Any
    ) -> None:
        """Write `n` seeds whose values have exactly the means and deviations of `figures`."""
        drawn = {name: spread(mean, sd, n, name) for name, (mean, sd) in figures.items()}
        for seed in range(n):
            self.run(group, words, seed, {name: v[seed] for name, v in drawn.items()}, **how)


def write_runs(truth: Simulated) -> None:
    """Write everything."""
    writer = Writer(truth)
    _exact(writer)
    _others(writer)
    _not_counting(writer)
    _hostile(writer)
    _broken(writer)


def _exact(writer: Writer) -> None:
    """Five seeds of the exact protocol; a later evaluation on fewer clips must not stand in for the whole one."""
    words, figures = (f"experiment={CONTINUOUS}",), writer.truth.figures
    drawn = {name: spread(mean, sd, 5, name) for name, (mean, sd) in EXACT.items()}
    for seed in range(5):
        values = {name: v[seed] for name, v in drawn.items()} | {"test/linear50/pesq": float("nan")}
        few = {name: v * 3 for name, v in values.items() if name.startswith("test/")}
        more = [evaluation(few, writer.number, 2, {"data.limit_test": 3})] if seed == 2 else []
        machine = None if seed != 1 else {"trainer.devices": 2, "data.num_workers": 8}
        writer.run("exact", words, seed, values, eval_changes=machine, more=more, media=seed < 2)
    path = writer.truth.runs["exact"][4] / "run.json"  # its evaluation was killed before it rewrote the record
    path.write_text(json.dumps(json.loads(path.read_text()) | {"evaluations": []}, indent=1))
    for target in writer.truth.paper.targets:
        recipe, exact = target.recipe, target.measure in drawn
        if recipe is not None and recipe.words == list(words) and exact and target.why is None:
            seeds = [s for s in range(5) if target.hardware is None or s % 3 != 1]
            figures[target.id] = {s: drawn[str(target.measure)][s] * target.scale for s in seeds}


def _others(writer: Writer) -> None:
    at = "test/train/ls_mse"
    writer.group("lower_rate", (f"experiment={CONTINUOUS}", *LOWER_RATE), {"test/linear50/ls_mse": (201.0, 2.0)}, 3)
    writer.group("too_few", (f"experiment={DISCRETE}1000",), {at: (117.0, 1.0)}, 2)
    writer.group("scaled_50", (f"experiment={DISCRETE}50",), {at: (230.0, 3.0)}, 3, changes=BUDGET, media=True)
    writer.group("scaled_1000", (f"experiment={DISCRETE}1000",), {at: (150.0, 3.0)}, 3, changes=BUDGET)
    writer.group("few_clips", (f"experiment={LARGE}",), {at: (105.0, 2.0)}, 3, eval_changes={"data.limit_test": 3})
    writer.group("stale", (f"experiment={DISCRETE}25",), {at: (284.0, 2.0)}, 3)
    for directory in writer.truth.runs["stale"]:
        _age(directory)


def _age(directory: Path) -> None:
    """Make a run depend on code that has changed since."""
    path = directory / "run.json"
    raw = json.loads(path.read_text())
    raw["code"]["sources"][OLD] = "0" * 16
    path.write_text(json.dumps(raw, indent=1))


def _not_counting(writer: Writer) -> None:
    """Runs of the exact protocol that no verdict may rest on."""
    words, tempting = (f"experiment={CONTINUOUS}",), {"test/linear50/ls_mse": 150.0, "test/manual6/ls_mse": 217.0}
    stale = writer.run("again", words, 0, tempting)
    _age(stale)  # newer than the one that counts, but of other code
    failed = writer.run("again", words, 1, {}, state="failed", exit_code=1, error=f"ValueError: {HOSTILE[1]}")
    older = writer.run("again", words, 2, tempting)
    raw = json.loads((older / "run.json").read_text())
    raw["sessions"][0]["start"] = "2026-02-01T00:00:00+00:00"
    (older / "run.json").write_text(json.dumps(raw))
    writer.truth.set_aside += [stale, failed, older]
    writer.run("unfinished", words, 7, tempting, state="failed", exit_code=1, error=f"RuntimeError: {HOSTILE[0]}")
    writer.run("unfinished", words, 8, tempting, state="interrupted", exit_code=75, error="stopped by SIGTERM")
    writer.run("unfinished", words, 9, tempting, state="running", exit_code=None)
    writer.run("other_version", words, 10, tempting, eval_version=99)


def _hostile(writer: Writer) -> None:
    """Runs that belong to no experiment of the paper, with texts that try to be more than text."""
    for seed, text in enumerate(HOSTILE):
        path = writer.run(
            "hostile", ("model=wavegrad",), seed, {f"test/{text[:40]}/ls_mse": 1.0}, changes={"monitor": text}
        )
        raw = json.loads((path / "run.json").read_text())
        raw |= {"name": text, "command": f"train.py {text}", "overrides": [text], "error": text}
        raw["config"]["tags"] = [text]
        raw["environment"]["hardware"] = {"cpu": text, "gpus": [text]}
        raw["wandb"] = {"id": text, "mode": "online", "project": text, "url": HOSTILE[3], "sweep": text}
        (path / "run.json").write_text(json.dumps(raw))
    path = writer.run("gone", ("model=wavegrad",), 0, {"test/linear50/ls_mse": 1.0})
    raw = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(raw | {"experiment": "gone/row", "name": "gone/row"}))


def _broken(writer: Writer) -> None:
    good = (writer.truth.runs["exact"][0] / "run.json").read_text()
    for name, text in {
        "cut": good[: len(good) // 2],
        "empty": "",
        "list": "[1, 2]",
        "old": json.dumps(json.loads(good) | {"schema": 99}),
        "types": json.dumps(json.loads(good) | {"metrics": {"val/ls_mse": HOSTILE[0]}}),
    }.items():
        path = writer.truth.folder / "runs" / "broken" / name / "run.json"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        writer.truth.rejected.append(path)


def simulate(folder: Path, paper: Path = PAPER) -> Simulated:
    """Write the runs of a paper file with the rows of simulated.yaml below `folder`.

    Returns:
        what must be found in them.
    """
    found = Simulated(folder, parse_paper(paper))
    write_runs(found)
    return found


def simulate_many(folder: Path, count: int) -> None:
    """Write `count` finished records of full size below `folder`: ten seeds of as many settings as it takes."""
    experiments = [CONTINUOUS, *(f"{DISCRETE}{n}" for n in (25, 50, 1000))]
    installed = packages()
    for i in range(-(-count // SEEDS)):
        words = (f"experiment={experiments[i % len(experiments)]}",)
        changes = {} if i < len(experiments) else {"model.optimizer.lr": 1e-3 / (1.37 + i)}
        for seed in range(min(SEEDS, count - i * SEEDS)):
            number = i * SEEDS + seed
            record = make_record(words, seed, number, changes)
            record.environment["packages"] = installed
            _store(folder / f"runs/{record.name}/s{seed}-{record.config_digest[:8]}", record, number)


def _store(directory: Path, record: RunRecord, number: int) -> None:
    values = {n: mean + sd * spread(0.0, 1.0, SEEDS, n)[record.seed] for n, (mean, sd) in EXACT.items()}
    record.metrics["val/ls_mse"] = {"value": values.pop("val/ls_mse"), "step": record.iteration, "version": 1}
    result = evaluation(values, number)
    record.evaluations = [result]
    (directory / "evaluations" / "e1").mkdir(parents=True)
    (directory / "evaluations" / "e1" / "result.json").write_text(json.dumps(result))
    (directory / "run.json").write_bytes(orjson.dumps(vars(record), option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        simulate_many(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        simulate(Path(sys.argv[1]))
