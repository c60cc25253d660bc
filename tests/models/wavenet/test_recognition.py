"""Recognition: frames see their own samples and look ahead, pieces and crops agree, and two losses are learned."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.metrics.phones import TIMIT_61
from reprise.models.wavenet.heads import LogisticMixture, Softmax
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.models.wavenet.objective import next_sample_loss
from reprise.models.wavenet.recognition import RecognitionNetwork, class_loss, recognition_losses
from reprise.models.wavenet.recognition_module import WaveNetRecogniser, scored_sequence

POOL = 8
NAMES = ["a", "i", "u"]


def stack(head: Any = None, **settings: Any) -> WaveNetNetwork:
    torch.manual_seed(0)
    return WaveNetNetwork(head or Softmax(32), [1, 2, 4], residual=12, skip=16, **settings)


def network(head: Any = None, **settings: Any) -> RecognitionNetwork:
    chosen = {"pool": POOL, "classes": 3, "channels": 12, "convolutions": 2} | settings
    return RecognitionNetwork(stack(head), **chosen)


def audio(batch: int, length: int) -> Tensor:
    return torch.rand(batch, length, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8


def test_a_frame_sees_its_samples_but_the_last_and_as_many_frames_ahead_as_the_convolutions() -> None:
    model = network(LogisticMixture(1), words=2)
    past = model.receptive_field
    for weight in model.convolutions.parameters():
        torch.nn.init.uniform_(weight, 0.05, 0.1)  # nothing cancels, every ReLU is open
    x = audio(1, past + 9 * POOL)
    there = torch.ones_like(x, dtype=torch.bool)

    def frame_4(x: Tensor) -> Tensor:
        return model(x, there).frames[0, 4]

    with torch.no_grad():
        base = frame_4(x)
        changed = []
        for t in range(x.shape[1]):
            other = x.clone()
            other[0, t] = -0.9
            changed.append(not torch.equal(frame_4(other), base))
    # two frames on either side; the column before the first sample is past - 1, and the last of them predicts nothing
    first, last = 2 * POOL, past + 7 * POOL - 2
    assert [t for t, c in enumerate(changed) if c] == list(range(first, last + 1))
    assert model(x, there).words.shape == (1, 2) and model(x, there).log_prob.shape == (1, 9 * POOL)


def test_log_probabilities_are_those_of_the_wavenet() -> None:
    model = network()
    x = audio(2, model.receptive_field + 4 * POOL)
    there = torch.ones_like(x, dtype=torch.bool)
    torch.testing.assert_close(model(x, there).log_prob, model.wavenet.log_prob(x))
    assert model(x, there, next_sample=False).log_prob is None


def test_the_wavenet_gives_its_features() -> None:
    net = stack()
    previous = torch.randint(0, 32, (2, net.receptive_field + 5), generator=torch.Generator().manual_seed(0))
    features = net.features(previous)
    assert features.shape == (2, 6, 16) and bool((features < 0).any())
    torch.testing.assert_close(net.out(net.post(features.relu()).relu()), net(previous))


@pytest.mark.parametrize("length", [1, POOL, 5 * POOL + 3, 12 * POOL])
def test_a_clip_is_the_same_in_pieces_and_as_a_padded_crop(length: int) -> None:
    model = network(words=2)
    past, x = model.receptive_field, audio(1, length)[0]
    whole, pieces = model.clip(x), model.clip(x, piece=3 * POOL)
    padded = torch.nn.functional.pad(x, (past, 5 * POOL - length % POOL))[None]  # silence behind the end as well
    exists = ((torch.arange(padded.shape[1]) >= past) & (torch.arange(padded.shape[1]) < past + length))[None]
    crop = model(padded, exists)
    frames = -(-length // POOL)
    assert whole.frames.shape == (1, frames, 3) and whole.log_prob.shape == (1, length)
    for found in (pieces, crop):
        torch.testing.assert_close(found.frames[:, :frames], whole.frames)
        torch.testing.assert_close(found.words, whole.words)
        torch.testing.assert_close(found.log_prob[:, :length], whole.log_prob)


def test_losses_leave_out_what_is_unknown_and_do_not_exist() -> None:
    logits = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([[0, 2, -1, -1], [1, 1, 0, 2]])
    log_p = logits.log_softmax(-1)
    first = -(log_p[0, 0, 0] + log_p[0, 1, 2]) / 2
    second = -(log_p[1, 0, 1] + log_p[1, 1, 1] + log_p[1, 2, 0] + log_p[1, 3, 2]) / 4
    assert float(class_loss(logits, classes)) == pytest.approx(float((first + second) / 2), rel=1e-6)
    assert float(class_loss(logits, torch.full((2, 4), -1))) == 0.0
    log_prob, exists = torch.tensor([[-1.0, -5.0], [-2.0, -4.0]]), torch.tensor([[True, False], [True, True]])
    assert float(next_sample_loss(log_prob, exists)) == pytest.approx((1 + 3) / 2)


def test_the_next_sample_is_weighed_against_the_class() -> None:
    model = network(words=2)
    x = audio(2, model.receptive_field + 2 * POOL)
    found, there = model(x, torch.ones_like(x, dtype=torch.bool)), torch.ones(2, 2 * POOL, dtype=torch.bool)
    frames, words = torch.tensor([[0, 1], [2, -1]]), torch.tensor([1, -1])
    losses = recognition_losses(found, there, frames, words, 0.3)
    assert losses.total.item() == pytest.approx((losses.classes + 0.3 * losses.next_sample).item(), rel=1e-6)
    assert losses.next_sample.item() == pytest.approx(-found.log_prob.mean().item(), rel=1e-6)
    expected = class_loss(found.frames, frames) + class_loss(found.words[:, None], words[:, None])
    assert losses.classes.item() == pytest.approx(expected.item(), rel=1e-6)


class Tones:
    """Each class is a tone; a clip is three of them, each of a number of frames, and its word is the longest."""

    grid, frame_names, label_names = POOL, NAMES, {"speaker": ["s"], "word": NAMES}
    lengths = (3, 3, 9)

    def __init__(self) -> None:
        self.context = 0

    def need_context(self, samples: int) -> None:
        self.context = samples + 3

    def clip(self, seed: int) -> dict[str, Any]:
        g = torch.Generator().manual_seed(seed)
        classes = torch.randperm(3, generator=g)
        frames = classes.repeat_interleave(torch.tensor(self.lengths))
        step = torch.tensor([0.3, 0.9, 1.8])[frames].repeat_interleave(POOL)
        wave = 0.6 * torch.sin(step.cumsum(0) + 6 * torch.rand(1, generator=g))
        return {
            "audio": wave,
            "frames": frames,
            "classes": classes,
            "labels": torch.stack([frames.new_tensor(0), classes[2]]),
        }

    def batch(self, seeds: list[int]) -> dict[str, Any]:
        clips = [self.clip(s) for s in seeds]
        joined: dict[str, Any] = {name: [c[name] for c in clips] for name in ("audio", "frames", "classes")}
        return joined | {"labels": torch.stack([c["labels"] for c in clips])}

    def crops(self, seeds: list[int]) -> dict[str, Any]:
        batch = self.batch(seeds)
        x = torch.nn.functional.pad(torch.stack(batch["audio"]), (self.context, 0))
        exists = (torch.arange(x.shape[1]) >= self.context).expand(len(x), -1)
        return batch | {"audio": x, "exists": exists, "frames": torch.stack(batch["frames"])}


def recogniser(data: Any = None, words: int = 3, **settings: Any) -> WaveNetRecogniser:
    chosen = {"word": "word" if words else None, "optimizer": functools.partial(torch.optim.Adam, lr=1e-2)} | settings
    module = WaveNetRecogniser(network(words=words), **chosen)
    module._trainer = SimpleNamespace(datamodule=data or Tones())
    module.setup("fit")
    return module


def logged(module: WaveNetRecogniser, split: str, batches: list[dict[str, Any]]) -> dict[str, float]:
    found: dict[str, float] = {}
    module.log = lambda name, value, **_: found.__setitem__(name, float(value))
    for batch in batches:
        getattr(module, {"val": "validation_step", "test": "test_step"}[split])(batch, 0)
    getattr(module, {"val": "on_validation_epoch_end", "test": "on_test_epoch_end"}[split])()
    return found


@pytest.mark.parametrize("weight", [0.3, 0.0])
def test_a_recogniser_learns_classes_and_sound(weight: float) -> None:
    module = recogniser(next_sample_weight=weight)
    data: Any = module.trainer.datamodule
    untrained = logged(module, "test", [data.batch([1000, 1001, 1002, 1003, 1004])])
    optimizer = module.configure_optimizers()
    for step in range(180):
        optimizer.zero_grad()
        module.training_step(data.crops(list(range(8 * step, 8 * step + 8))), step).backward()
        optimizer.step()
    found = logged(module, "test", [data.batch([1000, 1001, 1002, 1003]), data.batch([1004])])
    assert found["test/frame_error_percent"] < 15.0 < 40.0 < untrained["test/frame_error_percent"]
    assert found["test/word_error_percent"] <= 20.0 < untrained["test/word_error_percent"]
    names = {"test/frame_error_percent", "test/per_percent", "test/word_error_percent", "test/bits_per_sample"}
    assert set(found) == (names if weight else names - {"test/bits_per_sample"})
    assert set(found) == {name for name in module.metric_versions() if name.startswith("test/")}
    if weight:
        assert untrained["test/bits_per_sample"] > 4.5 and found["test/bits_per_sample"] < 3.7
    trained = {name for name, p in module.network.named_parameters() if p.grad is not None}
    alone = {name for name, _ in module.network.named_parameters() if name.startswith(("wavenet.post", "wavenet.out"))}
    assert bool(alone & trained) == bool(weight)  # no weight waits for a gradient that never comes
    assert {n for n, _ in module.network.named_parameters()} - trained == (set() if weight else alone)


def test_measures_do_not_depend_on_how_clips_are_divided() -> None:
    module = recogniser()
    data: Any = module.trainer.datamodule
    together = logged(module, "test", [data.batch([0, 1, 2])])
    apart = logged(module, "test", [data.batch([2]), data.batch([1, 0])])
    assert apart == pytest.approx(together, rel=1e-12)
    valued = logged(module, "val", [data.batch([0]), data.batch([1, 2])])
    assert valued.pop("val/loss") > 0
    assert valued == pytest.approx({f"val/{k[5:]}": v for k, v in together.items()}, rel=1e-12)


def test_error_rates_by_hand() -> None:
    module = recogniser(words=0, next_sample_weight=0.0)
    data: Any = module.trainer.datamodule
    with torch.no_grad():  # it always says i
        module.network.frame_classes.weight.zero_()
        module.network.frame_classes.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
    batch = data.batch([0])
    batch["frames"][0][0] = -1
    known = batch["frames"][0][1:]
    found = logged(module, "test", [batch])
    assert found["test/frame_error_percent"] == pytest.approx(100 * float((known != 1).double().mean()))
    assert found["test/per_percent"] == pytest.approx(200 / 3)  # of three phones two are missing
    assert module.recognise(batch["audio"][0]) == ["i"]
    del batch["classes"]
    batch["frames"] = [torch.tensor([0, 0, 1, 1, 1, 2, 2, 0, 0, 0, 0, 0, 0, -1, 2])]
    assert logged(module, "test", [batch])["test/per_percent"] == pytest.approx(80.0)  # a i u a u


def test_sequences_are_scored_in_39_phones() -> None:
    names = list(TIMIT_61)
    frames = [names.index(p) for p in ["h#", "h#", "ax", "ah", "tcl", "pau", "t", "q", "t"]]
    assert scored_sequence([*frames, -1], names, "timit_39") == ["sil", "ah", "sil", "t"]
    assert scored_sequence(frames, names, "as_given") == ["h#", "ax", "ah", "tcl", "pau", "t", "q", "t"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"next_sample_weight": -1.0}, "next_sample_weight"),
        ({"word": None}, "Give both or neither"),
        ({"scored": "48"}, "as_given, timit_39"),
        ({"scored": "timit_39"}, "the data have a, i, u"),
        ({"word": "digit"}, "Expected one of speaker, word"),
        ({"word": "speaker"}, "words is 3, and the data have 1"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        recogniser(**settings)


def test_data_of_other_frames_are_refused() -> None:
    data = Tones()
    data.grid = 160
    with pytest.raises(ConfigError, match=r"pool is 8 and data\.grid is 160"):
        recogniser(data)
    data = Tones()
    data.frame_names = ["a"]
    with pytest.raises(ConfigError, match=r"Set model\.network\.classes=1"):
        recogniser(data)


def test_networks_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="one of them above 0"):
        network(classes=0)
    with pytest.raises(ConfigError, match="odd"):
        network(kernel=2)
    with pytest.raises(ConfigError, match="takes conditions"):
        RecognitionNetwork(stack(global_channels=2), classes=2)
    model = network()
    with pytest.raises(ValueError, match="no whole frames of 8"):
        x = audio(1, model.receptive_field + POOL + 1)
        model(x, x > -math.inf)
