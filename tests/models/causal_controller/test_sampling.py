"""Labels as they come, under conditions, under interventions; what is counted of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from reprise.config.errors import ConfigError, RunError
from reprise.models.causal_controller.measures import LEAST, Counted, answers, count_draws, lost_labels
from reprise.models.causal_controller.network import Controller
from reprise.models.causal_controller.sampling import condition, intervene, observe, soft_labels
from reprise.nn.causal.law import LabelLaw
from reprise.nn.causal.queries import Query
from tests.models.causal_controller.graphs import CHAIN, controller_of, perturbed


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _controller() -> Controller:
    controller = Controller(CHAIN)
    controller.load_nodes([perturbed(CHAIN, 22)])
    return controller


def test_conditioning_keeps_the_rows_that_meet_it() -> None:
    controller = _controller()
    drawn = observe(controller, 8192, _generator())
    assert drawn.shape == (8192, 3) and drawn.dtype == torch.uint8
    met = drawn[(drawn[:, 0] == 1) & (drawn[:, 2] == 0)]
    assert 10 < len(met) < 8000
    assert torch.equal(condition(controller, len(met), {"a": 1, "c": 0}, _generator()), met)


def test_rounding_comes_last_and_set_labels_are_exact() -> None:
    controller = _controller()
    (soft,) = soft_labels(controller, 100, [_generator()])
    assert torch.equal((soft[0] > 0.5).to(torch.uint8), observe(controller, 100, _generator()))
    held = intervene(controller, 100, {"b": 1}, _generator())
    assert held[:, 1].tolist() == [1] * 100
    assert torch.equal(held[:, 0], observe(controller, 100, _generator())[:, 0])


def test_a_condition_without_support_says_what_was_met() -> None:
    controller = _controller()
    controller.last_bias.data[controller.back[1]] = -100.0  # b is never 1 any more
    with pytest.raises(RunError) as caught:
        condition(controller, 5, {"a": 1, "b": 1}, _generator(), most=1000)
    a = int(observe(controller, 1000, _generator())[:, 0].sum())
    assert str(caught.value) == (
        f"0 of 1000 draws meet the condition; 5 were asked for. Its parts were met: a=1 by {a}, b=1 by 0. The "
        "controller has lost b=1: train with model.rare_share or model.pack, or intervene on these labels (do) in "
        "place of conditioning."
    )
    with pytest.raises(RunError, match=r"^0 of 507904 draws meet"):  # not four million, where none does
        condition(controller, 5, {"b": 1}, _generator())
    with pytest.raises(RunError, match=r"a=1 by \d+\. The controller hardly draws it: ask for fewer rows, train with"):
        condition(controller, 2000, {"a": 1}, _generator(), most=1000)
    assert condition(controller, 5, {"b": 1}, _generator(), do={"b": 1}, most=1000)[:, 1].tolist() == [1] * 5


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(ConfigError, match="no label 'x'"):
        condition(_controller(), 1, {"x": 1}, _generator())
    with pytest.raises(ConfigError, match="'a' cannot be 2"):
        intervene(_controller(), 1, {"a": 2}, _generator())
    with pytest.raises(ValueError, match="has 2 replicas"):
        observe(controller_of(CHAIN, 0, 1), 1, _generator())


def test_counts_are_those_of_the_rows() -> None:
    controller = controller_of(CHAIN, 3, 4)
    both = count_draws(controller, 9000, [3, 4])
    (second,) = count_draws(controller.only(1), 9000, [4])
    assert torch.equal(both[1].counts, second.counts) and int(second.counts.sum()) == 9000
    assert both[1].near == pytest.approx(second.near)
    assert not torch.equal(count_draws(controller, 9000, [3, 4], {"a": 1})[0].counts, both[0].counts)
    data = LabelLaw(CHAIN.names, np.full((2, 2, 2), 1 / 8))
    assert both[0].tvd(data, as_released=True) == pytest.approx(both[0].law(CHAIN.names).tvd(data))


def test_queries_are_answered_by_what_was_drawn() -> None:
    def counted(**rows: int) -> Counted:
        counts = torch.zeros(8, dtype=torch.long)
        for code, times in rows.items():
            counts[int(code[1:], 2)] = times
        return Counted(counts, 1.0)

    asked = Query("marginal", {"a": 1}), Query("given", {"a": 1}, {"b": 0}), Query("do", {"a": 1}, {"b": 1})
    rare, absent = Query("given", {"a": 1}, {"c": 1}), Query("given", {"a": 1}, {"c": 1, "b": 1})
    observed = counted(_100=100, _110=101, _000=200, _101=LEAST - 1)
    found, met = answers(observed, {asked[2].name: counted(_110=30, _010=10)}, [*asked, rare, absent], CHAIN.names)
    assert [found[q.name] for q in asked] == pytest.approx([300 / 500, 199 / 399, 3 / 4])
    assert math.isnan(found[rare.name]) and math.isnan(found[absent.name])
    assert met == {asked[1].name: 399, rare.name: 99, absent.name: 0}
    observed.counts[5] += 1
    assert answers(observed, {}, [rare], CHAIN.names) == ({rare.name: 1.0}, {rare.name: 100})


def test_a_label_is_lost_below_a_tenth_of_its_frequency() -> None:
    def law(p: float) -> LabelLaw:
        return LabelLaw(["rare"], np.array([1 - p, p]))

    assert lost_labels(law(0.0041), law(0.0415)) == ["rare"]
    assert lost_labels(law(0.0042), law(0.0415)) == []
    assert lost_labels(law(0.999), law(0.95)) == ["rare"]  # its rare value is 0
