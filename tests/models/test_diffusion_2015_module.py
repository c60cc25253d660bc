"""Networks with a readout for each step, and the module around chain and network."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.lower_bound import BoundBits, StepTerms
from reprise.models.diffusion_2015.binomial import BinomialChain
from reprise.models.diffusion_2015.chain import Chain
from reprise.models.diffusion_2015.gaussian import GaussianChain
from reprise.models.diffusion_2015.module import Diffusion2015
from reprise.models.diffusion_2015.network import RadialBasisNetwork, SigmoidPerceptron, StepReadout
from reprise.models.diffusion_2015.schedule import DiffusionRates

ADAM = functools.partial(torch.optim.Adam, lr=1e-2)


def gaussian(**settings: Any) -> Diffusion2015:
    torch.manual_seed(0)
    chain = GaussianChain(DiffusionRates(7, "erase_half", learned=True, first=1e-3))
    return Diffusion2015(RadialBasisNetwork(2, 7), chain, [2], ADAM, 0, **settings)


def binomial(**settings: Any) -> Diffusion2015:
    torch.manual_seed(0)
    chain = BinomialChain(DiffusionRates(9), 0.2, "perturbed")
    return Diffusion2015(SigmoidPerceptron(4, 9, hidden=6, layers=2), chain, [4], ADAM, 0, **settings)


def batch(model: Diffusion2015, numbers: list[int]) -> dict[str, Any]:
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(9))[numbers]
    if isinstance(model.chain, BinomialChain):
        x = (torch.arange(4) % 2 == torch.tensor(numbers)[:, None] % 2).to(torch.uint8)
    names = [f"test-{n}" for n in numbers]
    return {"x": x, "position": torch.tensor(numbers), "id": names, "group": torch.zeros(len(numbers))}


def fill(model: nn.Module) -> None:
    """Readouts are zero at first; these are not."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)


def test_parameter_counts() -> None:
    roll = RadialBasisNetwork(2, 40)
    assert sum(p.numel() for p in roll.parameters()) == 16 * 2 + 16 + 40 * 2 * 16 * 2
    beat = SigmoidPerceptron(20, 2000)
    shared = (20 * 50 + 50) + 2 * (50 * 50 + 50)
    assert sum(p.numel() for p in beat.parameters()) == shared + 2000 * (50 * 20 + 20)


@pytest.mark.parametrize("steps", [[1, 1, 2, 2, 5, 5], [1, 2, 3], [4, 4, 4], [3, 1, 1, 5], [2]])
def test_a_readout_belongs_to_its_step(steps: list[int]) -> None:
    readout = StepReadout(5, 3, 2)
    fill(readout)
    hidden = torch.randn(len(steps), 3)
    expected = torch.stack(
        [h @ readout.weight[t - 1] + readout.bias[t - 1] for h, t in zip(hidden, steps, strict=True)]
    )  # type: ignore[index]
    torch.testing.assert_close(readout(hidden, torch.tensor(steps)), expected)


def test_radial_basis_functions_literally() -> None:
    network = RadialBasisNetwork(2, 3, hidden=4).requires_grad_(False)
    fill(network)
    x, t = torch.tensor([0.3, -0.8]), 2
    weight = [
        math.exp(-float(((x - c) ** 2).sum()) / (2 * float(w) ** 2))
        for c, w in zip(network.centres, network.log_widths.exp(), strict=True)
    ]
    phi = torch.tensor(weight) / sum(weight)
    mean, variance = network(x[None], torch.tensor([t]))
    torch.testing.assert_close(mean[0], phi @ network.mean.weight[t - 1])
    torch.testing.assert_close(variance[0], phi @ network.variance.weight[t - 1])


@pytest.mark.parametrize("build", [gaussian, binomial])
def test_random_steps_estimate_the_bound(build: Any) -> None:
    """Over many positions the estimate from two steps has the mean of the whole bound."""
    few, whole = build(steps_per_example=2), build()
    for model in (few, whole):
        fill(model)
    one = batch(few, [3])
    many = {"x": one["x"].expand(3000, -1), "position": torch.arange(3000)}
    with torch.no_grad():
        sampled, full = float(few.training_step(many, 0)), float(whole.training_step(many, 0))
    assert sampled == pytest.approx(full, rel=0.05)


