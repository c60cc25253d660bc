"""Records come home from W&B: the real client asks a server on this machine that gives recorded answers."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reprise.cli.main import main
from reprise.config.compose import compose_config
from reprise.config.errors import ConfigError, RunError
from reprise.config.protocol import digest
from reprise.reproduction.entry import Entry
from reprise.reproduction.ledger import read_ledger
from reprise.reproduction.wandb_import import Imported, import_runs
from reprise.tracking.files import write_json
from reprise.tracking.record import RunRecord, read_record
from tests.reproduction.simulated_records import CONTINUOUS, evaluation, make_record, store
from tests.reproduction.wandb_server import Server, recorded

FILE = "reprise-run.json"
STEPS = 1_000_000


@pytest.fixture(scope="module")
def served() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


@pytest.fixture
def server(served: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    import wandb

    for kept in (served.nodes, served.files, served.broken, served.queries, served.downloads, served.uploaded):
        kept.clear()
    monkeypatch.setenv("WANDB_BASE_URL", served.url)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    wandb.teardown()  # its settings were read with another environment
    return served


def config_of(seed: int = 0, *words: str) -> dict[str, Any]:
    values = compose_config([f"experiment={CONTINUOUS}", f"seed={seed}", *words]).values
    return {**values, "config_digest": digest(values)}


def summary(**more: Any) -> dict[str, Any]:
    values = {"train/loss": 0.06, "val/ls_mse": 214.5, "val/diverged": "NaN", "trainer/global_step": STEPS}
    media = {"samples/clip0": {"_type": "audio-file", "path": "media/audio/x.wav"}, "_runtime": 7200.5, "_step": 99}
    return {**values, **media, **more}


def add_record(server: Server, name: str, record: RunRecord) -> bytes:
    """A run that sent its own record."""
    record.wandb = {"id": name, "mode": "online", "project": "reprise", "url": None, "sweep": None}
    server.add(name, config_of(record.seed), summary())
    server.files[name, FILE] = content = json.dumps(dataclasses.asdict(record)).encode()
    return content


def add_bare(server: Server, name: str, seed: int = 0, more: dict[str, Any] | None = None, **fields: Any) -> None:
    """A run that did not."""
    server.add(name, config_of(seed), summary(**(more or {})), **fields)
    server.files[name, "wandb-metadata.json"] = json.dumps(recorded("metadata")).encode()


def bring(outputs: Path) -> Imported:
    return import_runs("lab/reprise", outputs)


def entries(outputs: Path) -> dict[str, Entry]:
    ledger = read_ledger(outputs)
    assert ledger.rejected == []
    return {e.directory.name: e for e in ledger.entries}


def test_a_record_that_was_sent_comes_back_as_it_was(server: Server, tmp_path: Path) -> None:
    record = make_record((f"experiment={CONTINUOUS}",), 3, 0)
    record.evaluations = [evaluation({"test/linear50/ls_mse": 177.0}, 0)]
    add_record(server, "mine", record)
    found = bring(tmp_path)
    assert (found.written, found.rebuilt, found.refused) == (["mine"], [], [])
    assert read_record(tmp_path / "imported" / "lab" / "reprise" / "mine") == record
    entry = entries(tmp_path)["mine"]
    assert entry.imported == "W&B lab/reprise/mine"
    assert entry.evaluations[0].metrics["test/linear50/ls_mse"].value == 177.0
    assert entry.changed == ()


def test_of_other_runs_a_record_is_put_together(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_bare(server, "bare", 0)
    found = bring(tmp_path)
    assert found.rebuilt == ["bare"]
    record = read_record(tmp_path / "imported" / "lab" / "reprise" / "bare")
    # the server stored 1.0 as 1, and yet it is the same config
    assert json.loads(server.nodes["bare"]["config"])["trainer"]["value"]["gradient_clip_val"] == 1
    assert record.config_digest == digest(record.config) == config_of()["config_digest"]
    assert type(record.config["trainer"]["gradient_clip_val"]) is float
    assert (record.experiment, record.name, record.seed, record.state) == (CONTINUOUS, CONTINUOUS, 0, "finished")
    assert record.command == f"/home/someone/reprise/train.py experiment={CONTINUOUS} seed=0"
    assert record.deviations == []
    assert record.code["commit"] == "0123456789abcdef0123456789abcdef01234567"
    assert record.environment["hardware"]["gpus"] == ["Tesla V100-SXM2-32GB"] * 2
    assert record.environment["hardware"]["memory_bytes"] == 270_000_000_000
    assert record.cost == {"wall_seconds": 7200.5}
    assert record.iteration == STEPS
    entry = entries(tmp_path)["bare"]
    assert entry.begun == "2026-05-04T10:00:00+00:00"
    assert set(entry.metrics) == {"train/loss", "val/ls_mse", "val/diverged"}
    assert math.isnan(entry.metrics["val/diverged"].value)
    assert entry.evaluations == ()
    assert entry.changed == ("(source not recorded)",)  # so that no verdict rests on it
    assert main(["show", str(entry.directory)]) == 0
    assert "val/ls_mse               214.5\n" in capsys.readouterr().out


def test_deviations_of_a_rebuilt_record_are_worked_out(server: Server, tmp_path: Path) -> None:
    server.add("lr", config_of(0, "model.optimizer.lr=0.001"), summary(), tags=["wavegrad", CONTINUOUS, "x"])
    bring(tmp_path)
    record = read_record(tmp_path / "imported" / "lab" / "reprise" / "lr")
    assert record.experiment == CONTINUOUS  # by its tag; there is no metadata
    assert record.deviations == [{"key": "model.optimizer.lr", "protocol": 0.0002, "run": 0.001}]


@pytest.mark.parametrize(
    ("state", "more", "expected"),
    [
        ("finished", {}, "finished"),
        ("finished", {"trainer/global_step": 500}, "interrupted"),  # a search ended it early
        ("failed", {}, "failed"),
        ("crashed", {}, "failed"),
        ("killed", {}, "interrupted"),
        ("preempted", {}, "interrupted"),
        ("running", {}, "running"),
    ],
)
def test_states_are_mapped(server: Server, tmp_path: Path, state: str, more: dict[str, Any], expected: str) -> None:
    add_bare(server, "one", 0, more, state=state)
    bring(tmp_path)
    assert entries(tmp_path)["one"].state == expected


def test_what_cannot_be_a_record_is_named_and_the_others_come(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_bare(server, "good1", 0)
    server.add("foreign", {"lr": 0.1, "seed": 1}, {"loss": 1.0})
    add_bare(server, "waiting", 1, state="pending")
    server.add("seedless", {**config_of(), "seed": "<b>0</b>"}, summary())
    cut = add_record(server, "cut", make_record((f"experiment={CONTINUOUS}",), 4, 0))
    server.files["cut", FILE] = cut[: len(cut) // 2]
    stolen = add_record(server, "stolen", make_record((f"experiment={CONTINUOUS}",), 5, 0))
    server.files["stolen", FILE] = stolen.replace(b'"stolen"', b'"another"')
    old = add_record(server, "old", make_record((f"experiment={CONTINUOUS}",), 6, 0))
    server.files["old", FILE] = old.replace(b'"schema": 1', b'"schema": 99')
    add_bare(server, "../../escape", 7)
    add_bare(server, "..", 8)
    add_bare(server, "good2", 9)
    assert main(["import-wandb", "lab/reprise", "--root", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert set(entries(tmp_path)) == {"good1", "good2"}
    assert {p.name for p in (tmp_path / "imported" / "lab" / "reprise").iterdir()} == {"good1", "good2"}
    assert [p.name for p in tmp_path.iterdir()] == ["imported"]
    for line in (
        "foreign: not imported: its config has no model: it was not logged by Reprise",
        "waiting: not imported: W&B says it is pending",
        "seedless: not imported: its seed is '<b>0</b>'",
        "cut: not imported: its reprise-run.json is not valid JSON",
        "stolen: not imported: its reprise-run.json is that of another run",
        "old: not imported: its reprise-run.json has schema 99",
        "..: not imported: its id is '..'",
        "2 imported (2 from config and summary), 0 unchanged, 8 not imported",
    ):
        assert line in out


def test_what_has_not_changed_is_skipped(server: Server, tmp_path: Path) -> None:
    record = make_record((f"experiment={CONTINUOUS}",), 0, 0)
    add_record(server, "sent", record)
    add_bare(server, "bare", 1)
    add_bare(server, "going", 2, state="running")
    assert bring(tmp_path).written == ["sent", "bare", "going"]
    server.downloads.clear()
    again = bring(tmp_path)
    assert (again.written, again.unchanged, server.downloads) == ([], ["sent", "bare", "going"], [])
    # evaluated since: the run's state and heartbeat stay, the record is another
    record.evaluations = [evaluation({"test/linear50/ls_mse": 177.0}, 0)]
    add_record(server, "sent", record)
    add_bare(server, "going", 2, heartbeatAt="2026-05-04T13:00:00Z")
    (tmp_path / "imported" / "lab" / "reprise" / "bare" / "run.json").unlink()
    assert bring(tmp_path).written == ["sent", "bare", "going"]
    assert len(entries(tmp_path)["sent"].evaluations) == 1
    assert entries(tmp_path)["going"].state == "finished"


def test_an_import_that_was_cut_short_is_made_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_record(server, "sent", make_record((f"experiment={CONTINUOUS}",), 0, 0))
    written: list[Path] = []

    def dying(path: Path, value: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        write_json(path, value)

    with monkeypatch.context() as patched:
        patched.setattr("reprise.reproduction.wandb_import.write_json", dying)
        with pytest.raises(KeyboardInterrupt):
            bring(tmp_path)
    assert entries(tmp_path)["sent"].imported == "W&B lab/reprise/sent"
    assert bring(tmp_path).written == ["sent"]


@pytest.mark.parametrize("place", ["reprise", "a/b/c", "../x", "a/..", "https://wandb.ai/a/b", ""])
def test_a_place_is_entity_and_project(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError, match="Expected ENTITY/PROJECT"):
        import_runs(place, tmp_path, api=object())


def test_without_a_key_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with pytest.raises(RunError, match="Set WANDB_API_KEY, or call `wandb login`"):
        bring(tmp_path)


def test_a_project_that_is_not_there(server: Server, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"the runs of lab/other .*Check the name, the network and the key"):
        import_runs("lab/other", tmp_path)


def test_a_refusal_is_one_sentence(server: Server, tmp_path: Path) -> None:
    add_bare(server, "one", 0)
    server.broken.add("Runs")
    with pytest.raises(RunError, match="W&B did not say the runs of lab/reprise"):
        bring(tmp_path)


@pytest.mark.parametrize("words", [[], ["a/b", "c/d"], ["a/b", "rot=x"], ["a/b", "--rot", "x"]])
def test_wrong_words_are_answered(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-wandb", *words]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_an_evaluation_sends_the_record_again(server: Server, tmp_path: Path) -> None:
    from reprise.tracking.wandb import send_record

    record = make_record((f"experiment={CONTINUOUS}",), 0, 0)
    add_record(server, "mine", record)
    record.wandb = {"id": "mine", "mode": "online", "url": "https://wandb.ai/lab/reprise/runs/mine"}
    store(tmp_path / "run", record, [evaluation({"test/linear50/ls_mse": 177.0}, 0)])
    send_record(tmp_path / "run")
    assert server.uploaded == {f"/upload/mine/{FILE}": (tmp_path / "run" / "run.json").read_bytes()}


def test_a_record_of_an_offline_run_is_not_sent(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from reprise.tracking.wandb import send_record

    record = make_record((f"experiment={CONTINUOUS}",), 0, 0)
    for k, about in enumerate((None, {"id": "mine", "mode": "offline", "url": None})):
        record.wandb = about
        store(tmp_path / f"run{k}", record, [])
        send_record(tmp_path / f"run{k}")
    record.wandb = {"id": "mine", "mode": "online", "url": "https://wandb.ai/lab/reprise/runs/mine"}
    store(tmp_path / "run", record, [])
    with monkeypatch.context() as offline:
        offline.setenv("WANDB_MODE", "offline")
        send_record(tmp_path / "run")
    assert (server.queries, caplog.messages) == ([], [])
    send_record(tmp_path / "run")  # W&B knows no such run
    assert "W&B keeps the record as it was" in caplog.text
