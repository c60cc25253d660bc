"""What the examples of a batch share: statistics and minibatch features, also over two processes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from reprise.models.adversarial.batch_norm import BatchNorm, normalised_by, unnoted
from reprise.models.adversarial.minibatch import MinibatchFeatures
from reprise.models.adversarial.stepping import gradients_of, mean_over_processes
from reprise.models.adversarial.together import gathered
from reprise.models.causalgan.network import Networks
from reprise.models.causalgan.objective import discriminator_loss
from reprise.nn.images import ImageShape


def test_batch_norm_is_torchs() -> None:
    ours, torchs = BatchNorm(3), nn.BatchNorm2d(3)
    for _ in range(3):
        x = torch.randn(5, 3, 4, 4) * 2 + 1
        torch.testing.assert_close(ours(x), torchs(x))
    torch.testing.assert_close(ours.mean, torchs.running_mean)
    torch.testing.assert_close(ours.variance, torchs.running_var)
    torch.testing.assert_close(ours.eval()(x), torchs.eval()(x))


def test_statistics_of_the_batch_make_an_image_depend_on_the_others() -> None:
    x = torch.randn(6, 2, 3, 3)
    for statistics, same in (("running", True), ("batch", False)):
        norm = BatchNorm(2, statistics).eval()  # type: ignore[arg-type]
        assert torch.allclose(norm(x)[:3], norm(x[:3]), atol=1e-6) is same
        assert torch.equal(norm.mean, torch.zeros(2))
    with pytest.raises(ValueError, match="Expected 'running' or 'batch'"):
        BatchNorm(2, "moving")  # type: ignore[arg-type]


def test_batches_that_are_not_noted_leave_the_averages_alone() -> None:
    norm, other, x = BatchNorm(2), BatchNorm(2), torch.randn(6, 2, 3, 3) + 5
    with unnoted(nn.Sequential(norm)):
        assert torch.equal(norm(x), other(x))
        assert torch.equal(norm.mean, torch.zeros(2)) and torch.equal(norm.variance, torch.ones(2))
    norm(x)
    assert torch.equal(norm.mean, other.mean)


def test_a_fixed_batch_stands_for_the_one_at_hand() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 1), BatchNorm(3, "batch"), nn.Conv2d(3, 2, 1), BatchNorm(2, "batch"))
    network.eval()
    fixed, x = torch.randn(8, 2, 3, 3), torch.randn(6, 2, 3, 3) * 3 + 1
    with normalised_by(network, lambda: network(fixed)):
        torch.testing.assert_close(network(x)[:1], network(x[:1]))
        inside = network(fixed)
    torch.testing.assert_close(inside, network(fixed))  # for that batch nothing changes
    assert not torch.allclose(network(x)[:1], network(x[:1]))


def test_minibatch_features_are_means_over_the_batch() -> None:
    near = MinibatchFeatures(4, kernels=3, dims=2)
    h = torch.randn(5, 4)
    m = near.linear(h).view(5, 3, 2)
    for i in range(5):
        for k in range(3):
            expected = sum(torch.exp(-(m[i, k] - m[j, k]).abs().sum()) for j in range(5)) / 5
            torch.testing.assert_close(near(h)[i, k], expected)


def _setup() -> tuple[Networks, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    networks = Networks(2, ImageShape(3, 16), noise=4, maps=4, kernels=6, dims=3).double()
    return networks, torch.randn(8, 4).double(), torch.randn(8, 3, 16, 16).double()


def _all(networks: Networks, z: torch.Tensor, real: torch.Tensor) -> dict[str, torch.Tensor]:
    code = z[:, :2].sign()
    fake = networks.generator(z, code)
    loss = (
        discriminator_loss(networks.discriminator(real), networks.discriminator(fake)) + networks.labeler(fake).mean()
    )
    parameters = [
        *networks.generator.parameters(), *networks.discriminator.parameters(), *networks.labeler.parameters()
    ]  # fmt: skip
    found = {f"gradient {i}": g for i, g in enumerate(gradients_of(loss, parameters))}
    return found | {"loss": mean_over_processes(loss)[0], **{k: v for k, v in networks.named_buffers()}}


def _worker(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    networks, z, real = _setup()
    mine = slice(4 * rank, 4 * rank + 4)
    assert torch.equal(gathered(z[mine]), z)
    found = _all(networks, z[mine], real[mine])
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_give_the_gradients_of_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(_worker, args=(port, str(tmp_path)), nprocs=2, start_method="fork")
    expected = _all(*_setup())
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert first.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(first[name], value, rtol=1e-6, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")
        assert torch.equal(first[name], second[name]), name
