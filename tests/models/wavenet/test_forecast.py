"""WaveNet as a forecaster: distributions known in closed form, naive forecasts, paths draw for draw, and learning."""

from __future__ import annotations

import zlib
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.data.series.sequences import SeriesSequences, collate_windows
from reprise.models.wavenet.forecast import WaveNetForecaster, fan
from reprise.models.wavenet.forecast_grid import cells_of, log_density, probabilities
from reprise.models.wavenet.forecast_naive import naive_residuals, seasonal_lag
from reprise.models.wavenet.heads import LogisticMixture, Softmax
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.nn.series import SeriesScale

HEADS = [Softmax(8), Softmax(16, "floored"), LogisticMixture(2, 32)]
HEAD_NAMES = ["rounded", "floored", "mixture"]


def forecaster(head=None, season=None, paths=20, **network) -> WaveNetForecaster:
    torch.manual_seed(0)
    stack = {"dilations": [1, 2], "residual": 4, "skip": 4} | network
    net = WaveNetNetwork(head or Softmax(16), **stack)
    return WaveNetForecaster(net, partial(torch.optim.Adam, lr=1e-2), season=season, paths=paths)


def batch_of(levels, start, train, difference="none", centre=0.0, half=1.0, channel=0) -> dict:
    """A batch of one window of a series whose values all are given."""
    values = torch.tensor(levels, dtype=torch.float64)
    scale = SeriesScale(difference, centre, half)
    steps = scale.steps(values)
    if difference != "none":
        values = values[1:]
    item = {"audio": scale.scaled(steps), "levels": values, "start": start, "train": train, "id": "x-1", "position": 0}
    return collate_windows([item | {"scale": (difference, centre, half), "labels": torch.tensor([channel])}])


def measured(module: WaveNetForecaster, *batches: dict) -> dict[str, float]:
    module.on_test_epoch_start()
    for i, batch in enumerate(batches):
        module.test_step(batch, i)
    return {name: float(metric.compute()) for name, metric in module._test_metrics().items()}


@pytest.mark.parametrize("head", HEADS, ids=HEAD_NAMES)
def test_cells_are_what_the_head_makes_of_values(head) -> None:
    cells = cells_of(head)
    assert (cells.values.diff() > 0).all() and (cells.edges.diff() > 0).all()
    assert cells.edges[0] == -1.0 and cells.edges[-1] == 1.0 and len(cells.edges) == head.levels + 1
    assert torch.equal(cells.index(head.audio(cells.inputs)), torch.arange(head.levels))
    inside = torch.cat([cells.edges[:-1] + 1e-5, cells.edges[1:] - 1e-5])  # just inside of every cell
    assert torch.equal(cells.index(head.audio(head.inputs(inside))), torch.arange(head.levels).repeat(2))


@pytest.mark.parametrize("head", HEADS, ids=HEAD_NAMES)
def test_probabilities_of_cells_are_those_of_the_head(head) -> None:
    parameters = torch.randn(5, head.channels, generator=torch.Generator().manual_seed(1))
    cells = cells_of(head)
    found = probabilities(head, cells, parameters)
    assert found.sum(-1).numpy() == pytest.approx(np.ones(5), abs=1e-12)
    for k in range(head.levels):
        log_prob = head.log_prob(parameters, cells.inputs[k].expand(5))
        assert found[:, k].log().numpy() == pytest.approx(log_prob.numpy(), abs=1e-4)


@pytest.mark.parametrize("difference", ["none", "difference", "log"])
@pytest.mark.parametrize("head", HEADS, ids=HEAD_NAMES)
def test_densities_are_of_all_values_and_their_integral_is_one(head, difference) -> None:
    scale = SeriesScale(difference, 0.02, 0.3)
    parameters = torch.randn(1, head.channels, generator=torch.Generator().manual_seed(2))
    if isinstance(head, LogisticMixture):
        parameters[:, -2:] -= 1.0
    steps = torch.linspace(-12.0, 12.0, 400001, dtype=torch.float64)  # scaled; far beyond -1 and 1
    outcomes = scale.outcome(steps)
    found = log_density(head, cells_of(head), parameters.expand(len(steps), -1), steps.float(), outcomes, scale)
    assert float(torch.trapezoid(found.exp(), outcomes)) == pytest.approx(1.0, abs=2e-3)
    in_steps = found + outcomes.log() if difference == "log" and isinstance(head, LogisticMixture) else found
    assert (found[steps > 1.0].diff() < 0).all() and (in_steps[steps < -1.2].diff() > 0).all()


