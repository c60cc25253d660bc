"""The ledger reads every record once, believes nothing it can work out, and no file can stop it."""

from __future__ import annotations

import copy
import gc
import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reprise.config.compose import compose_config
from reprise.config.errors import RunError
from reprise.config.protocol import digest, digest_of, protocol_values
from reprise.reproduction.entry import Entry
from reprise.reproduction.ledger import Ledger, read_ledger
from reprise.tracking.record import parse_record
from tests.reproduction.simulate import simulate, simulate_many
from tests.reproduction.simulated_records import CONTINUOUS, EXACT, HOSTILE, evaluation, make_record, spread, store
from tests.reproduction.simulated_truth import Simulated

WORDS = (f"experiment={CONTINUOUS}",)
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return simulate(tmp_path_factory.mktemp("simulated"))


@pytest.fixture(scope="module")
def ledger(truth: Simulated) -> Ledger:
    return read_ledger(truth.folder)


def write(directory: Path, seed: int = 0, number: int = 0, change: Change = lambda raw: None) -> Path:
    """A run with one evaluation, changed in its file."""
    store(directory, make_record(WORDS, seed, number), [evaluation({"test/linear50/ls_mse": 170.0}, number)])
    raw = json.loads((directory / "run.json").read_text())
    change(raw)
    (directory / "run.json").write_text(json.dumps(raw))
    return directory


def only(root: Path) -> Entry:
    (entry,) = read_ledger(root).entries
    return entry


def test_every_run_is_an_entry_or_a_re_run_of_one(truth: Simulated, ledger: Ledger) -> None:
    written = {path for paths in truth.runs.values() for path in paths}
    assert {e.directory for e in ledger.set_aside} == set(truth.set_aside)
    assert {e.directory for e in ledger.entries} == written - set(truth.set_aside)
    assert len(ledger.entries) == truth.entries
    assert [(e.name, e.seed) for e in ledger.entries] == sorted((e.name, e.seed) for e in ledger.entries)


def test_what_is_no_record_is_named_with_the_reason(truth: Simulated, ledger: Ledger) -> None:
    why = {Path(path).parent.name: reason for path, reason in ledger.rejected}
    assert {Path(path) for path, _ in ledger.rejected} == set(truth.rejected)
    assert "not valid JSON" in why["cut"]
    assert "not valid JSON" in why["empty"]
    assert why["list"] == "run.json has schema 'list'. Expected 1."
    assert why["old"] == "run.json has schema 99. Expected 1."
    assert why["types"] == "run.json: metrics.val/ls_mse has a str for its value. Expected a number."


def test_values_come_back_as_they_were_measured(truth: Simulated, ledger: Ledger) -> None:
    found = {e.directory: e for e in ledger.entries}
    entries = [found[d] for d in truth.runs["exact"]]
    for name, (mean, deviation) in EXACT.items():
        for entry, value in zip(entries, spread(mean, deviation, 5, name), strict=True):
            measured = entry.metrics[name] if name in entry.metrics else entry.evaluations[0].metrics[name]
            assert (measured.best if name.startswith("val/") else measured.value) == value
            assert measured.step == 1_000_000
            assert measured.version == (None if name.endswith("rtf") else 1)
    assert math.isnan(entries[0].evaluations[0].metrics["test/linear50/pesq"].value)


def test_an_evaluation_that_the_record_does_not_list_counts(truth: Simulated, ledger: Ledger) -> None:
    directory = truth.runs["exact"][4]
    assert json.loads((directory / "run.json").read_text())["evaluations"] == []
    (entry,) = [e for e in ledger.entries if e.directory == directory]
    assert [e.folder for e in entry.evaluations] == ["evaluations/e1"]


def test_hardware_is_no_change_of_an_evaluation(truth: Simulated, ledger: Ledger) -> None:
    found = {e.directory: e for e in ledger.entries}
    one, two = (found[truth.runs["exact"][seed]] for seed in (1, 2))
    assert json.loads((one.directory / "run.json").read_text())["evaluations"][0]["changes"] != {}
    assert [e.changes for e in one.evaluations] == [{}]
    assert [e.changes for e in two.evaluations] == [{}, {"data.limit_test": 3}]


