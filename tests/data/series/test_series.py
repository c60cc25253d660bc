"""Time series: shipped ones, files in the layouts of public collections, and drawn ones against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from reprise.config.errors import ConfigError, DataError
from reprise.data.series.files import read_file
from reprise.data.series.generated import GeneratedSeries
from reprise.data.series.processes import (
    draw_process,
    matern32,
    negative_autoregression,
    quadratic_and_periodic,
    two_components,
)
from reprise.data.series.series import SeriesData
from reprise.data.series.shipped import monthly_co2


@pytest.fixture
def collection(tmp_path):
    """Files as those of public collections, with other values."""
    co2 = 300.0 + 0.2 * np.arange(529.0)
    (tmp_path / "levy_sm").mkdir()
    (tmp_path / "tsdl").mkdir()
    column = {"xtrain": np.arange(1, 193), "xtest": np.arange(193, 530), "ytrain": co2[:192], "ytest": co2[192:]}
    savemat(tmp_path / "levy_sm" / "CO2data.mat", {k: v[:, None] for k, v in column.items()})
    years = 1949 + (np.arange(144.0) + 0.5) / 12
    savemat(tmp_path / "tsdl" / "01-airline.mat", {"X": years[:, None], "y": np.arange(144, dtype=np.uint16)[:, None]})
    (tmp_path / "mine.csv").write_text("when,what\n0.5,1\n1.5,-2e1\n2.5,3\n", encoding="utf-8")
    return tmp_path


def test_shipped_co2_has_the_training_months_of_the_paper() -> None:
    problem = SeriesData("co2_statsmodels", seed=0).problem()
    y = problem["y"]
    assert (len(y), len(problem["y_test"])) == (200, 217)  # the paper has 84 more months for test
    assert float(y.mean()) == pytest.approx(331.92, abs=0.05)  # the paper's: 331.92 and 6.50
    assert float(y.std(correction=0)) == pytest.approx(6.50, abs=0.02)
    assert float(problem["y_test"].min()) == pytest.approx(341, abs=0.5)
    assert problem["x"][:, 0].tolist() == list(range(1, 201))
    assert float(problem["x_test"][0, 0]) == 201.0


def test_all_months_of_co2_are_there_and_finite() -> None:
    values = monthly_co2()
    assert values.shape == (526,) and np.isfinite(values).all()
    assert values[2] == pytest.approx(np.mean([317.5, 317.9, 317.4, 317.5, 316.9]), abs=0.5)
    assert values[3] == pytest.approx((values[2] + values[4]) / 2)  # June 1958 was not measured
    data = SeriesData("co2_monthly", seed=0, split="random", scale_x="unit", scale_y="unit", scale_by="all")
    assert len(data.problem()["y_test"]) == 53
    assert len(SeriesData("sunspots_statsmodels", seed=0, split="random").problem()["y"]) == 278


def test_the_last_months_of_the_file_are_those_of_the_paper(collection) -> None:
    problem = SeriesData("co2_wilson", seed=0, root=str(collection)).problem()
    assert (len(problem["y"]), len(problem["y_test"])) == (200, 301)
    assert problem["x"][0, 0] == 1.0 and problem["x_test"][-1, 0] == 501.0
    assert float(problem["y"][0]) == pytest.approx(300.0 + 0.2 * 28)
    inside = SeriesData("co2_wilson", seed=0, root=str(collection / "levy_sm")).data_digests()
    assert inside == SeriesData("co2_wilson", seed=0, root=str(collection)).data_digests()


def test_other_layouts(collection) -> None:
    problem = SeriesData("airline", seed=0, root=str(collection)).problem()
    assert (len(problem["y"]), len(problem["y_test"])) == (96, 48)
    assert problem["x"][:3, 0].tolist() == [1.0, 2.0, 3.0]
    mine = SeriesData("mine", seed=0, root=str(collection), train_points=2).problem()
    assert mine["y"].tolist() == [1.0, -20.0] and mine["x_test"].tolist() == [[2.5]]
    gap = SeriesData("01-airline", seed=0, root=str(collection), gaps=[[1950.0, 1951.0], [1960.0, 1970.0]]).problem()
    assert len(gap["y_test"]) == 24
    held = read_file(collection / "levy_sm" / "CO2data.mat")
    assert held.train_points == 192


def test_wrong_files_are_named(collection) -> None:
    with pytest.raises(ConfigError, match=r"data\.root"):
        SeriesData("airline", seed=0)
    with pytest.raises(DataError, match="no file named nothing"):
        SeriesData("nothing", seed=0, root=str(collection)).problem()
    with pytest.raises(ConfigError, match="one of them"):
        SeriesData("airline", seed=0, root=str(collection), train_points=3, gaps=[[0, 1]])
    with pytest.raises(ConfigError, match="are for test"):
        SeriesData("mine", seed=0, root=str(collection), train_points=3).problem()
    (collection / "broken.csv").write_text("0,1\n1,one\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 2"):
        read_file(collection / "broken.csv")
    (collection / "broken.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(DataError, match=r"broken\.mat"):
        read_file(collection / "broken.mat")
    savemat(collection / "other.mat", {"z": np.zeros((3, 1))})
    with pytest.raises(DataError, match="holds z"):
        read_file(collection / "other.mat")


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [("sinc", 700, 300), ("negcov", 400, 20), ("matern", 100, 20), ("rq_per", 100, 20)],
)
def test_sizes_of_drawn_series(name, train, test) -> None:
    problem = GeneratedSeries(name, seed=0).problem()
    assert (len(problem["y"]), len(problem["y_test"])) == (train, test)
    same = GeneratedSeries(name, seed=5).problem()
    assert (same["y"] == problem["y"]).all()
    if name != "sinc":
        assert (GeneratedSeries(name, seed=0, split_seed=1).problem()["y"] != problem["y"]).any()


def test_the_sinc_series_is_held_out_in_the_middle() -> None:
    problem = GeneratedSeries("sinc", seed=0).problem()
    x = problem["x_test"][:, 0]
    assert float(x.abs().max()) <= 4.5
    assert float(problem["y_test"][150]) == pytest.approx(1.0, abs=1e-3)  # next to x = 0
    assert float(problem["x"][:, 0].abs().min()) > 4.5


def test_the_autoregression_follows_its_equation() -> None:
    _, y = negative_autoregression(np.random.default_rng(0), points=200_000, sigma=1.0)
    steps = y[1:] + np.exp(-0.01) * y[:-1]
    assert steps.std() == pytest.approx(1.0, rel=0.01)
    assert abs(np.corrcoef(steps, y[:-1])[0, 1]) < 0.01
    assert y.var() == pytest.approx(1.0 / (1.0 - np.exp(-0.02)), rel=0.1)


@pytest.mark.parametrize("kernel", [matern32, quadratic_and_periodic, two_components])
def test_draws_have_the_covariance(kernel) -> None:
    x = np.array([0.0, 0.7, 3.0, 9.0])
    covariance = kernel(x[:, None] - x[None, :])
    rng = np.random.default_rng(0)
    draws = np.stack([draw_process(covariance, rng) for _ in range(20_000)])
    assert np.allclose(draws.T @ draws / len(draws), covariance, atol=0.05 * covariance[0, 0])


def test_kernels_of_drawn_series_at_known_points() -> None:
    assert matern32(np.array([0.0]))[0] == 16.0
    assert quadratic_and_periodic(np.array([0.0]))[0] == 14.0
    assert quadratic_and_periodic(np.array([20.0]))[0] == pytest.approx(10.0 / (1 + 400 / 6400) ** 2 + 4.0)
    assert two_components(np.array([0.0, 5.0]))[0] == 1.5
    assert two_components(np.array([5.0]))[0] == pytest.approx(
        np.exp(-2 * (np.pi * 5 * 0.0025) ** 2) * (1.0 - 0.5), rel=1e-9
    )  # one whole cycle of 0.2, four and a half of 0.9
