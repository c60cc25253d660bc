"""A run from the command line: its directory, its record, and every verb on it."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from reprise.cli.main import main
from reprise.tracking.metrics_log import read_metrics
from reprise.tracking.record import read_record
from reprise.training import checkpoints

Small = Callable[..., list[str]]


def only_run(outputs: Path) -> Path:
    (found,) = outputs.rglob("run.json")
    return found.parent


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / "run", symlinks=True))


def test_record_of_a_finished_run(finished_run: Path) -> None:
    record = read_record(finished_run)
    assert (record.state, record.exit_code, record.iteration) == ("finished", 0, 6)
    assert finished_run.name == f"s0-{record.config_digest[:8]}"
    assert record.environment["world_size"] == 1
    assert record.environment["strategy"] == "single_device"
    assert math.isfinite(record.metrics["val/ls_mse"]["value"])
    assert record.metrics["val/ls_mse"]["version"] == 1
    assert record.metrics["val/ls_mse"]["best_step"] in (3, 6)
    assert record.cost["wall_seconds"] > 0
    assert record.cost["samples_per_second"] > 0
    assert record.data["clips"] == {"test": 3, "val": 3, "train": 2}
    assert "reprise.models.wavegrad.network" in record.code["sources"]
    assert record.environment["packages"]["torch"]
    assert [c["step"] for c in record.checkpoints][-1] == 6
    assert record.sessions[0]["to_step"] == 6
    json.loads((finished_run / "run.json").read_text(encoding="utf-8"))


def test_metrics_csv_has_each_value_once_at_its_step(finished_run: Path) -> None:
    rows = read_metrics(finished_run)
    assert [s for s, name, _ in rows if name == "train/loss"] == [1, 2, 3, 4, 5, 6]
    assert [s for s, name, _ in rows if name == "val/ls_mse"] == [3, 6]
    assert len({(s, n) for s, n, _ in rows}) == len(rows)


def test_samples_are_on_the_disk(finished_run: Path) -> None:
    folder = finished_run / "samples" / "step-00000006"
    assert len(list(folder.glob("*.wav"))) == 4
    assert len(list(folder.glob("*.png"))) == 2


def test_the_same_command_gives_the_same_numbers_in_a_directory_of_its_own(
    finished_run: Path, tmp_path: Path, small: Small
) -> None:
    assert main(["train", *small(tmp_path, "logger=csv")]) == 0
    again = only_run(tmp_path)
    keep = [r for r in read_metrics(finished_run) if not r[1].startswith("perf/")]
    assert [r for r in read_metrics(again) if not r[1].startswith("perf/")] == keep
    assert main(["train", *small(tmp_path, "logger=csv")]) == 0
    assert sorted(p.name for p in again.parent.iterdir()) == [again.name, f"{again.name}-2"]


def test_wandb_offline_log_holds_config_history_and_media(finished_run: Path) -> None:
    from tests.wandb_log import read_log

    record = read_record(finished_run)
    (folder,) = (finished_run / "wandb").glob("offline-run-*")
    log = read_log(folder)
    assert log.id == record.id == record.wandb["id"]  # type: ignore[index]
    assert (log.group, log.job_type, log.name) == ("wavegrad", "train", "wavegrad-s0")
    assert log.config["model"]["network"]["mel_channels"] == 16
    assert log.config["config_digest"] == record.config_digest
    losses = {h["trainer/global_step"]: h["train/loss"] for h in log.history if "train/loss" in h}
    assert losses == {s: v for s, n, v in read_metrics(finished_run) if n == "train/loss"}
    steps = [h["trainer/global_step"] for h in log.history if "val/ls_mse" in h]
    assert steps == [3, 6]
    kinds = {v for h in log.history for k, v in h.items() if k.startswith("samples/") and k.endswith("/_type")}
    assert kinds == {"audio-file", "image-file"}
    assert log.exit_code == 0
    # the record goes up with it, also from where the folder was moved to
    assert "reprise-run.json" in log.files
    assert not (folder / "files" / "reprise-run.json").readlink().is_absolute()
    assert json.loads((folder / "files" / "reprise-run.json").read_text(encoding="utf-8"))["state"] == "finished"
    assert list((folder / "files" / "media").rglob("*.wav"))
    assert list((folder / "files" / "media").rglob("*.png"))


def test_no_secret_reaches_any_file(tmp_path: Path, small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "s3cr3t" * 7
    monkeypatch.setenv("WANDB_API_KEY", secret)
    assert main(["train", *small(tmp_path, "trainer.max_steps=1", "trainer.val_check_interval=1")]) == 0
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_verify_says_equal_and_where_runs_part(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(run)]) == 0
    assert "equal: the first 3 steps" in capsys.readouterr().out
    trace = json.loads((run / "trace.json").read_text(encoding="utf-8"))
    name = sorted(trace[1]["tensors"])[0]
    trace[1]["tensors"][name][0] = "0" * 16
    (run / "trace.json").write_text(json.dumps(trace), encoding="utf-8")
    assert main(["verify", str(run)]) == 1
    out = capsys.readouterr().out
    assert f"step 2: tensor {name} differs" in out
    assert main(["verify", str(run), "steps=1"]) == 0
    assert main(["verify", str(run), "stepz=1"]) == 2
    (run / "trace.json").unlink()
    assert main(["verify", str(run)]) == 1


def test_evaluate_writes_metrics_samples_and_the_record(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "model.evaluation_schedules=[manual6,naive6]"]) == 0
    out = capsys.readouterr().out
    assert "manual6" in out
    assert "mcd_db" in out
    record = read_record(run)
    (result,) = record.evaluations
    assert result["examples"] == 3
    assert result["changes"] == {"model.evaluation_schedules": ["manual6", "naive6"]}
    names = {f"test/{s}/{m}" for s in ("manual6", "naive6") for m in ("ls_mse", "mcd_db", "ffe_percent", "stoi", "rtf")}
    assert names <= set(result["metrics"])
    assert result["metrics"]["test/manual6/ls_mse"]["version"] == 1
    assert list((run / "evaluations" / "e1" / "samples").glob("*_manual6.wav"))
    assert main(["evaluate", str(run), "model.evaluation_schedulez=[manual6]"]) == 2
    assert main(["evaluate", str(run), "weights=ema"]) == 2


def test_generate_vocodes_files_and_folders(
    run: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, folder = tmp_path / "one", tmp_path / "folder"
    words = ["schedule=manual6", "seed=3"]
    assert main(["generate", str(run), f"input={recordings}/clip2.wav", f"out={one}", *words]) == 0
    assert "real-time factor" in capsys.readouterr().out
    assert main(["generate", str(run), f"input={recordings}", f"out={folder}", *words]) == 0
    assert len(list(folder.glob("*.wav"))) == 8
    alone, rate = soundfile.read(one / "clip2.wav")
    together, _ = soundfile.read(folder / "clip2.wav")
    truth, _ = soundfile.read(recordings / "clip2.wav")
    assert rate == 22050
    assert len(alone) == len(truth) // 300 * 300
    assert np.abs(alone - together).max() < 1e-3


def test_generate_from_mels_by_betas_and_in_bf16(run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "mel.npy", np.zeros((128, 6), dtype=np.float32))
    words = [f"input={tmp_path}/mel.npy", f"out={tmp_path}", "schedule=[1e-4,0.01,0.5]", "precision=bf16"]
    assert main(["generate", str(run), *words]) == 0
    assert len(soundfile.read(tmp_path / "mel.wav")[0]) == 1800


def test_generate_takes_settings_of_the_data(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "slow.wav", 0.1 * np.sin(np.arange(8000) / 9), 16000, subtype="PCM_16")
    words = ["generate", str(run), f"input={tmp_path}/slow.wav", f"out={tmp_path}/out", "schedule=manual6"]
    assert main(words) == 1
    assert "data.resample=true" in capsys.readouterr().err
    assert main([*words, "data.resample=true"]) == 0
    assert len(soundfile.read(tmp_path / "out" / "slow.wav")[0]) == 8000 * 22050 // 16000 // 300 * 300
    assert main([*words, "data.resampel=true"]) == 2
    assert "data.resample" in capsys.readouterr().err
    assert main([*words, "model.seed=1"]) == 2
    assert "model.seed is not an option of generate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["input=nowhere.wav"], 1, "does not exist"),
        ([], 2, "input is missing"),
        (["input=x.wav", "schedule=manual7"], 1, "does not exist"),
        (["input=x.wav", "shedule=manual6"], 2, "'schedule'"),
        (["input=x.wav", "precision=8"], 2, "Expected 32 or bf16"),
        (["input=x.wav", "seed=zero"], 2, "seed"),
    ],
)
def test_generate_says_what_is_wrong(
    finished_run: Path, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", str(finished_run), *words]) == code
    assert message in capsys.readouterr().err


def test_unknown_schedule_lists_the_known_ones(
    finished_run: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", str(finished_run), f"input={recordings}/clip0.wav", "schedule=manual7"]) == 2
    assert "fibonacci25, linear1000, linear50, manual6, naive6, train" in capsys.readouterr().err


def test_tuned_schedules_are_saved_and_used(
    run: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune-schedule", str(run), "steps=2", "rounds=1", "clips=1"]) == 0
    saved = json.loads((run / "schedules" / "tuned2.json").read_text(encoding="utf-8"))
    assert len(saved["betas"]) == 2
    assert saved["ls_mse"] == min(h["ls_mse"] for h in saved["history"])
    assert saved["tried"] == len(saved["history"]) == 1 + 8 + 8
    words = [f"input={recordings}/clip0.wav", f"out={tmp_path}", "schedule=tuned2"]
    assert main(["generate", str(run), *words]) == 0


def test_show_diff_and_list_speak_plainly(run: Path, finished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(run)]) == 0
    assert "finished" in capsys.readouterr().out
    assert main(["diff", str(run), str(finished_run)]) == 0
    assert "no difference" in capsys.readouterr().out
    record = read_record(run)
    record.config["trainer"]["max_steps"] = 7
    record.metrics["val/loss"]["value"] += 1.0
    record.write(run)
    assert main(["diff", str(finished_run), str(run)]) == 0
    out = capsys.readouterr().out
    assert "trainer.max_steps" in out
    assert "(+1)" in out
    assert main(["list"]) == 0
    assert "wavegrad/ljspeech_base_continuous" in capsys.readouterr().out
    assert main(["show", "wavegrad/base_continuous"]) == 0
    assert "Table 2" in capsys.readouterr().out
    assert main(["show", "wavegrad/base_continous"]) == 2
    assert "base_continuous" in capsys.readouterr().err


def test_explain_prints_value_and_chain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "model.objective.schedule", "model=wavegrad"]) == 0
    out = capsys.readouterr().out
    assert "start: 1.0e-06" in out
    assert "conf/model/wavegrad.yaml:" in out
    assert main(["explain", "model.objective.shedule", "model=wavegrad"]) == 2
    assert "model.objective.schedule" in capsys.readouterr().err
    assert main(["explain", "trainer.max_steps"]) == 2
    assert "Expected model=NAME on the command line; choices: " in capsys.readouterr().err


def test_finished_run_has_nothing_to_resume_but_can_be_extended(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", f"resume={run}"]) == 0
    assert read_record(run).iteration == 6
    assert main(["train", f"resume={run}", "trainer.max_steps=8", "logger.wandb=null"]) == 0
    record = read_record(run)
    assert record.iteration == 8
    assert {"key": "trainer.max_steps", "protocol": 6, "run": 8, "from_step": 6} in record.deviations
    assert len(record.sessions) == 2
    assert main(["train", f"resume={run}", "trainer.max_stepz=8"]) == 2


@pytest.mark.parametrize(
    ("word", "code", "message"),
    [
        ("data.batch_size=5", 2, "batch sizes that fit 2 processes: 4 or 6"),
        ("trainer.devices=0", 2, "Expected 1 or more"),
        ("trainer.accelerator=gpu", 2, "no GPU"),
        ("trainer.max_steps=-1", 2, "never end"),
        ("trainer.max_time=40min", 2, "DD:HH:MM:SS"),
        ("data.root=/nowhere", 1, "is not a folder"),
        ("data.batch_size=0", 2, "Expected 1 or more"),
        ("model.optimizer.lr=-1", 2, "refused its settings"),
        ("model.validation_schedule=nope", 2, "no schedule is called"),
        ("trainer.accelerator=tpu", 2, "Expected auto, cpu or gpu"),
        ("trainer.precision=16-mixed", 2, "bf16-mixed"),
        ("+trainer.limit_train_batches=3", 2, "use trainer.max_steps"),
    ],
)
def test_impossible_runs_are_refused(
    tmp_path: Path,
    small: Small,
    word: str,
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    if "=gpu" in word:  # the same answer on a machine that has one
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    more = ["trainer=ddp", "trainer.accelerator=cpu"] if word == "data.batch_size=5" else []
    assert main(["train", *small(tmp_path, *more, word, "logger=none")]) == code
    assert message in capsys.readouterr().err
    runs = list(tmp_path.rglob("run.json"))
    assert all(read_record(r.parent).state == "failed" for r in runs)
    if code == 2:
        assert not (tmp_path / "runs").exists()


def test_non_finite_loss_names_step_examples_and_checkpoint(
    tmp_path: Path, small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    words = small(tmp_path, "model.optimizer.lr=1e30", "trainer.gradient_clip_val=null", "logger=csv")
    assert main(["train", *words, "callbacks.checkpoint.every_n_steps=1"]) == 1
    message = capsys.readouterr().err
    assert "the loss is not finite at step 2" in message
    assert "positions [4, 5, 6, 7]" in message
    record = read_record(only_run(tmp_path))
    assert record.state == "failed"
    assert "step-00000001.ckpt (step 1)" in str(record.error)
    assert checkpoints.find(only_run(tmp_path))[1].step == 1


def test_ema_keeps_both_sets_of_weights_and_says_which_was_evaluated(tmp_path: Path, small: Small) -> None:
    import torch

    from reprise.training.callbacks.ema import averaged_weights

    words = small(
        tmp_path, "callbacks=ema", "callbacks.ema.decay=0.5", "logger=csv", "callbacks.checkpoint.every_n_steps=1"
    )
    assert main(["train", *words, "trainer.max_steps=3", "trainer.val_check_interval=3"]) == 0
    run = only_run(tmp_path)
    record = read_record(run)
    assert record.weights == "ema"
    steps = {e.step: checkpoints.load(run / e.file) for e in checkpoints.read_index(run)}
    average, raw = averaged_weights(steps[3]), steps[3]["state_dict"]
    before = averaged_weights(steps[2])
    assert average is not None
    assert before is not None
    for name, value in average.items():
        assert torch.allclose(value, 0.5 * before[name] + 0.5 * raw[name], atol=1e-6), name
    assert any(not torch.equal(v, raw[k]) for k, v in average.items())
    assert main(["evaluate", str(run), "weights=raw"]) == 0
    assert main(["evaluate", str(run)]) == 0
    assert [e["weights"] for e in read_record(run).evaluations] == ["raw", "ema"]


def test_accumulation_changes_nothing_but_rounding(finished_run: Path, tmp_path: Path, small: Small) -> None:
    assert main(["train", *small(tmp_path, "data.max_device_batch=2", "logger=csv")]) == 0
    run = only_run(tmp_path)
    assert read_record(run).environment["accumulate"] == 2
    ours = {(s, n): v for s, n, v in read_metrics(run) if n == "train/loss"}
    theirs = {(s, n): v for s, n, v in read_metrics(finished_run) if n == "train/loss"}
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_epochs_and_time_end_a_run(tmp_path: Path, small: Small) -> None:
    # two training clips, batches of four: an epoch is half an iteration
    words = small(tmp_path / "a", "trainer.max_steps=-1", "trainer.max_epochs=5", "logger=csv")
    assert main(["train", *words]) == 0
    assert read_record(only_run(tmp_path / "a")).iteration == 3
    words = small(tmp_path / "b", "trainer.max_steps=-1", "trainer.max_time=00:00:00:01", "logger=csv")
    assert main(["train", *words, "trainer.val_check_interval=100000"]) == 0
    record = read_record(only_run(tmp_path / "b"))
    assert record.state == "finished"
    assert record.metrics["val/ls_mse"]["step"] == record.iteration > 0


def test_bf16_trains(tmp_path: Path, small: Small) -> None:
    words = small(tmp_path, "trainer.precision=bf16-mixed", "trainer.max_steps=2", "logger=none")
    assert main(["train", *words]) == 0
    assert read_record(only_run(tmp_path)).environment["precision"] == "bf16-mixed"


def test_two_processes_give_the_numbers_of_one(
    finished_run: Path, tmp_path: Path, small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three held-out clips do not divide by two; the batch of four does."""
    assert main(["train", *small(tmp_path, "trainer=ddp", "trainer.accelerator=cpu")]) == 0
    run = only_run(tmp_path)
    record = read_record(run)
    assert (record.environment["world_size"], record.environment["strategy"]) == (2, "ddp")
    assert len(list((run / "wandb").glob("offline-run-*"))) == 1
    ours = {(s, n): v for s, n, v in read_metrics(run) if not n.startswith("perf/")}
    theirs = {(s, n): v for s, n, v in read_metrics(finished_run) if not n.startswith("perf/")}
    assert ours == pytest.approx(theirs, rel=1e-3)
    assert main(["verify", str(run)]) == 0
    assert "equal" in capsys.readouterr().out
    # the same checkpoint, evaluated by two processes and by one
    assert main(["evaluate", str(run)]) == 0
    assert main(["evaluate", str(run), "trainer.strategy=auto", "trainer.devices=1"]) == 0
    two, one = read_record(run).evaluations
    assert (two["world_size"], one["world_size"]) == (2, 1)
    for name, entry in one["metrics"].items():
        if not name.endswith("/rtf"):
            assert two["metrics"][name]["value"] == pytest.approx(entry["value"], rel=1e-6), name


