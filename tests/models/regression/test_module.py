"""The base of full-batch regressions, on least squares with a known solution."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError, DataError
from reprise.data.tabular.base import RegressionData, Table
from reprise.data.tabular.scaling import fit_scaling
from reprise.data.tabular.split import Split, hold_out, random_split
from reprise.models.regression.module import Prediction, RegressionModule, inputs_of, targets_of
from reprise.models.regression.tracking import Iterates


class Line(RegressionModule):
    def __init__(self, **settings):
        super().__init__(lambda p: torch.optim.SGD(p, lr=0.1), seed=0, **settings)
        self.slope = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.track_iterates()

    def objective(self, batch) -> Tensor:
        return (self.predict(batch, inputs_of(batch, "train")).mean - targets_of(batch, "train")).square().mean()

    def predict(self, batch, x: Tensor) -> Prediction:
        return Prediction(self.slope * x[:, 0], torch.ones_like(x[:, 0]))


class Points(RegressionData):
    def read(self) -> Table:
        x = np.linspace(-2.0, 2.0, 40)[:, None]
        rows = np.arange(40)
        return Table("points", x, 3.0 * x[:, 0], {"made": "here"}, [Split(rows[:30], rows[:0], rows[30:])])


def fitted(tmp_path, data=None, steps=60, **settings):
    data = data or Points(inputs=1, seed=0, val_share=0.25)
    module = Line(**settings)

    class Count(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            data.iteration += 1

    trainer = pl.Trainer(
        max_steps=steps, callbacks=[Count()], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, limit_val_batches=0, max_epochs=-1,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    return module, data, trainer


@pytest.mark.filterwarnings("ignore")
def test_reports_errors_in_both_units_and_draws(tmp_path) -> None:
    data = Points(inputs=1, seed=0, split="given", scale_y="unit", scale_by="all")
    module, data, trainer = fitted(tmp_path, data)
    module.slope.data.fill_(1.4)  # y / 6 x is the scaled line
    found = trainer.test(module, datamodule=data, verbose=False)[0]
    x = data.problem()["x_test"][:, 0]
    assert float(data.problem()["y_scale"]) == 6.0
    assert found["test/rmse"] == pytest.approx(float((0.9 * x).square().mean().sqrt()), rel=1e-6)
    assert found["test/rmse_raw"] == pytest.approx(6.0 * found["test/rmse"], rel=1e-6)
    assert found["test/mnll"] == pytest.approx(0.5 * np.log(2 * np.pi) + found["test/mse"] / 2, rel=1e-6)
    assert module.metric_versions()["test/rmse"] == 1
    shown = module.samples[0].write(tmp_path / "out")
    assert shown[0].path.stat().st_size > 5000
    assert (tmp_path / "out" / "prediction.csv").read_text().count("\n") == 401


@pytest.mark.filterwarnings("ignore")
def test_lowest_test_error_and_weights_of_the_lowest_validation_error(tmp_path) -> None:
    module, data, trainer = fitted(tmp_path, choose="validation", track_every=1, recent=5)
    assert int(module.iterates.seen) == 59  # the last one is left to the evaluation
    module.slope.data.fill_(-7.0)  # as if the last step had gone astray
    found = trainer.test(module, datamodule=data, verbose=False)[0]
    assert found["test/rmse_best_epoch"] < 1e-3
    assert found["test/rmse"] < 1e-3  # by the chosen weights
    assert float(module.slope) == -7.0  # which are put back
    assert found["test/rmse_median_last_5"] < 1e-3


def test_iterates_keep_the_first_best_and_the_last_errors() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    kept = Iterates([weight], recent=3)
    for value, (val, test) in enumerate([(3.0, 9.0), (1.0, 5.0), (1.0, 2.0), (4.0, 7.0)]):
        weight.data.fill_(value)
        kept.add(torch.tensor(val), torch.tensor(test))
    assert float(kept.best_test) == 2.0
    assert float(kept.recent_median()) == 5.0  # of 5, 2, 7
    with kept.best():
        assert float(weight) == 1.0
    assert float(weight) == 3.0
    again = Iterates([weight], recent=3)
    again.load_state_dict(kept.state_dict())
    assert float(again.best_val) == 1.0


def test_settings_that_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match="track_every"):
        Line(choose="validation")
    with pytest.raises(ConfigError, match="Expected 0 or more"):
        Line(curve=-1)
    with pytest.raises(ConfigError, match="last, validation"):
        Line(choose="test")


def test_splits_are_disjoint_and_depend_on_the_seed_alone() -> None:
    split = hold_out(random_split(100, 0.1, 3), 0.1, 3)
    assert sorted(np.concatenate([split.train, split.val, split.test])) == list(range(100))
    assert (len(split.train), len(split.val), len(split.test)) == (81, 9, 10)
    again, other = random_split(100, 0.1, 3), random_split(100, 0.1, 4)
    assert (again.test == split.test).all() and (other.test != split.test).any()
    with pytest.raises(ConfigError, match="test_share"):
        random_split(3, 0.1, 0)


def test_scalings() -> None:
    values = np.array([[1.0, 5.0], [3.0, 5.0], [8.0, 5.0]])
    assert np.allclose(fit_scaling(values, "unit")(values), [[-1, 0], [-3 / 7, 0], [1, 0]])
    standard = fit_scaling(values, "standard")(values)
    assert np.allclose(standard.mean(0), 0) and np.allclose(standard[:, 0].std(), 1)
    assert np.allclose(fit_scaling(values, "none")(values), values)


def test_null_is_the_seed_for_splits_and_folds() -> None:
    a, b = Points(inputs=1, seed=3, split_seed=None), Points(inputs=1, seed=9, split_seed=3)
    assert (a.problem()["x_test"] == b.problem()["x_test"]).all()

    class Folds(Points):
        def read(self) -> Table:
            table, rows = super().read(), np.arange(40)
            return Table("folds", table.x, table.y, {}, [Split(rows[k:], rows[:0], rows[:k]) for k in (1, 2, 3)])

    assert [len(Folds(1, seed=k, split="given", fold=None).problem()["y_test"]) for k in range(3)] == [1, 2, 3]
    with pytest.raises(ConfigError, match="comes with 3 splits"):
        Folds(1, seed=3, split="given", fold=None).problem()


@pytest.mark.filterwarnings("ignore")
def test_trial_points_of_a_line_search_are_no_iterates(tmp_path) -> None:
    class Searched(Line):
        def configure_optimizers(self):
            return torch.optim.LBFGS(self.parameters(), lr=0.1, max_iter=4)

    data = Points(inputs=1, seed=0, val_share=0.25)
    module = Searched(track_every=5)

    class Count(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            data.iteration += 1

    pl.Trainer(
        max_steps=21, callbacks=[Count()], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, limit_val_batches=0, max_epochs=-1,
    ).fit(module, datamodule=data)  # fmt: skip
    assert int(module.iterates.seen) == 4  # of iterations 5, 10, 15 and 20


def test_digest_is_of_the_data_not_of_the_split() -> None:
    a, b = Points(inputs=1, seed=0, split_seed=0), Points(inputs=1, seed=1, split_seed=1, scale_y="unit")
    assert a.data_digests() == b.data_digests()
    assert (a.problem()["x_test"] != b.problem()["x_test"]).any()


def test_wrong_data_are_named() -> None:
    class Broken(Points):
        def read(self) -> Table:
            return Table("broken", np.array([[1.0], [np.nan]]), np.zeros(2), {})

    with pytest.raises(DataError, match="not finite"):
        Broken(inputs=1, seed=0).problem()
    with pytest.raises(ConfigError, match="has 1 inputs"):
        Points(inputs=2, seed=0).problem()
    with pytest.raises(ConfigError, match="whole problem"):
        Points(inputs=1, seed=0, batch_size=2)
    with pytest.raises(ConfigError, match="split is 'best'"):
        Points(inputs=1, seed=0, split="best")
