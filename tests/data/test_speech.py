"""Speech data: synthesis, folders, crops, splits, and inputs that are wrong."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.files import input_files, read_audio, read_mel
from reprise.data.audio.speech import SpeechFolder, SyntheticSpeech, read_metadata
from reprise.data.audio.synthesis import sentences
from reprise.nn.spectrogram import LogMel
from reprise.samples.audio import write_audio

RATE = 22050


def features() -> LogMel:
    return LogMel(RATE, f_max=11025, shift=-1.0, scale=2.5)


def folder(root: Path, cache: Path, **settings: Any) -> SpeechFolder:
    values = {"crop_frames": 6, "batch_size": 4, "seed": 0, "val_clips": 2, "test_clips": 2, **settings}
    data = SpeechFolder(features(), cache=str(cache), root=str(root), **values)
    data.prepare_data()
    data.setup("fit")
    return data


def test_crops_are_slices_of_the_recording_and_its_features(recordings: Path, cache: Path) -> None:
    data = folder(recordings, cache)
    assert data.corpus is not None
    crops = data.train_set()
    for position in range(6):
        item = crops[position]
        name = data.corpus.ids[item["clip"]]
        whole = torch.from_numpy(read_audio(recordings / f"{name}.wav", RATE))
        whole = whole[: len(whole) // 300 * 300]
        starts = [s for s in range(0, len(whole) - 1800 + 1, 300) if torch.equal(whole[s : s + 1800], item["audio"])]
        assert len(starts) == 1
        frame = starts[0] // 300
        assert torch.allclose(features()(whole)[:, frame : frame + 6], item["mel"], atol=1e-5)


def test_the_stream_is_a_function_of_seed_and_position(recordings: Path, cache: Path) -> None:
    a, b, c = (folder(recordings, cache, seed=s).train_set() for s in (0, 0, 1))
    assert all(torch.equal(a[p]["audio"], b[p]["audio"]) for p in (0, 7, 100))
    assert not all(torch.equal(a[p]["audio"], c[p]["audio"]) for p in range(5))


def test_loader_continues_at_an_iteration(recordings: Path, cache: Path) -> None:
    data = folder(recordings, cache)
    loader = iter(data.train_dataloader())
    batches = [next(loader) for _ in range(4)]
    data.load_state_dict({"iteration": 2})
    resumed = next(iter(data.train_dataloader()))
    assert torch.equal(resumed["audio"], batches[2]["audio"])
    assert resumed["position"].tolist() == [8, 9, 10, 11]


def test_workers_change_nothing(recordings: Path, cache: Path) -> None:
    data, workers = folder(recordings, cache), folder(recordings, cache, num_workers=1)
    a, b = next(iter(data.train_dataloader())), next(iter(workers.train_dataloader()))
    assert torch.equal(a["audio"], b["audio"])


def test_splits_are_disjoint_and_seeded(recordings: Path, cache: Path) -> None:
    splits = folder(recordings, cache).splits
    assert sorted(i for s in splits.values() for i in s) == list(range(8))
    assert splits == folder(recordings, cache, seed=5).splits
    with pytest.raises(DataError, match="leave any for training"):
        folder(recordings, cache, val_clips=4, test_clips=4)


def test_short_clips_are_padded_with_silence(tmp_path: Path, cache: Path) -> None:
    for i in range(3):
        soundfile.write(tmp_path / f"{i}.wav", 0.1 * np.ones(700 + i), RATE)
    data = folder(tmp_path, cache, val_clips=1, test_clips=1)
    item = data.train_set()[0]
    assert item["audio"].shape == (1800,)
    assert item["mel"].shape == (128, 6)
    assert not item["audio"][600:].any()
    assert item["mel"].isfinite().all()


def test_metadata_decides_which_clips(recordings: Path, tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(recordings, root / "wavs")
    (root / "metadata.csv").write_text("clip0|zero\nclip3|raw three|three\nclip5|five\n", encoding="utf-8")
    data = folder(root, cache, val_clips=1, test_clips=1)
    assert [(c.id, c.text) for c in data.clips()] == [("clip0", "zero"), ("clip3", "three"), ("clip5", "five")]
    (root / "metadata.csv").write_text("clip0|zero\nclip99|gone\n", encoding="utf-8")
    with pytest.raises(DataError, match="'clip99'"):
        data.clips()
    (root / "metadata.csv").write_text("no bar here\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1"):
        data.clips()


def test_a_changed_recording_changes_the_digest(recordings: Path, tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(recordings, root)
    before = folder(root, cache).data_digests()
    assert before == folder(recordings, cache).data_digests()
    time.sleep(0.01)
    soundfile.write(root / "clip0.wav", np.zeros(9000), RATE)
    assert folder(root, cache).data_digests() != before


def test_held_out_clips_are_whole_or_their_beginning(recordings: Path, cache: Path) -> None:
    whole = folder(recordings, cache)
    cut = folder(recordings, cache, val_seconds=0.3, test_seconds=0.2)
    for split, frames in (("val", 22), ("test", 14)):
        assert len(cut.eval_set(split)) == len(whole.eval_set(split)) == 2
        for ours, theirs in ((cut.eval_set(split)[i], whole.eval_set(split)[i]) for i in range(2)):
            assert ours["mel"].shape[1] == frames < theirs["mel"].shape[1]
            assert torch.equal(ours["audio"], theirs["audio"][: frames * 300])
            assert torch.equal(ours["mel"], theirs["mel"][:, :frames])
            assert torch.equal(ours["crop_audio"], theirs["crop_audio"])
    longer = folder(recordings, cache, test_seconds=60.0).eval_set("test")
    assert torch.equal(longer[1]["audio"], whole.eval_set("test")[1]["audio"])
    with pytest.raises(ConfigError, match=r"data.test_seconds is 0.0. Expected more than 0, or null"):
        folder(recordings, cache, test_seconds=0.0)


def test_recordings_can_be_brought_to_one_level(recordings: Path, cache: Path) -> None:
    data = folder(recordings, cache, peak=0.95)
    for item in (data.eval_set("test")[i] for i in range(2)):
        assert float(item["audio"].abs().max()) == pytest.approx(0.95, abs=1e-3)
        ((name, mel),) = data.read_inputs(recordings / f"{item['id']}.wav")
        assert name == item["id"]
        assert torch.allclose(mel[:, : item["mel"].shape[1]], item["mel"], atol=1e-4)
    with pytest.raises(ConfigError, match="at most 1"):
        folder(recordings, cache, peak=2.0)


def test_no_recording_is_lost_to_another_of_its_name(recordings: Path, tmp_path: Path, cache: Path) -> None:
    for part in ("a", "b"):
        shutil.copytree(recordings, tmp_path / "set" / part)
    data = folder(tmp_path / "set", cache)
    assert len(data.clips()) == 16
    assert data.clips()[0].id == "a/clip0"
    shutil.copy(tmp_path / "set" / "a" / "clip0.wav", tmp_path / "set" / "a" / "clip0.flac")
    with pytest.raises(DataError, match="both called 'a/clip0'"):
        data.clips()
    with pytest.raises(ConfigError, match="data=speech_folder"):
        SyntheticSpeech(features(), 24, 4, 0, str(cache), root=str(tmp_path)).clips()


def test_missing_places_are_named(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        folder(tmp_path / "nowhere", cache)
    with pytest.raises(DataError, match="holds no wav or flac"):
        folder(tmp_path, cache)
    with pytest.raises(ConfigError, match=r"data\.root is missing"):
        SpeechFolder(features(), 6, 4, 0, str(cache)).clips()


def test_other_rates_are_refused_or_resampled(tmp_path: Path, cache: Path) -> None:
    t = np.arange(16000) / 16000
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * t), 16000)
    with pytest.raises(DataError, match=r"16000 Hz. Expected 22050 Hz.*data.resample=true"):
        read_audio(tmp_path / "a.wav", RATE)
    audio = read_audio(tmp_path / "a.wav", RATE, resample=True)
    assert len(audio) == RATE
    spectrum = np.abs(np.fft.rfft(audio))
    assert spectrum.argmax() == 440


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: p.write_bytes(b"RIFF1234WAVEgarbage"), "cannot be read as sound"),
        (lambda p: soundfile.write(p, np.zeros((900, 2)), RATE), "2 channels"),
        (lambda p: soundfile.write(p, np.zeros(0), RATE), "no samples"),
        (lambda p: soundfile.write(p, np.full(900, np.nan), RATE, subtype="FLOAT"), "NaN"),
        (lambda p: soundfile.write(p, np.zeros(900), RATE), "silent"),
        (lambda p: soundfile.write(p, np.ones(100) * 0.1, RATE), "less than one frame"),
    ],
)
def test_bad_sound_is_named(tmp_path: Path, write: Any, message: str) -> None:
    path = tmp_path / "a.wav"
    write(path)
    with pytest.raises(DataError, match=message):
        read_mel(path, features())


def test_mel_files(tmp_path: Path) -> None:
    mel = np.random.default_rng(0).standard_normal((128, 7)).astype(np.float32)
    np.save(tmp_path / "a.npy", mel)
    np.savez(tmp_path / "b.npz", mel=mel[None])
    for name in ("a.npy", "b.npz"):
        assert torch.equal(read_mel(tmp_path / name, features()), torch.from_numpy(mel))
    np.save(tmp_path / "a.npy", mel.T)
    with pytest.raises(DataError, match="transposed"):
        read_mel(tmp_path / "a.npy", features())
    np.save(tmp_path / "a.npy", mel[:80])
    with pytest.raises(DataError, match=r"shape \(80, 7\). Expected \(128 mel bins"):
        read_mel(tmp_path / "a.npy", features())
    np.save(tmp_path / "a.npy", np.full((128, 3), np.inf))
    with pytest.raises(DataError, match="finite"):
        read_mel(tmp_path / "a.npy", features())
    np.save(tmp_path / "a.npy", np.array([{"evil": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read as a NumPy array"):
        read_mel(tmp_path / "a.npy", features())
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="unknown type"):
        read_mel(tmp_path / "a.txt", features())


def test_inputs_are_files_or_folders(tmp_path: Path, recordings: Path) -> None:
    assert [p.name for p in input_files(recordings)] == [f"clip{i}.wav" for i in range(8)]
    with pytest.raises(DataError, match="does not exist"):
        input_files(tmp_path / "gone")
    with pytest.raises(DataError, match="holds no file"):
        input_files(tmp_path)


def test_several_arrays_in_one_file_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", x=np.zeros((features().n_mels, 4)), y=np.zeros(3))
    with pytest.raises(DataError, match=r"b\.npz holds 2 arrays, x, y\. Expected one"):
        read_mel(tmp_path / "b.npz", features())


def test_an_id_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("a|One.\nb|Two.\na|Three.\n")
    with pytest.raises(DataError, match=r"line 3: 'a' is listed before"):
        read_metadata(tmp_path / "metadata.csv")


def test_written_sound_comes_back(tmp_path: Path) -> None:
    audio = torch.tensor([0.0, 0.5, -0.5, 2.0])
    back = read_audio(write_audio(tmp_path / "deep" / "a.wav", audio, RATE), RATE)
    assert back.tolist() == pytest.approx([0.0, 0.5, -0.5, 1.0], abs=1e-4)


def test_embedded_speech_is_long_enough_and_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    made = []
    for name in ("a", "b"):
        data = SyntheticSpeech(features(), 24, 4, 0, str(tmp_path / name))
        data.prepare_data()
        data.setup("fit")
        made.append(data.data_digests())
    assert made[0] == made[1]
    assert made[0]["hours"] * 60 >= 5
    assert made[0]["features"]["sample_rate"] == RATE
    assert sum(made[0]["clips"].values()) == len(sentences()) >= 100


def test_speech_offers_no_examples_of_its_own(recordings: Path, cache: Path) -> None:
    with pytest.raises(ConfigError, match="SpeechFolder offers no examples to generate from"):
        folder(recordings, cache).example_inputs(1)
