"""WaveNet with its conditions: crops, whole clips and drawing agree, whatever it is conditioned on."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics import Metric, MetricCollection

from reprise.config.errors import ConfigError, DataError, RunError
from reprise.models.wavenet.conditions import LocalCondition
from reprise.models.wavenet.context import ContextStack
from reprise.models.wavenet.labels import chosen_labels, chosen_tags, fitting_labels, global_condition
from reprise.models.wavenet.module import WaveNet
from reprise.nn.labels import TAG
from reprise.nn.randomness import example_rng
from tests.models.wavenet.naive import network

HOP, POOL, RATE = 6, 4, 1000
LABELS = {"speaker": ["theo", "lucas"], "digit": ["0", "1", "7"]}
LOCAL = {
    "repeat": {"upsampling": "repeat"},
    "convolved": {"upsampling": "repeat", "convolutions": 2, "kernel": 3},
    "of one frame": {"upsampling": "repeat", "convolutions": 1, "kernel": 1},  # features of zeros give no zeros
    "transposed": {"upsampling": "transposed", "factors": [2, 3], "convolutions": 1, "kernel": 3},
}
KINDS: dict[str, dict[str, Any]] = {
    "alone": {},
    "labels": {"labels": LABELS},
    "tags": {"labels": {"speaker": ["theo", "lucas"], TAG: ["loud", "slow"]}},
    "context": {"context": True},
    "everything": {"labels": LABELS, "local": "transposed", "context": True},
    **{name: {"local": name} for name in LOCAL},
}
every_kind = pytest.mark.parametrize("kind", KINDS)
both_paddings = pytest.mark.parametrize("padding", ["silence", "zeros"])


def module(kind: str = "alone", padding: str = "silence", **settings: Any) -> WaveNet:
    """A small WaveNet whose conditions matter."""
    chosen = KINDS[kind]
    torch.manual_seed(1)
    local = LocalCondition(3, 4, HOP, **LOCAL[chosen["local"]]) if "local" in chosen else None
    context = ContextStack(POOL, 5, [1, 2], residual=4, skip=4) if "context" in chosen else None
    labels = chosen.get("labels", {})
    net = network(
        padding=padding,
        global_channels=sum(map(len, labels.values())),
        local_channels=(4 if local else 0) + (5 if context else 0),
    )
    for part in (local, context):
        for weight in [] if part is None else part.parameters():
            torch.nn.init.normal_(weight, 0.0, 0.5)
    optimizer = functools.partial(torch.optim.Adam, lr=1e-2)
    return WaveNet(net, optimizer, seed=0, labels=labels, local=local, context=context, **settings).eval()


class Clips(pl.LightningDataModule):
    """Clips of 61, 90 and 120 samples, whole or in crops that begin at multiples of 12 samples."""

    sample_rate, local_channels, grid, crop = RATE, 3, 2 * POOL - 4, 48

    def __init__(self, kind: str = "alone") -> None:
        super().__init__()
        self.label_names: dict[str, list[str]] = KINDS[kind].get("labels", {})
        self.hop = HOP if "local" in KINDS[kind] else 1
        self.context = 0

    def need_context(self, samples: int) -> None:
        self.context = -(-samples // self.hop) * self.hop

    def clip(self, i: int) -> dict[str, Any]:
        g, length = torch.Generator().manual_seed(i), [61, 90, 120][i % 3]
        counts = [len(names) for kind, names in self.label_names.items() if kind != TAG]
        item = {
            "audio": torch.rand(length, generator=g) * 1.6 - 0.8,
            "labels": torch.tensor([int(torch.randint(-1, n, (), generator=g)) for n in counts], dtype=torch.long),
            "id": f"clip-{i}",
            "position": i,
        }
        if TAG in self.label_names:
            item["tags"] = torch.tensor([1.0, float(i % 2)])
        if self.hop > 1:
            item["local"] = torch.randn(-(-length // HOP), 3, generator=g)
        return item

    def cropped(self, i: int, start: int) -> dict[str, Any]:
        """The crop from `start` on, with its context."""
        item, first = self.clip(i), start - self.context
        at = torch.arange(first, start + self.crop)
        audio, exists = item["audio"], (at >= 0) & (at < len(item["audio"]))
        found = {**item, "audio": audio[at.clamp(0, len(audio) - 1)] * exists, "exists": exists}
        if "local" in item:
            rows = torch.arange(first // HOP, (start + self.crop) // HOP)
            there = (rows >= 0) & (rows < len(item["local"]))
            found["local"] = item["local"][rows.clamp(0, len(item["local"]) - 1)] * there[:, None]
        return found

    def train_dataloader(self) -> Any:
        return DataLoader([self.cropped(i, 12 * (i % 5)) for i in range(6)], batch_size=2)

    def val_dataloader(self) -> Any:
        return DataLoader([self.clip(6), self.clip(7)], batch_size=2, collate_fn=lists)

    test_dataloader = val_dataloader


def lists(items: list[dict[str, Any]]) -> dict[str, Any]:
    batch: dict[str, Any] = {name: [item[name] for item in items] for name in items[0]}
    stacked = {name: torch.stack(batch[name]) for name in ("labels", "tags") if name in batch}
    return batch | stacked | {"position": torch.tensor(batch["position"])}


def together(items: list[dict[str, Any]]) -> dict[str, Any]:
    return torch.utils.data.default_collate(items)


def attached(of: WaveNet, data: Clips) -> WaveNet:
    of._trainer = SimpleNamespace(datamodule=data)
    of.setup("fit")
    return of


def whole(of: WaveNet, clip: dict[str, Any]) -> Tensor:
    return of.model.clip_log_prob(clip["audio"], clip["labels"], clip.get("tags"), clip.get("local"))


@both_paddings
@every_kind
def test_a_crop_is_a_part_of_its_clip(kind: str, padding: str) -> None:
    data = Clips(kind)
    of = attached(module(kind, padding), data)
    places = [(i, start) for i in range(3) for start in (0, 12, 36)]
    with torch.no_grad():
        found = of(together([data.cropped(i, start) for i, start in places]))
    assert found.shape == (9, data.crop)
    for row, (i, start) in zip(found, places, strict=True):
        expected = whole(of, data.clip(i))[start : start + data.crop]
        scored = min(len(expected), data.crop - of.ahead)
        torch.testing.assert_close(row[:scored], expected[:scored], atol=1e-4, rtol=1e-4)


@every_kind
def test_pieces_of_a_clip_give_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of, clip = module(kind), Clips(kind).clip(2)
    at_once = whole(of, clip)
    monkeypatch.setattr("reprise.models.wavenet.conditioned._PIECE", 23)
    torch.testing.assert_close(whole(of, clip), at_once, atol=1e-5, rtol=1e-5)
    assert len(at_once) == 120 and at_once.std() > 0.3


@both_paddings
@every_kind
def test_what_is_drawn_has_the_distribution_that_is_measured(kind: str, padding: str) -> None:
    """Each drawn sample is the one that its uniform number picks of the measured distribution."""
    of, clip = module(kind, padding), Clips(kind).clip(0)
    labels = clip["labels"][None].clamp(min=0)
    tags = clip["tags"][None] if "tags" in clip else None
    frames = [clip["local"]] if "local" in clip else None
    drawn = of.model.draw([61], labels, tags, frames, seed=5, keys=[9], engine="torch")[0]
    uniform = example_rng(5, "generate", 9).random(61)
    head = of.model.network.head
    codes = head.inputs(drawn[None])[0]
    # the distribution of the sample at every time, by measuring each code in its place
    clips = drawn.repeat(16, 1)
    for t in range(0, 61, 9):
        clips[:, t] = head.audio(torch.arange(16))
        local = None if frames is None else frames[0]
        p = (
            torch.stack(
                [
                    of.model.clip_log_prob(c[: t + 1], labels[0], None if tags is None else tags[0], local)[t]
                    for c in clips
                ]
            )
            .exp()
            .double()
        )
        clips[:, t] = drawn[t]
        steps = p.cumsum(0)
        assert steps[-1] == pytest.approx(1.0, abs=1e-4)
        low = 0.0 if codes[t] == 0 else float(steps[codes[t] - 1])
        assert low - 1e-4 <= uniform[t] <= float(steps[codes[t]]) + 1e-4, t


@both_paddings
@every_kind
def test_a_clip_sounds_the_same_alone_and_among_others(kind: str, padding: str) -> None:
    of, data = module(kind, padding), Clips(kind)
    clips = [data.clip(i) for i in range(3)]
    for clip in clips:
        clip["labels"] = clip["labels"].clamp(min=0)
    many = of.generate(clips, seconds=0.06, keys=[4, 5, 6], seed=1)
    assert [wave.shape for wave in many] == [(60,)] * 3 and not torch.equal(many[0], many[1])
    for i in range(3):
        alone = of.generate(clips[i : i + 1], seconds=0.06, keys=[4 + i], seed=1)[0]
        torch.testing.assert_close(alone, many[i], atol=0, rtol=0)


def test_drawing_is_not_in_bfloat16() -> None:
    of, clip = module("repeat"), Clips("repeat").clip(0)
    exact = of.generate([clip], keys=[1])[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(of.generate([clip], keys=[1])[0], exact)


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_weights_and_features_that_are_no_numbers_are_refused(engine: str) -> None:
    of, clip = module("repeat"), Clips("repeat").clip(0)
    clip["local"] = clip["local"] * float("nan")
    with pytest.raises(DataError, match="not finite"):
        of.generate([clip], keys=[1], engine=engine)
    of.model.network.out.bias.data[0] = float("inf")
    with pytest.raises(RunError, match="diverged"):
        of.generate([Clips("repeat").clip(0)], keys=[1], engine=engine)


@pytest.fixture(autouse=True)
def rated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules know the rate of their data, as those that are restored do."""
    build = WaveNet.__init__

    def init(self: WaveNet, *args: Any, **settings: Any) -> None:
        build(self, *args, **settings)
        self.sample_rate.fill_(RATE)

    monkeypatch.setattr(WaveNet, "__init__", init)


