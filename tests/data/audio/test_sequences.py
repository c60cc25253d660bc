"""Crops with context, whole clips, splits, and settings that do not fit."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.recordings import Recording, described
from reprise.data.audio.sequence_folder import SequenceFolder
from reprise.data.audio.sequences import SequenceDataModule
from reprise.models.wavenet.conditioned import ConditionedWaveNet
from reprise.models.wavenet.conditions import LocalCondition
from reprise.models.wavenet.heads import Softmax
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.nn.spectrogram import LogMel
from tests.data.audio.sounds import noise, write

RATE = 8000
LENGTHS = [900, 1000, 1105, 60, 1300, 1207]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i, length in enumerate(LENGTHS):
        write(tmp_path / "set" / "ab"[i % 2] / f"{i}.wav", length, RATE, seed=i)
    return tmp_path / "set"


def mels(hop: int = 40) -> LogMel:
    return LogMel(RATE, n_mels=5, n_fft=128, win_length=128, hop_length=hop, f_max=4000.0)


def load(root: Path, **settings: Any) -> SequenceDataModule:
    values = {"batch_size": 3, "seed": 0, "crop": 200, "sample_rate": RATE, "labels": ["speaker"], **settings}
    values = {"val_clips": ["b/1"], "test_clips": ["a/0"], **values}
    recordings = values.pop("recordings", SequenceFolder(["speaker"]))
    data = SequenceDataModule(recordings, cache=str(root.parent / "cache"), root=str(root), **values)
    data.prepare_data()
    data.setup("fit")
    return data


def where(item: dict[str, Any], context: int, crop: int) -> tuple[int, int]:
    """Clip and start of a crop, found by its samples; samples that do not exist must be zeros around it."""
    there = item["exists"].numpy()
    assert not item["audio"].numpy()[~there].any()
    part = item["audio"].numpy()[there]
    for clip, length in enumerate(LENGTHS):
        wave = noise(length, clip)
        for first in np.flatnonzero(wave == part[0]):
            if np.array_equal(wave[first : first + len(part)], part):
                start = int(first) + context - int(there.argmax())
                expected = (np.arange(start - context, start + crop) >= 0) & (
                    np.arange(start - context, start + crop) < length
                )
                assert np.array_equal(there, expected)
                return clip, start
    raise AssertionError("a crop is part of no clip")


def test_crops_are_parts_of_their_clips_with_what_comes_before(root: Path) -> None:
    data = load(root)
    data.need_context(150)
    crops = data.train_set()
    starts = set()
    for position in range(60):
        item = crops[position]
        assert item["audio"].shape == item["exists"].shape == (350,)
        assert (item["audio"].dtype, item["exists"].dtype) == (torch.float32, torch.bool)
        clip, start = where(item, 150, 200)
        assert clip in (2, 3, 4, 5)  # not the held-out ones
        assert item["labels"].tolist() == [clip % 2]
        starts.add(start)
    assert 0 in starts  # of the clip that is shorter than a crop
    assert any(start % 8 for start in starts)
    assert data.label_names == {"speaker": ["a", "b"]}
    assert (data.hop, data.local_channels, data.context) == (1, 0, 150)


def test_an_epoch_covers_clips_by_their_length(root: Path) -> None:
    data = load(root)
    data.need_context(0)
    crops = data.train_set()
    assert data.epoch_size() == len(crops) == 6 + 1 + 7 + 7
    clips = [where(crops[p], 0, 200)[0] for p in range(len(crops))]
    assert [clips.count(c) for c in (2, 3, 4, 5)] == [6, 1, 7, 7]
    assert load(root, crops_per_clip=2).epoch_size() == 8


def test_which_crop_is_a_function_of_seed_and_position(root: Path) -> None:
    a, b, c = (load(root, seed=s).train_set() for s in (0, 0, 1))
    assert all(torch.equal(a[p]["audio"], b[p]["audio"]) for p in (0, 7, 1000))
    assert not all(torch.equal(a[p]["audio"], c[p]["audio"]) for p in range(5))
    data = load(root)
    data.need_context(30)
    loader = iter(data.train_dataloader())
    batches = [next(loader) for _ in range(3)]
    data.load_state_dict({"iteration": 2})
    resumed = next(iter(data.train_dataloader()))
    assert resumed["position"].tolist() == [6, 7, 8]
    assert all(torch.equal(resumed[key], batches[2][key]) for key in ("audio", "exists", "labels"))
    assert resumed["labels"].shape == (3, 1)


def test_local_features_are_those_of_the_whole_clip(root: Path) -> None:
    data = load(root, features=mels())
    data.need_context(130)
    assert (data.hop, data.local_channels, data.context) == (40, 5, 160)
    crops = data.train_set()
    for position in range(20):
        item = crops[position]
        assert item["local"].shape == (9, 5)
        clip, start = where(item, 160, 200)
        assert start % 40 == 0
        wave = torch.zeros(-(-LENGTHS[clip] // 40) * 40)
        wave[: LENGTHS[clip]] = torch.from_numpy(noise(LENGTHS[clip], clip))
        whole = mels()(wave).T
        for row, frame in enumerate(range((start - 160) // 40, (start + 200) // 40)):
            expected = whole[frame] if 0 <= frame < len(whole) else torch.zeros(5)
            assert torch.allclose(item["local"][row], expected, atol=1e-5)
    clip = data.eval_set("test")[0]
    assert clip["audio"].shape == (900,)
    assert clip["local"].shape == (23, 5)


def test_crops_start_on_the_grid_and_reach_the_last_sample(root: Path) -> None:
    data = load(root, features=mels(), crop=240, grid=60)
    crops = data.train_set()
    found = [where(crops[p], 0, 240) for p in range(150)]
    assert {start % 120 for _, start in found} == {0}  # common to 40 and 60
    assert max(start for clip, start in found if clip == 2) == 960  # 960 + 240 >= 1105


def test_evaluation_reads_whole_clips(root: Path) -> None:
    data = load(root, test_clips=["a/0", "b/3"], eval_batch_size=2)
    data.need_context(500)
    (batch,) = data.test_dataloader()
    assert batch["id"] == ["a/0", "b/3"]
    assert np.array_equal(batch["audio"][0].numpy(), noise(900, 0))
    assert np.array_equal(batch["audio"][1].numpy(), noise(60, 3))
    assert batch["labels"].tolist() == [[0], [1]]
    assert batch["position"].tolist() == [0, 1]
    assert set(batch) == {"audio", "id", "position", "labels"}
    cut = load(root, max_seconds=0.05, features=mels()).eval_set("test")[0]
    assert np.array_equal(cut["audio"].numpy(), noise(900, 0)[:400])
    assert cut["local"].shape == (10, 5)
    assert len(load(root, test_clips=2, limit_test=1).eval_set("test")) == 1


def test_a_cut_clip_keeps_the_features_that_follow(root: Path) -> None:
    data = load(root, max_seconds=0.0521, features=mels(), grid=20, test_clips=["a/0", "b/3"])
    data.need_context(100)
    whole = load(root, features=mels(), test_clips=["a/0", "b/3"]).eval_set("test")
    cut, short = data.eval_set("test")[0], data.eval_set("test")[1]
    assert cut["audio"].shape == (400,)  # down to whole frames
    assert torch.equal(cut["local"], whole[0]["local"][:13])  # 10 frames, and 120 samples of context
    assert cut["local"].ne(0.0).any(1).all()
    assert torch.equal(short["local"], whole[1]["local"])  # 60 samples: nothing is cut, and nothing follows
    assert dict(data.example_inputs(1))["a-0"]["local"].shape == (10, 5)


def test_the_likelihood_of_a_cut_clip_is_that_of_the_whole_up_to_there(root: Path) -> None:
    local = LocalCondition(5, 4, 40, "transposed", [8, 5], convolutions=1, kernel=3)
    network = WaveNetNetwork(Softmax(16), dilations=[1, 2], blocks=1, residual=4, skip=4, local_channels=4)
    with torch.no_grad():
        for parameter in (*network.parameters(), *local.parameters()):
            parameter.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(parameter.numel()))
    model = ConditionedWaveNet(network, {}, local)
    found = []
    for most in (0.05, None):
        data = load(root, labels=[], max_seconds=most, features=mels())
        data.need_context(model.receptive_field + local.reach * local.hop)
        item = data.eval_set("test")[0]
        found.append(model.clip_log_prob(item["audio"], item["labels"], None, item["local"]))
    assert local.reach > 1 and len(found[0]) == 400
    assert torch.allclose(found[0], found[1][:400], atol=1e-5)


def test_splits_are_disjoint_seeded_and_as_asked_for(root: Path) -> None:
    by_count = load(root, val_clips=2, test_clips=1)
    assert sorted(i for s in by_count.splits.values() for i in s) == list(range(6))
    assert by_count.splits == load(root, val_clips=2, test_clips=1, seed=7).splits
    assert by_count.splits != load(root, val_clips=2, test_clips=1, split_seed=3).splits
    with pytest.raises(ConfigError, match=r"'a/9', which is no recording. Did you mean"):
        load(root, val_clips=["a/9"])
    with pytest.raises(ConfigError, match=r"is in data.val_clips and in data.test_clips"):
        load(root, val_clips=["a/0"])
    with pytest.raises(ConfigError, match=r"data.test_clips is null, but the recordings name no test clips"):
        load(root, test_clips=None)
    with pytest.raises(DataError, match=r"leave any for training"):
        load(root, val_clips=3, test_clips=3)
    with pytest.raises(ConfigError, match=r"names 'a/1' twice"):
        load(root, val_clips=["a/1", "a/1"])


def test_the_digest_covers_what_is_said_of_recordings_and_who_is_held_out() -> None:
    one = Recording(
        "a", Path("a.wav"), labels={"speaker": "x"}, tags=frozenset({"loud", "slow"}), segments=((0, 1, "p"),)
    )
    two = Recording("b", Path("b.wav"))
    splits = {"train": [0], "test": [1]}
    first = described([one, two], splits)
    assert first == described([replace(one, path=Path("elsewhere.wav")), two], splits)
    assert first != described([one, two], {"train": [1], "test": [0]})
    for other in ({"labels": {"speaker": "y"}}, {"tags": frozenset({"loud"})}, {"segments": ((0, 1, "q"),)}):
        assert first != described([replace(one, **other), two], splits)


def test_recordings_are_chosen_by_label_and_keep_their_numbers(root: Path) -> None:
    one = load(root, only={"speaker": ["b"]}, val_clips=1, test_clips=1)
    assert {one.eval_set(split)[0]["id"][0] for split in ("val", "test")} == {"b"}
    assert {i["labels"].item() for i in (one.train_set()[p] for p in range(9))} == {1}
    assert one.label_names == {"speaker": ["a", "b"]}
    both = load(root, val_clips=["a/2", "b/1"], test_clips=["a/0", "b/3"], evaluate_only={"speaker": ["b"]})
    assert [both.eval_set("val")[0]["id"], both.eval_set("test")[0]["id"]] == ["b/1", "b/3"]
    assert len(both.eval_set("test")) == 1
    assert load(root, skip=["b/5"]).data_digests()["clips"] == {"train": 3, "test": 1, "val": 1}
    with pytest.raises(ConfigError, match=r"names 'c', which no recording has. Valid names: a, b"):
        load(root, only={"speaker": ["c"]})
    with pytest.raises(ConfigError, match=r"no such label. Did you mean 'speaker'"):
        load(root, only={"speakers": ["a"]})
    with pytest.raises(ConfigError, match=r"data.skip names 'b/55'"):
        load(root, skip=["b/55"])


def test_a_label_can_be_the_class_of_every_frame(root: Path) -> None:
    data = load(root, labels=[], frame_label="speaker", grid=50)
    assert data.frame_names == ["a", "b"]
    for item in (data.train_set()[p] for p in range(12)):
        clip, start = where(item, 0, 200)
        there = [start + 50 * i < LENGTHS[clip] for i in range(4)]
        assert item["frames"].tolist() == [clip % 2 if inside else -1 for inside in there]
        assert item["labels"].shape == (0,)
    clip = data.eval_set("val")[0]
    assert clip["frames"].tolist() == [1] * 20
    assert clip["classes"].tolist() == [1]


def test_a_held_out_clip_that_is_trained_on_is_named(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(root / "b" / "again.wav", LENGTHS[0], RATE, seed=0)
    with caplog.at_level(logging.WARNING, logger="reprise.data.audio.splits"):
        load(root)
    assert "1 test clips are trained on too" in caplog.text
    assert "a/0 as b/again" in caplog.text


def test_sound_is_trimmed_resampled_and_levelled(root: Path) -> None:
    quiet, loud = np.full(300, 0.001), 0.2 * np.sin(np.arange(500) / 3 + 0.5)
    soundfile.write(root / "a" / "0.wav", np.concatenate([quiet, loud, quiet]), RATE, subtype="PCM_16")
    trimmed = load(root, trim_silence=-30.0, peak=0.5)
    audio = trimmed.eval_set("test")[0]["audio"]
    assert 480 < len(audio) <= 500
    assert float(audio.abs().max()) == pytest.approx(0.5, abs=1e-6)
    whole = load(root, trim_silence=-60.0).eval_set("test")[0]["audio"]
    assert len(whole) == 1100
    slower = load(root, sample_rate=4000, resample=True).eval_set("test")[0]["audio"]
    assert len(slower) == 550
    soundfile.write(root / "a" / "0.wav", np.stack([loud, loud / 2], axis=1), RATE, subtype="FLOAT")
    mixed = load(root, mono=True).eval_set("test")[0]["audio"]
    assert np.allclose(mixed.numpy(), loud * 0.75, atol=1e-6)
    with pytest.raises(DataError, match=r"0\.wav has 2 channels.*data\.mono=true.*data\.skip=\[a/0\]"):
        load(root)
    with pytest.raises(DataError, match=r"has 8000 Hz\. Expected 16000 Hz.*data\.sample_rate=8000"):
        load(root, sample_rate=16000, mono=True)


def test_the_cache_follows_files_and_settings(root: Path) -> None:
    first = load(root).data_digests()
    assert first == load(root).data_digests()
    folders = list((root.parent / "cache" / "waves").glob("*/index.json"))
    assert len(folders) == 1
    assert (folders[0].parent / "waves.bin").stat().st_size == 2 * sum(LENGTHS)  # 16 bits hold these exactly
    load(root, peak=0.5)
    assert len(list((root.parent / "cache" / "waves").glob("*/index.json"))) == 2
    write(root / "a" / "0.wav", 901, RATE, seed=0)
    assert load(root).data_digests()["recordings_sha256"] != first["recordings_sha256"]


def test_broken_recordings_are_named(root: Path) -> None:
    broken = root / "b" / "1.wav"
    whole = broken.read_bytes()
    for content, message in (
        (b"", r"1\.wav cannot be read as sound.*The file is empty.*data\.skip=\[b/1\]"),
        (b"no sound at all, but long enough", r"1\.wav cannot be read as sound"),
        (b"NIST_1A\n   1024\nsample_coding -s26 pcm,embedded-shorten-v2.00\nend_head\n", "compressed with shorten"),
        (whole[:-501], r"1\.wav is truncated: 501 bytes or more are missing"),
    ):
        broken.write_bytes(content)
        with pytest.raises(DataError, match=message):
            load(root)
    soundfile.write(broken, np.array([0.0, np.nan, 0.1]), RATE, subtype="FLOAT")
    with pytest.raises(DataError, match=r"NaN or infinite samples \(first at 1\)"):
        load(root)
    soundfile.write(broken, np.array([0.0, 3000.0]), RATE, subtype="FLOAT")
    with pytest.raises(DataError, match=r"samples up to 3000. Expected -1 to 1"):
        load(root)
    broken.unlink()
    (root / "a" / "0.flac").write_bytes(b"")
    with pytest.raises(DataError, match=r"0\.flac and .*0\.wav are both called 'a/0'"):
        load(root)


def test_inputs_for_generation(root: Path) -> None:
    data = load(root, features=mels())
    (name, given), *_ = data.example_inputs(5)
    assert name == "a-0"
    assert torch.equal(given["local"], data.eval_set("test")[0]["local"])
    assert given["labels"].tolist() == [0]
    ((name, read),) = data.read_inputs(root / "a" / "0.wav")
    assert name == "0"
    assert torch.allclose(read["local"], given["local"], atol=1e-6)
    assert read["labels"].tolist() == [-1]
    np.save(root.parent / "some.npy", read["local"].numpy().T)
    ((_, again),) = data.read_inputs(root.parent / "some.npy")
    assert torch.equal(again["local"], read["local"])
    without = load(root)
    assert "local" not in dict(without.example_inputs(1))["a-0"]
    with pytest.raises(ConfigError, match=r"data\.features is null"):
        without.read_inputs(root)


def test_samples_are_written_as_sound(root: Path, tmp_path: Path) -> None:
    data = load(root)
    path = data.write_sample("one", torch.zeros(400), tmp_path / "out")
    assert path == data.sample_path("one", tmp_path / "out")
    assert soundfile.info(path).samplerate == RATE
    assert data.seconds_of(torch.zeros(400)) == 0.05


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": 0}, "data.crop is 0. Expected 1 or more"),
        ({"features": mels(), "crop": 210}, "data.crop=210 is no multiple of 40 samples.*Set it to 200"),
        ({"grid": 60}, "data.crop=200 is no multiple of 60 samples, data.grid. Set it to 180"),
        ({"features": mels(), "sample_rate": 4000}, "data.features.sample_rate is 8000, data.sample_rate is 4000"),
        ({"trim_silence": 40.0}, "data.trim_silence is 40.0. Expected dB below the peak"),
        ({"peak": 1.5}, "data.peak is 1.5"),
        ({"max_seconds": 0.0}, "data.max_seconds is 0.0"),
        ({"labels": ["speaker", "speaker"]}, "names 'speaker' twice"),
        ({"labels": ["digit"]}, "data.labels names 'digit', which no recording has. Expected some of speaker"),
        ({"frame_label": "word"}, "data.frame_label names 'word'"),
    ],
)
def test_settings_that_do_not_fit(root: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(root, **settings)
