"""The objective of SVSS, its restarts, its predictions and its module."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from reprise.config.errors import ConfigError
from reprise.data.tabular.base import RegressionData, Table
from reprise.data.tabular.split import Split
from reprise.models.spectral_mixture.features import belongs, features, spectral_points
from reprise.models.spectral_mixture.initial import Start, periodogram, starts
from reprise.models.spectral_mixture.likelihood import by_kernel_matrix, predict_weights
from reprise.models.spectral_mixture.mixture import Mixture, kernel
from reprise.models.spectral_mixture.natural_gradient import NaturalAdam
from reprise.models.spectral_mixture.svss import (
    Logs,
    best_start,
    divergence,
    predict_exact,
    predict_features,
    sampled_likelihood,
)
from reprise.models.spectral_mixture.svss_module import SVSS
from reprise.models.spectral_mixture.vfe_module import VFE
from reprise.models.spectral_mixture.vssgp_module import VSSGP

ADAM = partial(torch.optim.Adam, lr=0.01, betas=(0.9, 0.99))
NATURAL = partial(NaturalAdam, lr=0.01, betas=(0.9, 0.99))


def wave(rows: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.arange(rows).double()[:, None]
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(rows))
    return x, 2.0 * torch.sin(2.0 * np.pi * x[:, 0] / 8.0) + 0.1 * noise


def logs(*leading: int, seed: int = 0, inputs: int = 1) -> Logs:
    rng = np.random.default_rng(seed)
    shapes: tuple[tuple[int, ...], ...] = ((3,), (3, inputs), (3, inputs), ())
    return Logs(*(torch.from_numpy(np.asarray(0.3 * rng.standard_normal((*leading, *s)) - 1.0)) for s in shapes))


def test_the_average_over_draws_and_models_is_that_of_one_by_one() -> None:
    x, y = wave()
    many, counts = logs(2), torch.tensor([[2, 3, 1], [1, 1, 4]])
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 5, 6, 1)))
    found = sampled_likelihood(many, counts, noise, x, y)
    for r in range(2):
        one = Logs(*(part[r] for part in many))
        each = []
        for b in range(5):
            drawn = spectral_points(one.mixture(), counts[r], belongs(counts[r]), noise[r, b])
            phi = features(x, drawn)
            each.append(float(by_kernel_matrix(phi @ phi.T, y, one.s.exp())))
        assert float(found[r]) == pytest.approx(np.mean(each), rel=1e-8)


def test_gradient_of_the_objective() -> None:
    x, y = wave(8)
    counts, noise = torch.tensor([1, 1, 1]), torch.from_numpy(np.random.default_rng(2).standard_normal((2, 3, 1)))
    parameters = [part.requires_grad_() for part in logs()]
    prior = torch.ones(3, 1).double()

    def loss(*parts: torch.Tensor) -> torch.Tensor:
        return sampled_likelihood(Logs(*parts), counts, noise, x, y) + divergence(Logs(*parts), prior, prior)

    assert torch.autograd.gradcheck(loss, parameters, atol=1e-5)


def test_restarts_side_by_side_are_restarts_one_by_one() -> None:
    x, y = wave()
    made = starts(x.numpy(), y.numpy(), 3, 3, 0.1, "released", np.random.default_rng(0))
    counts = torch.tensor([2, 2, 2])
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal((13, 1, 6, 1)))

    def loss(parts: Logs, mu: torch.Tensor, sigma: torch.Tensor, iteration: int) -> torch.Tensor:
        return sampled_likelihood(parts, counts.expand(*parts.w.shape), noise[iteration], x, y) + divergence(
            parts, mu, sigma
        )

    for optimizer in (ADAM, NATURAL):
        together = best_start(made, loss, optimizer, 12)
        alone = []
        for r in range(3):
            mixture = Mixture(*(part[r : r + 1] for part in made.mixture))
            alone.append(best_start(Start(mixture, *(part[r : r + 1] for part in made[1:])), loss, optimizer, 12))
        losses = torch.cat([one.losses for one in alone])
        assert torch.allclose(together.losses, losses, rtol=1e-6)
        best = alone[int(losses.argmin())]
        assert torch.allclose(together.logs.mu, best.logs.mu, rtol=1e-5)
        assert torch.equal(together.prior_mu, best.prior_mu)


def test_predictions_of_draws_are_a_mixture_of_textbook_ones() -> None:
    (x, y), parts, counts = wave(), logs(), torch.tensor([2, 1, 3])
    noise, new = (
        torch.from_numpy(np.random.default_rng(3).standard_normal((7, 6, 1))),
        torch.linspace(0, 60, 9).double()[:, None],
    )
    each = []
    for eps in noise:
        drawn = spectral_points(parts.mixture(), counts, belongs(counts), eps)
        each.append(predict_weights(features(x, drawn), y, parts.s.exp(), features(new, drawn)))
    means, variances = (torch.stack(part) for part in zip(*each, strict=True))
    mean, variance = predict_features(parts, counts, noise, x, y, new, between=True)
    assert torch.allclose(mean, means.mean(0))
    assert torch.allclose(variance, (variances + means.square()).mean(0) - means.mean(0).square())
    assert torch.allclose(predict_features(parts, counts, noise, x, y, new, between=False)[1], variances.mean(0))
    exact = predict_exact(parts, x, y, new)
    noisy = kernel(parts.mixture(), x, x) + parts.s.exp().square() * torch.eye(40).double()
    assert torch.allclose(exact[0], kernel(parts.mixture(), new, x) @ torch.linalg.solve(noisy, y), atol=1e-6)


def test_starts_find_the_frequency_and_follow_the_released_recipe() -> None:
    x, y = wave(80)
    frequencies, density = periodogram(x[:, 0].numpy(), y.numpy())
    assert frequencies[density.argmax()] == pytest.approx(1 / 8)
    made = starts(x.numpy(), y.numpy(), 2, 4, 0.1, "released", np.random.default_rng(0))
    assert ((made.mixture.mu[..., 0] - 1 / 8).abs().amin(1) < 0.01).all()
    assert float(made.s[0]) == pytest.approx(0.1 * float(y.std(correction=0)))
    assert (made.mixture.w == 1).all() and float(made.prior_mu.max()) < 0.5 and float(made.prior_sigma.max()) < 0.1
    several = starts(
        torch.randn(20, 3).double().numpy(), y[:20].numpy(), 5, 2, 0.1, "initial", np.random.default_rng(0)
    )
    assert several.mixture.mu.shape == (2, 5, 3) and float(several.mixture.mu.max()) < 0.25
    assert float(several.mixture.sigma.min()) >= 0.05 and float(several.mixture.sigma.max()) < 0.5
    assert torch.equal(several.prior_mu, several.mixture.mu) and (several.prior_sigma == 1).all()


class Waves(RegressionData):
    def read(self) -> Table:
        x, y = wave(60)
        rows = np.arange(60)
        return Table("waves", x.numpy(), y.numpy(), {"made": "here"}, [Split(rows[:40], rows[40:45], rows[45:])])


def fit(module: pl.LightningModule, tmp_path, steps: int, state: str | None = None) -> tuple[pl.Trainer, Waves]:
    data = Waves(inputs=1, seed=0, split="given")

    class Count(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            data.iteration += 1

        def on_train_start(self, trainer, module):
            data.iteration = trainer.global_step

    trainer = pl.Trainer(
        max_steps=steps, callbacks=[Count()], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, max_epochs=-1, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(module, datamodule=data, ckpt_path=state)
    return trainer, data


def svss(optimizer=NATURAL, **settings) -> SVSS:
    return SVSS(1, optimizer, seed=0, **({"components": 3, "points": 3, "rule": "weighted"} | settings))


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_is_resumed_is_the_run(tmp_path) -> None:
    whole, half, rest = (svss(restarts=2, restart_iterations=5, rule="weighted", allot_every=4) for _ in range(3))
    fit(whole, tmp_path, 10)
    trainer, _ = fit(half, tmp_path, 5)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    fit(rest, tmp_path, 10, str(tmp_path / "half.ckpt"))
    for a, b in zip(whole.state_dict().values(), rest.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert not torch.equal(whole.log_mu, half.log_mu)


@pytest.mark.filterwarnings("ignore")
def test_learns_the_wave_and_reports_both_ways(tmp_path) -> None:
    module = svss(ADAM, track_every=1, recent=5, track_last=5, rmse_at=20, prediction="features", prediction_draws=3)
    trainer, data = fit(module, tmp_path, 150)
    assert int(module.iterates.seen) == 4  # the fifth is left to the evaluation
    found = trainer.test(module, datamodule=data, verbose=False)[0]
    assert found["test/exact/rmse"] < 0.5 and found["test/features/rmse"] == pytest.approx(found["test/rmse"])
    assert found["test/rmse_median_last_5"] < 1.0 and found["test/failed_start"] == 0.0
    assert found["test/exact/mnll"] != found["test/features/mnll"]
    assert 0.0 < trainer.validate(module, datamodule=data, verbose=False)[0]["val/rmse_iteration_20"] < 5.0
    assert [sample.name for sample in module.samples] == ["prediction", "spectral_density"]
    shares = module.samples[1].series
    assert np.argmax(shares["learnt"]) == np.argmax(shares["periodogram"]) == 5  # of 40 months, a period of 8


@pytest.mark.filterwarnings("ignore")
def test_the_best_iterate_is_measured_with_its_own_allocation(tmp_path) -> None:
    module = svss(partial(torch.optim.Adam, lr=0.05), points=12, track_every=1, choose="validation", share=0.5)
    noted: list[tuple[float, torch.Tensor]] = []
    add = module.iterates.add

    def note(val: torch.Tensor, test: torch.Tensor) -> None:
        noted.append((float(val), module.counts.clone()))
        add(val, test)

    module.iterates.add = note
    trainer, data = fit(module, tmp_path, 60)
    best = min(noted, key=lambda pair: pair[0])[1]
    last = module.counts.clone()
    assert not torch.equal(best, last)
    with module.iterates.best():
        assert torch.equal(module.counts, best)
    assert torch.equal(module.counts, last)
    measured = []
    module.measures = lambda batch: measured.append(module.counts.clone()) or {}
    trainer.test(module, datamodule=data, verbose=False)
    assert torch.equal(measured[0], module.iterates.best_counts)
    assert torch.equal(module.counts, last)


def test_variants_differ_in_noise_and_divergence() -> None:
    x, y = wave()
    batch = {"x": x, "y": y}
    frozen, redrawn, variational = (svss(ADAM, rule="equal", variant=v) for v in ("frozen", "redrawn", "variational"))
    assert torch.equal(frozen.draw("training", 3, 1), frozen.draw("prediction", 9, 5))
    assert not torch.equal(redrawn.draw("training", 3, 1), redrawn.draw("training", 4, 1))
    losses = {}
    for module in (frozen, redrawn, variational):
        module.start(batch)
        module.eval()
        losses[module.variant] = float(module.objective(batch).detach())
    kl = float(divergence(variational.logs, variational.prior_mu, variational.prior_sigma).detach())
    assert losses["variational"] - losses["redrawn"] == pytest.approx(kl)
    assert losses["frozen"] != losses["redrawn"]


def test_a_failed_start_is_told() -> None:
    x, y = wave()
    module = svss(ADAM, rule="equal")
    module.start({"x": x, "y": y})
    assert not module.failed({"x": x, "y": y})
    module.log_w.data.fill_(-20.0)
    module.log_s.data.fill_(float(y.square().mean().sqrt().log()))
    assert module.failed({"x": x, "y": y})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["vfe", "vssgp"])
def test_rivals_learn_the_wave(kind: str, tmp_path) -> None:
    if kind == "vfe":
        module = VFE(1, partial(torch.optim.Adam, lr=0.05), 0, components=2, points=8)
        steps = 80
    else:
        lbfgs = partial(torch.optim.LBFGS, lr=1.0, max_iter=1, max_eval=25, line_search_fn="strong_wolfe")
        module, steps = VSSGP(1, lbfgs, 0, features=10, lengths=[2.0]), 60
    trainer, data = fit(module, tmp_path, steps)
    found = trainer.test(module, datamodule=data, verbose=False)[0]
    assert found["test/train_rmse"] < 0.3 and found["test/mnll"] < 5.0


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError, match="frozen, redrawn, variational"):
        svss(variant="fixed")
    with pytest.raises(ConfigError, match="rule=equal"):
        svss(variant="frozen")
    with pytest.raises(ConfigError, match="components is 0"):
        svss(components=0)
    with pytest.raises(ConfigError, match="points is 0"):
        VFE(1, ADAM, 0, points=0)
    with pytest.raises(ConfigError, match="lengths"):
        VSSGP(1, ADAM, 0, lengths=[])
