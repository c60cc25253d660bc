"""The study's measures: both forms agree, and each measure moves when what it is about is broken."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.models.attention_identities import measures
from reprise.models.attention_identities.module import AttentionIdentities
from reprise.nn.attention.base import fixed_draw
from reprise.nn.attention.generated import GeneratedPoints
from reprise.nn.attention.implicit import ImplicitKernel
from reprise.nn.attention.spectral import DirectPoints
from reprise.samples.attention import AttentionMaps


def study(seed: int = 0, tokens: int = 10, **points: bool) -> AttentionIdentities:
    torch.manual_seed(seed)
    return AttentionIdentities(
        seed=seed,
        attention=partial(ImplicitKernel, points=DirectPoints),
        points=partial(GeneratedPoints, count=4096, **points),
        heads=4,
        size=8,
        tokens=tokens,
        neighbours=0.3,
        spread=0.5,
        counts=[64, 4000],
    ).eval()


def test_both_forms_have_the_same_weights() -> None:
    made = study()
    found = made.measure()
    for one in ("dot", "gat"):
        pair = (found[f"test/{one}/attention_weight"], found[f"test/{one}_kernel/attention_weight"])
        assert pair[0] == pytest.approx(pair[1], abs=1e-6) and 0.1 < pair[0] < 0.9
    assert found["test/points64/largest_weight_error"] > 2 * found["test/points4000/largest_weight_error"] > 0
    assert 1.0 < found["test/attention_entropy"] < math.log(10)
    assert made.measure() == found
    assert [type(shown) for shown in made.pictures()] == [AttentionMaps, AttentionMaps]


def test_the_probe_sees_a_single_weight_that_is_wrong() -> None:
    weights = torch.rand(1, 4, 10, 10, generator=torch.Generator().manual_seed(0)).softmax(-1)
    numbers = torch.rand(1, 4, 10, 10, generator=torch.Generator().manual_seed(1))
    exchanged = weights.clone()
    exchanged[0, 1, 2, [3, 4]] = weights[0, 1, 2, [4, 3]]
    assert abs(measures.probe(exchanged, numbers) - measures.probe(weights, numbers)) > 1e-5


def test_heads_are_coupled_and_not_in_the_released_form() -> None:
    right, released = (study(as_released=value).measure()["test/head_correlation"] for value in (False, True))
    assert right > 0.02 and abs(released) < 0.01


def test_points_without_a_copula_have_no_coupling_to_measure() -> None:
    points = GeneratedPoints(2, 4, 8, copula=False)
    with pytest.raises(ConfigError, match=r"points\.copula=true"):
        measures.head_correlation(points, torch.zeros(2, 8), fixed_draw(0))
    with pytest.raises(ConfigError, match="tokens=1"):
        study(tokens=1)
