"""Series as sequences: files, scaling and its inverse, parts in time, and what of them a training run may see."""

from __future__ import annotations

import logging
from datetime import date, timedelta

import numpy as np
import pytest
import torch

from reprise.config.errors import ConfigError, DataError
from reprise.data.series.columns import read_series
from reprise.data.series.sequences import SeriesSequences, seasonal_series
from reprise.nn.series import SeriesScale, differences, undo


def sequences(root=None, **settings) -> SeriesSequences:
    defaults = {"channels": 1, "crop": 8, "window": 5, "batch_size": 2, "seed": 0, "name": "seasonal"}
    data = SeriesSequences(root=None if root is None else str(root), **(defaults | settings))
    data.setup("fit")
    return data


@pytest.fixture
def walk(tmp_path):
    """A file of 100 points of two series with dates."""
    rng = np.random.default_rng(0)
    table = 50.0 * np.exp(np.cumsum(0.05 * rng.standard_normal((100, 2)), 0))
    lines = [f"{date(2001, 1, 1) + timedelta(i)},{a},{b}" for i, (a, b) in enumerate(table)]
    (tmp_path / "prices.csv").write_text("\n".join(["date,oil,gas", *lines]), encoding="utf-8")
    return tmp_path / "prices.csv", table


def test_files_of_every_kind(walk, tmp_path) -> None:
    path, table = walk
    read = read_series(path)
    assert [column.name for column in read] == ["oil", "gas"]
    assert (read[1].values == table[:, 1]).all()
    (folder := tmp_path / "sensors").mkdir()
    (folder / "a.tsv").write_text("1\t10\n2\t20\n3\t30\n")
    (folder / "b.csv").write_text("4\n5\n")
    np.save(folder / "c.npy", table.astype(np.float32))
    (folder / "notes.txt").write_text("no series")
    assert [column.name for column in read_series(folder)] == ["a.1", "a.2", "b", "c.1", "c.2"]
    (clocked,) = read_series(folder / "a.tsv", time="1")
    assert clocked.values.tolist() == [10.0, 20.0, 30.0]
    (chosen,) = read_series(path, columns=["gas"])
    assert (chosen.values == table[:, 1]).all()


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("t,v\n1,2\n2,\n", {"time": "t"}, "line 3, column v: '' is no finite number"),
        ("t,v\n1,2\n2,nan\n", {}, "line 3, column v"),
        ("t,v\n2,2\n1,3\n", {"time": "t"}, "line 3: the time 1 is not after 2"),
        ("d,v\n2001-02-01,2\n2001-01-01,3\n", {}, "is not after 2001-02-01"),
        ("1,2\n3\n", {}, "line 2 has 1 cells"),
        ("t,v\n1,2\n", {"columns": ["w"]}, "no column 'w'"),
        ("t,v\n1,2\n", {"time": "x"}, "no column 'x' for the time"),
        ("t,v\n", {}, "no line of numbers"),
    ],
)
def test_damaged_files_are_named(tmp_path, text, settings, message) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_series(tmp_path / "x.csv", **settings)


def test_arrays_with_gaps_and_folders_without_series_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="no file of series"):
        read_series(tmp_path)
    np.save(tmp_path / "gap.npy", np.array([1.0, np.nan]))
    with pytest.raises(DataError, match="row 1"):
        read_series(tmp_path)


@pytest.mark.parametrize("kind", ["none", "difference", "log"])
def test_steps_lead_back_to_the_values(kind) -> None:
    levels = torch.from_numpy(np.exp(np.random.default_rng(1).standard_normal((3, 40)) * 0.1) * 300.0)
    steps = differences(levels, kind)
    kept = levels if kind == "none" else levels[:, 1:]
    assert undo(steps, levels[:, 0], kind).numpy() == pytest.approx(kept.numpy(), rel=1e-13)
    scale = SeriesScale(kind, float(steps.mean()), float((steps - steps.mean()).abs().max()))
    assert scale.outside(steps) <= 1  # rounding at the largest
    back = scale.path(scale.scaled(steps), levels[:, 0])
    assert back.numpy() == pytest.approx(kept.numpy(), rel=1e-5)  # scaled steps are float32
    # one step from the value before, as outcome and factor say it
    before = levels[:, :-1] if kind != "none" else levels
    outcome = scale.outcome(scale.scaled(steps))
    assert outcome.numpy() == pytest.approx(scale.relative(kept, before).numpy(), rel=1e-4, abs=1e-4)
    ahead = scale.relative(kept + 0.5, before) - scale.relative(kept, before)
    assert (ahead * scale.factor(before)).numpy() == pytest.approx(np.full(kept.shape, 0.5))


