"""Recorded calls: equal to plain ones on a CPU, in a simulated recording, and on a GPU where there is one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from reprise.config.errors import RunError
from reprise.models.ddpm.network import UNet
from reprise.nn.cuda_graph import RecordedCall
from reprise.nn.images import ImageShape
from reprise.nn.pixels import sampling
from tests.models.test_pixelcnn_pp import made as pixelcnn_pp
from tests.nn.recording import pretend_cuda

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


class Counter:
    """A function that changes a tensor of its own and gives two."""

    def __init__(self, device: torch.device = CPU) -> None:
        self.total = torch.zeros(3, device=device)
        self.calls = 0

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        self.total.add_(x)
        return self.total * y, x - y


def check(device: torch.device, counter: Counter) -> list[tuple[Tensor, Tensor]]:
    call, plain = RecordedCall(counter, device), Counter(counter.total.device)
    results, wanted = [], []
    for k in range(5):
        x, y = (torch.arange(3.0, device=counter.total.device) + k + shift for shift in (0.5, 7.0))
        results.append(call(x, y))
        wanted.append(plain(x, y))
    torch.testing.assert_close(counter.total, plain.total)
    torch.testing.assert_close(results, wanted)  # each as it was made: later calls changed none
    return results


def test_is_a_plain_call_on_a_cpu() -> None:
    counter = Counter()
    check(CPU, counter)
    assert counter.calls == 5


def test_records_the_second_call_and_replays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = pretend_cuda(monkeypatch)
    counter = Counter()
    check(CUDA, counter)
    assert counter.calls == 2
    assert [graph.replays for graph in graphs] == [4]


def test_tracks_no_gradients() -> None:
    weight = torch.ones(2, requires_grad=True)
    assert not RecordedCall(lambda x: x * weight, CPU)(torch.ones(2)).requires_grad


def test_sees_weights_that_change_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_cuda(monkeypatch)
    layer, x = nn.Linear(2, 2), torch.ones(1, 2)
    call = RecordedCall(layer, CUDA)
    for _ in range(4):
        with torch.no_grad():
            layer.weight.mul_(2.0)
            torch.testing.assert_close(call(x), layer(x))


@pytest.mark.parametrize("inference", [False, True])
def test_inputs_may_come_from_inference_mode(monkeypatch: pytest.MonkeyPatch, inference: bool) -> None:
    pretend_cuda(monkeypatch)
    call = RecordedCall(lambda x: 2 * x, CUDA)
    with torch.inference_mode(inference):
        for k in range(3):
            assert call(torch.full((2,), k)).tolist() == [2 * k, 2 * k]
    with torch.inference_mode(not inference):
        assert call(torch.full((2,), 5)).tolist() == [10, 10]


def test_refuses_other_shapes_and_types(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_cuda(monkeypatch)
    call = RecordedCall(lambda x: 2 * x, CUDA)
    call(torch.zeros(2))
    for other in (torch.zeros(3), torch.zeros(2, dtype=torch.int64)):
        with pytest.raises(RunError, match="use another RecordedCall"):
            call(other)


def test_network_replayed_is_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = pretend_cuda(monkeypatch)
    network = UNet(ImageShape(1, 8), 8, (1, 2), 1, (4,)).eval()
    for p in network.parameters():
        nn.init.normal_(p, std=0.2)
    call = RecordedCall(network, CUDA)
    for k in range(4):
        x, t = torch.randn(2, 1, 8, 8), torch.tensor([k, 10 * k])
        torch.testing.assert_close(call(x, t), network(x, t).detach())
    assert graphs[0].replays == 3


def test_sampler_of_pixels_replays_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    network = pixelcnn_pp(levels_down=2).eval()
    uniform = torch.rand(2, *network.sampling_noise(), dtype=torch.float64)
    wanted = network.sample(uniform)
    graphs = pretend_cuda(monkeypatch)
    monkeypatch.setattr(sampling, "RecordedCall", lambda function, device: RecordedCall(function, CUDA))
    assert torch.equal(network.sample(uniform), wanted)
    assert [graph.replays for graph in graphs] == [3, 3]  # of 8 rows in 2 phases, the first of each as it is


@needs_gpu
def test_replays_on_a_gpu() -> None:
    counter = Counter(CUDA)
    check(CUDA, counter)
    assert counter.calls == 2


@needs_gpu
@pytest.mark.parametrize("inference", [False, True])
def test_network_replayed_on_a_gpu_is_the_network(inference: bool) -> None:
    network = UNet(ImageShape(3, 16), 32, (1, 2), 1, (8,)).eval().to(CUDA)
    for p in network.parameters():
        nn.init.normal_(p, std=0.05)
    call = RecordedCall(network, CUDA)
    with torch.inference_mode(inference), torch.autocast("cuda", torch.bfloat16):
        for k in range(4):
            x, t = torch.randn(2, 3, 16, 16, device=CUDA), torch.tensor([k, 10 * k], device=CUDA)
            torch.testing.assert_close(call(x, t), network(x, t).detach(), rtol=1e-2, atol=1e-2)
