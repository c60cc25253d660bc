"""CausalGAN and CausalBEGAN as modules: who is stepped when, what is drawn, what is refused."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from reprise.config.errors import ConfigError, DataError, RunError
from reprise.metrics.labels.distance import intra_label_distance
from reprise.metrics.labels.judge import JudgeSettings
from reprise.models.adversarial import judging
from reprise.models.adversarial.batch_norm import BatchNorm
from reprise.models.adversarial.labels import noisy
from reprise.models.causal_controller.measures import count_draws
from reprise.models.causalbegan.module import CausalBEGAN
from reprise.models.causalbegan.network import Networks as BEGANNetworks
from reprise.models.causalgan.module import CausalGAN
from reprise.models.causalgan.network import Networks
from reprise.models.causalgan.objective import discriminator_loss, generator_loss
from reprise.nn.causal.graph import CausalGraph
from reprise.samples.captioned import CaptionedGrid
from tests.models.adversarial.tiny import GRAPH, SHAPE, Watch, adam, began, fit, gan, shapes, stage


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def trained(cache: Path) -> tuple[Any, Watch]:
    """CausalGAN after seven iterations, with a validation."""
    module = gan()
    return module, fit(module, shapes(cache), 7, val_check_interval=7)


def test_six_steps_of_the_generator_for_one_of_the_judges(trained: tuple[Any, Watch]) -> None:
    module, watch = trained
    assert len(watch.losses) == 7
    judges = {"discriminator", "labeler", "anti_labeler"}
    assert watch.changed == [{"generator"} | (judges if t % 3 == 0 else set()) for t in range(7)]
    assert module.trainer.global_step == 7 * 2 + 3 * 3
    assert int(module.iteration) == 7


def test_without_an_anti_labeler_it_stays_as_it_is(cache: Path) -> None:
    watch = fit(gan(anti_labeler=False, critic_every=1, generator_steps=1), shapes(cache), 2)
    assert watch.changed == [{"generator", "discriminator", "labeler"}] * 2


def test_the_controller_comes_first(cache: Path) -> None:
    module = gan(labels_from="controller", controller=stage(2))
    watch = fit(module, shapes(cache), 4)
    assert watch.changed[:2] == [{"controller"}] * 2
    assert watch.changed[2:] == [{"generator", "discriminator", "labeler", "anti_labeler"}, {"generator"}]
    assert len(watch.losses) == 4
    labels = module.draw_labels(50, "do", {"Ringed": 1}, torch.Generator().manual_seed(0))
    assert labels.shape == (50, 3)
    assert bool((labels[:, 2] == 1).all())


def test_began_steps_everything_in_every_iteration(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = began(lambdas=[0.5, 0.5, 0.5], lr_schedule=lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.5))
    found: dict[str, float] = {}
    monkeypatch.setattr(module, "on_train_end", lambda: found.update(module.tally.take()))
    watch = fit(module, shapes(cache), 3)
    assert watch.changed == [{"generator", "discriminator", "labeler"}] * 3
    assert len(watch.losses) == 3
    assert [group["lr"] for o in module.trainer.optimizers for group in o.param_groups] == [5e-4, 5e-4]
    assert float(module.c[0]) > 0
    assert found["b_1"] == pytest.approx(0.5 * found["image_real"] - found["image_fake"], abs=1e-5)


def test_an_iteration_of_began_goes_down_both_losses(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of gradient descent against gradients of the two losses, written out."""
    module = began(first_weights=[0.3, 0.2, 0.7])
    module.optimizer = functools.partial(torch.optim.SGD, lr=0.1)
    nets, original = module.network, module.train_images
    expected: list[Tensor] = []

    def note(real: Tensor, labels: Tensor, batch: Any, t: int) -> dict[str, Tensor]:
        _, (one,) = module.rounds(batch["position"].tolist(), 1, real.device)

        def errors(image: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
            shown = ((torch.sigmoid(nets.labeler(image)) - asked) ** 2).mean()
            return (nets.discriminator(image) - image).abs().mean(), shown

        image, label = errors(nets.generator(one.z, one.code), one.believed)
        players = [list(nets.generator.parameters())]
        losses = [image + 0.7 * label]
        image, label = errors(nets.generator(one.z, one.code).detach(), one.believed)
        of_real = errors(real, labels)
        players.append([*nets.discriminator.parameters(), *nets.labeler.parameters()])
        losses.append(of_real[0] - 0.3 * image + of_real[1] - 0.2 * label)
        for loss, weights in zip(losses, players, strict=True):
            slopes = torch.autograd.grad(loss, weights)
            expected.extend((p - 0.1 * slope).detach() for p, slope in zip(weights, slopes, strict=True))
        return original(real, labels, batch, t)

    monkeypatch.setattr(module, "train_images", note)
    fit(module, shapes(cache), 1)
    stepped = [*nets.generator.parameters(), *nets.discriminator.parameters(), *nets.labeler.parameters()]
    torch.testing.assert_close([p.detach() for p in stepped], expected)


def test_the_label_loss_is_the_generators_alone(cache: Path) -> None:
    def after(label_loss: str) -> tuple[Any, dict[str, Tensor]]:
        module = began(label_loss=label_loss, third_margin=False)
        fit(module, shapes(cache), 1)
        return module, module.network.state_dict()

    (square, a), (entropy, b) = after("square"), after("cross_entropy")
    same = {name.split(".")[0] for name in a if torch.equal(a[name], b[name])}
    changed = {name.split(".")[0] for name in a if not torch.equal(a[name], b[name])}
    assert changed == {"generator"}
    assert {"discriminator", "labeler"} <= same
    assert torch.equal(square.c, entropy.c)


def test_the_weights_start_where_they_are_told(cache: Path) -> None:
    """With c_3 = 1 the first iteration is one without the third margin."""

    def first(**settings: Any) -> dict[str, Tensor]:
        module = began(**settings)
        fit(module, shapes(cache), 1)
        return module.network.state_dict()

    at_one, no_margin, at_zero = first(first_weights=[0, 0, 1]), first(third_margin=False), first()
    assert all(torch.equal(value, no_margin[name]) for name, value in at_one.items())
    assert any(not torch.equal(value, at_zero[name]) for name, value in at_one.items())


def test_the_first_iteration_is_the_papers(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Discriminator and generator losses by hand, of the same draws."""
    module, data = gan(label_noise="as_released", form="as_released"), shapes(cache)
    seen: dict[str, Tensor] = {}

    def note(real: Tensor, labels: Tensor, batch: Any, t: int) -> dict[str, Tensor]:
        nets = module.network
        u, (first, second, _) = module.rounds(batch["position"].tolist(), 3, real.device)
        with torch.no_grad():
            fake = nets.generator(first.z, first.code)
            seen["discriminator"] = discriminator_loss(nets.discriminator(real), nets.discriminator(fake))
        assert torch.equal(noisy(labels, u, "as_released") > 0.5, labels > 0.5)
        assert torch.equal(batch["attributes"][:, [0, 2, 3]].float(), labels)
        torch.testing.assert_close(real, batch["image"] / 127.5 - 1.0)
        torch.testing.assert_close(second.code, second.believed.logit())
        found = original(real, labels, batch, t)
        seen["found"] = found["discriminator_loss"]
        return found

    original = module.train_images
    monkeypatch.setattr(module, "train_images", note)
    fit(module, data, 1)
    torch.testing.assert_close(seen["found"], seen["discriminator"])


def test_the_generators_loss_weighs_the_anti_labeler(trained: tuple[Any, Watch]) -> None:
    module = trained[0]
    _, (one,) = module.rounds(range(6), 1, torch.device("cpu"))
    with torch.no_grad():
        found = module._generator_loss(one, 3000)
        images = module.network.generator(one.z, one.code)
        judged = (module.network.discriminator, module.network.labeler, module.network.anti_labeler)
        expected = generator_loss(*(judge(images) for judge in judged), one.believed, 0.36787944117144233)
    torch.testing.assert_close(found, expected)


def test_draws_belong_to_examples(trained: tuple[Any, Watch]) -> None:
    module = trained[0]
    u, whole = module.rounds(range(8), 2, torch.device("cpu"))
    v, part = module.rounds(range(3, 6), 2, torch.device("cpu"))
    assert torch.equal(u[:, 3:6], v)
    for one, other in zip(whole, part, strict=True):
        assert all(torch.equal(a[3:6], b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(whole[0].z, whole[1].z)


def test_labels_and_images_are_drawn(trained: tuple[Any, Watch]) -> None:
    module = trained[0]
    draw = lambda kind, values, seed=3: module.draw_labels(  # noqa: E731
        400, kind, values, torch.Generator().manual_seed(seed)
    )
    assert draw("observe", {}).dtype == torch.uint8
    assert torch.equal(draw("observe", {}), draw("observe", {}))
    given, done = draw("given", {"Ringed": 1}), draw("do", {"Ringed": 1})
    assert given.float().mean(0)[[0, 2]].tolist() == [1.0, 1.0]  # only what is round is ringed
    assert 0.2 < float(done[:, 0].float().mean()) < 0.8
    images = module.images_of(given[:5], torch.Generator().manual_seed(0))
    assert images.shape == (5, 3, 32, 32)
    assert float(images.abs().max()) <= 1.0
    with pytest.raises(DataError):
        draw("given", {"Ringed": 1, "Round": 0})
    with pytest.raises(ConfigError, match="Did you mean 'Ringed'"):
        draw("do", {"Ring": 1})


def test_generate(trained: tuple[Any, Watch]) -> None:
    module = trained[0]
    all_of_them = module.generate([None] * 4, seed=1, do={"Ringed": 1}, keys=[5, 6, 7, 8])
    alone = module.generate([None], seed=1, do={"Ringed": 1}, keys=[7])
    assert all_of_them[2].dtype == torch.uint8
    assert int((all_of_them[2].int() - alone[0].int()).abs().max()) <= 1
    ends = module.generate([None] * 3, sweep="Ringed", sweep_steps=4, given={"Round": 1})
    grid = module.overview([None] * 3, ends, sweep="Ringed", given={"Round": 1})
    assert grid.shape == (3, 4)
    assert torch.equal(grid.images.view(3, 4, 3, 32, 32)[:, -1], torch.stack(ends))
    assert grid.caption.startswith("Each row moves Ringed from 0 to 1, of labels drawn given Round = 1;")
    with pytest.raises(ConfigError, match="do and given are both there"):
        module.generate([None], do={"Round": 1}, given={"Large": 1})
    with pytest.raises(ConfigError, match="Expected 0 or 1"):
        module.generate([None], do={"Round": 2})


class _Rare:
    """Ringed in one of two thousand draws, and nothing else ever."""

    noise_dims = 1

    def __call__(self, noise: Tensor, do: Any = None) -> Tensor:
        ringed = (noise[..., 2, 0] > 0.999).float()
        return torch.stack([torch.zeros_like(ringed), torch.zeros_like(ringed), ringed], -1)


def test_a_picture_under_a_rare_condition_is_drawn_like_any() -> None:
    module = gan(labels_from="controller", controller=stage(2))
    module.source._controller[0] = _Rare()
    labels = module.labels_for(0, range(32), "given", {"Ringed": 1})
    assert labels.tolist() == [[0, 0, 1]] * 32
    observed = module.labels_for(0, range(32), "observe", {})
    assert observed.tolist() == [[0, 0, 0]] * 32
    with pytest.raises(RunError, match=r"^0 of 507904 draws.*lost Large=1: train with model\.controller\.rare_share"):
        module.labels_for(0, range(32), "given", {"Large": 1})
    with pytest.raises(RunError, match=r"^0 of 507904 draws.*lost Large=1"):  # the same rule where many are drawn
        module.draw_labels(4, "given", {"Large": 1}, torch.Generator().manual_seed(0))


def test_labels_of_a_picture_depend_on_its_key_alone() -> None:
    module = gan(labels_from="controller", controller=stage(2))
    asked: dict[str, Any] = {"kind": "given", "values": {"Round": 1}}
    module.stage.network.last_bias.data.zero_()
    module.stage.network.noise_weight.data.mul_(5.0)
    together = module.labels_for(0, range(40), **asked)
    assert bool((together[:, 0] == 1).all()) and len(together.unique(dim=0)) > 1
    assert torch.equal(module.labels_for(0, [7], **asked), together[7:8])
    assert torch.equal(
        module.labels_for(0, [7, 8], "do", {"Round": 1})[1:], module.labels_for(0, [8], "do", {"Round": 1})
    )


def test_pictures_say_what_they_show(trained: tuple[Any, Watch]) -> None:
    module, _ = trained
    made = module.generate([None] * 2, sweep="Large", sweep_steps=3)
    moved = module.overview([None] * 2, made, sweep="Large")
    assert moved.caption.startswith("Each row moves Large from 0 to 1, of labels drawn as they are observed;")
    assert isinstance(moved, CaptionedGrid) and moved.shape == (2, 3)
    held = module.overview([None] * 2, module.generate([None] * 2, do={"Ringed": 1}), do={"Ringed": 1})
    assert isinstance(held, CaptionedGrid) and held.caption == "2 images of labels under do(Ringed = 1)"
    assert module.overview([None] * 2, made, given={"Round": 0}).caption == "2 images of labels given Round = 0"
    with pytest.raises(ConfigError, match=r"do=Ringed=1 is not understood.*do=\{Ringed:1\}"):
        module.generate([None], do="Ringed=1")


def test_what_is_shown_and_logged(trained: tuple[Any, Watch]) -> None:
    module = trained[0]
    assert [sample.name for sample in module.samples] == ["samples", "do_and_given"]
    rows = [row for block in module.samples[1].blocks for row in block]
    assert [row.words for row in rows] == ["do(Large = 1)", "given Large = 1", "do(Ringed = 1)", "given Ringed = 1"]
    assert all(row.images.shape == (10, 3, 32, 32) for row in rows)
    assert module.samples[0].caption == "2 images of labels as they are observed"
    logged = {name for name in module.trainer.callback_metrics if name.startswith("val/")}
    assert logged == {name for name in module.metric_versions() if name.startswith("val/")}


def test_a_judge_looks_at_the_images_of_an_evaluation(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_DRAWN", 60)
    module = gan(judge=JudgeSettings(steps=2, least=5, floor=0.0), examined=6, sampling_batch=64)
    data = shapes(cache)
    fit(module, data, 1)
    module.trainer.test(module, datamodule=data, verbose=False)
    found = {name for name in module.trainer.callback_metrics if name.startswith("test/")}
    assert {"test/images_p_round/do_ringed", "test/agreement/given_ringed", "test/judge/accuracy/round"} <= found
    assert found == {name for name in module.metric_versions() if name.startswith("test/")}
    assert [sample.name for sample in module.samples] == ["samples", "do_and_given", "label_sweep"]
    assert list((cache / "judges").glob("judge-*.pt"))


def test_a_metric_is_logged_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning gives the mean of what is logged twice in an epoch, so two draws would be mixed."""
    monkeypatch.setattr(judging, "_DRAWN", 60)
    settings = JudgeSettings(steps=2, least=5, floor=0.0)
    module = gan(judge=settings, examined=6, measured_iterations=[1], labels_from="controller", controller=stage(1))
    data = shapes(cache)
    fit(module, data, 2)
    names: list[str] = []
    log = module.log

    def note(name: str, *rest: Any, **more: Any) -> None:
        names.append(name)
        log(name, *rest, **more)

    monkeypatch.setattr(module, "log", note)
    module.trainer.test(module, datamodule=data, verbose=False)
    assert sorted(names) == sorted(set(names))
    expected = {"test/intra_label_distance", "test/intra_label_distance/step_1", "test/tvd_all", "test/lost_labels"}
    assert expected | {"test/tvd", "test/marginal/round", "test/images_p_round/do_ringed"} <= set(names)
    assert set(names) == {name for name in module.metric_versions() if name.startswith("test/")}


def test_distances_are_measured_at_iterations_of_the_image_networks(cache: Path) -> None:
    module = gan(measured_iterations=[1, 2, 9], labels_from="controller", controller=stage(2))
    fit(module, shapes(cache), 4)
    found = module.distances.found()
    assert set(found) == {"step_1", "step_2"}
    images, labels, _ = module.draw_and_read()
    assert found["step_2"] == intra_label_distance(images, labels, module.graph.names) != found["step_1"]
    other = gan(measured_iterations=[1, 2, 9], labels_from="controller", controller=stage(2))
    other.load_state_dict(module.state_dict())
    assert other.distances.found() == found


def test_the_first_stage_is_measured_and_shows_no_images(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = gan(labels_from="controller", controller=stage(2))
    logged: list[dict[str, float]] = []
    shown: list[int] = []
    monkeypatch.setattr(module, "_log_now", logged.append)
    monkeypatch.setattr(module, "on_validation_end", lambda: shown.append(len(module.samples)))
    fit(module, shapes(cache), 4, val_check_interval=1)
    (found,) = [values for values in logged if "train/tvd_all" in values]
    assert shown == [0, 2, 2, 2]
    assert module.stage is not None
    counted = count_draws(module.stage.network, 2000, [0])[0]
    assert found["train/tvd_all"] == counted.tvd(module.source.laws[0], as_released=False)
    assert 0.0 <= found["train/tvd"] <= 1.0 and 0.0 <= found["train/marginal/ringed"] <= 1.0
    assert caplog.text.count("it is lost or about to be") == found["train/lost_labels"]


def test_the_labelers_averages_are_of_real_images(cache: Path) -> None:
    module = gan(generator_steps=3, critic_every=2)
    fit(module, shapes(cache), 1)
    labeler = module.network.labeler
    before = {name: value.clone() for name, value in labeler.named_buffers()}
    _, (one,) = module.rounds(range(6), 1, torch.device("cpu"))
    labeler.train()
    module._generator_loss(one, 0)
    assert all(torch.equal(value, before[name]) for name, value in labeler.named_buffers())


def test_with_statistics_of_a_batch_a_picture_does_not_depend_on_its_company(cache: Path) -> None:
    module = gan(sampling_batch=5)
    for layer in module.network.generator.modules():
        if isinstance(layer, BatchNorm):
            layer.statistics = "batch"
    fit(module, shapes(cache), 1)
    labels = module.draw_labels(12, "do", {"Ringed": 1}, torch.Generator().manual_seed(0))
    u = torch.rand(12, module.noise + 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole = module.images_by(labels, u)
    torch.testing.assert_close(whole[7:8], module.images_by(labels[7:8], u[7:8]))


def test_other_data_than_the_protocols_are_refused(cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"100 training images, and the protocol has 162770.*training_images=100"):
        fit(gan(training_images=162770), shapes(cache), 1)
    fit(gan(training_images=100), shapes(cache), 1)


class _Faces:
    """Held-out images, told apart by their brightness."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.shape = cache, SHAPE

    def reference_set(self, split: str) -> list[dict[str, Tensor]]:
        level = {"val": 100, "test": 200}[split]
        return [
            {"image": torch.full((3, 32, 32), level + i, dtype=torch.uint8), "attributes": torch.tensor([i % 2, 1])}
            for i in range(20)
        ]


def test_a_judge_learns_from_what_is_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    monkeypatch.setattr(judging, "train_judge", lambda images, labels, *rest: seen.extend((images, labels)))
    for held_out, levels in (("test", {2}), ("val_and_test", {1, 2})):
        seen.clear()
        settings = JudgeSettings(held_out=held_out)  # type: ignore[arg-type]
        judging.judge_of(_Faces(tmp_path), [0], ["Odd"], settings)
        assert set((seen[0][:, 0, 0, 0] // 100).tolist()) == levels
        assert torch.equal(seen[1][:, 0], seen[0][:, 0, 0, 0] % 2)


def test_a_judge_of_drawn_images_learns_every_combination_under_noise(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    monkeypatch.setattr(judging, "train_judge", lambda images, labels, *rest: seen.extend((images, labels)))
    data = shapes(cache)
    data.setup("fit")
    for _ in range(2):
        judging.judge_of(data, range(6), data.attributes, JudgeSettings(seed=3))
    images, labels, *again = seen
    assert torch.equal(images, again[0]) and torch.equal(labels, again[1])
    assert images.dtype == torch.uint8 and len(images) == len(labels)
    counts = torch.bincount(labels.long() @ 2 ** torch.arange(6), minlength=64)
    assert counts.min() > 0.7 * len(labels) / 64
    off = images.float() - torch.from_numpy(data.draw(labels.numpy(), 3)).float()
    spread = off.std((1, 2, 3)) / 255
    assert spread.min() < 0.005 and 0.06 < spread.median() < 0.08 and 0.12 < spread.max() < 0.16
    assert abs(float(off.mean())) < 2


@pytest.mark.parametrize(
    ("build", "settings", "said"),
    [
        (gan, {"accumulate_grad_batches": 2}, "CausalGAN would have 2 micro-batches"),
        (began, {"gradient_clip_val": 1.0}, "CausalBEGAN takes its steps by hand and does not clip"),
        (lambda: gan(graph={"Rond": [], "Red": []}), {}, "'Rond', which the data lack. Did you mean 'Round'"),
    ],
    ids=["accumulation", "clipping", "a label"],
)
def test_refused_with_a_trainer(build: Callable[[], pl.LightningModule], settings: Any, said: str, cache: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        fit(build(), shapes(cache), 1, **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"form": "as_released"}, "takes the logit of a label"),
        ({"labels_from": "controller"}, "needs model.controller"),
        ({"critic_every": 0}, "model.critic_every is 0"),
        ({"anti_labeler_decay": 0.0}, "model.anti_labeler_decay is 0.0"),
        ({"label_weight": 0.0}, "model.label_weight is 0.0"),
        ({"measured_iterations": [3, 1]}, "model.measured_iterations is"),
        ({"shown_labels": ["Rnged"]}, "Did you mean 'Ringed'"),
    ],
)
def test_refused_when_built(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        gan(**settings)


def test_networks_of_the_other_model_are_refused() -> None:
    gans = functools.partial(Networks, shape=SHAPE, noise=4, maps=4, kernels=4, dims=3)
    begans = functools.partial(BEGANNetworks, shape=SHAPE, noise=4, code=4, maps=4)
    graph = CausalGraph(GRAPH)
    with pytest.raises(ConfigError, match=r"is reprise\.models\.causalbegan\..*choose arch=causalgan/small"):
        CausalGAN(begans, graph, adam, 0)
    with pytest.raises(ConfigError, match=r"is reprise\.models\.causalgan\..*choose arch=causalbegan/small"):
        CausalBEGAN(gans, graph, adam, 0)


def test_three_numbers_for_three_margins() -> None:
    with pytest.raises(ConfigError, match=r"model\.gamma is \[0\.5, 0\.5\]"):
        began(gamma=[0.5, 0.5])


def test_an_unknown_label_loss_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.label_loss is 'hinge'\. Expected square or cross_entropy"):
        began(label_loss="hinge")


def test_weights_outside_their_range_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.first_weights is \[0, 0, 2\]\. Expected three numbers from 0 to 1"):
        began(first_weights=[0, 0, 2])
