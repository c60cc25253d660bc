"""Synthetic speech with linguistic features: items, text as input, other voices, and inputs that are wrong."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from reprise.config.errors import ConfigError, DataError
from reprise.config.instantiate import instantiate
from reprise.data.audio.spoken import phones_of_recording, read_sentences
from reprise.data.audio.synthetic_linguistics import LinguisticSpeech
from reprise.data.audio.waves import LocalFeatures
from tests.commands import ROOT

TEXTS = ["The owl turned its head.", "Old songs travel further.", "Put it at the bottom.", "Rain is likely.", "Go on."]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linguistic")
    (folder / "five.txt").write_text("\n".join(TEXTS) + "\n\n", encoding="utf-8")
    return folder


def made(place: Path, **settings: Any) -> LinguisticSpeech:
    values = {"batch_size": 2, "seed": 0, "crop": 3200, "text": str(place / "five.txt"), "sample_rate": 8000}
    data = LinguisticSpeech(**{**values, "cache": str(place), "val_clips": 1, "test_clips": 1, **settings})
    data.prepare_data()
    data.setup("fit")
    return data


def test_crops_bear_their_context_and_the_frames_that_belong_to_it(place: Path) -> None:
    data = made(place)
    data.need_context(1001)
    assert (data.hop, data.context, data.label_names) == (40, 1040, {})
    batch = next(iter(data.train_dataloader()))
    assert batch["audio"].shape == batch["exists"].shape == (2, 4240)
    assert batch["local"].shape == (2, 106, data.local_channels)
    assert batch["labels"].shape == (2, 0)
    for i in range(2):
        outside = ~batch["exists"][i]
        assert not batch["audio"][i][outside].any()
        frames = outside.reshape(106, 40).all(dim=1)
        assert not batch["local"][i][frames].any()
        assert (batch["local"][i][~frames][:, :75].sum(dim=1) == 1.0).all()


def test_a_crop_is_a_slice_of_its_clip(place: Path) -> None:
    data = made(place, val_clips=["0001"], test_clips=["0002"])
    data.need_context(400)
    wholes = []
    for name in ("0000", "0003", "0004"):
        other = made(place, val_clips=["0001"], test_clips=[name])
        wholes.append(other.eval_set("test")[0])
    crops = data.train_set()
    for position in range(6):
        item = crops[position]
        found = 0
        for whole in wholes:
            padded = torch.nn.functional.pad(whole["audio"], (400, 3200))
            local = torch.nn.functional.pad(whole["local"], (0, 0, 10, 80))
            for frame in range(len(local) - 90 + 1):
                if torch.equal(padded[40 * frame : 40 * frame + 3600], item["audio"]):
                    assert torch.equal(local[frame : frame + 90], item["local"])
                    found += 1
        assert found == 1


def test_clips_are_whole_and_split_without_overlap(place: Path) -> None:
    data = made(place)
    assert sorted(i for split in data.splits.values() for i in split) == [0, 1, 2, 3, 4]
    batch = next(iter(data.test_dataloader()))
    assert set(batch) == {"audio", "local", "labels", "id", "position"}
    assert batch["labels"].shape == (1, 0)
    assert len(batch["local"][0]) == -(-len(batch["audio"][0]) // 40)
    short = made(place, max_seconds=0.1).eval_set("test")[0]
    assert len(short["audio"]) == 800 and len(short["local"]) == 20


def test_features_of_a_text_are_those_of_the_data_set(place: Path, tmp_path: Path) -> None:
    data = made(place)
    item = data.eval_set("test")[0]
    text = TEXTS[int(item["id"])]
    given = data.inputs_of_text(text)
    assert torch.equal(given["local"], item["local"])
    assert given["labels"].shape == (0,)
    (tmp_path / "say.txt").write_text(f"Go on.\n\n{text}\n", encoding="utf-8")
    (first, _), (second, same) = data.read_inputs(tmp_path / "say.txt")
    assert first == "001-go-on"
    assert second.startswith("002-")
    assert torch.equal(same["local"], item["local"])
    ((name, example),) = data.example_inputs(3)
    assert name == item["id"] and torch.equal(example["local"], item["local"])
    assert len(data.feature_names()) == data.local_channels == example["local"].shape[1]


def test_speech_made_anew_is_the_same(place: Path, tmp_path: Path) -> None:
    here, there = made(place), made(place, cache=str(tmp_path))
    assert here.data_digests() == there.data_digests()
    for position in range(4):
        ours, theirs = here.train_set()[position], there.train_set()[position]
        assert torch.equal(ours["audio"], theirs["audio"])
        assert torch.equal(ours["local"], theirs["local"])


@pytest.mark.slow
def test_two_processes_make_the_same_data(place: Path, tmp_path: Path) -> None:
    program = (
        "import json, sys; from reprise.data.audio.synthetic_linguistics import LinguisticSpeech\n"
        "data = LinguisticSpeech(2, 0, sys.argv[1], 3200, 8000, text=sys.argv[2], val_clips=1, test_clips=1)\n"
        "data.setup('fit'); item = data.train_set()[3]\n"
        "print(json.dumps([data.data_digests()['recordings_sha256'], item['local'].double().sum().item(),"
        " item['audio'].double().sum().item()]))"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(place / "five.txt")]
    there = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    data = made(place)
    item = data.train_set()[3]
    here = [item["local"].double().sum().item(), item["audio"].double().sum().item()]
    assert there == [data.data_digests()["recordings_sha256"], *here]


def test_f0_and_neighbours_can_be_left_out(place: Path) -> None:
    data = made(place, f0=False, neighbours=False)
    assert data.local_channels == 75 + 12
    full = made(place)
    columns = [full.feature_names().index(name) for name in data.feature_names()]
    assert torch.equal(data.eval_set("test")[0]["local"], full.eval_set("test")[0]["local"][:, columns])


def test_phones_can_be_classes_of_frames(place: Path) -> None:
    data = made(place, phone_classes=True, grid=80)
    item = data.eval_set("test")[0]
    heard = item["local"][:, :75].argmax(dim=1)
    # frames of 10 ms against those of 5 ms: where both halves agree, so does the whole
    halves = heard[: len(heard) // 2 * 2].reshape(-1, 2)
    agree = halves[:, 0] == halves[:, 1]
    assert torch.equal(item["frames"][: len(halves)][agree], halves[:, 0][agree])
    phones = phones_of_recording(data.recordings.find(None, place)[int(item["id"])])
    said = [p.symbol for p in phones if p.end > p.start]
    assert [data.frame_names[i] for i in item["classes"]] == [
        p for p, q in zip(said, ["", *said], strict=False) if p != q
    ]


def test_another_voice_has_an_inventory_of_its_own(place: Path, tmp_path: Path) -> None:
    (tmp_path / "drei.txt").write_text("Guten Morgen.\nSchöne Grüße.\nBis später.\n", encoding="utf-8")
    data = made(place, text=str(tmp_path / "drei.txt"), voice="de")
    local = data.eval_set("test")[0]["local"]
    other = data.feature_names().index("phone=other")
    assert local[:, : other + 1].sum(dim=1).eq(1.0).all()
    assert not local[:, other].any()


def test_nothing_is_spoken_before_it_is_asked_for(place: Path, tmp_path: Path) -> None:
    settings: Any = {"batch_size": 2, "seed": 0, "crop": 3200, "text": str(tmp_path / "zwei.txt"), "sample_rate": 8000}
    cache = tmp_path / "none"
    data = LinguisticSpeech(**settings, cache=str(cache), voice="de", val_clips=1, test_clips=1)
    assert not cache.exists()
    assert (data.hop, data.local_channels) == (40, 0)
    with pytest.raises(RuntimeError, match="setup"):
        data.feature_names()
    with pytest.raises(DataError, match=r"zwei\.txt cannot be read"):
        data.prepare_data()
    (tmp_path / "zwei.txt").write_text("Guten Morgen.\nSchönen Tag.\nBis später.\n", encoding="utf-8")
    data.setup("test")
    assert len(data.feature_names()) == data.local_channels == data.eval_set("test")[0]["local"].shape[1]


def test_features_follow_the_file_of_the_phones(place: Path, tmp_path: Path) -> None:
    cache = {"cache": str(tmp_path), "val_clips": ["0001"], "test_clips": ["0002"]}
    data = made(place, **cache)
    before = data.eval_set("test")[0]["local"]
    (recording,) = [r for r in data.recordings.find(None, tmp_path) if r.id == "0002"]
    file = recording.path.with_suffix(".json")
    rows = json.loads(file.read_text())
    rows[0][0] = "s"
    file.write_text(json.dumps(rows))
    after = made(place, **cache).eval_set("test")[0]
    assert not torch.equal(after["local"], before)
    assert after["local"][0, made(place).feature_names().index("phone=s")] == 1.0
    file.write_text("{}")
    with pytest.raises(DataError, match=r"0002\.json does not hold the phones of 0002\. Delete"):
        made(place, **cache)


def test_the_format_of_features_is_in_the_key_of_the_cache(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(place)
    folders = len(list((place / "waves").glob("*/index.json")))
    made(place)
    assert len(list((place / "waves").glob("*/index.json"))) == folders
    monkeypatch.setattr(LocalFeatures, "format", 99)
    made(place)
    assert len(list((place / "waves").glob("*/index.json"))) == folders + 1


def test_the_config_builds_it(place: Path) -> None:
    node: Any = OmegaConf.load(ROOT / "conf" / "data" / "linguistic_speech.yaml")
    node.update({"cache": str(place), "seed": 0})
    parameters = inspect.signature(LinguisticSpeech).parameters
    assert set(node) == {"_target_", *parameters}  # nothing that matters hides in code
    data = instantiate(OmegaConf.to_container(node))
    assert (data.sample_rate, data.hop, data.local_channels) == (16000, 80, 3 * 75 + 12 + 2)


def test_what_cannot_be_used_is_named(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.crop=3210.*3200"):
        made(place, crop=3210)
    with pytest.raises(ConfigError, match="multiple of 200"):
        made(place, sample_rate=22050)
    with pytest.raises(DataError, match=r"Expected a \.txt"):
        made(place).read_inputs(tmp_path / "a.wav")
    with pytest.raises(DataError, match="cannot be read"):
        read_sentences(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(DataError, match="no sentence"):
        read_sentences(tmp_path / "empty.txt")
    (tmp_path / "latin.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        read_sentences(tmp_path / "latin.txt")