def test_a_value_far_outside_is_not_scored_as_if_it_were_inside() -> None:
    module = forecaster(Softmax(8))
    inside, outside = [0.1 * i for i in range(9)] + [0.99], [0.1 * i for i in range(9)] + [40.0]
    ours, other = (measured(forecaster(Softmax(8)), batch_of(v, 9, 8)) for v in (inside, outside))
    width = float(cells_of(module.network.head).edges.diff()[-1])
    assert other["test/nats_per_step"] == ours["test/nats_per_step"]  # of the cell, which has all beyond it
    expected = ours["test/log_density"] - (40.0 - 0.99) / width
    assert other["test/log_density"] == pytest.approx(expected, rel=1e-5)
    assert module.metric_versions()["test/log_density"] == 2


@pytest.mark.parametrize("difference", ["none", "difference", "log"])
def test_scores_of_a_known_distribution(difference) -> None:
    """Steps are independent, with probabilities set by hand: every score follows from them and the values."""
    p = np.array([0.05, 0.1, 0.15, 0.2, 0.2, 0.15, 0.1, 0.05])
    module = forecaster(Softmax(8), paths=4000)
    with torch.no_grad():
        module.network.out.weight.zero_()
        module.network.out.bias.copy_(torch.from_numpy(p).log())
    levels = 20.0 * np.exp(np.cumsum(0.1 * np.random.default_rng(2).standard_normal(40)))
    centre, half = {"none": (levels.mean(), 30.0), "difference": (0.3, 9.0), "log": (0.02, 0.4)}[difference]
    ours = measured(module, batch_of(levels.tolist(), 30, 25, difference, centre, half))
    # the same, literally: where one step of each cell leads to from the value before
    cells = cells_of(module.network.head)
    skip = 0 if difference == "none" else 1
    logs, squares, scores, absolute, inside = [], [], [], [], []
    for t in range(30 + skip, 40):
        before, x = levels[t - 1], levels[t]
        lead = {
            "none": lambda s: centre + half * s,
            "difference": lambda s, before=before: before + centre + half * s,
            "log": lambda s, before=before: before * np.exp(centre + half * s),
        }[difference]
        v, edges = lead(cells.values.numpy()), lead(cells.edges.numpy())
        k = int(np.searchsorted(edges, x)) - 1
        assert 0 <= k < 8  # nothing is clipped
        tail = (edges[1] - x if k == 0 else x - edges[-2] if k == 7 else 0.0) / (edges[k + 1] - edges[k])
        logs.append((np.log(p[k]), np.log(edges[k + 1] - edges[k]) + tail))
        squares.append((p @ v - x) ** 2)
        scores.append(p @ abs(v - x) - 0.5 * p @ abs(v[:, None] - v) @ p)
        quantiles = np.interp([0.1, 0.5, 0.9], np.concatenate([[0.0], p.cumsum()]), edges)
        absolute.append(abs(quantiles[1] - x))
        inside.append(quantiles[0] <= x <= quantiles[2])
    logs = np.array(logs)
    assert ours["test/nats_per_step"] == pytest.approx(-logs[:, 0].mean(), rel=1e-5)
    assert ours["test/log_density"] == pytest.approx((logs[:, 0] - logs[:, 1]).mean(), rel=1e-5)
    assert ours["test/crps"] == pytest.approx(np.mean(scores), rel=1e-5)
    assert ours["test/rmse"] == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-5)
    assert ours["test/mae"] == pytest.approx(np.mean(absolute), rel=1e-5)
    assert ours["test/coverage80"] == pytest.approx(np.mean(inside))
    if difference == "none":  # every lead has the distribution of the first
        assert ours["test/ahead_crps"] == pytest.approx(np.mean(scores), rel=0.05)
        assert ours["test/ahead_rmse"] == pytest.approx(np.sqrt(np.mean(squares)), rel=0.05)