def test_changed_sources_are_named(truth: Simulated, ledger: Ledger) -> None:
    stale = [e for e in ledger.entries if e.directory in truth.runs["stale"]]
    assert [e.changed for e in stale] == [("reprise.models.wavegrad.objective",)] * 3
    assert not any(e.changed for e in ledger.entries if e not in stale)


def test_protocols_are_those_of_the_configs(ledger: Ledger) -> None:
    values = compose_config(list(WORDS)).values
    assert ledger.protocols[digest(values)] == protocol_values(values)
    assert set(ledger.protocols) == {e.digest for e in [*ledger.entries, *ledger.set_aside]}
    assert all(digest_of(leaves) == name for name, leaves in ledger.protocols.items())


def test_what_records_share_is_kept_once(ledger: Ledger) -> None:
    assert len({id(e.code["sources"]) for e in ledger.entries}) < len(ledger.entries) / 3
    assert len({id(e.environment) for e in ledger.entries}) < len(ledger.entries) / 3


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (lambda raw: None, lambda raw: raw["code"]["sources"].update({"reprise.nn.spectrogram": "0" * 16})),
        (lambda raw: None, lambda raw: raw.update(state="failed")),
        (lambda raw: None, lambda raw: raw.update(evaluations=[])),
        (lambda raw: None, lambda raw: raw["sessions"][0].update(start="2020-01-01T00:00:00+00:00")),
        (  # one hour apart, the other way round as text
            lambda raw: raw["sessions"][0].update(start="2026-01-01T08:00:00+00:00"),
            lambda raw: raw["sessions"][0].update(start="2026-01-01T09:00:00+02:00"),
        ),
        (lambda raw: raw.update(state="failed"), lambda raw: raw["code"].update(sources={"reprise.gone": "0"})),
        (  # the metric plays no part
            lambda raw: raw["evaluations"][0]["metrics"]["test/linear50/ls_mse"].update(value=1e9),
            lambda raw: raw["sessions"][0].update(start="2026-02-01T00:00:00+00:00"),
        ),
    ],
)
def test_of_re_runs_one_counts(tmp_path: Path, better: Change, worse: Change, order: tuple[int, int]) -> None:
    names = ["a", "b"]
    good, bad = tmp_path / names[order[0]], tmp_path / names[order[1]]
    write(good, change=better)
    write(bad, change=worse)
    for path in (good, bad):  # the record alone decides
        (path / "evaluations" / "e1" / "result.json").unlink()
    ledger = read_ledger(tmp_path)
    assert [e.directory for e in ledger.entries] == [good]
    assert [e.directory for e in ledger.set_aside] == [bad]


def test_of_a_run_and_its_import_the_run_counts(tmp_path: Path) -> None:
    for name in ("a", "z"):
        write(tmp_path / name)
    (tmp_path / "z" / "imported.json").write_text('{"from": "W&B someone/reprise/abc"}')
    ledger = read_ledger(tmp_path)
    assert [(e.directory.name, e.imported) for e in ledger.entries] == [("a", None)]
    assert [(e.directory.name, e.imported) for e in ledger.set_aside] == [("z", "W&B someone/reprise/abc")]


def test_the_digest_is_worked_out_and_not_believed(tmp_path: Path) -> None:
    """Whoever edits a config and leaves the digest as it was has another protocol."""
    write(tmp_path / "a")
    write(tmp_path / "b", 1, 1, lambda raw: raw["config"]["model"]["optimizer"].update(lr=1.0))
    ledger = read_ledger(tmp_path)
    honest, edited = ledger.entries
    assert honest.digest == digest(compose_config(list(WORDS)).values)
    assert edited.digest != honest.digest
    assert ledger.protocols[edited.digest]["model.optimizer.lr"] == 1.0
    assert ledger.protocols[honest.digest]["model.optimizer.lr"] == 2e-4


def test_seeds_of_one_protocol_share_its_digest(tmp_path: Path) -> None:
    for seed in range(12):
        write(tmp_path / str(seed), seed, seed)
    ledger = read_ledger(tmp_path)
    assert len(ledger.protocols) == 1
    assert [e.seed for e in ledger.entries] == list(range(12))


