"""The network: causality, receptive field, what is seen before audio begins, and its size."""

from __future__ import annotations

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.models.wavenet.heads import LogisticMixture, Softmax
from reprise.models.wavenet.network import WaveNetNetwork


def network(**settings) -> WaveNetNetwork:
    torch.manual_seed(0)
    chosen = {"head": Softmax(16), "dilations": [1, 2, 4], "blocks": 2, "residual": 5, "skip": 6} | settings
    return WaveNetNetwork(**chosen).double()


@pytest.mark.parametrize(("kernel", "first"), [(2, 2), (3, 1), (3, 2)])
@pytest.mark.parametrize("dilations", [[1, 2, 4], [1, 3, 5], [1]])
def test_one_output_depends_on_exactly_the_receptive_field(kernel: int, first: int, dilations: list[int]) -> None:
    model = network(kernel=kernel, first_kernel=first, dilations=dilations, head=LogisticMixture(2))
    r = model.receptive_field
    assert r == 1 + (first - 1) + 2 * sum((kernel - 1) * d for d in dilations)
    past = torch.rand(1, r + 9, dtype=torch.double).requires_grad_()
    out = model(past)
    assert out.shape == (1, 10, 6)
    out[0, 4].sum().backward()
    touched = past.grad[0].nonzero()[:, 0].tolist()
    assert touched == list(range(4, 4 + r))  # the sample before it, column R - 1 + 4, and R - 1 more


def test_a_sample_changes_nothing_that_is_not_after_it() -> None:
    model = network(kernel=3)
    r = model.receptive_field
    audio = torch.rand(2, r + 30, dtype=torch.double) * 2 - 1
    other = audio.clone()
    other[:, r + 12] = -audio[:, r + 12]
    a, b = model.log_prob(audio), model.log_prob(other)
    assert torch.equal(a[:, :12], b[:, :12])
    assert not torch.equal(a[:, 13], b[:, 13])


@pytest.mark.parametrize("padding", ["silence", "zeros"])
def test_a_crop_is_a_part_of_the_whole(padding: str) -> None:
    model = network(padding=padding, global_channels=2, local_channels=3)
    r, total = model.receptive_field, 40
    audio = torch.rand(1, total, dtype=torch.double) * 2 - 1
    y = torch.rand(1, r + total, 3, dtype=torch.double)
    h = torch.tensor([[0.0, 1.0]], dtype=torch.double)
    padded = torch.cat([torch.zeros(1, r, dtype=torch.double), audio], 1)
    exists = torch.arange(r + total)[None] >= r
    whole = model.log_prob(padded, h, y, exists)
    for start in (0, 3, 20):
        part = slice(start, start + r + 12)
        crop = model.log_prob(padded[:, part], h, y[:, part], exists[:, part])
        torch.testing.assert_close(crop, whole[:, start : start + 12])
    assert whole.shape == (1, total)


def test_what_is_seen_before_audio_begins() -> None:
    zeros, silence = network(padding="zeros"), network(padding="silence")
    silence.load_state_dict(zeros.state_dict())
    r = zeros.receptive_field
    audio = torch.zeros(1, r + 5, dtype=torch.double)
    exists = torch.arange(r + 5)[None] >= r
    a, b = zeros.log_prob(audio, exists=exists), silence.log_prob(audio, exists=exists)
    assert not torch.allclose(a[:, 0], b[:, 0])
    torch.testing.assert_close(b, silence.log_prob(audio))
    # the first sample of all is predicted from biases alone: no input of any layer exists
    kept = torch.zeros(6, dtype=torch.double)
    for layer in zeros.layers:
        z = layer(torch.zeros(1, layer.conv.reach + 1, 5, dtype=torch.double), None, None)[0, 0]
        kept = kept + layer.skip(z)
    logits = zeros.out(torch.relu(zeros.post(torch.relu(kept))))
    code = zeros.head.inputs(audio)[0, r]
    torch.testing.assert_close(a[0, 0], torch.log_softmax(logits.float(), -1)[code], check_dtype=False)


def test_public_sizes() -> None:
    model = WaveNetNetwork(Softmax(), [2**i for i in range(10)], blocks=5, residual=32, skip=512)
    assert model.receptive_field == 5117
    # a public network of this size has 1,515,968: a residual of the last layer, which is never read, and no first bias
    assert sum(p.numel() for p in model.parameters()) == 1_515_968 - (32 * 32 + 32) + 32


def test_conditions_that_do_not_fit_are_refused() -> None:
    model = network(global_channels=2)
    past = torch.zeros(1, model.receptive_field, dtype=torch.long)
    with pytest.raises(ValueError, match="global condition of 2"):
        model(past)
    with pytest.raises(ValueError, match="fewer than the receptive field"):
        model(past[:, 1:], torch.zeros(1, 2))
    with pytest.raises(ConfigError, match="dilations"):
        network(dilations=[])
    with pytest.raises(ConfigError, match="unit"):
        network(unit="tanh")
