"""Signatures read from source agree with those Python reports, and types with plain values."""

from __future__ import annotations

import ast
import inspect

import pytest

from reprise.config.signatures import Unresolvable, signature
from reprise.config.types import accepts


@pytest.mark.parametrize(
    "target",
    [
        "pytorch_lightning.Trainer",
        "pytorch_lightning.callbacks.ModelCheckpoint",
        "torch.optim.Adam",
        "torch.optim.lr_scheduler.StepLR",
        "torch.nn.Conv1d",
        "torchmetrics.MeanMetric",
        "reprise.models.wavegrad.module.WaveGrad",
        "reprise.diffusion.schedules.linear",
        "reprise.data.audio.speech.LJSpeech",
        "reprise.training.callbacks.ema.EMA",
        "reprise.data.sources.Source",
    ],
)
def test_parameters_are_those_python_reports(target: str) -> None:
    import importlib

    module, _, name = target.rpartition(".")
    real = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    ours = signature(target)
    named = {n: p for n, p in real.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    assert list(ours.parameters) == list(named)
    for parameter_name, parameter in named.items():
        assert ours.parameters[parameter_name].required == (parameter.default is parameter.empty)
    assert ours.open == any(p.kind is p.VAR_KEYWORD for p in real.values())


@pytest.mark.parametrize("target", ["torch.optim.Nope", "no_such_package.Thing", "reprise", "torch.optim"])
def test_what_does_not_exist_is_unresolvable(target: str) -> None:
    with pytest.raises(Unresolvable):
        signature(target)


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("int", [0, 5], [True, 1.5, "5", None]),
        ("float", [0, 1.5], ["1", True, None]),
        ("bool", [True], [1, "true"]),
        ("str", ["a"], [1, None]),
        ("int | None", [1, None], ["x"]),
        ("Optional[Union[int, float]]", [1, 1.5, None], ["x", True]),
        ("Literal['a', 2]", ["a", 2], ["b", 2.0, True]),
        ("list[int]", [[], [1, 2]], [[1, "x"], 3]),
        ("list[list[int]]", [[[1], []]], [[1]]),
        ("dict[str, float]", [{"a": 1.0}], [{"a": "x"}, [1]]),
        ("tuple[float, float]", [[0.9, 0.999]], [[0.9], ["a", "b"]]),
        ("SomeClass", ["anything", 1, {"_target_": "x"}], []),
        ("'int'", [1], ["x"]),
    ],
)
def test_values_against_annotations(annotation: str, good: list[object], bad: list[object]) -> None:
    node = ast.parse(annotation, mode="eval").body
    for value in good:
        assert accepts(value, node, "reprise.config.types"), value
    for value in bad:
        assert not accepts(value, node, "reprise.config.types"), value
