"""The recogniser on phones of TIMIT's layout: classes of frames, two losses, error rates in 39 phones."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from reprise.config.errors import ConfigError
from reprise.data.audio.sequences import SequenceDataModule
from reprise.data.audio.timit import TIMIT
from reprise.models.wavenet.heads import Softmax
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.models.wavenet.recognition import RecognitionNetwork
from reprise.models.wavenet.recognition_module import WaveNetRecogniser
from tests.data.audio.test_timit import make


class Timit(SequenceDataModule):
    """Loaders alone, without the stream of a run."""

    def train_dataloader(self) -> Any:
        return torch.utils.data.DataLoader([self.train_set()[i] for i in range(8)], batch_size=4)

    def val_dataloader(self) -> Any:
        return self._clips("val")

    def test_dataloader(self) -> Any:
        return self._clips("test")

    def _clips(self, split: str) -> Any:
        clips = self.eval_set(split)
        items = [clips[i] for i in range(len(clips))]
        return torch.utils.data.DataLoader(items, batch_size=2, collate_fn=self.eval_collate())


def recogniser(classes: int, **settings: Any) -> WaveNetRecogniser:
    torch.manual_seed(0)
    stack = WaveNetNetwork(Softmax(32), [1, 2, 4], residual=4, skip=8)
    network = RecognitionNetwork(stack, 160, classes, channels=8, convolutions=1)
    return WaveNetRecogniser(network, functools.partial(torch.optim.Adam, lr=1e-2), **settings)


@pytest.mark.parametrize(("weight", "phones"), [(1.0, 61), (0.0, 39)])
def test_timit_is_learned_and_scored(tmp_path: Path, weight: float, phones: int) -> None:
    root = make(tmp_path / "TIMIT")
    data = Timit(TIMIT(phones=phones), 4, 0, str(tmp_path / "cache"), 640, 16000, root=str(root), grid=160)
    module = recogniser(phones, next_sample_weight=weight, scored="timit_39" if phones == 61 else "as_given")
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(accelerator="cpu", max_epochs=1, enable_model_summary=False, **quiet)
    trainer.fit(module, data)
    (found,) = trainer.test(module, data, verbose=False)
    names = {"test/frame_error_percent", "test/per_percent"} | ({"test/bits_per_sample"} if weight else set())
    assert set(found) == names
    with torch.no_grad():  # what it always says is one class: sil of h# sh ix q ih epi h#, which are sil sh ih sil
        module.network.frame_classes.weight.zero_()
        bias = module.network.frame_classes.bias
        bias.copy_((torch.arange(phones) == data.frame_names.index("h#" if phones == 61 else "sil")).float())
    (found,) = trainer.test(module, data, verbose=False)
    # one of four phones is right
    assert found["test/per_percent"] == pytest.approx(75.0)
    (clip,) = data.test_dataloader()
    assert module.recognise(clip["audio"][0]) == ["h#" if phones == 61 and module.scored == "as_given" else "sil"]


def test_other_classes_than_the_datas_are_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "TIMIT")
    data = Timit(TIMIT(), 4, 0, str(tmp_path / "cache"), 640, 16000, root=str(root), grid=160)
    data.prepare_data()
    data.setup("fit")
    module = recogniser(61)
    module._trainer = type("T", (), {"datamodule": data})()
    with pytest.raises(ConfigError, match=r"Set model\.network\.classes=39"):
        module.setup("fit")
