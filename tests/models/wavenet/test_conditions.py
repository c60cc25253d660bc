"""Conditions: labels, tags, and features brought to the rate of the samples."""

from __future__ import annotations

import pytest
import torch

from reprise.config.errors import ConfigError, DataError
from reprise.models.wavenet.conditions import LocalCondition, one_hot


def test_labels_of_several_kinds_stand_side_by_side_and_unknown_ones_are_zeros() -> None:
    h = one_hot(torch.tensor([[0, 2], [-1, 0], [1, -1]]), [2, 3])
    assert h.tolist() == [[1, 0, 0, 0, 1], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0]]
    assert h.dtype == torch.float32
    assert one_hot(torch.empty(4, 0, dtype=torch.long), []).shape == (4, 0)


@pytest.mark.parametrize("label", [3, -2])
def test_a_label_out_of_range_is_named(label: int) -> None:
    with pytest.raises(DataError, match=rf"label 1 of a clip is {label}\. Expected 0 to 2"):
        one_hot(torch.tensor([[0, 1], [1, label]]), [2, 3])
    with pytest.raises(ValueError, match=r"\(B, 2\)"):
        one_hot(torch.tensor([[0]]), [2, 3])


def local(**settings) -> LocalCondition:
    torch.manual_seed(0)
    return LocalCondition(**({"inputs": 3, "channels": 4, "hop": 6} | settings)).double()


def test_repetition_is_a_product_for_each_frame() -> None:
    layer, frames = local(), torch.randn(2, 5, 3, dtype=torch.double)
    y = layer(frames)
    assert y.shape == (2, 30, 4) and layer.reach == 0
    for t in (0, 5, 6, 29):
        torch.testing.assert_close(y[:, t], frames[:, t // 6] @ layer.product.weight.T)


@pytest.mark.parametrize("factors", [[6], [2, 3], [3, 2], [1, 6]])
def test_transposed_convolutions_start_as_repetition_and_are_learned(factors: list[int]) -> None:
    layer = local(upsampling="transposed", factors=factors)
    frames = torch.randn(2, 5, 3, dtype=torch.double)
    torch.testing.assert_close(layer(frames), layer.product(frames).repeat_interleave(6, 1))
    layer(frames).square().sum().backward()
    assert all(bool((stage.weight.grad != 0).all()) for stage in layer.stages)


@pytest.mark.parametrize(
    ("settings", "reach"),
    [
        ({"upsampling": "transposed", "factors": [6]}, 1),
        ({"upsampling": "transposed", "factors": [2, 3]}, 2),
        ({"convolutions": 2, "kernel": 5}, 4),
        ({"upsampling": "transposed", "factors": [3, 2], "convolutions": 1, "kernel": 3}, 3),
    ],
)
def test_a_sample_looks_at_its_own_frame_and_so_many_beside_it(settings: dict, reach: int) -> None:
    layer = local(**settings)
    assert layer.reach == reach
    for weight in layer.parameters():
        torch.nn.init.uniform_(weight, 0.1, 1.0)  # nothing cancels, every ReLU is open
    frames = torch.rand(1, 13, 3, dtype=torch.double).requires_grad_()
    seen = set()
    for t in range(36, 42):  # frame 6
        (grad,) = torch.autograd.grad(layer(frames)[0, t].sum(), frames)
        seen |= set(grad[0].abs().sum(1).nonzero()[:, 0].tolist())
    assert seen == set(range(6 - reach, 6 + reach + 1))


def test_a_crop_differs_from_the_whole_at_its_ends_only() -> None:
    layer = local(upsampling="transposed", factors=[2, 3], convolutions=1, kernel=3)
    for weight in layer.parameters():
        torch.nn.init.normal_(weight)
    frames = torch.randn(1, 20, 3, dtype=torch.double)
    whole, crop, edge = layer(frames), layer(frames[:, 4:16]), layer.reach
    torch.testing.assert_close(crop[:, edge * 6 : -edge * 6], whole[:, (4 + edge) * 6 : (16 - edge) * 6])
    assert not torch.allclose(crop[:, :6], whole[:, 24:30])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"upsampling": "transposed", "factors": [2, 2]}, "product of factors=\\[2, 2\\] is 4, but a frame has 6"),
        ({"upsampling": "transposed"}, "product of factors"),
        ({"factors": [6]}, "upsampling=transposed"),
        ({"upsampling": "linear"}, "repeat, transposed"),
        ({"convolutions": 1, "kernel": 2}, "odd"),
        ({"convolutions": 1}, "kernel=null. Expected an odd number"),
        ({"kernel": 3}, "kernel=3 and no convolutions. Set kernel=null"),
        ({"convolutions": -1}, "convolutions=-1. Expected 0 or more"),
        ({"hop": 0}, "hop is 0"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        local(**settings)


def test_features_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(B, F, 3\)"):
        local()(torch.zeros(1, 2, 5))
