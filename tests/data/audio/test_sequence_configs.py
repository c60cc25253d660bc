"""Every config of sequences is complete, of the right types, and builds what it says."""

from __future__ import annotations

import pytest

from reprise.cli.common import compose_checked
from reprise.config.compose import group_choices
from reprise.config.errors import ConfigError
from reprise.config.instantiate import instantiate
from reprise.data.audio.sequences import SequenceDataModule
from tests.conftest import ROOT

# what a speech model reads of its data, which sequences have not
MODEL = [
    "model=wavegrad",
    "model.features={_target_:reprise.nn.spectrogram.LogMel,sample_rate:22050,f_max:11025}",
    "model.network.n_mels=128",
]
EXPECTED = {
    "fsdd": ("FSDD", 8000, ["speaker", "digit"]),
    "vctk": ("VCTK", 16000, ["speaker"]),
    "timit": ("TIMIT", 16000, []),
    "tagged_music": ("TaggedMusic", 16000, []),
    "synthetic_waves": ("SyntheticSentences", 16000, []),
    "synthetic_digits": ("SyntheticDigits", 8000, ["speaker", "digit"]),
    "sequence_folder": ("SequenceFolder", 16000, []),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_config_builds_its_data(name: str) -> None:
    root = ["data.root=FOLDER"] if name == "sequence_folder" else []
    data = instantiate(compose_checked([*MODEL, f"data={name}", *root]).values["data"])
    assert isinstance(data, SequenceDataModule)
    assert (type(data.recordings).__name__, data.sample_rate, data.labels) == EXPECTED[name]
    assert (ROOT / f"conf/data/{name}.yaml").read_text().startswith("# ")


def test_no_config_is_forgotten() -> None:
    ours = [n for n in group_choices("data") if "- _sequences" in (ROOT / f"conf/data/{n}.yaml").read_text()]
    assert sorted(ours) == sorted(EXPECTED)


def test_options_of_the_command_line() -> None:
    more = ["data.test_clips=[0_theo_1]", "data.only={speaker: [theo], digit: [7, 8]}", "data.limit_test=3"]
    data = instantiate(compose_checked([*MODEL, "data=fsdd", *more]).values["data"])
    assert data.held_out_clips == {"val": 120, "test": ["0_theo_1"]}
    assert data.only == {"speaker": ["theo"], "digit": ["7", "8"]}
    with pytest.raises(ConfigError, match=r"phone .*is not a key of the config. Did you mean .data.recordings.phones"):
        compose_checked([*MODEL, "data=timit", "data.recordings.phone=61"])