def test_a_seed_in_a_list_is_part_of_the_protocol(tmp_path: Path) -> None:
    for seed in range(2):
        write(tmp_path / str(seed), seed, seed, lambda raw: raw["config"].update(extra=[1, {"seed": raw["seed"]}]))
    ledger = read_ledger(tmp_path)
    assert [ledger.protocols[e.digest]["extra"] for e in ledger.entries] == [[1, {"seed": 0}], [1, {"seed": 1}]]


def test_a_value_that_a_resume_changed_is_not_what_the_whole_run_had(tmp_path: Path) -> None:
    changes = [
        {"key": "model.optimizer.lr", "protocol": 1e-3, "run": 5e-4, "from_step": 100},
        {"key": "model.optimizer.lr", "protocol": 5e-4, "run": 2e-4, "from_step": 300},
    ]
    write(tmp_path / "a", 0, 0, lambda raw: raw.update(deviations=changes))
    from_the_start = [{"key": "model.optimizer.lr", "protocol": 1e-3, "run": 2e-4, "from_step": 0}]
    write(tmp_path / "b", 1, 1, lambda raw: raw.update(deviations=from_the_start))
    ledger = read_ledger(tmp_path)
    changed, restarted = ledger.entries
    assert restarted.digest == digest(compose_config(list(WORDS)).values)
    told = "0.001 until iteration 100, then 0.0005 until iteration 300, then 0.0002"
    assert ledger.protocols[changed.digest]["model.optimizer.lr"] == told


def test_nan_and_infinity_of_other_programs_are_numbers(tmp_path: Path) -> None:
    values = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 10**400, "e": 1}
    metrics = {name: {"value": value, "step": 1, "best": value} for name, value in values.items() if name != "d"}
    write(tmp_path / "a", change=lambda raw: raw.update(metrics=metrics, cost={"wall_seconds": math.nan}))
    assert "NaN" in (tmp_path / "a" / "run.json").read_text()
    found = only(tmp_path).metrics
    assert math.isnan(found["a"].value)
    assert (found["b"].value, found["c"].best, found["e"].value) == (math.inf, -math.inf, 1.0)


def test_folders_are_searched_as_far_as_runs_may_lie(tmp_path: Path) -> None:
    run = write(tmp_path / "deep" / "er" / "run")
    write(run / "wandb" / "copy", 1)
    write(tmp_path / ".trash" / "run", 2)
    write(tmp_path / "other" / "run", 3)
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(run)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert [e.seed for e in read_ledger(tmp_path).entries] == [0, 3]
    assert read_ledger(tmp_path).set_aside == []
    assert [e.seed for e in read_ledger([tmp_path / "other", tmp_path, tmp_path / "deep"]).entries] == [0, 3]
    assert [e.seed for e in read_ledger(run).entries] == [0]
    assert read_ledger(tmp_path / "nowhere") == Ledger()


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path: Path) -> None:
    run = write(tmp_path / "scratch" / "run")
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "runs").symlink_to(run.parent)
    assert only(tmp_path / "outputs").seed == 0


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    write(tmp_path / "good")
    (tmp_path / "folder" / "run.json").mkdir(parents=True)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "run.json")
    ledger = read_ledger(tmp_path)
    assert [e.directory.name for e in ledger.entries] == ["good"]
    assert [Path(path).parent.name for path, _ in ledger.rejected] == ["folder", "pipe"]


def test_a_broken_result_is_named_and_the_run_counts(tmp_path: Path) -> None:
    run = write(tmp_path / "a")
    for name, text in (("e2", "{"), ("e3", '{"metrics": 1}')):
        (run / "evaluations" / name).mkdir()
        (run / "evaluations" / name / "result.json").write_text(text)
    (run / "evaluations" / "e4").mkdir()  # is being made
    ledger = read_ledger(tmp_path)
    assert [e.folder for e in ledger.entries[0].evaluations] == ["evaluations/e1"]
    assert [Path(path).parent.name for path, _ in ledger.rejected] == ["e2", "e3"]


