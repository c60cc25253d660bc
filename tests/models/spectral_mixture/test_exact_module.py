"""Starts, the choice among them, measures and pictures of exact Gaussian processes."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from scipy.stats import multivariate_normal

from reprise.config.errors import ConfigError
from reprise.data.tabular.base import RegressionData, Table
from reprise.data.tabular.split import Split
from reprise.models.spectral_mixture.exact_module import ExactGP
from reprise.models.spectral_mixture.network.kernels import RBF, Matern, Scaled
from reprise.models.spectral_mixture.network.mixture import SpectralMixture
from reprise.models.spectral_mixture.network.positive import Positive
from reprise.models.spectral_mixture.starts import gaussian_starts, gpytorch_starts, periodogram, uniform_starts

pytestmark = pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
TIMES = np.arange(1.0, 61.0)
WAVES = 2.0 * np.sin(2 * np.pi * TIMES / 12) + np.cos(2 * np.pi * TIMES * 0.3)


class Waves(RegressionData):
    def read(self) -> Table:
        y = 5.0 + WAVES + 0.1 * np.random.default_rng(1).standard_normal(60)
        rows = np.arange(60)
        return Table("waves", TIMES[:, None], y, {"made": "here"}, [Split(rows[:48], rows[:0], rows[48:])])


def data() -> Waves:
    return Waves(inputs=1, seed=0, split="given")


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.05)


def sm(starts=3, **settings) -> ExactGP:
    return ExactGP(SpectralMixture(1, 4, starts), adam, seed=0, start="periodogram", **settings)


def fit(module, source, folder, steps=40, **settings):
    class Count(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            source.iteration += 1

    trainer = pl.Trainer(
        max_steps=steps, callbacks=[Count()], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, max_epochs=-1, val_check_interval=steps,
        check_val_every_n_epoch=None, num_sanity_val_steps=0, accelerator="cpu", **settings,
    )  # fmt: skip
    trainer.fit(module, datamodule=source)
    return trainer


def test_two_frequencies_are_found() -> None:
    frequency, power = periodogram(TIMES, WAVES)
    peaks = frequency[np.argsort(power)[-2:]]
    assert sorted(peaks) == pytest.approx([1 / 12, 0.3], abs=0.01)
    assert np.trapezoid(power, frequency) == pytest.approx(WAVES.var(), rel=0.1)
    shuffled = np.random.default_rng(0).permutation(60)[:50]  # times need not be even, nor in order
    again, gaps = periodogram(TIMES[shuffled], WAVES[shuffled])
    assert again[gaps.argmax()] == pytest.approx(1 / 12, abs=0.01)
    found = gaussian_starts(TIMES[:, None], WAVES, 2, 5, np.random.default_rng(0))
    for mean in found.mean[:, :, 0]:
        assert sorted(mean) == pytest.approx([1 / 12, 0.3], abs=0.03)
    assert (found.mean <= 0.5).all()  # Nyquist's
    assert np.allclose(found.weight.sum(1), WAVES.var() + WAVES.mean() ** 2)


def test_starts_at_random_stay_within_nyquist() -> None:
    x = np.random.default_rng(0).permutation(np.repeat(TIMES, 2))[:, None] * [[1.0, 0.1]]
    for make in (uniform_starts, gpytorch_starts):
        found = make(x, WAVES, 6, 4, np.random.default_rng(0))
        assert found.mean.shape == (4, 6, 2) and (found.mean <= [0.5, 5.0]).all()
        assert (found.deviation > 0).all()
    assert np.allclose(found.weight, WAVES.std(ddof=1) / 6)
    with pytest.raises(ConfigError, match="one input"):
        gaussian_starts(x, WAVES, 2, 1, np.random.default_rng(0))


def test_starts_side_by_side_are_those_one_by_one() -> None:
    problem = data().problem()
    together = sm(starts=3)
    together.begin(problem)
    begun = {name: value.detach().clone() for name, value in together.named_parameters()}
    optimizer = adam(together.parameters())
    for _ in range(20):
        optimizer.zero_grad()
        together.objective(problem).backward()
        optimizer.step()
    for s in range(3):
        alone = sm(starts=1)
        for name, value in alone.named_parameters():
            value.data.copy_(begun[name][s : s + 1])
        optimizer = adam(alone.parameters())
        for _ in range(20):
            optimizer.zero_grad()
            alone.objective(problem).backward()
            optimizer.step()
        for name, value in alone.named_parameters():
            assert torch.allclose(value[0], dict(together.named_parameters())[name][s], atol=1e-7)
        likelihood = together.log_marginal_likelihood(problem)
        assert torch.allclose(alone.log_marginal_likelihood(problem)[0], likelihood[s], atol=1e-6)


def test_likelihood_and_joint_density_are_scipys() -> None:
    problem = data().problem()
    module = ExactGP(Matern(1, 2), adam, seed=0, mean="constant")
    module.begin(problem)
    which = module.best(problem)[None]
    x = torch.cat([problem["x"], problem["x_test"]])
    distance = (x - x.T).abs() * np.sqrt(3.0) / module.network.length(which)[0]
    kernel = module.network.variance(which)[0] * (1 + distance) * (-distance).exp()
    covariance = (kernel + module.noise(which)[0] * torch.eye(60)).detach().numpy()
    mean = np.full(60, float(problem["y"].mean()))
    y = torch.cat([problem["y"], problem["y_test"]]).numpy()
    train = multivariate_normal(mean[:48], covariance[:48, :48]).logpdf(y[:48])
    assert float(module.log_marginal_likelihood(problem).detach().max()) == pytest.approx(train)
    solved = np.linalg.solve(covariance[:48, :48], covariance[:48, 48:])
    given = multivariate_normal(
        mean[48:] + solved.T @ (y[:48] - mean[:48]), covariance[48:, 48:] - covariance[48:, :48] @ solved
    )
    assert module.measures(problem)["test/log_likelihood"][0] == pytest.approx(given.logpdf(y[48:]))
    made = module.predict(problem, problem["x_test"])
    assert np.allclose(made.mean.detach(), given.mean) and np.allclose(made.variance.detach(), np.diag(given.cov))


@pytest.mark.filterwarnings("ignore")
def test_a_run_learns_the_waves_and_shows_them(tmp_path) -> None:
    source, module = data(), sm(screen=10, peaks=["lowest", "second"], lr_schedule=_falling, mean="constant")
    trainer = fit(module, source, tmp_path, steps=120)
    assert 0 <= int(module.chosen) < 3
    objective = float(trainer.callback_metrics["val/objective"])
    found = trainer.test(module, datamodule=source, verbose=False)[0]
    assert found["test/rmse"] < 0.6  # without the waves it is 1.6
    assert found["test/lowest/peak_frequency"] <= found["test/second/peak_frequency"]
    assert found["test/sum_of_log_densities"] == pytest.approx(-12 * found["test/mnll"])
    likelihood = found["test/train_log_marginal_likelihood"]
    assert objective == pytest.approx(-likelihood / 48)
    assert found["test/train_negative_log_marginal_likelihood"] == -likelihood
    assert 2 <= found["test/components_used"] <= 4
    versions = module.metric_versions()
    assert versions["test/log_likelihood"] == versions["test/components_used"] == 1
    for sample in module.samples:
        for shown in sample.write(tmp_path / "out"):
            assert shown.path.stat().st_size > 5000
    assert {"prediction.csv", "spectrum.csv"} <= {path.name for path in (tmp_path / "out").iterdir()}


@pytest.mark.filterwarnings("ignore")
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path) -> None:
    source, whole = data(), sm(screen=10)
    fit(whole, source, tmp_path, steps=16)
    first, source = sm(screen=10), data()
    half = fit(first, source, tmp_path, steps=12)
    half.save_checkpoint(tmp_path / "half.ckpt")
    second, source = sm(screen=10), data()
    source.iteration = 12
    trainer = pl.Trainer(
        max_steps=16, logger=False, enable_checkpointing=False, enable_progress_bar=False, max_epochs=-1,
        enable_model_summary=False, default_root_dir=tmp_path, limit_val_batches=0, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(second, datamodule=source, ckpt_path=tmp_path / "half.ckpt", weights_only=False)
    for a, b in zip(whole.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.filterwarnings("ignore")
def test_lbfgs_needs_few_iterations(tmp_path) -> None:
    def lbfgs(parameters):
        return torch.optim.LBFGS(parameters, max_iter=20, line_search_fn="strong_wolfe")

    source = data()
    module = ExactGP(RBF(1), lbfgs, seed=0, mean="constant")
    module.begin(source.problem())
    before = float(module.log_marginal_likelihood(source.problem()).detach()[0])
    fit(module, source, tmp_path, steps=3)
    assert float(module.log_marginal_likelihood(source.problem()).detach()[0]) > before + 5.0


def test_released_defaults_are_gpytorchs_and_stay_degenerate() -> None:
    kernel = Scaled(SpectralMixture(1, 5, 1, "softplus"), "softplus")
    module = ExactGP(kernel, adam, seed=0, start="default", mean="constant", noise_floor=1e-4, link="softplus")
    problem = data().problem()
    module.begin(problem)
    assert float(module.noise()) == pytest.approx(np.log(2) + 1e-4)
    assert all(float(p().min()) == pytest.approx(np.log(2)) for p in kernel.modules() if isinstance(p, Positive))
    optimizer = adam(p for p in module.parameters() if p.requires_grad)
    for _ in range(5):
        optimizer.zero_grad()
        module.objective(problem).backward()
        optimizer.step()
    means = kernel.kernel.mean()[0, :, 0]
    assert float(means.max() - means.min()) < 1e-12 and float(means[0]) != pytest.approx(np.log(2))
    assert float(module.offset) != 0.0


def test_what_does_not_go_together() -> None:
    with pytest.raises(ConfigError, match="periodogram, uniform, gpytorch, default"):
        ExactGP(SpectralMixture(1, 2), adam, seed=0, start="data")
    with pytest.raises(ConfigError, match="noise"):
        sm(noise=0.0)
    with pytest.raises(ConfigError, match="mean"):
        sm(mean="linear")
    with pytest.raises(ConfigError, match="given"):
        ExactGP(RBF(1), adam, seed=0, start="given").begin(data().problem())
    given = ExactGP(RBF(1, given=(5.0, 16.0)), adam, seed=0, start="given")
    given.begin(data().problem())
    assert float(given.network.length()) == pytest.approx(5.0)


def _falling(optimizer):
    return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)
