"""Every graph of conf/graph can be built, and those of the paper are what its authors' code has."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from reprise.config.check import check_parameters, find_target
from reprise.config.compose import group_choices
from reprise.config.instantiate import instantiate
from reprise.data.images.celeba_texts import ATTRIBUTES
from reprise.nn.causal.graph import CausalGraph
from tests.conftest import ROOT

FOLDER = ROOT / "conf" / "graph"
NINE = (
    "Young",
    "Male",
    "Eyeglasses",
    "Bald",
    "Mustache",
    "Smiling",
    "Wearing_Lipstick",
    "Mouth_Slightly_Open",
    "Narrow_Eyes",
)
# labels and arrows of each
SIZES = {
    "g1": (9, 14),
    "cg1": (9, 36),
    "rcg1": (9, 36),
    "independent": (9, 0),
    "small": (7, 12),
    "complete_minimal": (5, 10),
    "standard": (3, 2),
    "male_causes_mustache": (2, 1),
    "mustache_causes_male": (2, 1),
    "male_ind_mustache": (2, 0),
    "male_causes_beard": (2, 1),
    "young_causes_gray": (2, 1),
    "gray_causes_young": (2, 1),
    "young_ind_gray": (2, 0),
    "smiling_mso": (2, 1),
    "mso_smiling": (2, 1),
    "mls": (3, 3),
    "slm": (3, 3),
    "male_smiling_lipstick": (3, 2),
    "male_mustache_lipstick": (3, 3),
    "male_young_eyeglasses": (3, 2),
    "male_young_eyeglasses_complete": (3, 3),
    "myeso": (5, 10),
    "subset1_nodes": (9, 0),
    "mustache": (1, 0),
    "m": (1, 0),
    "complete_all": (40, 780),
    "shapes": (6, 7),
}


def built(name: str) -> CausalGraph:
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# @package model.graph\n")
    node: dict[str, Any] = yaml.safe_load(text)
    find_target(node["_target_"])
    check_parameters(node["_target_"], {k: v for k, v in node.items() if k != "_target_"}, name)
    graph = instantiate(node)
    assert isinstance(graph, CausalGraph)
    return graph


def test_every_file_is_looked_at() -> None:
    assert group_choices("graph") == sorted(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_every_graph_is_acyclic_and_of_its_size(name: str) -> None:
    graph = built(name)
    assert (len(graph), sum(len(graph.parents(n)) for n in graph.names)) == SIZES[name]
    assert sorted(graph.order) == sorted(graph.names)
    assert name == "shapes" or set(graph.names) <= set(ATTRIBUTES)


def test_causal_graph_1() -> None:
    graph = built("g1")
    assert graph.names == NINE
    assert {name: set(graph.parents(name)) for name in NINE} == {
        "Young": set(),
        "Male": set(),
        "Eyeglasses": {"Young"},
        "Bald": {"Male", "Young"},
        "Mustache": {"Male", "Young"},
        "Smiling": {"Male", "Young"},
        "Wearing_Lipstick": {"Male", "Young"},
        "Mouth_Slightly_Open": {"Young", "Smiling"},
        "Narrow_Eyes": {"Male", "Young", "Smiling"},
    }
    assert graph.levels == [
        ["Young", "Male"],
        ["Eyeglasses", "Bald", "Mustache", "Smiling", "Wearing_Lipstick"],
        ["Mouth_Slightly_Open", "Narrow_Eyes"],
    ]


@pytest.mark.parametrize(("name", "order"), [("cg1", NINE), ("rcg1", NINE[::-1]), ("complete_all", ATTRIBUTES)])
def test_complete_graphs_have_all_earlier_labels_as_parents(name: str, order: tuple[str, ...]) -> None:
    graph = built(name)
    assert graph.names == graph.order == order
    for i, label in enumerate(order):
        assert set(graph.parents(label)) == set(order[:i])


def test_arrows_that_differ_between_files_of_the_same_labels() -> None:
    assert built("male_causes_mustache").parents("Mustache") == ("Male",)
    assert built("mustache_causes_male").parents("Male") == ("Mustache",)
    assert built("gray_causes_young").parents("Young") == ("Gray_Hair",)
    assert built("smiling_mso").parents("Mouth_Slightly_Open") == ("Smiling",)
    assert built("mso_smiling").parents("Smiling") == ("Mouth_Slightly_Open",)
    assert built("mls").order == ("Male", "Wearing_Lipstick", "Smiling")
    assert built("slm").order == ("Smiling", "Wearing_Lipstick", "Male")
    assert built("male_causes_beard").parents("No_Beard") == ("Male",)