def test_the_loss_counts_what_exists_and_whose_features_are_there() -> None:
    data = Clips("convolved")
    of = attached(module("convolved"), data)
    assert of.ahead == 2 * HOP and of.past == data.context >= of.model.receptive_field + 2 * HOP
    # of the first crop 61 - 36 = 25 samples exist, of the second one all 48, of which 36 have their features
    batch = together([data.cropped(0, 36), data.cropped(1, 0)])
    first, second = (whole(of, data.clip(i)) for i in (0, 1))
    expected = -(first[36:61].mean() + second[:36].mean()) / 2
    torch.testing.assert_close(of.training_step(batch, 0), expected, atol=1e-5, rtol=1e-5)
    batch["exists"][:] = False
    assert of.training_step(batch, 0) == 0


def test_data_that_do_not_fit_are_refused() -> None:
    data = Clips("labels")
    with pytest.raises(
        ConfigError, match=r"data have 2 of kind speaker, 3 of kind digit\. Set 'model\.labels=\{speaker"
    ):
        attached(module(), data)
    data = Clips("convolved")
    data.crop = 12
    with pytest.raises(ConfigError, match=r"data\.crop=12 has no sample .* data\.crop=48"):
        attached(module("convolved"), data)
    data.local_channels = 80
    with pytest.raises(ConfigError, match="takes 3 features every 6 samples, the data have 80 every 6"):
        attached(module("convolved"), data)
    data = Clips("context")
    data.grid = 6
    with pytest.raises(ConfigError, match=r"multiples of 6 samples.*Set data\.grid=4"):
        attached(module("context"), data)


