"""Dropout from few random bits: its share, mean, independence and layout."""

from __future__ import annotations

import pytest
import torch

from reprise.nn.dropout import Dropout, dropped


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_dropout_keeps_the_mean(share: float, memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = torch.ones(7, 3, 101, 101).contiguous(memory_format=memory_format)
    y = dropped(x, share)
    assert y.stride() == x.stride()
    kept = y > 0
    assert abs(1 - kept.float().mean() - share) < 4e-3
    assert torch.allclose(y[kept], torch.tensor(1 / (1 - share)))
    # neighbours, which share a draw, are independent
    both = (kept.flatten()[:-1] & kept.flatten()[1:]).float().mean()
    assert abs(both - (1 - share) ** 2) < 6e-3


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 5, 7)])
def test_dropout_takes_any_shape_and_type(shape: tuple[int, ...]) -> None:
    for dtype in (torch.float64, torch.bfloat16):
        y = dropped(torch.ones(shape, dtype=dtype), 0.5)
        assert y.dtype == dtype and y.shape == shape
        assert ((y == 0) | (y == 2)).all()


def test_gradient_passes_where_nothing_was_dropped() -> None:
    x = torch.rand(2, 3, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = dropped(x, 0.25)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x, y)
    assert (x.grad == 0).any()


def test_dropout_layer_follows_the_mode_and_the_seed() -> None:
    layer, x = Dropout(0.5), torch.ones(100)
    torch.manual_seed(1)
    first = layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), first) and (first == 0).any()
    assert torch.equal(layer.eval()(x), x)
