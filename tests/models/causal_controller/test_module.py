"""The module in a trainer: steps counted, state resumed, measures kept, what is lost said."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from reprise.config.errors import ConfigError
from reprise.models.causal_controller.critic import Critic
from reprise.models.causal_controller.module import CausalController
from reprise.models.causal_controller.network import Controller
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.causal.law import LabelLaw
from reprise.samples.bars import Bars
from reprise.samples.captioned import CaptionedCurve
from tests.models.causal_controller.graphs import CHAIN

_TABLE = np.random.default_rng(0).dirichlet(np.ones(16)).reshape(2, 2, 2, 2)
LABELS = torch.from_numpy(LabelLaw(["other", "c", "a", "b"], _TABLE).sample(np.random.default_rng(1).random(4000)))


class _Labels(pl.LightningDataModule):
    label_names = ["other", "c", "a", "b"]

    def __init__(self) -> None:
        super().__init__()
        self.problem = {"labels": LABELS}

    def train_dataloader(self) -> Any:
        return torch.utils.data.DataLoader([self.problem] * 100, batch_size=None)

    def val_dataloader(self) -> Any:
        return torch.utils.data.DataLoader([self.problem], batch_size=None)

    test_dataloader = val_dataloader

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch


def module_of(graph: CausalGraph = CHAIN, **settings: Any) -> CausalController:
    adam = partial(torch.optim.Adam, lr=0.003, fused=True)
    return CausalController(
        graph, Controller, partial(Critic, width=8, layers=3), adam, adam,
        **{"seed": 3, "batch_size": 32, "critic_steps": 2, "samples_tvd": 2000, "samples_query": 500, **settings},
    )  # fmt: skip


def trainer_of(folder: Path, steps: int, *callbacks: pl.Callback) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu", devices=1, max_steps=steps, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=0,
        callbacks=list(callbacks), default_root_dir=folder,
    )  # fmt: skip


class _Losses(pl.Callback):
    def __init__(self) -> None:
        self.values: list[float] = []

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: torch.Tensor) -> None:
        self.values.append(loss.item())


pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, losses = module_of(measured_steps=[0, 2, 3, 5]), _Losses()
    trainer = trainer_of(tmp_path, 6, losses)
    trainer.fit(whole, _Labels())
    assert trainer.global_step == 6 and int(whole.steps) == 6  # generator steps, not the critic's
    assert len(losses.values) == 6 and len(set(losses.values)) == 6
    first = trainer_of(tmp_path, 3)
    first.fit(module_of(measured_steps=[0, 2, 3, 5]), _Labels())
    first.save_checkpoint(tmp_path / "half.ckpt")
    again, later = module_of(measured_steps=[0, 2, 3, 5], seed=3), _Losses()
    trainer_of(tmp_path, 6, later).fit(again, _Labels(), ckpt_path=tmp_path / "half.ckpt")
    assert later.values == losses.values[3:]
    ours, theirs = whole.state_dict(), again.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert set(again.distances.of(0)["tvd"]) == {0, 2, 3, 5}


def test_what_is_measured_in_training_is_there_at_the_test(tmp_path: Path) -> None:
    module = module_of(measured_steps=[1, 4], replicas=2)
    trainer = trainer_of(tmp_path, 4)
    trainer.fit(module, _Labels())
    (found,) = trainer.test(module, _Labels(), verbose=False)
    assert found["test/tvd/step_4"] == found["test/tvd"]  # step 4 is the last, which no training step came after
    assert found["test/tvd/step_1"] != found["test/tvd"]
    assert found["test/replica_1/tvd_all/step_1"] != found["test/tvd_all/step_1"]
    assert found["test/tvd_all"] >= found["test/tvd"] - 1e-9
    assert {f"test/marginal/{name}" for name in "abc"} <= set(found)
    assert 0 <= found["test/discrete_percent"] <= 100
    alone = module_of(measured_steps=[1, 4], seed=4)
    trainer = trainer_of(tmp_path, 4)
    trainer.fit(alone, _Labels())
    (other,) = trainer.test(alone, _Labels(), verbose=False)
    assert other["test/tvd"] == pytest.approx(found["test/replica_1/tvd"], abs=5e-3)  # but for rounding in products
    assert set(module.metric_versions()) == set(found)
    assert [type(shown) for shown in module.samples] == [Bars, CaptionedCurve]
    shown = [path.path for sample in module.samples for path in sample.write(tmp_path / "samples")]
    assert all(path.stat().st_size > 5000 for path in shown)


def test_questions_are_answered_and_a_lost_label_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    graph = CausalGraph({"Male": [], "Mustache": ["Male"]})
    module, data = module_of(graph), _Labels()
    data.label_names = ["Mustache", "c", "Male", "b"]
    place = [name for level in graph.levels for name in level].index("Mustache")
    module.controller.last_bias.data[place] = -100.0  # never 1
    with caplog.at_level(logging.WARNING):
        (found,) = trainer_of(tmp_path, 1).test(module, data, verbose=False)
    assert found["test/marginal/mustache"] == 0.0 and found["test/lost_labels"] == 1.0
    assert "test/p_male/given_mustache" not in found
    assert found["test/p_male/do_mustache"] == pytest.approx(found["test/p_male/marginal"], abs=0.1)
    assert "draws Mustache=1 in 0.00000 of the rows" in caplog.text and "model.pack=2" in caplog.text
    assert "0 of 2000 draws meet the condition of p_male/given_mustache, fewer than 100" in caplog.text
    assert found["test/draws/given_mustache"] == 0.0 and found["test/draws/given_male"] > 100
    rows = LABELS[:, [2, 0]].double()  # Male, Mustache
    assert found["test/reference/data/p_mustache/given_male"] == pytest.approx(float(rows[rows[:, 0] == 1, 1].mean()))
    assert found["test/reference/fit/p_male/do_mustache"] == pytest.approx(float(rows[:, 0].mean()))
    assert "test/reference/data/p_male/do_mustache" not in found  # data alone answer no intervention
    assert set(module.metric_versions()) == set(found)
    queries = module.samples[1]
    assert isinstance(queries, Bars) and "P(Male=1 | do(Mustache=1))" in queries.rows
    queries.write(tmp_path)
    rows = (tmp_path / "queries.csv").read_text().splitlines()
    assert rows[0] == ",data,graph fitted to the data,controller"
    assert next(row for row in rows if row.startswith("P(Male=1 | Mustache=1)")).endswith(",")  # no answer


def test_what_the_data_leave_undefined_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    graph = CausalGraph({"a": [], "b": ["a"], "c": ["a", "b"]})
    module, data = module_of(graph), _Labels()
    kept = LABELS[(LABELS[:, 2] == 0) | (LABELS[:, 3] == 0)]  # never a = b = 1
    data.problem = {"labels": kept}
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            trainer_of(tmp_path, 1).test(module, data, verbose=False)
    assert caplog.text.count("of the graph fitted to the data, 1 conditional is undefined") == 1
    assert "(c 1)" in caplog.text


def test_training_stops_where_the_release_does(tmp_path: Path) -> None:
    module = module_of(measured_steps=[1, 2, 3], stop_tvd=1.0, stop_from=2)
    trainer_of(tmp_path, 9).fit(module, _Labels())
    assert int(module.steps) == 3  # measured after two, seen at the start of the third


def test_tables_are_drawn_under_conditions_and_interventions() -> None:
    module = module_of()
    (table, other) = module.generate([None, None], rows=20, do={"b": 1}, keys=[5, 6])
    assert list(table.columns) == ["a", "b", "c"] and table.values[:, 1].tolist() == [1] * 20
    assert not torch.equal(table.values, other.values)
    (alone,) = module.generate([None], rows=20, do={"b": 1}, keys=[6])
    assert torch.equal(alone.values, other.values)
    assert module.generate([None], rows=9, given={"a": 1})[0].values[:, 0].tolist() == [1] * 9


def test_a_graph_too_large_for_the_measures_is_refused_when_built() -> None:
    """Before the data are asked for its labels, whose list may leave some out."""
    with pytest.raises(ConfigError, match=r"the graph has 21 labels.*choose a smaller graph"):
        module_of(CausalGraph({f"L{i}": [] for i in range(21)}))


def test_values_are_asked_for_in_braces() -> None:
    with pytest.raises(ConfigError, match=r"do=a=1 is not understood.*do=\{a:1\}"):
        module_of().generate([None], rows=2, do="a=1")
    with pytest.raises(ConfigError, match="'a' cannot be 'x'"):
        module_of().generate([None], rows=2, given={"a": "x"})


def test_a_label_that_the_data_lack_is_named(tmp_path: Path) -> None:
    module = module_of(CausalGraph({"a": [], "othr": ["a"]}))
    with pytest.raises(ConfigError, match=r"the graph has the label 'othr', which the data lack. Did you mean 'other'"):
        trainer_of(tmp_path, 1).fit(module, _Labels())
    with pytest.raises(ConfigError, match="Expected ascending steps"):
        module_of(measured_steps=[3, 1])
