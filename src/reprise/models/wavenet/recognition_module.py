"""Recognition with WaveNet as a LightningModule (section 3.4): two losses to train, error rates to measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, get_args

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.base import Mean
from reprise.metrics.error_rate import ClassErrorPercent, EditErrorRate
from reprise.metrics.phones import TIMIT_61, TIMIT_61_TO_39, mapped, merged
from reprise.metrics.sequence_likelihood import BitsPerSample
from reprise.models.wavenet.measuring import computed
from reprise.models.wavenet.recognition import Losses, RecognitionNetwork, recognition_losses

Scored = Literal["as_given", "timit_39"]


class WaveNetRecogniser(pl.LightningModule):
    """A recogniser of phones, whose frames have classes, or of words, one a clip.

    Metrics of whole held-out clips: `frame_error_percent` of frames of known class; `per_percent`, (S + D + I) / N of
    sequences: the likeliest class of each frame, reduced as `scored` says, neighbours that are equal taken for one, and
    the reference reduced likewise; `word_error_percent` of clips with one label; `bits_per_sample`, unless the next
    sample is not learned.

    Args:
        network: gives logits and likelihoods.
        optimizer: optimiser class with its settings, waiting for parameters.
        next_sample_weight: of the loss of the next sample beside that of the class; 0 to train the class alone. The
            paper gives none.
        word: kind of label that is the class of a whole clip, e.g. digit; None for none.
        scored: classes in which sequences are compared: as the data give them, or of TIMIT's 61 phones the 39 of
            Lee and Hon (1989), glottal stops left out.
        lr_schedule: learning-rate schedule waiting for the optimiser, stepped once an iteration.

    Raises:
        ConfigError: the weight is below 0, the network has words and no label is named for them or the other way round,
            or a word is unknown.
    """

    def __init__(
        self,
        network: RecognitionNetwork,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        next_sample_weight: float = 1.0,
        word: str | None = None,
        scored: Scored = "as_given",
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
    ) -> None:
        super().__init__()
        if next_sample_weight < 0:
            raise ConfigError(f"model.next_sample_weight is {next_sample_weight}. Expected 0 or more.")
        if (word is None) != (network.words == 0):
            raise ConfigError(
                f"model.network.words is {network.words} and model.word is {word}. Give both or neither: the number of "
                "words, and the kind of label that they are."
            )
        if scored not in get_args(Scored):
            raise ConfigError(f"model.scored is {scored!r}. Expected one of {', '.join(get_args(Scored))}.")
        self.network = network
        self.optimizer = optimizer
        self.weight = next_sample_weight
        self.word = word
        self.scored: Scored = scored
        self.lr_schedule = lr_schedule
        if not self.weight:  # layers that nothing is learned with
            for part in (network.wavenet.post, network.wavenet.out):
                part.requires_grad_(False)
        self.names: list[str] = []  # of the classes of frames
        self.column = 0  # of the word among the labels
        self.context = 0
        self.val_loss = Mean()
        self.measures = nn.ModuleDict(
            {f"{split}_{name}": kind() for split in ("val", "test") for name, kind in self._kinds().items()}
        )

    def _kinds(self) -> dict[str, Callable[[], nn.Module]]:
        found: dict[str, Callable[[], nn.Module]] = {}
        if self.network.classes:
            found |= {"frame_error_percent": ClassErrorPercent, "per_percent": EditErrorRate}
        if self.network.words:
            found["word_error_percent"] = ClassErrorPercent
        if self.weight:
            found["bits_per_sample"] = BitsPerSample
        return found

    def setup(self, stage: str) -> None:
        """Ask the data for the context, and compare what both know of frames and classes.

        Raises:
            ConfigError: they differ; the text says what to set.
        """
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        data.need_context(self.network.receptive_field)
        if data.grid != self.network.pool:
            raise ConfigError(
                f"model.network.pool is {self.network.pool} and data.grid is {data.grid} samples. Expected the same."
            )
        if self.network.classes:
            self.names = list(data.frame_names)
            _same_number("classes", self.network.classes, self.names, "frames")
            if self.scored == "timit_39" and (others := sorted(set(self.names) - set(TIMIT_61))):
                raise ConfigError(
                    f"model.scored=timit_39 reduces TIMIT's 61 phones, and the data have {', '.join(others[:5])}. "
                    "Set model.scored=as_given, or let the data give the 61."
                )
        if self.word is not None:
            if self.word not in data.label_names:
                raise ConfigError(f"model.word is {self.word!r}. Expected one of {', '.join(data.label_names)}.")
            self.column = list(data.label_names).index(self.word)
            _same_number("words", self.network.words, data.label_names[self.word], f"labels of {self.word}")

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Both losses of crops."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        past = self.network.receptive_field
        audio, exists = (batch[name][:, data.context - past :] for name in ("audio", "exists"))
        found = self.network(audio, exists, bool(self.weight))
        frames = batch["frames"] if self.network.classes else None
        return recognition_losses(found, exists[:, past:], frames, self._words(batch), self.weight).total

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Losses and error rates of whole clips."""
        for losses in self._measure(batch, "val"):
            self.val_loss.update(losses.total)

    def on_validation_epoch_end(self) -> None:
        """Log them."""
        self.log("val/loss", computed({"loss": self.val_loss})["loss"])
        self._log("val")

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Error rates of whole clips."""
        self._measure(batch, "test")

    def on_test_epoch_end(self) -> None:
        """Log them."""
        self._log("test")

    def _log(self, split: str) -> None:
        measures: dict[str, Any] = {f"{split}/{name}": self.measures[f"{split}_{name}"] for name in self._kinds()}
        for name, value in computed(measures).items():
            self.log(name, value)

    def _words(self, batch: dict[str, Any]) -> Tensor | None:
        return None if self.word is None else batch["labels"][:, self.column]

    @torch.no_grad()
    def _measure(self, batch: dict[str, Any], split: str) -> list[Losses]:
        """Add clips to the metrics of a split; also give their losses."""
        metrics: dict[str, Any] = {name: self.measures[f"{split}_{name}"] for name in self._kinds()}
        words, losses = self._words(batch), []
        for i, audio in enumerate(batch["audio"]):
            found = self.network.clip(audio, bool(self.weight))
            frames = batch["frames"][i] if self.network.classes else None
            if found.frames is not None and frames is not None:
                predicted = found.frames[0].argmax(-1)
                metrics["frame_error_percent"].update(predicted, frames)
                # the transcription where the data have it: frames lose segments that are shorter than they
                reference = batch["classes"][i] if "classes" in batch else frames
                metrics["per_percent"].update(self.sequence(predicted), self.sequence(reference))
            if found.words is not None and words is not None:
                metrics["word_error_percent"].update(found.words.argmax(-1), words[i : i + 1])
            if found.log_prob is not None:
                metrics["bits_per_sample"].update(found.log_prob)
            one = None if words is None else words[i : i + 1]
            there = torch.ones_like(audio[None], dtype=torch.bool)
            losses.append(recognition_losses(found, there, None if frames is None else frames[None], one, self.weight))
        return losses

    def sequence(self, classes: Tensor) -> list[str]:
        """The names that frames or a transcription (N,) stand for, as they are scored; see `scored_sequence`."""
        return scored_sequence(classes.tolist(), self.names, self.scored)

    @torch.no_grad()
    def recognise(self, audio: Tensor) -> list[str]:
        """Names of the phones of a clip (T,) in [-1, 1], in order."""
        logits = self.network.clip(audio.to(self.device), next_sample=False).frames
        if logits is None:
            raise ConfigError("this recogniser has no classes of frames (model.network.classes=0).")
        return self.sequence(logits[0].argmax(-1))

    def configure_optimizers(self) -> Any:
        """Build the optimiser over the parameters that are learned."""
        optimizer = self.optimizer(p for p in self.network.parameters() if p.requires_grad)
        if self.lr_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.lr_schedule(optimizer), "interval": "step"},
        }

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        return {f"{split}/{name}": kind.version for split in ("val", "test") for name, kind in self._kinds().items()}  # type: ignore[attr-defined]


def scored_sequence(classes: Sequence[int], names: Sequence[str], scored: Scored) -> list[str]:
    """Classes of frames as a sequence to be scored: unknown ones out, reduced, neighbours that are equal taken for one.

    Args:
        classes: numbers among `names`, -1 where unknown.
        names: of the classes.
        scored: see WaveNetRecogniser.
    """
    known = [names[c] for c in classes if c >= 0]
    return merged(mapped(known, TIMIT_61_TO_39) if scored == "timit_39" else known)


def _same_number(name: str, ours: int, theirs: Sequence[str], what: str) -> None:
    if ours != len(theirs):
        raise ConfigError(
            f"model.network.{name} is {ours}, and the data have {len(theirs)} classes of {what}. "
            f"Set model.network.{name}={len(theirs)}."
        )
