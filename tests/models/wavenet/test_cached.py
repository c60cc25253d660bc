"""Cached sampling draws what naive sampling draws, sample for sample."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.wavenet import cached
from reprise.models.wavenet.generate import generate
from reprise.models.wavenet.heads import Head, Softmax
from reprise.models.wavenet.past import nothing
from reprise.nn.cuda_graph import RecordedCall
from tests.models.wavenet.naive import mixture, naive, network
from tests.nn.recording import pretend_cuda

LENGTHS = [25, 9, 17]
H = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, -1.0]])


def local(frames: int, channels: int = 3, key: int = 0) -> Tensor:
    return torch.rand(frames, channels, generator=torch.Generator().manual_seed(key)) * 2 - 1


@pytest.mark.parametrize("head", [lambda: Softmax(16), mixture], ids=["softmax", "mixture"])
@pytest.mark.parametrize("padding", ["silence", "zeros"])
@pytest.mark.parametrize(
    ("kernel", "first", "dilations"), [(2, 2, [1, 2, 4]), (3, 1, [1, 3, 5]), (3, 2, [4, 1, 7]), (1, 2, [1])]
)
def test_cached_draws_what_naive_draws(
    head: Callable[[], Head], padding: str, kernel: int, first: int, dilations: list[int]
) -> None:
    settings = {"kernel": kernel, "first_kernel": first, "dilations": dilations, "padding": padding, "head": head()}
    model = network(**settings, global_channels=2, local_channels=3).double()
    y = [local(n, key=n) for n in LENGTHS]
    made = generate(model, LENGTHS, H, y, seed=3, keys=[4, 0, 7], engine="torch", chunk=7)
    for i, key in enumerate([4, 0, 7]):
        expected, _ = naive(model, LENGTHS[i], H[i], y[i], seed=3, key=key)
        assert torch.equal(made[i], expected)
        assert len(set(expected.tolist())) > 4


@pytest.mark.parametrize("change", [{"unit": "relu"}, {"skips": False}, {"bias": False}])
@pytest.mark.parametrize("padding", ["silence", "zeros"])
def test_other_networks(padding: str, change: dict) -> None:
    model = network(padding=padding, **change).double()
    made = generate(model, [30, 30], engine="torch", temperature=0.7)
    for i in range(2):
        assert torch.equal(made[i], naive(model, 30, key=i, temperature=0.7)[0])


def test_a_waveform_depends_neither_on_its_batch_nor_on_chunks() -> None:
    model = network(global_channels=2, local_channels=3).double()
    y = [local(n, key=n) for n in LENGTHS]
    together = generate(model, LENGTHS, H, y, keys=[5, 6, 7], engine="torch")
    for i, key in enumerate([5, 6, 7]):
        for chunk in (1, 4, 100):
            (alone,) = generate(
                model, LENGTHS[i : i + 1], H[i : i + 1], y[i : i + 1], keys=[key], chunk=chunk, engine="torch"
            )
            assert torch.equal(alone, together[i])
    other = generate(model, LENGTHS, H, y, keys=[5, 6, 8], engine="torch")
    assert torch.equal(other[0], together[0])
    assert not torch.equal(other[2], together[2])


@pytest.mark.parametrize("hop", [1, 4])
@pytest.mark.parametrize("padding", ["silence", "zeros"])
def test_given_samples_are_continued(padding: str, hop: int) -> None:
    model = network(padding=padding, local_channels=3, kernel=3).double()
    given = [torch.tensor([0.5, -0.2, 0.1, 0.9, -1.0, 0.3]), torch.zeros(0), torch.tensor([-0.7])]
    before = local(3, key=9)
    y = [local(-(-n // hop), key=n) for n in LENGTHS]
    made = generate(model, LENGTHS, None, y, hop=hop, given=given, before=before, engine="torch", chunk=5)
    for i, length in enumerate(LENGTHS):
        rows = y[i].repeat_interleave(hop, 0)[:length]
        expected, _ = naive(model, length, None, rows, before[i], given[i].tolist(), key=i)
        assert torch.equal(made[i], expected)


def test_further_conditions_follow_what_was_drawn() -> None:
    model = network(local_channels=3).double()
    chunk, y = 4, [local(22, 1, key=1), local(22, 1, key=2)]
    given = torch.tensor([[0.1, -0.5, 0.3, 0.2], [0.9, 0.0, 0.0, -0.4]])
    asked = []

    def more(heard: Tensor, first: int) -> Tensor:
        assert heard.shape == (2, first)
        asked.append(first)
        last = heard[:, -1] if first else heard.new_zeros(2)
        ramp = torch.arange(chunk) / chunk
        return torch.stack([last[:, None] * 2 + ramp * 0, last[:, None] * 0 + ramp], -1).double()

    made = generate(model, [22, 22], None, y, more=more, given=list(given), chunk=chunk, engine="torch")
    assert asked == [0, 4, 8, 12, 16, 20]
    for i in range(2):
        padded = torch.stack([made[i], made[i]])
        further = torch.cat([more(padded[:, :t], t)[0] for t in range(0, 22, chunk)])[:22]
        rows = torch.cat([y[i], further], -1)
        assert torch.equal(made[i], naive(model, 22, None, rows, given=given[i].tolist(), key=i)[0])


def test_chunks_are_told() -> None:
    told: list[tuple[int, list[Tensor]]] = []
    made = generate(network(), LENGTHS, chunk=10, engine="torch", on_chunk=lambda n, parts: told.append((n, parts)))
    assert [n for n, _ in told] == [10, 20, 25]
    assert [[len(p) for p in parts] for _, parts in told] == [[10, 9, 10], [10, 0, 7], [5, 0, 0]]
    for i, wave in enumerate(made):
        assert torch.equal(torch.cat([parts[i] for _, parts in told]), wave)


@pytest.mark.parametrize("padding", ["silence", "zeros"])
def test_a_step_can_be_recorded(padding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = pretend_cuda(monkeypatch)
    model = network(padding=padding, kernel=3, local_channels=3)
    y = [local(40), local(40, key=1)]
    expected = generate(model, [40, 40], None, y, engine="torch")

    class Recorded(RecordedCall):
        def __init__(self, function: Callable, device: torch.device) -> None:
            super().__init__(function, torch.device("cuda"))

    monkeypatch.setattr(cached, "RecordedCall", Recorded)
    for _ in range(2):  # each has a graph of its own
        made = generate(model, [40, 40], None, y, engine="torch", chunk=16)
        assert all(torch.equal(a, b) for a, b in zip(expected, made, strict=True))
    assert [graph.replays for graph in graphs] == [39 - (padding == "zeros")] * 2


def test_the_memory_is_that_of_the_queues() -> None:
    model = network(kernel=3)
    sampler = cached.CachedSampler(model)
    sampler.begin(nothing(model, None, None, 2), 1.0, [9, 9])
    assert sampler.queue.shape == (model.receptive_field - 1 - model.first.reach, 2, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"engine": "fast"}, "auto, compiled, torch"),
        ({"temperature": 0.0}, "above 0 and"),
        ({"lengths": [5, 0]}, "1 or more"),
        ({"keys": [1]}, "keys is of 1"),
        ({"h": torch.zeros(2, 3)}, "global condition of 0"),
        ({"y": [torch.zeros(9, 1)] * 2}, "takes none"),
        ({"given": [torch.zeros(9), torch.zeros(1)]}, "fewer samples than 5"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        generate(network(), **({"lengths": [5, 5]} | arguments))


def test_local_conditions_that_do_not_fit_are_refused() -> None:
    model = network(local_channels=3)
    with pytest.raises(ConfigError, match="y is missing"):
        generate(model, [5])
    with pytest.raises(ConfigError, match=r"Expected \(3 or more, 3\)"):
        generate(model, [5], y=[torch.zeros(2, 3)], hop=2)
    with pytest.raises(ConfigError, match="needs a chunk"):
        generate(model, [5], more=lambda heard, first: torch.zeros(1, 4, 3))
