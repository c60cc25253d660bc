"""Node classification as a module: what it keeps, when it stops, and that a resumed run does the same."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F

from reprise.config.errors import ConfigError
from reprise.data.graphs.citations import Citations
from reprise.models.gat.implicit import ImplicitKernelScore
from reprise.models.gat.module import NodeClassification
from reprise.models.gat.network import GATNetwork
from reprise.models.gat.scores import AdditiveScore
from reprise.models.gat.stopping import Patience
from reprise.nn.attention.generated import GeneratedPoints
from reprise.nn.attention.spectral import DirectPoints
from reprise.nn.randomness import ExampleDraws

ADAM = partial(torch.optim.Adam, lr=0.02, weight_decay=5e-4)


def module(score: Any = AdditiveScore, patience: int = 20, optimizer: Any = ADAM, **settings: Any) -> Any:
    torch.manual_seed(0)
    network = GATNetwork(100, 5, score, [4], [2, 1])
    return NodeClassification(network, optimizer, Patience(patience), classes=5, seed=0, **settings)


def trainer(folder: Path, steps: int) -> pl.Trainer:
    return pl.Trainer(
        max_steps=steps, max_epochs=-1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=folder, accelerator="cpu", num_sanity_val_steps=0, check_val_every_n_epoch=None,
        val_check_interval=10_000,
    )  # fmt: skip


def trained(folder: Path, made: Any, steps: int = 400) -> tuple[Any, pl.Trainer, Citations]:
    data = Citations(100, 5, seed=0)
    done = trainer(folder, steps)
    done.fit(made, datamodule=data)
    return made, done, data


@pytest.mark.filterwarnings("ignore")
def test_training_stops_and_measures_the_weights_it_kept(tmp_path: Path) -> None:
    made, done, data = trained(tmp_path, module())
    stopping = made.stopping
    assert bool(stopping.stopped) and int(stopping.kept_epoch) + 20 <= int(stopping.epoch) < 400
    assert done.global_step == int(stopping.epoch) + 1  # the step in which the epoch before was judged
    last = [value.clone() for value in made.network.parameters()]
    found = done.test(made, datamodule=data, verbose=False)[0] | done.validate(made, datamodule=data, verbose=False)[0]
    assert all(torch.equal(a, b) for a, b in zip(last, made.network.parameters(), strict=True))
    batch = data.problem()
    with made.kept_weights():
        logits = made.eval()(batch).logits
    for part in ("val", "test"):
        share = (logits.argmax(1) == batch["y"])[batch[part]].float().mean().item()
        assert found[f"{part}/accuracy"] == pytest.approx(share)
    loss = F.cross_entropy(logits[batch["val"]], batch["y"][batch["val"]]).item()
    assert found["val/loss"] == pytest.approx(loss) and found["val/kept_epoch"] == float(stopping.kept_epoch)
    assert found["test/accuracy"] > 0.5  # by chance: 0.2
    assert found["model/parameters"] == 100 * 8 + 2 * 8 + 8 + 8 * 5 + 10 + 5
    assert found.keys() - made.metric_versions().keys() == {"val/kept_epoch"}


@pytest.mark.filterwarnings("ignore")
def test_f1_is_the_mean_over_classes(tmp_path: Path) -> None:
    from sklearn.metrics import f1_score

    made, done, data = trained(tmp_path, module(), steps=15)
    found = done.test(made, datamodule=data, verbose=False)[0]
    batch = data.problem()
    with made.kept_weights(), torch.no_grad():
        said = made.eval()(batch).logits.argmax(1)
    chosen = batch["test"]
    assert found["test/f1"] == pytest.approx(f1_score(batch["y"][chosen], said[chosen], average="macro"), abs=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_validation_judges_the_last_step(tmp_path: Path) -> None:
    made, done, data = trained(tmp_path, module(), steps=5)
    assert (int(made.steps), int(made.stopping.epoch)) == (5, 4)
    done.validate(made, datamodule=data, verbose=False)
    done.test(made, datamodule=data, verbose=False)
    assert int(made.stopping.epoch) == 5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("at", [11, 400])
def test_a_resumed_run_is_the_uninterrupted_one(at: int, tmp_path: Path) -> None:
    score = partial(ImplicitKernelScore, points=partial(GeneratedPoints, count=4))

    class SameNoise(pl.Callback):  # dropout draws from torch's generator, which training saves beside the weights
        def on_train_batch_start(self, trainer: Any, module: Any, *_: Any) -> None:
            torch.manual_seed(int(module.steps))

    def fit(made: Any, steps: int, path: Path | None = None) -> Any:
        done = trainer(tmp_path, steps)
        done.callbacks.append(SameNoise())  # type: ignore[attr-defined]
        done.fit(made, datamodule=Citations(100, 5, seed=0), ckpt_path=path)
        return done

    whole = module(score, patience=3)
    fit(whole, 400)
    part = module(score, patience=3)
    fit(part, at).save_checkpoint(tmp_path / "part.ckpt")
    resumed = module(score, patience=3)
    fit(resumed, 400, tmp_path / "part.ckpt")
    assert bool(whole.stopping.stopped) and int(whole.steps) < 400
    state = resumed.state_dict()
    if at == 400:  # it had stopped before, and a loop that is told to stop at once still takes a step at most
        assert int(state["steps"]) <= int(whole.steps) + 1
        state = {name: value for name, value in state.items() if name.startswith(("kept", "stopping"))}
    for name, value in state.items():
        assert torch.equal(value, whole.state_dict()[name]), name


@pytest.mark.parametrize("points", [DirectPoints, GeneratedPoints])
def test_the_penalty_is_divided_by_the_training_nodes(points: Any) -> None:
    made = module(partial(ImplicitKernelScore, points=partial(points, count=4)), penalty=3.0).eval()
    batch = Citations(100, 5, seed=0).problem()
    torch.manual_seed(0)
    with torch.no_grad():
        found = made.training_step(batch, 0)
        made.penalty = 0.0
        made.steps.zero_()
        plain = made.training_step(batch, 0)
        draws = ExampleDraws(0, "train", [0])  # of the first step
        penalty = made(batch, lambda shape: draws.normal(*shape)[0]).penalty
    assert (found - plain).item() == pytest.approx(3.0 / 50 * penalty.item(), abs=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_pictures_show_both_parts_of_each_layer(tmp_path: Path) -> None:
    made, done, data = trained(tmp_path, module(partial(ImplicitKernelScore, points=DirectPoints)), steps=3)
    done.test(made, datamodule=data, verbose=False)
    names = [shown.path.name for sample in made.samples for shown in sample.write(tmp_path)]
    assert names == [f"layer{layer}_log_{part}.png" for layer in (1, 2) for part in ("similarity", "magnitude")]
    edges = data.problem()["edge_index"].shape[1]
    assert all(sum(row) == edges for sample in made.samples for row in sample.series.values())
    quiet = module(pictures=False)
    trainer(tmp_path, 1).test(quiet, datamodule=data, verbose=False)
    assert quiet.samples == []


def test_a_negative_penalty_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model.penalty is -1.0"):
        module(penalty=-1.0)
