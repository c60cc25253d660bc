"""The context stack: causality by frames, crops anywhere, and one frame at a time."""

from __future__ import annotations

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.models.wavenet.context import ContextCache, ContextStack

POOL = 4


def stack(**settings) -> ContextStack:
    torch.manual_seed(0)
    chosen = {"pool": POOL, "channels": 3, "dilations": [1, 2], "blocks": 2, "residual": 5, "skip": 16} | settings
    return ContextStack(**chosen).double()


def clip(length: int, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, length, generator=torch.Generator().manual_seed(0), dtype=torch.double) * 2 - 1


def of_clip(model: ContextStack, audio: torch.Tensor) -> torch.Tensor:
    """Conditions of all samples of whole clips."""
    past = model.receptive_field
    padded = torch.nn.functional.pad(audio, (past, 0))
    return model(padded, -past)


@pytest.mark.parametrize(("kernel", "n"), [(2, 7), (3, 13)])
def test_a_condition_depends_on_exactly_the_frames_before_its_own(kernel: int, n: int) -> None:
    model = stack(kernel=kernel)
    assert (model.frames, model.receptive_field) == (n, (n + 1) * POOL - 1)
    audio = clip(20 * POOL).requires_grad_()
    y = of_clip(model, audio)
    for t in (15 * POOL, 15 * POOL + 1, 16 * POOL - 1):  # first, second and last sample of frame 15
        (grad,) = torch.autograd.grad(y[0, t].sum(), audio, retain_graph=True)
        assert grad[0].nonzero()[:, 0].tolist() == list(range((15 - n) * POOL, 15 * POOL))
    assert torch.equal(y[:, 8 : 8 + POOL], y[:, 8:9].expand(-1, POOL, -1))  # one for all samples of a frame


@pytest.mark.parametrize("start", [0, 1, 3, 4, 22])
def test_a_crop_is_a_part_of_the_whole(start: int) -> None:
    model, audio = stack(), clip(120, 2)
    whole, past = of_clip(model, audio), model.receptive_field
    for length in (past + 1, past + 30):
        crop = model(audio[:, start : start + length], start)
        torch.testing.assert_close(crop, whole[:, start + past : start + length])


def test_crops_of_a_batch_begin_where_they_like() -> None:
    model, audio = stack(), clip(120)
    whole, past, starts = of_clip(model, audio), model.receptive_field, [5, 0, 18, 3]
    crops = torch.cat([audio[:, s : s + past + 11] for s in starts])
    found = model(crops, torch.tensor(starts))
    for row, s in zip(found, starts, strict=True):
        torch.testing.assert_close(row, whole[0, s + past : s + past + 11])


def test_what_stands_before_the_clip_does_not_count() -> None:
    model, audio = stack(), clip(60)
    past = model.receptive_field
    padded = torch.nn.functional.pad(audio, (past, 0), value=0.3)
    exists = torch.arange(padded.shape[1])[None] >= past
    torch.testing.assert_close(model(padded, -past, exists=exists), of_clip(model, audio))
    assert not torch.allclose(model(padded, -past), of_clip(model, audio))


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_one_frame_at_a_time_is_the_same(kernel: int) -> None:
    model, audio = stack(kernel=kernel), clip(20 * POOL, 2)
    whole, cache = of_clip(model, audio), ContextCache(model, 2)
    for frame in range(20):
        torch.testing.assert_close(cache.condition, whole[:, frame * POOL])
        given = cache.push(audio[:, frame * POOL : (frame + 1) * POOL])
        assert given is cache.condition and not given.requires_grad


def test_all_weights_learn() -> None:
    model = stack()
    of_clip(model, clip(80)).square().sum().backward()
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in model.parameters())


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="pool is 0"):
        stack(pool=0)
    with pytest.raises(ConfigError, match="dilations"):
        stack(dilations=[])
    model = stack()
    with pytest.raises(ValueError, match="more samples than the receptive field, 31"):
        model(clip(31))
    with pytest.raises(ValueError, match=r"expected samples \(1, 4\)"):
        ContextCache(model, 1).push(clip(5))