def test_parts_follow_each_other_and_windows_tile_them() -> None:
    data = sequences(val=20, test=0.1, difference="difference")
    (channel,) = data.series
    assert channel.points == {"train": 519, "val": 20, "test": 60}  # 600 points have 599 changes
    assert channel.ends == {"train": 519, "val": 539, "test": 599}
    for split, window_count in (("val", 4), ("test", 12)):
        held_out = data.eval_set(split)
        items = [held_out[i] for i in range(len(held_out))]
        assert len(items) == window_count
        scored = [t for item in items for t in range(item["start"], len(item["audio"]))]
        assert scored == list(range(channel.ends[split] - channel.points[split], channel.ends[split]))
        assert all(item["train"] == 519 for item in items)
    values = torch.from_numpy(seasonal_series())
    assert torch.equal(items[3]["levels"], values[1 : len(items[3]["levels"]) + 1])
    assert len(sequences(limit_test=3).eval_set("test")) == 3


def test_every_step_of_training_is_learnt_and_none_of_the_rest() -> None:
    data = sequences()
    data.need_context(7)
    windows = data.train_set()
    train = data.series[0].points["train"]
    assert len(windows) == data.epoch_size() == train - 7 - 8 + 1
    one_epoch = [windows[position] for position in range(len(windows))]
    assert all(len(item["audio"]) == 15 and item["exists"].all() for item in one_epoch)
    begins = {tuple(item["audio"].tolist()) for item in one_epoch}
    audio = data.series[0].audio
    assert begins == {tuple(audio[i : i + 15].tolist()) for i in range(len(windows))}
    assert torch.equal(windows[3]["audio"], sequences_with(7).train_set()[3]["audio"])


def sequences_with(context: int) -> SeriesSequences:
    data = sequences()
    data.need_context(context)
    return data


def test_nothing_of_the_held_out_parts_reaches_training(tmp_path) -> None:
    values = seasonal_series(200)
    other = values.copy()
    other[140:] = 1000.0 * np.random.default_rng(3).random(60)
    found = []
    for name, series in (("a", values), ("b", other)):
        np.save(tmp_path / f"{name}.npy", series)
        data = sequences(tmp_path / f"{name}.npy", val=30, test=30)
        windows = data.train_set()
        found.append((data.series[0].scale, torch.stack([windows[i]["audio"] for i in range(len(windows))])))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])


def test_what_is_clipped_is_counted_and_told(tmp_path, caplog) -> None:
    rising = np.arange(100.0)
    np.save(tmp_path / "x.npy", rising)
    with caplog.at_level(logging.WARNING):
        data = sequences(tmp_path / "x.npy", tail=0.0, margin=0.2, val=10, test=10)
    # trained on 0 ... 79, the range is 39.5 +- 47.4: 87, 88 and 89 of validation, and all of test, lie above it
    assert data.series[0].clipped == {"train": 0, "val": 3, "test": 10}
    assert "3 of 10 in val, 10 of 10 in test" in caplog.text
    assert float(data.series[0].audio.max()) == 1.0
    with pytest.raises(DataError, match="not positive"):
        sequences(tmp_path / "x.npy", difference="log")
    with pytest.raises(DataError, match="constant"):
        sequences(tmp_path / "x.npy", difference="difference")