def test_a_sweep_without_its_flag_is_refused() -> None:
    assert main(["train", "model=wavegrad", "seed=0,1"]) == 2


def test_killed_in_the_last_validation_it_trains_no_step_more(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The checkpoint of the last iteration is written before its validation."""
    record = read_record(run)
    before = checkpoints.load(checkpoints.find(run)[0])["state_dict"]
    record.state = "running"
    record.write(run)
    assert main(["train", f"resume={run}"]) == 0
    path, entry = checkpoints.find(run)
    assert entry.step == 6
    assert all(bool((v == before[k]).all()) for k, v in checkpoints.load(path)["state_dict"].items())
    rows = read_metrics(run)
    assert [s for s, n, _ in rows if n == "val/ls_mse"] == [3, 6]
    assert read_record(run).sessions[-1]["from_step"] == 6


def test_what_a_validation_draws_stays_drawn_after_a_resume(run: Path, tmp_path: Path, small: Small) -> None:
    """Random states come back before the validation that a checkpoint was saved before."""
    import torch

    from reprise.models.wavegrad.module import WaveGrad

    plain = WaveGrad.validation_step

    def drawing(self: WaveGrad, batch: Any, batch_idx: int) -> None:
        torch.rand(3)
        plain(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WaveGrad, "validation_step", drawing)
        words = ["logger=csv", "callbacks.checkpoint.every_n_steps=null"]
        assert main(["train", *small(tmp_path / "a", *words)]) == 0
        assert main(["train", *small(tmp_path / "b", *words, "trainer.max_steps=3")]) == 0
        second = only_run(tmp_path / "b")
        assert main(["train", f"resume={second}", "trainer.max_steps=6"]) == 0
    states = [
        checkpoints.load(checkpoints.find(d)[0])["callbacks"]["RandomStates"]["ranks"][0]["torch"]
        for d in (only_run(tmp_path / "a"), second)
    ]
    assert torch.equal(*states)


def test_generate_never_overwrites_its_input(run: Path, recordings: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(recordings, tmp_path / "in"))
    before = (folder / "clip0.wav").read_bytes()
    assert main(["generate", str(run), f"input={folder}/clip0.wav", f"out={folder}"]) == 2
    assert main(["generate", str(run), f"input={folder}", f"out={folder}"]) == 2
    assert (folder / "clip0.wav").read_bytes() == before
    shutil.copy(folder / "clip0.wav", folder / "clip0.flac")
    assert main(["generate", str(run), f"input={folder}"]) == 2


def test_a_run_directory_cannot_run_code(run: Path, recordings: Path) -> None:
    import yaml

    values = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    target = run / "evil.npy"
    values["allow"] = ["numpy"]
    for name in ("numpy.save", "reprise.data.audio.corpus.np.save", "reprise.tracking.files.write_atomic"):
        values["data"]["features"] = {
            "_target_": name,
            "file": str(target),
            "arr": [1],
            "path": str(target),
            "text": "x",
        }
        (run / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        for words in (["evaluate", str(run)], ["generate", str(run), f"input={recordings}"], ["verify", str(run)]):
            assert main(words) == 2, (name, words)
        assert main(["train", f"resume={run}", "trainer.max_steps=9"]) == 2
    assert not target.exists()


def test_a_full_disk_ends_the_run_with_the_last_checkpoint_intact(
    tmp_path: Path, small: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = checkpoints.commit

    def full(scratch: Path, directory: Path, step: int) -> checkpoints.Entry:
        if step == 4:
            raise OSError(28, "No space left on device")
        return whole(scratch, directory, step)

    monkeypatch.setattr(checkpoints, "commit", full)
    assert main(["train", *small(tmp_path, "logger=csv")]) == 1
    run = only_run(tmp_path)
    message = capsys.readouterr().err
    assert "the disk is full" in message
    assert "step-00000003.ckpt (step 3) is intact" in message
    assert f"resume={run}" in message
    assert not list((run / "checkpoints").glob(".step-*"))
    monkeypatch.undo()
    assert main(["train", f"resume={run}"]) == 0
    assert read_record(run).state == "finished"


def test_two_sessions_of_one_run_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from filelock import FileLock

    with FileLock(run / ".lock"):
        assert main(["train", f"resume={run}", "trainer.max_steps=8"]) == 1
    assert "another process" in capsys.readouterr().err
    assert read_record(run).state == "finished"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiling_keeps_the_names_of_the_weights(small: Small, tmp_path: Path) -> None:
    from reprise.config.compose import compose_config
    from reprise.training.trainer import build_module

    values = compose_config(small(tmp_path)).values
    plain, compiled = build_module(values), build_module({**values, "compile": True})
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert compiled.network._compiled_call_impl is not None  # type: ignore[union-attr]


def test_lightning_module_state_is_typed(finished_run: Path) -> None:
    content: dict[str, Any] = checkpoints.load(checkpoints.find(finished_run)[0])
    assert content["global_step"] == 6
