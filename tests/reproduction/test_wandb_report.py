"""The W&B report, as far as it goes without W&B: what would be sent, and what is said when it cannot be."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from reprise.config.errors import ConfigError, RunError
from reprise.reproduction.assess import assess
from reprise.reproduction.evidence import Evidence
from reprise.reproduction.papers import read_papers
from reprise.reproduction.standing import Report
from reprise.reproduction.wandb_report import build, publish
from tests.reproduction.records import BASE, HandMade, entry

pytest.importorskip("wandb_workspaces")


class Answers:
    """Answers what the package asks of W&B's API, in the API's form, and keeps the questions."""

    def __init__(self) -> None:
        self._service_api = self
        self.asked: list[dict[str, Any]] = []
        self.settings = {"base_url": "https://api.wandb.ai"}

    def projects(self, entity: str) -> list[Any]:
        return [type("Project", (), {"name": "reprise"})()]

    def execute_graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(variables)
        if "spec" not in variables:
            return {"project": {"internalId": "UHJvamVjdDox"}}
        view = {k: variables[k] for k in ("name", "displayName", "description", "spec")}
        project = {"id": "1", "name": "reprise", "entityName": "lab"}
        user = {"id": "u", "username": "u", "name": "u"}
        times = {"createdAt": "2026-01-01T00:00:00", "updatedAt": "2026-01-01T00:00:00"}
        return {"upsertView": {"view": {**view, **times, "id": "Vmlldzox", "project": project, "user": user}}}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    from wandb_workspaces.reports.v2 import interface

    found = Answers()
    monkeypatch.setattr(interface, "_get_api", lambda: found)
    monkeypatch.setattr(interface, "get_app_url", lambda api: "https://wandb.ai")
    return found


def report(mode: str) -> Report:
    papers = read_papers(["wavegrad", "ddpm"])
    ledger = HandMade()
    for seed in range(3):
        made = entry(seed=seed, metrics={"test/manual6/ls_mse": 200.0 + seed}, changes=("data.batch_size=8",))
        ledger.add(dataclasses.replace(made, wandb={"id": f"w{seed}", "mode": mode}))
    return Report("outputs", "0.1.0", tuple(assess(papers, Evidence(ledger, papers))), 3)


def blocks(answers: Answers) -> list[dict[str, Any]]:
    sent = next(v for v in answers.asked if "spec" in v)
    found: list[dict[str, Any]] = json.loads(sent["spec"])["blocks"]
    return found


def test_what_is_sent_has_the_tables_and_the_curves_of_runs_that_are_there(answers):
    assert (
        publish(report("online"), "lab/reprise") == "https://wandb.ai/lab/reprise/reports/Reproduction-report--Vmlldzox"
    )
    texts = [b["content"] for b in blocks(answers) if b["type"] == "markdown-block"]
    assert "not testable" in texts[0] and "| wavegrad |" in texts[0] and "| ddpm |" in texts[0]
    assert any("202" in t or "201" in t for t in texts[1:])
    grids = [b for b in blocks(answers) if b["type"] == "panel-grid"]
    assert len(grids) == 1 and BASE in json.dumps(grids[0]["metadata"]["runSets"])
    assert "train/loss" in json.dumps(grids[0])
    headings = json.dumps([b for b in blocks(answers) if b["type"] == "heading"])
    assert "WaveGrad" in headings and "Denoising" not in headings  # a paper without runs has nothing to show


def test_runs_that_w_and_b_has_not_get_no_curves(answers):
    publish(report("offline"), "lab/reprise")
    assert not [b for b in blocks(answers) if b["type"] == "panel-grid"]


def test_a_refusal_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    from wandb_workspaces.reports.v2 import interface

    def refuse() -> None:
        raise Exception("not logged in to W&B")

    monkeypatch.setattr(interface, "_get_api", refuse)
    with pytest.raises(RunError, match="could not be saved at W&B"):
        publish(report("online"), "lab/reprise")


@pytest.mark.parametrize("place", ["reprise", "a/b/c", "https://wandb.ai/a/b", ""])
def test_a_place_is_entity_and_project(place: str):
    with pytest.raises(ConfigError, match="Expected ENTITY/PROJECT"):
        build(report("online"), place)
