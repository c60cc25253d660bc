"""The graphs that need no files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.data.graphs.citations import Citations
from reprise.data.graphs.karate import Karate
from reprise.nn.graphs.features import SparseFeatures


def test_the_karate_club() -> None:
    data = Karate(34, 2, 0, train_per_class=1, val_per_class=4)
    problem = data.problem()
    assert problem["edge_index"].shape == (2, 2 * 78 + 34)
    assert torch.equal(problem["x"], torch.eye(34))
    assert int(problem["train"].sum()) == 2 and data.held_out() == 24
    assert isinstance(problem["graph"].x, SparseFeatures)


def test_citations_are_the_same_for_all_runs() -> None:
    one, two, other = Citations(100, 5, seed=0), Citations(100, 5, seed=1), Citations(100, 5, seed=0, split_seed=1)
    assert one.data_digests() == two.data_digests()
    assert torch.equal(one.problem()["train"], two.problem()["train"])
    assert one.data_digests()["sha256"] != other.data_digests()["sha256"]


def test_citations_look_like_citations() -> None:
    data = Citations(200, 5, 0, nodes=2000, degree=6.0, homophily=0.8, undirected=False, self_loops=False)
    found = data.nodes()
    assert np.bincount(found.y).tolist() == [400] * 5
    same = (found.y[found.edges[0]] == found.y[found.edges[1]]).mean()
    assert same == pytest.approx(0.8 + 0.2 / 5, abs=0.05)
    degrees = np.bincount(found.edges.reshape(-1), minlength=2000)
    assert degrees.max() > 20 * degrees.mean()  # a tail that no Poisson law has
    assert found.x.sum(1).mean() == pytest.approx(12, abs=1.0)
    own = found.x[found.y == 0].mean(0)
    assert (own > 0.09).sum() == pytest.approx(40, abs=8)  # a fifth of the words belong to the class


def test_the_graph_moves_once() -> None:
    data = Citations(100, 5, 0)
    batch = data.problem()
    moved = data.transfer_batch_to_device(batch, torch.device("cpu"), 0)
    assert data.transfer_batch_to_device(batch, torch.device("cpu"), 0) is moved
    assert torch.equal(moved["graph"].edges.index, batch["edge_index"])


@pytest.mark.parametrize("wrong", [{"homophily": 1.5}, {"classes": 1}, {"nodes": 3}, {"batch_size": 2}])
def test_values_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="Expected"):
        Citations(**{"features": 100, "classes": 5, "seed": 0, **wrong})  # type: ignore[arg-type]
