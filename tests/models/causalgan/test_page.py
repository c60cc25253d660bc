"""The page on the paper, and how sure its claims are."""

from __future__ import annotations

import re

import yaml

from reprise.models.causalgan.network import Networks
from reprise.nn.images import ImageShape
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "papers" / "causalgan.md").read_text(encoding="utf-8")


def test_the_page_has_a_table_of_every_experiment() -> None:
    section = PAGE.split("## Experiments\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", section))
    names = {path.stem for path in (ROOT / "conf" / "experiment" / "causalgan").glob("[!_]*.yaml")}
    assert {name for name in names if not name.startswith("synthetic_")} <= named
    assert "synthetic_DATA_GENERATOR" in named


def test_the_page_counts_weights_as_they_are() -> None:
    networks = Networks(9, ImageShape(3, 64))
    for network in (networks.generator, networks.discriminator, networks.labeler):
        assert f"{sum(p.numel() for p in network.parameters()):,}" in PAGE


def test_claims_on_distances_of_pixels_are_not_the_papers() -> None:
    claims = yaml.safe_load((ROOT / "conf" / "paper" / "causalgan.yaml").read_text(encoding="utf-8"))["claims"]
    of_pixels = {name: c for name, c in claims.items() if str(c.get("measure")).startswith("test/intra_label_distance")}
    assert len(of_pixels) == 4 and {claim["sure"] for claim in of_pixels.values()} == {"derived"}
