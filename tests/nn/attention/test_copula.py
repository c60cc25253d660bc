"""The copula couples heads as its factor says, and the released form does not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from reprise.nn.attention.copula import correlation, couple, couple_as_released, entropy, factor


def heads() -> Tensor:
    """u (H, d) = (4, 3), of strong and weak and of opposite coupling."""
    return torch.tensor([[0.9, -0.8, 0.1], [0.8, 0.9, 0.0], [-0.7, 0.9, 0.2], [0.9, 0.5, -0.3]])


def sampled(x: Tensor) -> Tensor:
    """Correlation of heads (d, H, H) of numbers (H, R, d)."""
    return torch.stack([torch.corrcoef(x[..., f]) for f in range(x.shape[-1])])


def test_the_factor_is_lower_triangular_with_a_unit_diagonal() -> None:
    u = heads()
    factors = factor(u)
    assert factors.shape == (3, 4, 4)
    for f in range(3):
        torch.testing.assert_close(factors[f], torch.tril(torch.outer(u[:, f], u[:, f]), -1) + torch.eye(4))


def test_sampled_heads_correlate_as_the_factor_says() -> None:
    factors = factor(heads())
    noise = torch.randn(4, 100_000, 3, generator=torch.Generator().manual_seed(0))
    x = couple(factors, noise)
    torch.testing.assert_close(sampled(x), correlation(factors), atol=0.012, rtol=0.0)
    assert correlation(factors).tril(-1).abs().max() > 0.5
    torch.testing.assert_close(x.std(1), torch.ones(4, 3), atol=0.012, rtol=0.0)  # standard marginals


def test_the_released_form_leaves_heads_independent_and_marginals_wrong() -> None:
    factors = factor(heads())
    noise = torch.randn(4, 100_000, 3, generator=torch.Generator().manual_seed(0))
    x = couple_as_released(factors, noise)
    torch.testing.assert_close(sampled(x), torch.eye(4).expand(3, 4, 4), atol=0.012, rtol=0.0)
    assert x.abs().max() == 2.0 and (x.std(1) - 1).abs().max() > 0.1


def test_the_entropy_is_that_of_a_gaussian_copula() -> None:
    """Joint entropy less that of the marginals, feature by feature."""
    factors = factor(heads()).double()
    expected = sum(
        float(MultivariateNormal(torch.zeros(4, dtype=torch.float64), c).entropy())
        - 4 * float(torch.distributions.Normal(0.0, 1.0).entropy())
        for c in correlation(factors)
    )
    torch.testing.assert_close(float(entropy(factors)), expected, atol=1e-6, rtol=0.0)
    assert entropy(factor(torch.zeros(4, 3))) == 0