@pytest.mark.parametrize("build", [gaussian, binomial])
def test_the_measure_is_an_example_s_own(build: Any) -> None:
    """Neither the batch nor the rows at once change it; more trajectories change it a little."""
    model, narrow = build(), build(rows=5)
    fill(model)
    narrow.load_state_dict(model.state_dict())
    together, alone = model.measure(batch(model, [1, 2, 3]))[0], model.measure(batch(model, [2]))[0]
    torch.testing.assert_close(together[1:2], alone)
    torch.testing.assert_close(narrow.measure(batch(model, [1, 2, 3]))[0], together)
    averaged = build(trajectories=3)
    averaged.load_state_dict(model.state_dict())
    assert not torch.equal(averaged.measure(batch(model, [2]))[0], alone)


@pytest.mark.parametrize("build", [gaussian, binomial])
def test_the_parts_of_the_bound_add_up(build: Any) -> None:
    model = build(divisor=2)
    fill(model)
    data = batch(model, [1, 2])
    bound, gain, terms = model.measure(data)
    x_0 = data["x"].float()
    torch.testing.assert_close(bound - gain, model.chain.log_prior(x_0))
    torch.testing.assert_close(gain, (model.chain.ends(model.chain.table(), x_0) - terms.sum(1)).detach())
    assert (terms >= 0).all() and terms.shape == (2, model.chain.steps - 1)


def test_training_raises_the_bound_and_moves_the_rates() -> None:
    model = gaussian(rates_lr=0.1)
    data = {"x": torch.tensor([[1.0, 1.0], [-1.0, -1.0]]).repeat(32, 1), "position": torch.arange(64)}
    optimizer = model.configure_optimizers()
    assert [group["lr"] for group in optimizer.param_groups] == [1e-2, 0.1]
    rates = model.chain.rates().detach().clone()
    losses = []
    for step in range(60):
        loss = model.training_step(data | {"position": torch.arange(64) + 64 * step}, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) / 5 < sum(losses[:5]) / 5 - 0.5
    moved = model.chain.rates().detach()
    assert moved[0] == rates[0] and (moved[1:] != rates[1:]).all()


@pytest.mark.parametrize("build", [gaussian, binomial])
def test_generated_examples_follow_key_and_seed(build: Any) -> None:
    model = build()
    fill(model)
    steps: list[int] = []
    first = model.generate([None] * 3, seed=1, keys=[5, 6, 7], on_step=steps.append)
    assert steps == list(range(model.generate_steps() - 1, -1, -1))
    again = model.generate([None], seed=1, keys=[6])
    torch.testing.assert_close(first[1], again[0])
    assert not torch.equal(first[1], model.generate([None], seed=2, keys=[6])[0])
    assert first[0].shape == model.shape
    assert model.inputs_for() == "none"


def test_an_image_network_fits_the_contract() -> None:
    """Any shape, outputs of the shape of x: what branches of image networks rely on."""

    class Convolutions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.both = nn.Conv2d(3, 6, 3, padding=1)

        def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            mean, variance = (self.both(x) * (t / 5.0)[:, None, None, None]).chunk(2, 1)
            return mean, variance

    chain: Chain = GaussianChain(DiffusionRates(5, "erase_half", first=1e-3))
    model = Diffusion2015(Convolutions(), chain, [3, 4, 4], ADAM, 0, steps_per_example=1, divisor=16)
    data = {"x": torch.randn(2, 3, 4, 4), "position": torch.tensor([0, 1]), "id": ["a", "b"]}
    loss = model.training_step(data, 0)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.network.parameters())
    assert model.measure(data)[0].shape == (2,)
    assert model.generate([None])[0].shape == (3, 4, 4)


def test_bounds_in_bits() -> None:
    metric = BoundBits(4)
    metric.update(torch.tensor([math.log(2.0), 3 * math.log(2.0)]))
    metric.update(torch.tensor([8 * math.log(2.0)]))
    assert float(metric.compute()) == pytest.approx((1 + 3 + 8) / 3 / 4)
    with pytest.raises(ValueError, match=r"\(B,\)"):
        metric.update(torch.zeros(2, 2))
    terms = StepTerms(2)
    terms.update(torch.tensor([[1.0, 2.0], [3.0, 6.0]]) * math.log(2.0))
    torch.testing.assert_close(terms.compute(), torch.tensor([2.0, 4.0], dtype=torch.float64))
    with pytest.raises(ValueError, match="terms"):
        terms.update(torch.zeros(1, 3))


def test_versions_and_refusals() -> None:
    versions = gaussian().metric_versions()
    assert {versions[name] for name in ("test/bound_bits", "test/bound_gain_bits", "val/bound_bits")} == {1}
    with pytest.raises(ConfigError, match="Expected 1 to 6"):
        gaussian(steps_per_example=7)
    with pytest.raises(ConfigError, match=r"model\.rows is 0"):
        gaussian(rows=0)
    with pytest.raises(ConfigError, match=r"model\.samples is -1"):
        gaussian(samples=-1)
