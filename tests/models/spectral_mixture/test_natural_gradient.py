"""The natural gradient against its definition, literal lines and plain Adam."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.models.spectral_mixture.identities import SignStudy, WeightSpaceStudy
from reprise.models.spectral_mixture.natural_gradient import NaturalAdam, natural_mean, natural_scale


def groups(inputs: int, seed: int = 0) -> list[dict]:
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randn(4, inputs, generator=generator).double().requires_grad_() for _ in range(3)]
    return [{"params": [p], "role": role} for p, role in zip(made, ("log_mean", "log_scale", "other"), strict=True)]


def give(found: list[dict], step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    for group in found:
        p = group["params"][0]
        p.grad = torch.randn(p.shape, generator=generator).double()
    return [group["params"][0].grad.clone() for group in found]


def test_fisher_information_by_sampling() -> None:
    mu, sigma = torch.tensor(1.3).double(), torch.tensor(0.4).double()
    z = torch.randn(200000, generator=torch.Generator().manual_seed(0)).double()
    normal, f, h = torch.distributions.Normal, mu + sigma * z, 1e-4

    def score(by_mean: float, by_scale: float) -> torch.Tensor:
        """Of the log density along a direction of (log mu, log sigma), by differences."""
        up, down = (normal(mu * math.exp(s * by_mean), sigma * math.exp(s * by_scale)) for s in (h, -h))
        return (up.log_prob(f) - down.log_prob(f)) / (2.0 * h)

    scores = torch.stack([score(1.0, 0.0), score(0.0, 1.0)], 1)
    fisher = scores.T @ scores / len(f)
    gradient = torch.tensor([0.7, -0.2]).double()
    exact = torch.linalg.solve(fisher, gradient)  # off its diagonal it is 0 but for sampling
    assert natural_mean(gradient[:1], mu, sigma, "fisher", 10.0)[0] == pytest.approx(float(exact[0]), rel=0.02)
    assert natural_scale(gradient[1:], "fisher")[0] == pytest.approx(float(exact[1]), rel=0.02)


@pytest.mark.parametrize("kind", ["normalised", "fisher"])
def test_steps_are_those_of_literal_lines(kind: str) -> None:
    ours, theirs = groups(3), [group["params"][0].detach().clone() for group in groups(3)]
    optimizer = NaturalAdam(ours, lr=0.02, betas=(0.9, 0.99), kind=kind, cap=0.5)
    first, second = [torch.zeros(4, 3).double() for _ in range(3)], [torch.zeros(4, 3).double() for _ in range(3)]
    for step in range(1, 6):
        gradients = give(ours, step)
        optimizer.step()
        for index in (1, 0, 2):  # scales come first: means use the scale of after its step
            g = gradients[index]
            if index == 1:
                g = 0.5 * g
            if index == 0:
                ratio = (theirs[1].exp() / (theirs[0].exp() + 1e-8)) ** 2
                g = g * (ratio.clamp(max=0.5) if kind == "fisher" else ratio)
            if index < 2 and kind == "normalised":
                g = g / (g.pow(2).sum(1, keepdim=True).sqrt() + 1e-8)
            first[index] = 0.9 * first[index] + 0.1 * g
            second[index] = 0.99 * second[index] + 0.01 * g * g
            denominator = second[index].sqrt() / math.sqrt(1 - 0.99**step) + 1e-8
            theirs[index] = theirs[index] - 0.02 / (1 - 0.9**step) * first[index] / denominator
    for group, p in zip(ours, theirs, strict=True):
        assert torch.allclose(group["params"][0], p, rtol=1e-10, atol=1e-12)


def test_other_parameters_get_plain_adam() -> None:
    ours, theirs = groups(2), groups(2)
    a, b = NaturalAdam(ours, lr=0.1), torch.optim.Adam(theirs, lr=0.1)
    for step in range(4):
        give(ours, step), give(theirs, step)
        a.step(), b.step()
    assert torch.allclose(ours[2]["params"][0], theirs[2]["params"][0])
    assert not torch.allclose(ours[0]["params"][0], theirs[0]["params"][0])


def test_state_survives_saving() -> None:
    ours, theirs = groups(2), groups(2)
    a, b = NaturalAdam(ours, lr=0.1), NaturalAdam(theirs, lr=0.1)
    for step in range(2):
        give(ours, step)
        a.step()
    b.load_state_dict(copy.deepcopy(a.state_dict()))
    for mine, other in zip(ours, theirs, strict=True):
        other["params"][0].data.copy_(mine["params"][0].data)
    give(ours, 9), give(theirs, 9)
    a.step(), b.step()
    assert torch.equal(ours[0]["params"][0], theirs[0]["params"][0])


def test_studies_of_identities() -> None:
    found = SignStudy(3).measure()
    assert found["test/natural/step"] == pytest.approx(found["test/sign/step"], abs=1e-6)
    assert abs(found["test/sign/step"]) > 1e-3
    found = WeightSpaceStudy(3).measure()
    assert found["test/weights/negative_log_marginal_likelihood"] == pytest.approx(
        found["test/kernel/negative_log_marginal_likelihood"], abs=1e-9
    )


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError, match="normalised, fisher"):
        NaturalAdam(groups(1), kind="best")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="role log_mean"):
        NaturalAdam([torch.zeros(2, requires_grad=True)])