def test_naive_forecasts_of_series_they_know() -> None:
    module = forecaster(season=4)
    line, season = list(np.arange(60.0)), list(np.tile([1.0, 5.0, -2.0, 0.5], 15))
    ours = measured(module, batch_of(line, 50, 40, half=100.0))
    for name in ("persistence", "seasonal_naive"):  # residuals are the slope: the mean of the forecast is exact
        assert ours[f"test/{name}/crps"] == ours[f"test/{name}/ahead_rmse"] == pytest.approx(0.0, abs=1e-12)
    other = forecaster(season=4)
    ours = measured(other, batch_of(season, 50, 40, half=10.0))
    assert ours["test/seasonal_naive/crps"] == ours["test/seasonal_naive/ahead_crps"] == pytest.approx(0.0, abs=1e-12)
    steps = np.diff(season)[:39]
    scored = np.diff(season)[49:]
    literal = np.mean(abs(steps[:, None] - scored)) - 0.5 * np.mean(abs(steps[:, None] - steps))
    assert ours["test/persistence/crps"] == pytest.approx(literal)
    assert ours["test/persistence/coverage80"] == 1.0  # a quarter of the residuals is the least, a quarter the largest
    growing = list(1.1 ** np.arange(60.0))  # of log returns, residuals are ratios
    ours = measured(forecaster(), batch_of(growing, 50, 40, "log", half=1.0))
    assert ours["test/persistence/ahead_mae"] == pytest.approx(0.0, abs=1e-10)


def test_naive_forecasts_see_the_training_part_and_what_lies_before_the_window() -> None:
    lag = seasonal_lag(12)
    assert [lag(lead) for lead in (1, 12, 13, 24, 25)] == [12, 12, 24, 24, 36]
    assert len(naive_residuals(torch.arange(5000.0).square(), 1, SeriesScale("none", 0.0, 1.0))) == 999
    values = np.random.default_rng(0).standard_normal(60)
    changed = values.copy()
    changed[40:50] += 3.0  # neither trained on nor within reach of a lag of 4 before step 55
    one = measured(forecaster(season=4), batch_of(values.tolist(), 55, 40, half=9.0))
    two = measured(forecaster(season=4), batch_of(changed.tolist(), 55, 40, half=9.0))
    assert one["test/seasonal_naive/ahead_crps"] == two["test/seasonal_naive/ahead_crps"]
    with pytest.raises(ConfigError, match=r"lag of 44: lower data\.season"):
        measured(forecaster(season=44), batch_of(values.tolist(), 55, 40, half=9.0))


@pytest.mark.parametrize("head", [Softmax(16), LogisticMixture(2, 64)], ids=["softmax", "mixture"])
def test_paths_follow_the_distributions_draw_for_draw(head) -> None:
    """One pass over a drawn path gives the distributions each of its steps was drawn from."""
    module = forecaster(head, global_channels=2)
    generator = torch.Generator().manual_seed(3)
    audio = torch.rand(3, 30, generator=generator) * 2.0 - 1.0
    labels = torch.tensor([0, 1, 1])
    conditions = [{"audio": a, "labels": c[None]} for a, c in zip(audio, labels, strict=True)]
    seen: list[int] = []
    made = module.generate(conditions, horizon=6, paths=4, keys=[5, 6, 7], on_step=seen.append)
    assert seen == list(range(1, 7)) and made[0].shape == (4, 6)
    reach = module.network.receptive_field
    for row, (path, key) in enumerate(zip(made, [5, 6, 7], strict=True)):
        uniform = np.random.default_rng([0, zlib.crc32(b"generate"), key]).random((4, 6, head.uniforms))
        whole = head.inputs(torch.cat([audio[row, -reach:].expand(4, -1), path], 1))
        with torch.no_grad():
            parameters = module(whole[:, :-1], module.condition(labels[row].expand(4)))
        assert torch.equal(head.audio(head.draw(parameters, torch.from_numpy(uniform))), path)
    alone = module.generate(conditions[1:2], horizon=6, paths=4, keys=[6])[0]
    assert torch.equal(alone, made[1])
    with pytest.raises(ConfigError, match=f"Expected {reach} or more"):
        module.generate([{"audio": audio[0, : reach - 1], "labels": labels[:1]}])
    with pytest.raises(ConfigError, match="horizon=0"):
        module.generate(conditions, horizon=0)


