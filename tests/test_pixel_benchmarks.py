"""The plain image networks that training is measured against compute what ours do, and the measurements run."""

from __future__ import annotations

import math

import pytest
import torch
from benchmarks import pixel_sampling, pixel_training
from benchmarks.pixel_models import network
from benchmarks.plain_pixels import plain

TINY = ("model.network.hidden=4", "model.network.layers=2", "model.network.head_width=4")


@pytest.mark.parametrize("data", ["binarized_mnist", "cifar10"])
@pytest.mark.parametrize("model", ["pixelcnn", "row_lstm", "diagonal_bilstm"])
def test_plain_and_ours_compute_the_same_loss_and_gradients(model: str, data: str) -> None:
    of = network(model, data, 6, "model.network.hidden=4", "model.network.layers=2")
    for parameter in of.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    other = plain(of).double()
    of.double()
    image = pixel_training.random_image(of, 2)
    losses = []
    for forward in (of, other):
        x = of.likelihood.scale(image).double().requires_grad_()
        loss = of.likelihood.log_prob(forward(x), image).sum()
        loss.backward()
        losses.append((loss.detach(), x.grad))
    torch.testing.assert_close(losses[0], losses[1])


def test_plain_pixelcnn_pp_has_as_many_parameters() -> None:
    of = network("pixelcnn_pp", "cifar10", 8, "model.network.filters=4", "model.network.resnets=1")
    assert sum(p.numel() for p in plain(of).parameters()) == sum(p.numel() for p in of.parameters())


@pytest.mark.parametrize(
    ("model", "sizes"), [("gated_pixelcnn", ("hidden=4", "layers=3")), ("pixelcnn_pp", ("filters=4", "resnets=1"))]
)
def test_plain_networks_without_common_weights_are_causal(model: str, sizes: tuple[str, ...]) -> None:
    of = network(model, "binarized_mnist", 8, *(f"model.network.{size}" for size in sizes))
    forward = plain(of).eval()
    x = torch.rand(1, 1, 8, 8, requires_grad=True)
    (seen,) = torch.autograd.grad(forward(x)[0, :, 4, 4].square().sum(), x)
    past = seen.flatten() != 0
    assert not past[36:].any()
    assert past[32:36].any()
    assert past[:32].any()


@pytest.mark.parametrize("model", ["multiscale_pixelrnn", "gated_pixelcnn"])
def test_cached_and_naive_sampling_are_measured(model: str) -> None:
    of = network(model, "binarized_mnist", 8)
    cached, naive = pixel_sampling.measure(of, 2, positions=2)
    assert 0 < cached < naive


def test_the_exponent_is_that_of_the_number_of_pixels() -> None:
    assert math.isclose(pixel_sampling.exponent((4, 8, 16), [3.0 * n**4 for n in (4, 8, 16)]), 2.0)


def test_the_peak_of_a_step_counts_what_lies_there_at_a_time() -> None:
    size = 250_000  # a megabyte

    def step() -> None:
        for _ in range(3):
            a = torch.zeros(size)
            b = a + 1  # two at a time
            del a, b

    assert pixel_training.peak_megabytes(step) == pytest.approx(2.0, rel=0.01)


def test_training_steps_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    pixel_training.compare([("row_lstm", "28x28 binary", 1)], 1, *TINY)
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.split()[0] == "row_lstm/base"
    assert line.count("x") == 3  # 28x28 and two ratios
