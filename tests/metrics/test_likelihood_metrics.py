"""Likelihood metrics against closed forms, and however the examples are split."""

from __future__ import annotations

import math

import pytest
import torch

from reprise.metrics.likelihood import BayesClassifierAccuracy, BitsPerDim, NegativeLogLikelihood
from reprise.nn.images import ImageShape

CIFAR = ImageShape(3, 32, 256)


def test_nats_are_the_mean_over_examples_however_they_are_split() -> None:
    log_prob = torch.randn(10, generator=torch.Generator().manual_seed(0)) - 80.0
    whole, parts = NegativeLogLikelihood(), NegativeLogLikelihood()
    whole.update(log_prob)
    for part in (log_prob[:1], log_prob[1:1], log_prob[1:7], log_prob[7:]):
        parts.update(part)
    assert float(whole.compute()) == pytest.approx(-float(log_prob.double().mean()), rel=1e-12)
    assert float(parts.compute()) == pytest.approx(float(whole.compute()), rel=1e-12)
    assert whole.version == 1 and whole.unit == "nats" and whole.higher_is_better is False


def test_sums_are_kept_in_double_precision() -> None:
    metric = NegativeLogLikelihood()
    metric.update(torch.tensor([-1e8]))
    for _ in range(100):
        metric.update(torch.tensor([-1.0]))  # lost beside 1e8 in float32
    assert float(metric.compute()) == (1e8 + 100) / 101


def test_uniform_images_take_eight_bits_a_dimension() -> None:
    metric = BitsPerDim(CIFAR)
    metric.update(torch.full((4,), -3072 * math.log(256), dtype=torch.float64))
    assert float(metric.compute()) == pytest.approx(8.0, abs=1e-12)
    assert metric.unit == "bits/dim"
    # colours count: the sums of PixelRNN's equation are divided by 3 n^2 ln 2
    assert float(metric.compute()) == pytest.approx(CIFAR.bits_per_dim(3072 * math.log(256)), abs=1e-12)


def test_bits_follow_the_shape() -> None:
    metric = BitsPerDim(ImageShape(1, 28, 2))
    metric.update(torch.tensor([-79.2]))
    assert float(metric.compute()) == pytest.approx(79.2 / (784 * math.log(2)), rel=1e-6)


def test_bayes_accuracy_is_the_share_of_right_classes() -> None:
    metric = BayesClassifierAccuracy()
    log_joint = torch.tensor([[-5.0, -4.0, -9.0], [-1.0, -2.0, -3.0], [-7.0, -7.0, -8.0]])
    metric.update(log_joint, torch.tensor([1, 2, 0]))  # right, wrong, a tie that goes to the first class
    assert float(metric.compute()) == pytest.approx(2 / 3, abs=1e-12)
    metric.update(log_joint[:1], torch.tensor([1]))
    assert float(metric.compute()) == pytest.approx(3 / 4, abs=1e-12)
    assert metric.higher_is_better and metric.version == 1


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(B,\); received \(2, 3\)"):
        NegativeLogLikelihood().update(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"received \(2, 3\), \(3,\)"):
        BayesClassifierAccuracy().update(torch.zeros(2, 3), torch.zeros(3))
