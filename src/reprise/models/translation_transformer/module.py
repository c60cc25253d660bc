"""Translation as a LightningModule: smoothed cross-entropy to train, BLEU of a beam search to measure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, Literal

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from reprise.config.errors import ConfigError
from reprise.metrics.base import Mean
from reprise.metrics.bleu import Bleu
from reprise.models.translation_transformer.network import Translated, TranslationTransformer
from reprise.models.translation_transformer.search import beam_search
from reprise.nn.attention.base import fixed_draw
from reprise.nn.randomness import ExampleDraws
from reprise.nn.transformer.special import END, PAD, START
from reprise.samples.base import Sample
from reprise.samples.sentences import sentence_attention
from reprise.samples.texts import TextSample

_SHOWN = 4  # translations that an evaluation shows
_BARRED = (PAD, START)  # never part of a translation


class Translator(pl.LightningModule):
    """A translator.

    The loss is the mean smoothed cross-entropy of target words, their ends counted, and the attention's penalty divided
    by the number of training pairs. Random attention draws anew in each training step, always the same in evaluation.

    Args:
        network: gives logits, and decodes step by step.
        optimizer: optimiser class with its settings, waiting for parameters.
        seed: decides what random attention draws in training.
        lr_schedule: learning-rate schedule waiting for the optimiser, stepped once an iteration.
        label_smoothing: share of each word's probability that is spread over all words.
        tokenized: whether the texts are tokenised: BLEU of their words as they are; otherwise with tokenisation 13a.
        beams: of the search when a run is evaluated.
        val_beams: of the search in validations; 1 takes the likeliest word each time.
        length_penalty: exponent of a hypothesis's length by which its log p is divided.
        extra_length: words that a translation may have more than its source, both in numbers.

    Raises:
        ConfigError: a number is out of range.
    """

    generation_batch = 32  # sentences that `reprise generate` translates at once

    def __init__(
        self,
        network: TranslationTransformer,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        seed: int,
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        label_smoothing: float = 0.1,
        tokenized: bool = True,
        beams: int = 5,
        val_beams: int = 1,
        length_penalty: float = 1.0,
        extra_length: int = 50,
    ) -> None:
        super().__init__()
        for name, value in {"beams": beams, "val_beams": val_beams, "extra_length": extra_length}.items():
            if value < 1:
                raise ConfigError(f"model.{name} is {value}. Expected 1 or more.")
        if not 0.0 <= label_smoothing < 1.0:
            raise ConfigError(f"model.label_smoothing is {label_smoothing}. Expected 0 or more, below 1.")
        self.network = network
        self.optimizer = optimizer
        self.seed = seed
        self.lr_schedule = lr_schedule
        self.label_smoothing = label_smoothing
        self.beams = {"val": val_beams, "test": beams}
        self.length_penalty = length_penalty
        self.extra_length = extra_length
        tokenization: Literal["none", "13a"] = "none" if tokenized else "13a"
        self.val_loss, self.val_bleu, self.test_bleu = Mean(), Bleu(tokenization), Bleu(tokenization)
        self.samples: list[Sample] = []  # of the last validation or test
        self._examples = 1

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Translated:
        """Predict words as in evaluation, see TranslationTransformer.forward."""
        return self.network(source, lengths, target, fixed_draw(0))  # type: ignore[no-any-return]

    def on_fit_start(self) -> None:
        """Learn the number of training pairs."""
        self._examples = self.trainer.datamodule.training_examples()  # type: ignore[attr-defined]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Smoothed cross-entropy of a micro-batch, and the penalty."""
        draws = ExampleDraws(self.seed, "attention", [int(batch["position"].min())])
        target = batch["target"]
        found = self.network(
            batch["source"], batch["source_lengths"], target[:, :-1], lambda shape: draws.normal(*shape)[0]
        )
        return self._loss(found.logits, target, self.label_smoothing) + found.penalty / self._examples

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Cross-entropy of a target word, and BLEU."""
        target = batch["target"]
        logits = self(batch["source"], batch["source_lengths"], target[:, :-1]).logits
        self.val_loss.update(self._loss(logits, target, 0.0), int((target[:, 1:] != PAD).sum()))
        self.log("val/loss", self.val_loss, batch_size=len(target))
        self._measure(batch, batch_idx, "val", self.val_bleu)

    def on_validation_epoch_start(self) -> None:
        """Forget the samples of the validation before."""
        self.samples = []

    def on_test_epoch_start(self) -> None:
        """Forget samples of validation."""
        self.samples = []

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """BLEU, and pictures of the encoder's attention within the first sentence."""
        self._measure(batch, batch_idx, "test", self.test_bleu)
        if batch_idx == 0:
            source, lengths = batch["source"][:1], batch["source_lengths"][:1]
            words = self.trainer.datamodule.coder.pieces(source[0, : lengths[0]].tolist())  # type: ignore[attr-defined]
            layers = self.network.decompose(source, lengths, fixed_draw(0))
            self.samples += sentence_attention(batch["id"][0], words, layers)

    def configure_optimizers(self) -> Any:
        """Build the optimiser over the network's parameters."""
        optimizer = self.optimizer(self.network.parameters())
        if self.lr_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.lr_schedule(optimizer), "interval": "step"},
        }

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        return {"val/bleu": self.val_bleu.version, "test/bleu": self.test_bleu.version}

    def _loss(self, logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """Mean over words (B, T) after the first."""
        return F.cross_entropy(
            logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD, label_smoothing=smoothing
        )

    def _measure(self, batch: dict[str, Any], batch_idx: int, split: Literal["val", "test"], bleu: Bleu) -> None:
        made = self.translate(batch["source"], batch["source_lengths"], self.beams[split])
        texts = [self.trainer.datamodule.text_of(torch.tensor(numbers)) for numbers in made]  # type: ignore[attr-defined]
        bleu.update(texts, batch["references"])
        self.log(f"{split}/bleu", bleu, batch_size=len(texts))
        if batch_idx == 0:
            rows = list(zip(batch["id"], batch["sources"], batch["references"], texts, strict=True))
            self.samples = [
                TextSample(
                    name=name,
                    caption=f"{name}, beam of {self.beams[split]}",
                    texts={"source": source, "reference": reference, "hypothesis": text},
                )
                for name, source, reference, text in rows[:_SHOWN]
            ]

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        lengths: Tensor,
        beams: int,
        length_penalty: float | None = None,
    ) -> list[list[int]]:
        """Translate sources (B, S); none depends on the others of the batch.

        Args:
            source: (B, S) numbers, padded on the right.
            lengths: (B,) of them.
            beams: hypotheses of a text at a time.
            length_penalty: exponent of the length; None for the module's own.

        Returns:
            numbers of each translation, without start and end.
        """
        training = self.network.training
        self.network.eval()
        draw = fixed_draw(0)
        state, _ = self.network.begin(source, lengths, draw)
        limits = [min(n + self.extra_length, self.network.max_length) for n in lengths.tolist()]
        step = functools.partial(self._step, draw=draw)
        penalty = self.length_penalty if length_penalty is None else length_penalty
        made = beam_search(step, state, limits, START, END, beams, penalty, _BARRED)
        self.network.train(training)
        return made

    def _step(self, words: Tensor, state: Any, draw: Any) -> Any:
        return self.network.step(words.to(self.device), state, draw)

    def inputs_for(self, **_: Any) -> Literal["examples"]:
        """Without a file of sentences, `generate` translates test sentences."""
        return "examples"

    def generate(
        self,
        conditions: list[dict[str, Any]],
        *,
        beams: int | None = None,
        length_penalty: float | None = None,
        keys: list[int] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> list[Tensor]:
        """Translate sentences.

        Args:
            conditions: of the data, with the numbers of a source.
            beams: hypotheses of a text at a time; by default those of an evaluation.
            length_penalty: exponent of a hypothesis's length by which its log p is divided; by default the model's.
            keys: not needed; nothing is drawn.
            on_step: not called.

        Returns:
            numbers of each translation.

        Raises:
            ConfigError: no beam.
        """
        if beams is not None and beams < 1:
            raise ConfigError(f"beams={beams}. Expected 1 or more.")
        sources = [c["tokens"] for c in conditions]
        lengths = torch.tensor([len(s) for s in sources], device=self.device)
        source = pad_sequence(sources, batch_first=True, padding_value=PAD).to(self.device)
        made = self.translate(source, lengths, beams or self.beams["test"], length_penalty)
        return [torch.tensor(numbers, dtype=torch.long) for numbers in made]