@pytest.mark.parametrize(
    "text",
    [
        '{"schema": 1, "config": ' + '{"a": ' * 100_000 + "1" + "}" * 100_001,
        '{"schema": 1, "x": NaN, "config": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"schema": 1, "id": "\\ud800", "x": NaN}',
        "\x00",
        "null",
        "NaN",
        '{"schema": true}',
        '{"schema": 1, "seed": ' + "9" * 5000 + "}",
    ],
    ids=["deep", "deep list", "half a surrogate", "zero byte", "null", "NaN", "true", "long number"],
)
def test_json_that_no_record_is(tmp_path: Path, text: str) -> None:
    write(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text(text)
    ledger = read_ledger(tmp_path)
    assert len(ledger.entries) == len(ledger.rejected) == 1


def test_a_config_nested_as_deeply_as_json_may_be(tmp_path: Path) -> None:
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"a": deep}
    write(tmp_path / "deep", 1, 1, lambda raw: raw["config"].update(deep=deep))
    write(tmp_path / "good")
    ledger = read_ledger(tmp_path)
    assert 0 in [e.seed for e in ledger.entries]
    assert len(ledger.entries) + len(ledger.rejected) == 2


def test_names_of_modules_cannot_point_elsewhere(tmp_path: Path) -> None:
    names = [
        "reprise.../secrets",
        f"reprise./{tmp_path}/evil",
        "reprise." + "x" * 5000,
        "os",
        "reprise",
        "",
        "reprise.\0",
    ]
    (tmp_path / "evil.py").write_text("this is no Python")
    write(tmp_path / "a", change=lambda raw: raw["code"].update(sources=dict.fromkeys(names, "0" * 16)))
    assert only(tmp_path).changed == tuple(names)


JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    1.5,
    10**30,
    "",
    HOSTILE[0],
    HOSTILE[4],
    [],
    [None],
    [[]],
    {},
    {"a": {}},
    {"value": "x"},
)


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested dicts and lists, the packages and most of the config left out."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = [path] if path else []
    for key, value in inner:
        if key in ("packages", "network", "schedules") or len(path) > 5:
            continue
        found += _places(value, (*path, key))
    return found


def test_no_mutation_of_a_record_gets_past_the_checks(tmp_path: Path) -> None:
    """Whatever stands anywhere in a record, it is rejected by name or read; nothing else happens."""
    run = write(tmp_path / "a")
    write(tmp_path / "good", 1, 1)
    raw = json.loads((run / "run.json").read_text())
    draw = random.Random(0)
    places = _places(raw)
    rejected = 0
    for place in draw.sample(places, 250):
        changed = copy.deepcopy(raw)
        node = changed
        for key in place[:-1]:
            node = node[key]
        if draw.random() < 0.2:
            del node[place[-1]]
        else:
            node[place[-1]] = draw.choice(JUNK)
        (run / "run.json").write_text(json.dumps(changed))
        ledger = read_ledger(tmp_path)
        assert 1 in [e.seed for e in ledger.entries], place
        assert len(ledger.entries) + len(ledger.set_aside) + len(ledger.rejected) == 2, place
        if ledger.rejected:
            rejected += 1
            with pytest.raises(RunError):
                parse_record(changed, "run.json")
        for entry in ledger.entries:
            assert all(type(m.value) is float for m in entry.metrics.values())
            assert all(type(m.value) is float for e in entry.evaluations for m in e.metrics.values())
    assert rejected > 50


def test_truncation_anywhere_is_seen(tmp_path: Path) -> None:
    run = write(tmp_path / "a")
    content = (run / "run.json").read_bytes()
    for cut in range(0, len(content) - 1, len(content) // 40):
        (run / "run.json").write_bytes(content[:cut])
        ledger = read_ledger(tmp_path)
        assert (len(ledger.entries), len(ledger.rejected)) == (0, 1)


def test_the_collector_is_left_as_it_was(tmp_path: Path) -> None:
    assert gc.isenabled()
    read_ledger(tmp_path)
    assert gc.isenabled()
    gc.disable()
    try:
        read_ledger(tmp_path)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_many_records_are_all_there(tmp_path: Path) -> None:
    simulate_many(tmp_path, 125)
    ledger = read_ledger(tmp_path)
    assert (len(ledger.entries), len(ledger.protocols), ledger.rejected) == (125, 13, [])
    assert not any(e.changed for e in ledger.entries)
