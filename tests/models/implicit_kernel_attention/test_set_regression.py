"""Regression with a Transformer over the points of a data set."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from reprise.config.errors import ConfigError
from reprise.data.tabular.base import RegressionData, Table
from reprise.models.implicit_kernel_attention.module import SetRegression
from reprise.models.implicit_kernel_attention.network import SetTransformer
from reprise.nn.attention.base import fixed_draw
from reprise.nn.attention.dot import DotProduct
from reprise.nn.attention.generated import GeneratedPoints
from reprise.nn.attention.implicit import ImplicitKernel
from reprise.nn.attention.spectral import DirectPoints

KINDS = {
    "dot": DotProduct,
    "direct": functools.partial(ImplicitKernel, points=DirectPoints, p=3.0),
    "mikan": functools.partial(ImplicitKernel, points=GeneratedPoints, p=1.8),
}


def network(kind: str, inputs: int = 1, as_released: bool = False, heads: int = 8) -> SetTransformer:
    torch.manual_seed(0)
    attention = KINDS[kind]
    if as_released and kind != "dot":
        attention = functools.partial(attention, as_released=True)
    return SetTransformer(inputs, attention, heads=heads, as_released=as_released)


class Waves(RegressionData):
    def read(self) -> Table:
        x = np.linspace(-1.0, 1.0, 30)[:, None]
        return Table("waves", x, np.sin(5.0 * x[:, 0]), {"made": "here"}, x_label="time", y_label="height")


def module(kind: str, data: RegressionData, **settings) -> SetRegression:
    made = SetRegression(network(kind), functools.partial(torch.optim.Adam, lr=0.01), seed=3, **settings)

    class Place:
        datamodule = data

    made._trainer = Place()
    return made


@pytest.mark.parametrize(("kind", "count"), [("dot", 33_602), ("direct", 41_794), ("mikan", 34_386)])
def test_numbers_of_parameters_are_those_measured_with_the_authors_code(kind, count) -> None:
    released, own = network(kind, as_released=True), network(kind)
    assert sum(p.numel() for p in released.parameters()) == count
    assert sum(p.numel() for p in own.parameters()) == count - 8192 - 1
    assert sum(p.numel() for p in network(kind, 13, True).parameters()) == count + 12 * 64 + 12


@pytest.mark.parametrize("kind", KINDS)
def test_unused_parameters_change_nothing(kind) -> None:
    with_them, without = network(kind, as_released=True), network(kind)
    assert not with_them.load_state_dict(without.state_dict(), strict=False).unexpected_keys
    x = torch.randn(9, 1)
    if kind == "dot":
        assert torch.equal(with_them(x)[0], without(x)[0])
    loss = with_them(x, fixed_draw(1))[0].sum()
    loss.backward()
    assert all(p.grad is None for p in with_them.unused)


def literal(net: SetTransformer, x: np.ndarray, kind: str, p: float, s: float, noise=None, released=False):
    """The formulas of the method, one point and one head at a time where it is not a matrix product."""
    w = {k: v.detach().double().numpy() for k, v in net.state_dict().items()}

    def linear(name, z):
        return z @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name, z):
        z = (z - z.mean(-1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True) + 1e-5)
        return z * w[f"{name}.weight"] + w[f"{name}.bias"]

    def leaky(z):
        return np.where(z > 0, z, 0.2 * z)

    a = "layers.0.attend"
    x = linear("embed", x)
    q, k, v = (linear(f"{a}.to_{n}", x).reshape(len(x), 8, 8) for n in "qkv")
    out, penalty = np.zeros((len(x), 8, 8)), 0.0
    for h in range(8):
        if kind == "dot":
            energy = q[:, h] @ k[:, h].T / np.sqrt(8)
        else:
            points = f"{a}.attention.points"
            if kind == "direct":
                w1, w2 = w[f"{points}.first"][h], w[f"{points}.second"][h]
            else:
                pooled = np.concatenate([q.mean(0), k.mean(0)], -1)
                hidden = leaky(linear(f"{points}.encoder", pooled))
                mu = linear(f"{points}.mean", hidden)
                var = np.exp(linear(f"{points}.log_variance", hidden) + np.log(0.1))
                u = np.tanh(linear(f"{points}.copula", hidden))
                factor = np.concatenate([u[h] * u[:h], np.ones((1, 8))])  # row h of stril(u u') + I, by feature
                prior = 0.1
                if released:  # sums of rows, clamped; variances as deviations
                    normal, deviation = np.clip(factor.sum(0) * noise[h], -2, 2), var[h]
                    penalty += 0.1 * (np.log(prior / var[h]) + (var[h] ** 2 + mu[h] ** 2) / (2 * prior**2) - 0.5).sum()
                    cdf = torch.special.ndtr(torch.from_numpy(normal)).numpy()
                    penalty -= (cdf * np.log(cdf + 1e-5)).sum()
                else:
                    length = (factor**2).sum(0) ** 0.5
                    normal = (factor[:, None] * noise[: h + 1]).sum(0) / length
                    deviation = var[h] ** 0.5
                    penalty += 0.1 * 0.5 * (np.log(prior / var[h]) + (var[h] + mu[h] ** 2) / prior - 1).sum()
                    penalty += np.log(length).sum()
                side = np.repeat([1.0, -1.0], 32)[:, None]
                z = side * mu[h] + deviation * normal
                w1, w2 = (odd(linear, leaky, f"{points}.to_{n}", z) for n in ("first", "second"))
            phi = [
                np.concatenate(
                    [np.cos(2 * np.pi * z @ w1.T) + np.cos(2 * np.pi * z @ w2.T),
                     np.sin(2 * np.pi * z @ w1.T) + np.sin(2 * np.pi * z @ w2.T)], -1
                )
                for z in (q[:, h], k[:, h])
            ]  # fmt: skip
            kernel = phi[0] @ phi[1].T / (4 * 64)
            size = [(np.abs(z) ** p).sum(-1) ** (2 / p) for z in (q[:, h], k[:, h])]
            energy = np.log(kernel**2 + 1e-5) + (size[0][:, None] + size[1][None]) / (2 * s)
        alpha = np.exp(energy - energy.max(-1, keepdims=True))
        out[:, h] = alpha / alpha.sum(-1, keepdims=True) @ v[:, h]
    x = norm("layers.0.attend_norm", x + linear(f"{a}.out", out.reshape(len(x), 64)))
    feed = np.maximum(linear("layers.0.first", x), 0)
    x = norm("layers.0.feed_norm", x + np.maximum(linear("layers.0.second", feed), 0))
    return linear("head", x)[:, 0], penalty


def odd(linear, leaky, name, z):
    h = np.abs(z)
    for i in range(2):
        h = leaky(linear(f"{name}.layers.{i}", h))
    return np.sign(z) * linear(f"{name}.layers.2", h)


@pytest.mark.parametrize(
    ("kind", "as_released", "p", "s"),
    [
        ("dot", False, 2.0, 0.0),
        ("direct", False, 3.0, 8**0.5),
        ("direct", True, 3.0, 8**0.25),
        ("mikan", False, 1.8, 8**0.5),
        ("mikan", True, 1.8, 8**0.25),
    ],
)
def test_forward_is_that_of_literal_formulas(kind, as_released, p, s) -> None:
    net = network(kind, 3, as_released).double().eval()
    x = torch.randn(11, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    noise = torch.randn(8, 64, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    y, penalty = net(x, lambda shape: noise.reshape(shape))
    expected, extra = literal(net, x.numpy(), kind, p, s, noise.numpy(), as_released)
    assert np.allclose(y.detach().numpy(), expected, atol=1e-8)
    assert float(penalty.detach()) == pytest.approx(extra, rel=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_points_does_not_matter(kind) -> None:
    net = network(kind, 2).double().eval()
    x, order = torch.randn(12, 2, dtype=torch.float64), torch.randperm(12)
    assert torch.allclose(net(x, fixed_draw(1))[0][order], net(x[order], fixed_draw(1))[0], atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_held_out_targets_never_enter(kind) -> None:
    data = Waves(1, 0, val_share=0.2)
    batch = data.problem()
    other = batch | {"y_test": batch["y_test"] + 9.0, "y_val": batch["y_val"] - 9.0}
    made = module(kind, data)
    losses = []
    for given in (batch, other):
        torch.manual_seed(0)
        losses.append(made.objective(given))
    assert torch.equal(*losses)
    made.eval()
    one, two = (made.predict_parts(given, ("train", "val", "test")) for given in (batch, other))
    assert all(torch.equal(one[part].mean, two[part].mean) for part in ("train", "val", "test"))
    moved = batch | {"x_test": batch["x_test"] + 0.5}  # their inputs do: they are tokens
    assert not torch.equal(made.objective(moved), made.objective(batch))


def test_one_pass_tracks_what_two_do() -> None:
    data = Waves(1, 0, val_share=0.2)
    data.iteration = 4
    batch, made = data.problem(), module("dot", data, track_every=1)
    assert made.network.deterministic and not network("direct").deterministic
    shared = made.training_step(batch, 0)
    kept = float(made.iterates.best_test), float(made.iterates.best_val)
    twice = module("dot", data, track_every=1)
    assert torch.equal(super(SetRegression, twice).training_step(batch, 0), shared)
    assert kept == (float(twice.iterates.best_test), float(twice.iterates.best_val))
    assert int(made.iterates.seen) == 1 and made.training


def test_draws_belong_to_the_iteration() -> None:
    data = Waves(1, 0)
    made = module("mikan", data, track_every=1, redraw=True)

    def numbers():
        return made._draw()((2, 3))

    first = numbers()
    assert torch.equal(first, numbers())
    data.iteration = 1
    assert not torch.equal(first, numbers())
    made.eval()
    first = numbers()
    made.iterates.seen += 1
    assert not torch.equal(first, numbers())
    made.redraw = False
    made.iterates.seen += 1
    first = numbers()
    made.iterates.seen += 1
    assert torch.equal(first, numbers())


def fit(kind: str, steps: int, before: SetRegression | None = None):
    data = Waves(1, 0)
    made = SetRegression(network(kind), functools.partial(torch.optim.SGD, lr=0.01), seed=3, track_every=1)
    if before is not None:
        made.load_state_dict(before.state_dict())
        data.iteration = 3

    class Count(pl.Callback):
        def on_train_batch_start(self, *_):
            torch.manual_seed(data.iteration)  # dropout's state, which a checkpoint holds, too

        def on_train_batch_end(self, *_):
            data.iteration += 1

    trainer = pl.Trainer(
        max_steps=steps, callbacks=[Count()], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, max_epochs=-1, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(made, datamodule=data)
    return made, data, trainer


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["dot", "mikan"])
def test_resumed_is_uninterrupted(kind) -> None:
    whole, data, trainer = fit(kind, 6)
    half, *_ = fit(kind, 3)
    rest, *_ = fit(kind, 3, half)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), rest.state_dict().values(), strict=True))
    found = trainer.test(whole, datamodule=data, verbose=False)[0]
    assert found["test/rmse_best_epoch"] <= found["test/rmse"] + 1e-6
    assert found["test/parameters"] == sum(p.numel() for p in whole.network.parameters())
    assert 0 < found["test/attention_entropy"] <= np.log(30)
    assert whole.samples[0].x[1] == sorted(whole.samples[0].x[1]) and len(whole.samples[0].mean) == 30
    maps = whole.samples[1].decomposition
    assert maps.weights.shape == (8, 30, 30)
    assert torch.allclose(maps.weights.sum(-1), torch.ones(8, 30), atol=1e-4)
    alone = whole.eval().predict(data.problem(), data.problem()["x_test"]).mean
    parts = whole.predict_parts(data.problem(), ("test",))["test"].mean
    assert torch.allclose(alone, parts, atol=1e-5)  # the same tokens where there is no validation part


def test_heads_have_to_divide_the_width() -> None:
    with pytest.raises(ConfigError, match="divide"):
        network("dot", heads=7)
