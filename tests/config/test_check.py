"""Wrong configs are answered in one paragraph, before anything is built."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT

from reprise.cli.common import compose_checked, protocol_deviations
from reprise.config.check import check_config, check_parameters, is_allowed
from reprise.config.compose import compose_config, group_choices
from reprise.config.errors import ConfigError
from reprise.config.graph import check_graph
from reprise.config.instantiate import instantiate
from reprise.config.unknown import explain_unknown_choice

MODEL = ["model=wavegrad"]


class NoGraph:
    """A graph of a user that refuses what it describes."""

    def __init__(self) -> None:
        raise ConfigError("it has no nodes")


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["model=causalgan", "graph=cg"], ["graph=cg", "command line", "conf/graph", "'cg1'", "`reprise list graph`"]),
        (["model=wavegradd"], ["model=wavegradd", "command line", "'wavegrad'"]),
        ([*MODEL, "data=ljspeach"], ["data=ljspeach", "'ljspeech'"]),
        ([], ["model is missing", "wavegrad"]),
        ([*MODEL, "model.optimizer.lrr=1e-3"], ["model.optimizer.lrr", "'model.optimizer.lr'"]),
        ([*MODEL, "+model.optimizer.lrr=1e-3"], ["model.optimizer.lrr", "command line", "Adam", "'lr'"]),
        ([*MODEL, "model.optimizer.amsgrad=true"], ["+model.optimizer.amsgrad"]),
        ([*MODEL, "trainer.max_epochs=ten"], ["trainer.max_epochs", "'ten' (str)", "int or null"]),
        ([*MODEL, "trainer.precision=17"], ["trainer.precision", "'bf16-mixed'"]),
        ([*MODEL, "model.network.widen=middle"], ["model.network.widen", "'first', 'last'"]),
        ([*MODEL, "data.batch_size=2.5"], ["data.batch_size", "2.5 (float)", "int"]),
        ([*MODEL, "model.network.factors=[5,x]"], ["model.network.factors", "list[int]"]),
        ([*MODEL, "data=speech_folder"], ["data.root is missing", "conf/data/speech_folder.yaml", "data.root=VALUE"]),
        ([*MODEL, "+foo=1"], ["foo", "not a key"]),
        ([*MODEL, "monitor_mode=best"], ["monitor_mode", "'min', 'max'"]),
        ([*MODEL, "seed=-1"], ["seed", "0 or more"]),
        ([*MODEL, "model._target_=os.system"], ["os.system", "may not build"]),
        ([*MODEL, "model._target_=torch.hub.load"], ["torch.hub.load", "may not build"]),
        ([*MODEL, "model._target_=reprise.models.wavegrad.module.WaveGard"], ["does not exist", "WaveGrad"]),
        ([*MODEL, "model.optimizer._target_=torch.optim.Adma"], ["does not exist", "torch.optim.Adam"]),
        ([*MODEL, "model.network=5"], ["model.network", "WaveGradNetwork"]),
        ([*MODEL, "model.network=null"], ["model.network", "WaveGradNetwork"]),
        ([*MODEL, "model.optimizer.lr=abc"], ["model.optimizer.lr", "float"]),
        ([*MODEL, "seed=99999999999"], ["seed", "2^32"]),
        ([*MODEL, "+logger.wandb.api_key=abc"], ["api_key", "secret"]),
        ([*MODEL, "model._target_=reprise.cli.main.main"], ["may not build"]),
        ([*MODEL, "data._target_=reprise.data.audio.files.read_audio"], ["may not build"]),
        ([*MODEL, "data._target_=reprise.data.audio.corpus.np.save"], ["does not exist"]),
        ([*MODEL, "~model.features"], ["model.features is missing", "WaveGrad"]),
        ([*MODEL, "model.seed=[1,2"], ["cannot be parsed", "key=value"]),
        ([*MODEL, "model.optimizer.lr=${nothing}"], ["nothing"]),
    ],
)
def test_one_paragraph_says_what_is_wrong(overrides: list[str], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        compose_checked(overrides)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message
    assert caught.value.exit_code == 2


def test_a_choice_of_a_file_is_not_said_to_be_the_command_lines() -> None:
    error = ConfigError("graph/cg: no such config. Valid names: arch.")
    with pytest.raises(ConfigError, match=r"^graph=cg \(from the defaults list of a config file\): conf/graph has no"):
        explain_unknown_choice(error, ["experiment=causalgan/controller_g1", "+nosuch=cg"])
    explain_unknown_choice(ConfigError("nosuch/cg: no such config. Valid names: arch."), ["nosuch=cg"])  # no such group


def test_a_graph_is_built_of_what_the_user_allows() -> None:
    allowed = "tests.config.test_check.NoGraph"
    values = {"model": {"graph": {"_target_": allowed}}, "allow": []}
    with pytest.raises(ConfigError, match="may not be built"):
        check_graph(values)
    with pytest.raises(ConfigError, match="it has no nodes"):
        check_graph({**values, "allow": ["tests.config"]})


def test_a_typo_in_an_experiment_file_is_named_with_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import shutil

    from reprise.config import compose, paths

    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    bad = tmp_path / "conf" / "experiment" / "wavegrad" / "bad.yaml"
    bad.write_text(
        "# @package _global_\ndefaults:\n  - wavegrad/_protocol\n  - _self_\n\ntrainer:\n  max_stepz: 5\n",
        encoding="utf-8",
    )
    for module in (compose, paths):
        monkeypatch.setattr(module, "conf_dir", lambda: tmp_path / "conf")
    with pytest.raises(ConfigError) as caught:
        compose_checked(["experiment=wavegrad/bad"])
    assert "trainer.max_stepz" in str(caught.value)
    assert "wavegrad/bad.yaml:7" in str(caught.value)
    assert "'max_steps'" in str(caught.value)


@pytest.mark.parametrize("experiment", group_choices("experiment"))
def test_every_experiment_composes_and_is_complete(experiment: str) -> None:
    try:
        composed = compose_checked([f"experiment={experiment}"])
    except ConfigError as error:
        assert "data.root" in str(error)
        composed = compose_checked([f"experiment={experiment}", "data.root=somewhere"])
    assert protocol_deviations(composed) == []
    if experiment.startswith("wavegrad/") and experiment != "wavegrad/vocoder_kathleen":  # rows of the paper
        assert composed.values["trainer"]["max_steps"] == 1_000_000
        assert composed.values["data"]["batch_size"] == 256


@pytest.mark.parametrize("group", ["arch", "trainer", "logger", "callbacks", "budget"])
def test_every_choice_composes(group: str) -> None:
    for choice in group_choices(group):
        model, slash, _ = choice.partition("/")  # one of a single model stands in a folder of its name
        compose_checked([f"model={model}" if slash else MODEL[0], *MODEL[1:], f"{group}={choice}"])


def test_deviations_are_the_protocol_differences_and_nothing_else() -> None:
    composed = compose_checked(
        [
            "experiment=wavegrad/ljspeech_base_continuous",
            "data=speech_folder",
            "data.root=/somewhere",
            "arch=wavegrad/small",
            "budget=smoke",
            "trainer=ddp",
            "logger=csv",
            "seed=3",
            "data.num_workers=2",
            "paths.outputs=/elsewhere",
        ]
    )
    found = {d["key"]: (d["protocol"], d["run"]) for d in protocol_deviations(composed)}
    assert found == {
        "data._target_": ("reprise.data.audio.speech.LJSpeech", "reprise.data.audio.speech.SpeechFolder"),
        "data.batch_size": (256, 4),
        "data.limit_test": (None, 2),
        "data.limit_val": (8, 2),
        "data.test_seconds": (None, 0.5),
        "data.val_seconds": (2.0, 0.3),
        "data.test_clips": (130, 8),
        "data.val_clips": (206, 8),
        "model.network.down_channels": ([128, 128, 256, 512], [8, 8, 16, 32]),
        "model.network.mel_channels": (768, 48),
        "model.network.up_channels": ([512, 512, 256, 128, 128], [32, 32, 16, 8, 8]),
        "model.network.wave_channels": (32, 4),
        "trainer.max_steps": (1_000_000, 6),
        "trainer.val_check_interval": (5000, 6),
    }


def test_a_model_has_its_own_part_of_a_budget_and_the_command_line_wins() -> None:
    large, base = (
        compose_checked([f"experiment=wavegrad/ljspeech_{size}_discrete_1000", "budget=smoke", *more])
        for size, more in (("large", ["model.network.wave_channels=6"]), ("base", []))
    )
    assert large.values["model"]["network"]["wave_channels"] == 6
    assert large.values["model"]["network"]["mel_channels"] == 48
    differing = {k for k, v in large.values["model"]["network"].items() if v != base.values["model"]["network"][k]}
    assert differing == {"dilations", "repeat_ublocks", "wave_channels"}
    assert large.choices["budget"] == "smoke"
    assert not any("@" in group for group in large.choices)
    budgets = group_choices("budget")
    assert {"quick", "smoke"} <= set(budgets)
    assert not any(name.rpartition("/")[2].startswith("_") for name in budgets)  # parts are no choices


def test_a_model_without_a_part_of_its_own_has_the_budget_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import shutil

    from reprise.config import compose, paths

    conf = tmp_path / "conf"
    shutil.copytree(ROOT / "conf", conf)
    shutil.rmtree(conf / "budget" / "wavegrad")
    for module in (compose, paths):
        monkeypatch.setattr(module, "conf_dir", lambda: conf)
    values = compose_checked([*MODEL, "budget=smoke"]).values
    assert (values["data"]["batch_size"], values["model"]["network"]["wave_channels"]) == (4, 32)
    # a new paper's is a new file
    (conf / "budget" / "wavegrad").mkdir()
    (conf / "budget" / "wavegrad" / "_quick.yaml").write_text("# @package _global_\ndata: {batch_size: 3}\n")
    assert compose_checked([*MODEL, "budget=quick"]).values["data"]["batch_size"] == 3
    assert compose_checked([*MODEL, "budget=smoke"]).values["data"]["batch_size"] == 4
    (conf / "budget" / "wavegrad" / "_quick.yaml").write_text("# @package _global_\ndata: {batch_sise: 3}\n")
    with pytest.raises(ConfigError, match=r"data.batch_sise \(from .*wavegrad/_quick.yaml:2\)"):
        compose_checked([*MODEL, "budget=quick"])


def test_a_run_without_an_experiment_has_no_deviations() -> None:
    assert protocol_deviations(compose_checked([*MODEL, "budget=smoke"])) == []


def test_model_alone_brings_arch_and_embedded_data_and_the_command_line_wins() -> None:
    choices = compose_config(MODEL).choices
    assert (choices["arch"], choices["data"], choices["trainer"]) == ("wavegrad/base", "synthetic_speech", "auto")
    other = compose_config([*MODEL, "arch=wavegrad/large", "data=ljspeech"])
    assert (other.choices["arch"], other.choices["data"]) == ("wavegrad/large", "ljspeech")
    assert other.values["model"]["network"]["repeat_ublocks"] is True


def test_allowed_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_allowed("torch.optim.Adam")
    assert not is_allowed("torch.load")
    assert not is_allowed("reprisex.Model")
    assert not is_allowed("mine.Model")
    assert is_allowed("mine.Model", ["mine"])
    monkeypatch.setenv("REPRISE_ALLOW", "mine, other")
    assert is_allowed("mine.Model")
    monkeypatch.delenv("REPRISE_ALLOW")
    with pytest.raises(ConfigError, match="REPRISE_ALLOW"):
        instantiate({"_target_": "mine.Model"})
    with pytest.raises(ConfigError):  # nested targets are not trusted either
        instantiate({"_target_": "torch.optim.Adam", "_partial_": True, "lr": {"_target_": "os.getcwd"}})


def test_names_imported_by_an_allowed_module_are_not_thereby_allowed() -> None:
    values = compose_config(MODEL).values
    for target in ("reprise.training.callbacks.progress.sys.exit", "reprise.data.audio.corpus.shutil.rmtree"):
        values["model"] = {"_target_": target}
        with pytest.raises(ConfigError, match="does not exist"):
            check_config(values)
        with pytest.raises(ConfigError, match="REPRISE_ALLOW"):
            instantiate(values["model"])


def test_function_parameters_are_checked() -> None:
    target = "reprise.models.wavegrad.module.WaveGrad.generate"
    check_parameters(target, {"schedule": "manual6", "seed": 1}, "generate")
    check_parameters(target, {"schedule": [0.1, 0.2]}, "generate")
    with pytest.raises(ConfigError, match="'schedule'"):
        check_parameters(target, {"shedule": "manual6"}, "generate")
    with pytest.raises(ConfigError, match=r"str or list\[float\]"):
        check_parameters(target, {"schedule": 5}, "generate")


def test_checking_loads_neither_torch_nor_lightning() -> None:
    code = (
        "import sys; from reprise.cli.common import compose_checked; compose_checked(['model=wavegrad']); "
        "print([m for m in ('torch', 'pytorch_lightning', 'wandb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_nothing_of_a_run_directory_is_trusted_by_itself() -> None:
    values: dict[str, Any] = compose_config(MODEL).values
    values["allow"] = ["os"]
    values["model"]["_target_"] = "os.system"
    with pytest.raises(ConfigError, match="may not build"):
        check_config(values)
