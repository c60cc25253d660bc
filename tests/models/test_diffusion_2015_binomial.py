"""The binomial chain against every trajectory of a few bits."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.diffusion_2015.binomial import BinomialChain
from reprise.models.diffusion_2015.chain import Known
from reprise.models.diffusion_2015.schedule import DiffusionRates
from reprise.nn.randomness import ExampleDraws

BITS, STEPS, RATE = 3, 4, 0.3
STATES = torch.tensor(list(itertools.product((0.0, 1.0), repeat=BITS)))


class Table(nn.Module):
    """A reverse step for each state and step."""

    def __init__(self, odds: Tensor) -> None:
        super().__init__()
        self.odds = odds  # (T + 1, states, bits)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        number = (x * torch.tensor([4.0, 2.0, 1.0])).sum(1).long()
        return self.odds[t, number]


def chain(reverse: str = "direct", steps: int = STEPS) -> BinomialChain:
    return BinomialChain(DiffusionRates(steps, "erase"), RATE, reverse)  # type: ignore[arg-type]


def kernels(c: BinomialChain) -> list[Tensor]:
    """q(x_t | x_{t-1}) as matrices [x_{t-1}, x_t], one for each step."""
    found = []
    for beta in c.rates():
        rates = STATES.double() * (1.0 - beta) + beta * RATE  # (from, bits)
        found.append(torch.where(STATES[None] == 1, rates[:, None], 1 - rates[:, None]).prod(2))
    return found


def prior() -> Tensor:
    """pi of each state."""
    return (STATES.double() * RATE + (1 - STATES.double()) * (1 - RATE)).prod(1)


def reverses(c: BinomialChain, network: nn.Module) -> list[Tensor]:
    """p(x_{t-1} | x_t) as matrices [x_t, x_{t-1}]; the first is fixed."""
    first = kernels(c)[0]
    found = [first]  # the kernel is its own reverse with respect to the prior
    for t in range(2, c.steps + 1):
        odds = c.reverse(network, c.table(), STATES, torch.full((8,), t)).double()
        rates = torch.sigmoid(odds)
        found.append(torch.where(STATES[None] == 1, rates[:, None], 1 - rates[:, None]).prod(2))
    return found


def log_likelihood(c: BinomialChain, network: nn.Module) -> Tensor:
    """log p(x_0) of each state, summed over all trajectories."""
    p = prior()
    for matrix in reversed(reverses(c, network)):
        p = p @ matrix
    return p.log()


def exact_bound(c: BinomialChain, network: nn.Module) -> Tensor:
    """K(x_0) = E_q log p(x_0 ... x_T) / q(x_1 ... x_T | x_0) of each state, summed over all trajectories."""
    log_q, log_p = [k.log() for k in kernels(c)], [k.log() for k in reverses(c, network)]
    paths = torch.cartesian_prod(*[torch.arange(8)] * c.steps)
    found = []
    for start in range(8):
        states = torch.cat([torch.full((len(paths), 1), start), paths], 1).T
        forward = sum(log_q[t][states[t], states[t + 1]] for t in range(c.steps))
        backward = prior().log()[states[-1]] + sum(log_p[t][states[t + 1], states[t]] for t in range(c.steps))
        found.append((forward.exp() * (backward - forward)).sum())  # type: ignore[union-attr]
    return torch.stack(found)


def estimated_bound(c: BinomialChain, network: nn.Module, count: int) -> tuple[Tensor, Tensor]:
    """K(x_0) of each state and its standard error, from sampled x_t."""
    x_0 = STATES.repeat_interleave(count, 0)
    draws = ExampleDraws(0, "test", [0])
    noise = c.noise(draws, len(x_0), c.steps - 1, BITS)[0]
    t = torch.arange(2, c.steps + 1).expand(len(x_0), -1)
    terms = c.terms(network, c.table(), x_0, t, noise)
    bound = (c.log_prior(x_0) + c.ends(c.table(), x_0) - terms.sum(1)).reshape(8, count)
    return bound.mean(1), bound.std(1) / count**0.5


def some_network() -> Table:
    return Table(torch.randn(STEPS + 1, 8, BITS, generator=torch.Generator().manual_seed(0)))


def test_marginals_are_kernels_one_after_the_other() -> None:
    c, uniform = chain(), torch.linspace(0, 1, 20_001)[:-1, None].expand(-1, BITS)
    q = torch.eye(8, dtype=torch.float64)
    for t, kernel in enumerate(kernels(c), start=1):
        q = q @ kernel
        for number, x_0 in enumerate(STATES):
            rows = x_0.expand(len(uniform), BITS)
            drawn = c.diffuse(c.table(), rows, torch.full((len(rows),), t), uniform)
            expected = (q[number][:, None] * STATES).sum(0)
            torch.testing.assert_close(drawn.double().mean(0), expected, rtol=0, atol=2e-4)


def test_divergence_from_the_prior_is_that_of_all_states() -> None:
    c, q = chain(), torch.eye(8, dtype=torch.float64)
    for t, kernel in enumerate(kernels(c), start=1):
        q = q @ kernel
        expected = torch.where(q > 0, q * (q / prior()).log(), 0.0).sum(1)
        torch.testing.assert_close(c.divergence_from_prior(c.table(), STATES, torch.full((8,), t)), expected)


def test_terms_are_those_of_bayes_rule() -> None:
    c, network = chain(), some_network()
    q, p = kernels(c), reverses(c, network)
    marginal = q[0]
    for t in range(2, STEPS + 1):
        for start, x_0 in enumerate(STATES):
            joint = marginal[start][:, None] * q[t - 1]  # [x_{t-1}, x_t]
            posterior = joint / joint.sum(0)
            expected = (posterior * (posterior / p[t - 1].T).log()).sum(0)  # for each x_t
            noise = torch.rand(4000, BITS, generator=torch.Generator().manual_seed(t))
            rows, step = x_0.expand(4000, BITS), torch.full((4000,), t)
            x_t = c.diffuse(c.table(), rows, step, noise)
            number = (x_t * torch.tensor([4.0, 2.0, 1.0])).sum(1).long()
            found = c.term(network, c.table(), rows, step, noise)
            torch.testing.assert_close(found, expected[number], rtol=1e-5, atol=1e-6)
        marginal = marginal @ q[t - 1]


def test_the_bound_is_that_of_all_trajectories_and_below_the_log_likelihood() -> None:
    c, network = chain(), some_network()
    expected, (found, error) = exact_bound(c, network), estimated_bound(c, network, 4000)
    assert ((found - expected).abs() < 5 * error + 1e-6).all()
    assert (expected < log_likelihood(c, network)).all()


def test_the_bound_is_the_log_likelihood_where_the_reverse_is_the_posterior() -> None:
    """Where data are one state, the posterior has independent bits, as the reverse steps have: p(x_1) = q(x_1 | x_0).

    So K = E_q log p(x_0 | x_1), of the last step, which is fixed.
    """
    c, start = chain(), 5
    odds = torch.zeros(STEPS + 1, 8, BITS)
    for t in range(2, STEPS + 1):
        at = 4 * t + (2 * STATES + STATES[start]).long()
        odds[t] = c.table().log_odds[at]
    network = Table(odds)
    first = kernels(c)[0]
    likelihood, bound = exact_bound(c, network)[start], log_likelihood(c, network)[start]
    # p(x_1) = q(x_1 | x_0) exactly; what is lost is lost by the fixed step alone
    model = prior()
    for matrix in reversed(reverses(c, network)[1:]):
        model = model @ matrix
    torch.testing.assert_close(model, first[start], rtol=1e-5, atol=1e-8)
    # -E log p(x_0 | x_1), less KL(q(x_1 | x_0) || p(x_1)) = 0
    lost = -(first[start] * first[:, start].log()).sum()
    torch.testing.assert_close(likelihood, -lost, rtol=1e-5, atol=1e-7)
    assert float(bound) > float(likelihood)
    found, error = estimated_bound(c, network, 50)
    assert float((found[start] + lost).abs()) < 1e-5 and float(error[start]) < 1e-5


def test_the_stationary_chain_models_its_prior() -> None:
    """Outputs of 0 leave the forward kernels, which are their own reverse: p(x_0) is the prior."""
    c = chain("perturbed")
    torch.testing.assert_close(log_likelihood(c, Table(torch.zeros(STEPS + 1, 8, BITS))), prior().log())


def test_samples_have_the_model_s_probabilities() -> None:
    c, network, count = chain(), some_network(), 40_000
    draws = ExampleDraws(0, "test", [0])
    x = c.sample(network, lambda: c.noise(draws, count, BITS)[0])
    shares = torch.bincount((x * torch.tensor([4.0, 2.0, 1.0])).sum(1).long(), minlength=8) / count
    torch.testing.assert_close(shares.double(), log_likelihood(c, network).exp(), rtol=0, atol=0.012)


def test_known_bits_are_kept_and_doubtful_ones_are_weighed() -> None:
    c, network, count = chain(), some_network(), 20_000
    value, mask = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([True, False, True])
    draws = ExampleDraws(0, "test", [0])
    known = Known(value.expand(count, BITS), mask.expand(count, BITS))
    x = c.sample(network, lambda: c.noise(draws, count, BITS)[0], known)
    assert (x[:, 0] == 1).all() and (x[:, 2] == 0).all() and 0 < float(x[:, 1].mean()) < 1
    doubtful = Known(value.expand(count, BITS), mask.expand(count, BITS), noise=0.2)
    start = c.start(c.noise(draws, count, BITS)[0], doubtful).mean(0)
    odds = RATE / (1 - RATE)
    assert float(start[0]) == pytest.approx(4 * odds / (4 * odds + 1), abs=0.015)
    assert float(start[1]) == pytest.approx(RATE, abs=0.015)
    assert float(start[2]) == pytest.approx(odds / (odds + 4), abs=0.015)
    with pytest.raises(ValueError, match="below 1"):
        c.start(torch.zeros(1, BITS), Known(value[None], mask[None], noise=1.0))


def test_two_thousand_steps_keep_their_digits() -> None:
    """log-odds and entropies in single precision against float64, at the first and the last steps."""
    c = BinomialChain(DiffusionRates(2000, "erase"), 0.2)
    t = torch.tensor([2, 3, 1000, 1999, 2000])
    for x_0 in (0.0, 1.0):
        for x_t in (0.0, 1.0):
            beta, before = c.rates()[t - 1], (2001 - t).double() / 2000
            one = (1 - beta) + beta * 0.2
            like_one, like_zero = (one, beta * 0.2) if x_t else (1 - one, 1 - beta * 0.2)
            prior = 0.2 + before * (x_0 - 0.2)
            odds = (prior * like_one).log() - ((1 - prior) * like_zero).log()
            at = (4 * t + 2 * x_t + x_0).long()
            torch.testing.assert_close(c.table().log_odds[at].double(), odds, rtol=1e-6, atol=1e-6)


class BestForHeartbeats(nn.Module):
    """The exact rates of x_{t-1} given x_t: the posterior of the five phases, and of a bit in each."""

    def __init__(self, chain: BinomialChain) -> None:
        super().__init__()
        self.chain, self.phases = chain, (torch.arange(20) % 5 == torch.arange(5)[:, None]).float()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        table = self.chain.table()
        rates = 0.2 + table.alpha_bar(t).float()[:, None, None] * (self.phases - 0.2)
        log_likelihood = (x[:, None] * rates.log() + (1 - x[:, None]) * torch.log1p(-rates)).sum(2)
        at = 4 * t[:, None, None] + (2 * x[:, None] + self.phases).long()
        share = log_likelihood.softmax(1)[:, :, None]
        one, zero = ((share * torch.sigmoid(sign * table.log_odds[at])).sum(1) for sign in (1, -1))
        return one.log() - zero.log()


def test_how_far_the_heartbeat_s_bound_can_reach() -> None:
    """Bits of a reverse step are independent, those of its posterior are not: log2(1/5) is not reached (docs page)."""
    c, t = BinomialChain(DiffusionRates(2000), 0.2), torch.arange(2, 2001)
    best = BestForHeartbeats(c)
    x_0 = best.phases.repeat(2, 1)
    noise = torch.rand(len(x_0), 1999, 20, generator=torch.Generator().manual_seed(0))
    terms = c.terms(best, c.table(), x_0, t.expand(len(x_0), -1), noise).sum(1)
    bound = (c.log_prior(x_0) + c.ends(c.table(), x_0) - terms) / math.log(2.0)
    assert float(bound.mean()) == pytest.approx(-2.382, abs=4 * 0.11 / 10**0.5)  # 0.11: of one sequence


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="no gradient"):
        BinomialChain(DiffusionRates(4, "erase_half", learned=True))
    with pytest.raises(ConfigError, match="between 0 and 1"):
        BinomialChain(DiffusionRates(4), rate=0.0)