def test_a_continued_series_that_leaves_the_range_is_told(tmp_path, caplog) -> None:
    np.save(tmp_path / "x.npy", np.arange(100.0))
    data = sequences(tmp_path / "x.npy", tail=0.0, margin=0.5, val=10, test=10)
    caplog.clear()
    np.save(tmp_path / "within.npy", np.arange(30.0))
    data.read_inputs(tmp_path / "within.npy")
    assert not caplog.records
    np.save(tmp_path / "higher.npy", np.arange(90.0, 130.0))  # the range ends at 39.5 + 59.25
    ((name, given),) = data.read_inputs(tmp_path / "higher.npy")
    (record,) = caplog.records
    assert f"{name}: steps outside the range of training, -19.75 to 98.75, are clipped" in record.getMessage()
    assert "31 of 40 in given" in record.getMessage() and "data.margin" in record.getMessage()
    assert int((given["audio"] == 1.0).sum()) == 31
    changes = sequences(tmp_path / "x.npy", difference="none")
    np.save(tmp_path / "one.npy", np.arange(1.0))
    assert len(changes.read_inputs(tmp_path / "one.npy")) == 1
    with pytest.raises(DataError, match=r"has 1 values\. Expected two or more"):
        sequences(difference="difference").read_inputs(tmp_path / "one.npy")


def test_channels_share_a_model_and_keep_their_scales(walk) -> None:
    path, table = walk
    with pytest.raises(ConfigError, match=r"2 series: oil, gas. Set data\.channels=2"):
        sequences(path)
    data = sequences(path, channels=2, difference="log", crop=4)
    assert data.label_names == {"channel": ["oil", "gas"]}
    windows = data.train_set()
    assert sorted({int(windows[i]["labels"]) for i in range(len(windows))}) == [0, 1]
    batch = data.eval_collate()([data.eval_set("test")[i] for i in range(2)])
    assert batch["labels"].tolist() == [[0], [1]] and batch["start"][0] == batch["start"][1]
    assert batch["levels"][1].numpy() == pytest.approx(table[1 : len(batch["levels"][1]) + 1, 1])
    assert data.data_digests()["channels"]["gas"]["points"]["test"] == 15


def test_short_series_are_refused() -> None:
    data = sequences(val=0.4, test=0.4)
    data.need_context(200)
    with pytest.raises(DataError, match="fewer than a window, 200 steps of history and 8"):
        data.train_set()
    with pytest.raises(DataError, match="Expected some to train on"):
        sequences(val=0.5, test=0.5)
    for wrong in ({"val": 1.5}, {"test": 0.0}, {"tail": 0.5}, {"window": 0}, {"difference": "twice"}, {"gaps": "no"}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            sequences(**wrong)


def test_continuations_are_written_in_the_unit_of_the_series(walk, tmp_path) -> None:
    path, table = walk
    data = sequences(path, channels=2, difference="log", tail=0.0, margin=2.0)
    np.save(tmp_path / "begun.npy", table[:90])
    (_, oil), (name, gas) = data.read_inputs(tmp_path / "begun.npy")
    assert name == "2" and gas["labels"].tolist() == [1] and len(oil["audio"]) == 89
    truth = data.series[1].audio[89:].expand(3, -1)  # the steps that really followed
    written = data.write_sample(name, truth, tmp_path / "made").read_text().splitlines()
    assert written[0] == "step,path_000,path_001,path_002" and len(written) == 11
    assert [float(line.split(",")[2]) for line in written[1:]] == pytest.approx(table[90:, 1].tolist(), rel=1e-5)
    (only,) = data.example_inputs(1)
    assert only[0] == "oil" and torch.equal(only[1]["audio"], data.series[0].audio)


def test_embedded_series(monkeypatch) -> None:
    co2 = sequences(name="co2_monthly", difference="difference")
    assert co2.series[0].points == {"train": 367, "val": 79, "test": 79} and sum(co2.series[0].clipped.values()) == 0
    assert len(sequences(name="sunspots").series[0].audio) == 309

    def missing() -> None:
        raise ConfigError("statsmodels is missing.")

    monkeypatch.setattr("reprise.data.series.sequences.monthly_co2", missing)
    with pytest.raises(ConfigError, match=r"missing\. Or use data=forecast_generated"):
        sequences(name="co2_monthly")
