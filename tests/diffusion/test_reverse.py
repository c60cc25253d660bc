"""Parameterisations against each other, the bound against closed forms, brute force and reference values."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate, stats

from reprise.diffusion.bound import Cdf, bound_term, discretised_gaussian, normal_kl, prior_kl
from reprise.diffusion.process import reverse_mean
from reprise.diffusion.reverse import Predicts, ReverseProcess, Variance
from reprise.diffusion.schedules import linear
from reprise.diffusion.terms import measure, strata, tenths

DDPM = linear(1e-4, 0.02, 1000)


def images(count: int = 6, levels: int = 256) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    values = torch.randint(levels, (count, 1, 2, 2), generator=generator)
    return values.double() * 2 / (levels - 1) - 1


def noise_like(x: torch.Tensor, seed: int = 2) -> torch.Tensor:
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)


@pytest.mark.parametrize("predicts", ["epsilon", "mean", "x_0"])
def test_a_perfect_prediction_gives_the_posterior(predicts: Predicts) -> None:
    reverse = ReverseProcess(DDPM, predicts, "small")
    x_0 = images()
    t = torch.tensor([1, 2, 10, 250, 999, 1000])
    epsilon = noise_like(x_0)
    x_t = reverse.diffuse(x_0, t, epsilon)
    found = reverse(reverse.target(x_0, x_t, t, epsilon), x_t, t)
    mean, log_variance = reverse.posterior(x_0, x_t, t)
    assert torch.allclose(found.mean, mean, atol=1e-9)
    assert torch.allclose(found.x_0, x_0, atol=1e-6)
    assert torch.allclose(found.log_variance, log_variance)


def test_the_mean_is_that_of_algorithm_2() -> None:
    reverse = ReverseProcess(DDPM)
    x_t, epsilon = noise_like(images()), noise_like(images(), 3)
    for t in (1, 2, 500, 1000):
        expected = reverse_mean(x_t, epsilon, float(DDPM.alphas[t - 1]), float(DDPM.alpha_bars[t - 1]))
        assert torch.allclose(reverse(epsilon, x_t, torch.full((6,), t)).mean, expected, atol=1e-9)


def test_variances_are_those_of_the_released_code() -> None:
    x_t, t = torch.zeros(3, 1, 1, 1, dtype=torch.float64), torch.tensor([1, 2, 1000])
    for variance, expected in (("large", [5.45319e-5, 1.1992e-4, 0.02]), ("small", [5.45319e-5, 5.45319e-5, 0.02])):
        reverse = ReverseProcess(DDPM, variance=variance)  # type: ignore[arg-type]
        found = reverse(torch.zeros_like(x_t), x_t, t).log_variance.exp().flatten().tolist()
        assert found == pytest.approx(expected, rel=1e-4)
    learned = ReverseProcess(DDPM, variance="learned")
    output = torch.cat([x_t, x_t - 3.0], 1)
    assert torch.equal(learned(output, x_t, t).log_variance, x_t - 3.0)


def test_clipping_comes_before_the_mean() -> None:
    reverse = ReverseProcess(DDPM)
    x_t, t = torch.full((1, 1, 1, 1), 3.0, dtype=torch.float64), torch.tensor([100])
    output = torch.full_like(x_t, -2.0)
    free, kept = reverse(output, x_t, t), reverse(output, x_t, t, clip=True)
    assert float(free.x_0) > 1.0
    assert float(kept.x_0) == 1.0
    assert torch.allclose(kept.mean, reverse.posterior(torch.ones_like(x_t), x_t, t)[0])
    mean = ReverseProcess(DDPM, "mean")
    assert torch.equal(mean(output, x_t, t, clip=True).mean, output)


def test_wrong_choices_are_named() -> None:
    with pytest.raises(ValueError, match="expected epsilon, mean or x_0"):
        ReverseProcess(DDPM, "v")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected large, small or learned"):
        ReverseProcess(DDPM, variance="medium")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2 steps or more"):
        ReverseProcess(linear(0.1, 0.1, 1))


def test_kl_of_gaussians_by_integration() -> None:
    for m, s, m_p, s_p in ((0.0, 1.0, 0.0, 1.0), (0.3, 0.5, -0.2, 1.5), (1.0, 2.0, 0.0, 0.7)):
        q, p = stats.norm(m, s), stats.norm(m_p, s_p)
        expected, _ = integrate.quad(lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), m - 12 * s, m + 12 * s)  # noqa: B023
        numbers = [torch.tensor(v, dtype=torch.float64) for v in (m, 2 * math.log(s), m_p, 2 * math.log(s_p))]
        assert float(normal_kl(*numbers)) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("cdf", "bits"),
    [("exact", [1.3054, 1.4904, 2.0462, 4.2765, 8.0165]), ("tanh", [1.3057, 1.4911, 2.0466, 4.2682, 8.0716])],
)
def test_decoder_at_known_distances(cdf: Cdf, bits: list[float]) -> None:
    x_0 = torch.full((5,), 100 * 2 / 255 - 1, dtype=torch.float64)
    mean = x_0 + torch.tensor([0, 0.5, 1, 2, 3], dtype=torch.float64) * 2 / 255
    log_variance = torch.full_like(mean, math.log(5.45319e-5))
    found = -discretised_gaussian(x_0, mean, log_variance, 256, cdf) / math.log(2)
    assert found.tolist() == pytest.approx(bits, abs=1e-4)


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("cdf", ["exact", "tanh"])
def test_the_decoder_is_a_distribution(levels: int, cdf: Cdf) -> None:
    grid = torch.arange(levels, dtype=torch.float64) * 2 / (levels - 1) - 1
    for mean, std in ((0.0, 0.5), (-1.3, 0.01), (0.97, 0.007)):
        log_prob = discretised_gaussian(
            grid, torch.full_like(grid, mean), torch.full_like(grid, 2 * math.log(std)), levels, cdf
        )
        # the approximation gives every bin at least 1e-12
        assert float(log_prob.exp().sum()) == pytest.approx(1.0, abs=1e-9)


def test_the_exact_decoder_holds_far_out() -> None:
    x_0 = torch.tensor([-1.0, -0.5, 0.5, 1.0], dtype=torch.float64)
    found = discretised_gaussian(x_0, -x_0, torch.full_like(x_0, 2 * math.log(0.05)), 256, "exact")
    expected = []
    for x in x_0.tolist():
        low, high = (x - 1 / 255 + x) / 0.05, (x + 1 / 255 + x) / 0.05
        if x == -1.0:
            expected.append(stats.norm.logcdf(high))
        elif x == 1.0:
            expected.append(stats.norm.logsf(low))
        else:
            a, b = (
                (stats.norm.logsf(low), stats.norm.logsf(high))
                if x > 0
                else (stats.norm.logcdf(high), stats.norm.logcdf(low))
            )
            expected.append(a + math.log1p(-math.exp(b - a)))
    assert found.tolist() == pytest.approx(expected, rel=1e-9)
    assert found.isfinite().all()


def test_prior_is_next_to_nothing() -> None:
    x_0 = torch.full((1, 3, 4, 4), 0.5, dtype=torch.float64)
    bits = float(prior_kl(x_0, DDPM)) / (48 * math.log(2))
    assert bits == pytest.approx(7.3e-6, rel=0.02)


@pytest.mark.parametrize(
    ("t", "weight"),
    [(2, 0.27269), (10, 0.073717), (100, 0.010081), (500, 5.5034e-3), (1000, 0.010204)],
)
def test_the_bound_is_a_weighted_squared_error(t: int, weight: float) -> None:
    """L_{t-1} - C = beta^2 / (2 sigma^2 alpha (1 - alpha_bar)) |epsilon - predicted|^2 (eq. 12)."""
    reverse = ReverseProcess(DDPM)
    x_0 = images()
    steps = torch.full((6,), t)
    epsilon = noise_like(x_0)
    x_t = reverse.diffuse(x_0, steps, epsilon)
    error = noise_like(x_0, 5).float().double()

    def term(output: torch.Tensor) -> torch.Tensor:
        found, _ = bound_term(reverse, output.double(), x_0, x_t, steps, 256, clip=False)
        return found

    # outputs are read in single precision
    perfect, wrong = term(epsilon.float()), term((epsilon + error).float())
    assert torch.allclose(wrong - perfect, weight * (error**2).flatten(1).sum(1), rtol=2e-4)


@pytest.mark.parametrize("predicts", ["epsilon", "mean", "x_0"])
@pytest.mark.parametrize("variance", ["large", "small", "learned"])
def test_the_bound_is_above_the_truth_and_meets_it(predicts: Predicts, variance: Variance) -> None:
    """Of a point mass a perfect network's bound is the decoder's entropy alone, if its variance is the posterior's."""
    reverse = ReverseProcess(linear(1e-3, 0.2, 20), predicts, variance)
    levels = 5
    x_0 = torch.full((3, 1, 1, 1), 0.5, dtype=torch.float64)
    seed = iter(range(10_000))
    latest: dict[str, torch.Tensor] = {}

    def draw(first: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
        t = torch.full((3,), first)
        latest["t"], latest["noise"] = t, noise_like(x_0, next(seed))
        return t, latest["noise"]

    def predict(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        target = reverse.target(x_0, x_t, t, latest["noise"])
        if variance != "learned":
            return target
        return torch.cat([target, reverse.posterior(x_0, x_t, t)[1].expand_as(target)], 1)

    terms = measure(predict, reverse, x_0, levels, strata(20, 20), draw, cdf="exact")
    divergences = terms.sums[:, 1:].sum(1)
    if variance == "large":
        assert (divergences > 1e-3).all()
    else:
        assert torch.allclose(divergences, torch.zeros(3, dtype=torch.float64), atol=1e-5)
    assert (terms.sums[:, 0] >= 0).all()
    assert float(terms.sums[0, 0]) < 1e-3  # the decoder is sure of a value it is told
    assert (terms.total() > 0).all()
    assert float(terms.squares.max()) < 1e-6


def test_terms_add_up_to_the_likelihood_of_gaussian_data() -> None:
    """For Gaussian data the exact reverse step is known, and with it the bound is the likelihood."""
    variance, levels = 0.04, 256
    schedule = linear(1e-4, 0.05, 200)
    reverse = ReverseProcess(schedule, "x_0", "learned")
    generator = torch.Generator().manual_seed(0)
    # data on the grid, as Gaussian as 256 levels allow
    drawn = torch.randn(20_000, 1, 1, 1, generator=generator, dtype=torch.float64) * variance**0.5
    x_0 = ((drawn + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1

    def predict(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        bar, before, beta = (
            table[t - 1].reshape(-1, 1, 1, 1)
            for table in (schedule.alpha_bars, schedule.alpha_bars_before, schedule.betas)
        )
        x_0 = bar.sqrt() * variance / (bar * variance + 1 - bar) * x_t
        spread = 1 / (1 / (before * variance + 1 - before) + (1 - beta) / beta)
        return torch.cat([x_0, spread.log().expand_as(x_0)], 1)

    def draw(first: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
        t = torch.randint(first, last + 1, (len(x_0),), generator=generator)
        return t, torch.randn(x_0.shape, generator=generator, dtype=torch.float64)

    terms = measure(predict, reverse, x_0, levels, strata(200, 200), draw, clip=False, cdf="exact")
    truth = -stats.norm(0, variance**0.5).logpdf(x_0.numpy()).mean() - math.log(2 / 255)
    total = terms.total()
    assert float(total.mean()) == pytest.approx(truth, abs=4 * float(total.std()) / len(total) ** 0.5)


@pytest.mark.parametrize(("steps", "count"), [(1000, 20), (1000, 100), (1000, 1), (1000, 1000), (40, 5), (7, 3)])
def test_strata_divide_all_steps(steps: int, count: int) -> None:
    found = strata(steps, count)
    assert [t for first, last in found for t in range(first, last + 1)] == list(range(1, steps + 1))
    assert found[0] == (1, 1)
    assert {last for _, last in found} >= set(tenths(steps).values())


def test_few_terms_estimate_all_of_them() -> None:
    """Without bias: the mean over many draws is the sum of all terms."""
    reverse = ReverseProcess(linear(1e-3, 0.1, 200))
    x_0 = images(1)
    generator = torch.Generator().manual_seed(0)

    def predict(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return 0.8 * x_t

    def draw(first: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
        t = torch.randint(first, last + 1, (len(many),), generator=generator)
        return t, torch.randn(many.shape, generator=generator, dtype=torch.float64)

    many = x_0.expand(4000, -1, -1, -1)
    few = measure(predict, reverse, many, 256, strata(200, 12), draw, with_distortion=False).total()
    many = x_0.expand(100, -1, -1, -1)
    full = measure(predict, reverse, many, 256, strata(200, 200), draw, with_distortion=False).total()
    error = float(few.std() / len(few) ** 0.5 + full.std() / len(full) ** 0.5)
    assert float(few.mean()) == pytest.approx(float(full.mean()), abs=4 * error)


def test_tenths_are_the_rows_of_table_4() -> None:
    assert tenths(1000) == {
        100: 901,
        200: 801,
        300: 701,
        400: 601,
        500: 501,
        600: 401,
        700: 301,
        800: 201,
        900: 101,
        1000: 1,
    }
    assert tenths(5) == {1: 5, 2: 4, 3: 3, 4: 2, 5: 1}
    with pytest.raises(ValueError, match="1 or more"):
        strata(10, 0)