def test_paths_and_scores_do_not_see_the_window() -> None:
    values = np.sin(np.arange(40.0)).tolist()
    other = values[:30] + [0.9] * 10
    pictures = []
    for series in (values, other):
        module = forecaster(paths=50)
        measured(module, batch_of(series, 30, 20))
        pictures.append(module.samples[0])
    assert pictures[0].mean == pictures[1].mean and pictures[0].upper == pictures[1].upper
    assert pictures[0].points["known"] == pictures[1].points["known"]
    assert pictures[0].points["observed"] != pictures[1].points["observed"]


def test_a_window_gets_the_same_scores_alone_and_among_others() -> None:
    values = np.sin(np.arange(60.0)).tolist()
    parts = [batch_of(values[:50], 40, 30), batch_of(values[:57], 50, 30)]
    together = {k: parts[0][k] + parts[1][k] for k in ("audio", "levels", "start", "train", "scale", "id")}
    together |= {k: torch.cat([parts[0][k], parts[1][k]]) for k in ("labels", "position")}
    apart, joint = measured(forecaster(), *parts), measured(forecaster(), together)
    assert joint == pytest.approx(apart, rel=1e-6)


def test_the_condition_is_the_channel() -> None:
    module = forecaster(global_channels=2)
    data = SimpleNamespace(need_context=lambda samples: None, label_names={"channel": ["a", "b", "c"]})
    module._trainer = SimpleNamespace(datamodule=data)
    with pytest.raises(ConfigError, match="there are 3 channels"):
        module.setup("fit")
    assert module.condition(torch.tensor([1, 0])).tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert forecaster().condition(torch.tensor([1])) is None
    with pytest.raises(ConfigError, match="local_channels=0"):
        forecaster(local_channels=3)
    with pytest.raises(ConfigError, match=r"model\.paths is 1"):
        forecaster(paths=1)


def test_fans_are_in_the_unit_of_the_series(tmp_path) -> None:
    module = forecaster(paths=30)
    (window,) = module._windows(batch_of(np.arange(100.0, 140.0).tolist(), 30, 20, "difference", 1.0, 0.5))
    paths = torch.arange(30.0)[:, None] + torch.zeros(1, 9)
    band = fan(window, paths)
    assert band.mean == pytest.approx([14.5] * 9) and band.points["observed"][1][0] == 131.0
    assert band.lower == pytest.approx([29 * 0.025] * 9)
    assert {shown.path.suffix for shown in band.write(tmp_path)} == {".png"}


def test_learns_a_noisy_sine_and_beats_the_naive_forecasts(tmp_path) -> None:
    t = np.arange(700)
    np.save(tmp_path / "sine.npy", np.sin(0.4 * t) + 0.1 * np.random.default_rng(0).standard_normal(700))
    data = SeriesSequences(1, crop=64, window=10, batch_size=8, seed=0, root=str(tmp_path / "sine.npy"))
    data.setup("fit")
    module = forecaster(LogisticMixture(2, 256), dilations=[1, 2, 4], residual=8, skip=16, paths=50)
    data.need_context(module.network.receptive_field)
    optimizer = module.configure_optimizers()
    stream = iter(data.train_dataloader())
    for _ in range(150):
        optimizer.zero_grad()
        module.training_step(next(stream), 0).backward()
        optimizer.step()
    with torch.no_grad():
        ours = measured(module.eval(), *data.test_dataloader())
    assert ours["test/crps"] < 0.085  # noise alone: 0.1 / sqrt(pi) = 0.056
    assert ours["test/crps"] < 0.5 * ours["test/persistence/crps"]
    assert ours["test/ahead_crps"] < 0.4 * ours["test/persistence/ahead_crps"]
    assert 0.6 < ours["test/coverage80"] < 0.95