def test_a_network_for_other_conditions_is_refused() -> None:
    def build(**settings: Any) -> WaveNet:
        return WaveNet(settings.pop("net", network()), functools.partial(torch.optim.Adam), 0, **settings)

    with pytest.raises(ConfigError, match=r"5 names in all.*Set the latter to 5"):
        build(labels=LABELS)
    with pytest.raises(ConfigError, match=r"give 4 channels.*Set the latter to 4"):
        build(local=LocalCondition(3, 4, HOP))
    with pytest.raises(ConfigError, match=r"model\.vocode=2 draws clips given their features"):
        build(vocode=2)
    with pytest.raises(ConfigError, match=r"model\.samples=2 draws clips of no features.*Set model\.samples=0"):
        build(net=network(local_channels=4), local=LocalCondition(3, 4, HOP), samples=2)
    with pytest.raises(ConfigError, match=r"temperature=0\.0"):
        build(temperature=0.0)


def test_labels_and_tags_are_chosen_by_name() -> None:
    default = torch.tensor([1, 0])
    assert chosen_labels({}, LABELS, default).tolist() == [1, 0]
    assert chosen_labels({"digit": 7, "speaker": "theo"}, LABELS, default).tolist() == [0, 2]
    assert default.tolist() == [1, 0]
    with pytest.raises(ConfigError, match=r"'digits' is not a kind of label.*digit"):
        chosen_labels({"digits": 7}, LABELS, default)
    with pytest.raises(ConfigError, match=r"speaker=leo is not known.*theo"):
        chosen_labels({"speaker": "leo"}, LABELS, default)
    tags = ["loud", "slow"]
    assert chosen_tags(["slow"], tags, None).tolist() == [0.0, 1.0]
    assert chosen_tags(None, tags, torch.tensor([1, 0])).tolist() == [1.0, 0.0]
    assert chosen_tags(None, tags, None).tolist() == [0.0, 0.0]
    with pytest.raises(ConfigError, match=r"'slo' is not a tag.*slow"):
        chosen_tags(["slo"], tags, None)
    h = global_condition({**LABELS, TAG: tags}, torch.tensor([[1, -1]]), torch.tensor([[0.0, 1.0]]), torch.zeros(0))
    assert h is not None and h.tolist() == [[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    assert global_condition({}, torch.zeros(2, 0).long(), None, torch.zeros(0)) is None
    fitting_labels({"digit": ["0", "1"]}, {"digit": [0, 1]})
    with pytest.raises(ConfigError, match="no labels, the data have"):
        fitting_labels({}, LABELS)
    with pytest.raises(ConfigError, match=r"'\+model\.labels="):  # as Hydra wants it
        fitting_labels({"speaker": ["theo", "lucas"]}, LABELS)
    with pytest.raises(ConfigError):  # in another order numbers would mean other classes
        fitting_labels({"digit": ["1", "0"]}, {"digit": ["0", "1"]})


def test_generate_takes_names_and_lengths() -> None:
    of = module("labels", sample_seconds=0.02)
    assert [len(w) for w in of.generate([None, None])] == [20, 20]
    named = of.generate([None], labels={"speaker": "lucas", "digit": "7"}, seconds=0.05)[0]
    assert len(named) == 50 and bool((named.abs() <= 1).all())
    assert torch.equal(named, of.generate([{"labels": torch.tensor([1, 2])}], seconds=0.05)[0])
    assert torch.equal(named, of.generate([None], speaker="lucas", labels={"digit": "7"}, seconds=0.05)[0])
    assert not torch.equal(named, of.generate([None], labels={"speaker": "theo", "digit": "7"}, seconds=0.05)[0])
    assert not torch.equal(named, of.generate([{"labels": torch.tensor([1, 2])}], seconds=0.05, seed=1)[0])
    with pytest.raises(ConfigError, match="speaker=bob is not known"):
        of.generate([None], speaker="bob")
    with pytest.raises(ConfigError, match="Expected more than 0"):
        of.generate([None], seconds=-1.0)
    with pytest.raises(ConfigError, match="knows no tags"):
        of.generate([None], tags=["loud"])
    tagged = module("tags")
    assert not torch.equal(*(tagged.generate([None], seconds=0.05, tags=t)[0] for t in (["loud"], ["slow"])))


def test_features_bound_the_length() -> None:
    of, clip = module("repeat"), Clips("repeat").clip(0)
    (wave,) = of.generate([clip])
    assert len(wave) == len(clip["local"]) * HOP == 66
    assert torch.equal(of.generate([clip], seconds=0.03)[0], wave[:30])
    with pytest.raises(ConfigError, match=r"seconds=0\.067 is longer than the features, 0\.07 s"):
        of.generate([clip], seconds=0.067)
    assert (of.inputs_for(), module().inputs_for()) == ("examples", "none")
    with pytest.raises(ConfigError, match="features are missing"):
        of.model.draw([10], torch.zeros(1, 0).long(), None, None, seed=0, keys=[0])


@pytest.mark.parametrize("kind", ["alone", "context", "everything"])
def test_drawing_tells_how_far_it_has_come(kind: str) -> None:
    of, data = module(kind), Clips(kind)
    clips: list[Any] = [data.clip(0), data.clip(1)]
    told: list[tuple[int, int]] = []
    grown: list[list[Tensor]] = [[], []]

    def step(done: int, new: int, parts: Any) -> None:
        told.append((done, new))
        for of_clip, part in zip(grown, parts, strict=True):
            of_clip.append(part)

    waves = of.generate(clips, seconds=0.05, on_step=step)
    assert told[-1][0] == sum(new for _, new in told) == of.generate_steps(clips, seconds=0.05) == 50
    assert all(torch.equal(torch.cat(parts), wave) for parts, wave in zip(grown, waves, strict=True))
    if "local" in KINDS[kind]:
        assert of.generate_steps(clips) == 90


class Difference(Metric):
    """Stands in for the measures of a vocoder, whose windows are longer than these clips."""

    version = 1

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, made: Tensor, truth: Tensor) -> None:
        self.total += (made - truth).abs().sum()

    def compute(self) -> Tensor:
        return self.total


@pytest.mark.parametrize("kind", ["tags", "everything"])
def test_trains_and_measures(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = MetricCollection({"difference": Difference()})
    monkeypatch.setattr("reprise.models.wavenet.module.vocoder_metrics", lambda rate: metrics)
    vocode = None if "local" in KINDS[kind] else 0
    samples = 0 if "local" in KINDS[kind] else 2
    of, data = module(kind, vocode=vocode, samples=samples, sample_seconds=0.03).train(), Clips(kind)
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(accelerator="cpu", max_steps=3, enable_model_summary=False, num_sanity_val_steps=0, **quiet)
    before = {name: p.clone() for name, p in of.named_parameters()}
    trainer.fit(of, data)
    assert all(not torch.equal(p, before[name]) for name, p in of.named_parameters())
    (found,) = trainer.test(of, data, verbose=False)
    expected = torch.cat([whole(of, data.clip(i)) for i in (6, 7)]).double().mean()
    assert found["test/nats_per_sample"] == pytest.approx(-float(expected), rel=1e-5)
    assert found["test/bits_per_sample"] == pytest.approx(-float(expected) / 0.6931472, rel=1e-5)
    assert found["test/receptive_field"] == of.model.receptive_field
    assert set(found) == {name for name in of.metric_versions() if name.startswith("test/")} | (
        {"test/vocoded/rtf"} if vocode is None else set()
    )
    assert len(of.samples) == 2
    if vocode is None:
        clips = [data.clip(i) for i in (6, 7)]
        labels = torch.stack([c["labels"] for c in clips])
        local = [c["local"] for c in clips]
        drawn = of.model.draw([61, 90], labels, None, local, seed=0, keys=[6, 7], stream="test")
        total = sum(float((a - c["audio"]).abs().sum()) for a, c in zip(drawn, clips, strict=True))
        assert found["test/vocoded/difference"] == pytest.approx(total, rel=1e-5)


def test_a_process_without_a_clip_to_vocode_warns_of_nothing() -> None:
    """Warnings are errors here; torchmetrics warns of what is computed and was never added to."""
    of, data = module("repeat", vocode=1), Clips("repeat")  # the clips held out are the 6th and 7th
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(accelerator="cpu", enable_model_summary=False, **quiet)
    (found,) = trainer.test(of, data, verbose=False)
    assert math.isnan(found["test/vocoded/rtf"]) and math.isnan(found["test/vocoded/ls_mse"])
    assert of.samples == [] and found["test/nats_per_sample"] > 0.0
