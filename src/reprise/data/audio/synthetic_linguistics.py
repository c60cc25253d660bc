"""Synthetic speech with its linguistic features: the embedded data of text to speech."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from reprise.config.errors import DataError
from reprise.data.audio.espeak import SAMPLE_RATE
from reprise.data.audio.linguistics import LinguisticFeatures
from reprise.data.audio.phonemes import Phone, speak
from reprise.data.audio.recordings import Recording
from reprise.data.audio.sequences import SequenceDataModule
from reprise.data.audio.sounds import read_sound
from reprise.data.audio.spoken import SpokenSentences, phones_file, phones_of_recording, read_sentences, wav_bytes
from reprise.data.audio.synthesis import VOICE
from reprise.data.audio.waves import LocalFeatures, Waves


class LinguisticFrames(LocalFeatures):
    """Linguistic features of spoken sentences, as local features."""

    def __init__(self, features: LinguisticFeatures) -> None:
        self.features = features
        self.hop = features.hop
        self.channels = features.channels

    def signature(self) -> dict[str, Any]:
        """The names of the features, and of what format they are."""
        return {"linguistics": self.format, "names": self.features.feature_names()}

    def sources(self, recording: Recording) -> list[Path]:
        """The file of the phones."""
        return [phones_file(recording)]

    def frames(self, recording: Recording, wave: Tensor) -> Tensor:
        """Features (F, channels) of a recording."""
        return self.of_speech(phones_of_recording(recording), wave)

    def of_speech(self, phones: tuple[Phone, ...], wave: Tensor) -> Tensor:
        """Features (F, channels) of phones, and of the waveform (F * hop,) they are heard in."""
        return torch.from_numpy(self.features.of_speech(phones, SAMPLE_RATE, wave.numpy()))


class LinguisticSpeech(SequenceDataModule):
    """Sentences spoken by espeak-ng on this machine, with linguistic features of them every 5 ms as "local".

    The paper predicts the durations of phones and log F0 by other models. There are none here: both are espeak-ng's
    own, for sentences to generate too. Such speech is espeak-ng's prosody in the model's voice.

    Nothing is spoken before `prepare_data` or `setup`. The phones of voices other than en-us are known then:
    until then `local_channels` is 0, and `feature_names` is not to be called.

    Args:
        batch_size, seed, cache, crop, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test, grid,
            crops_per_clip, val_clips, test_clips, split_seed, max_seconds: see SequenceDataModule.
        sample_rate: Hz; a multiple of 200, so that 5 ms are whole samples.
        voice: one of espeak-ng's. Other languages need a `text` of their own.
        text: file with a sentence a line; None for the sentences of this project (5.6 minutes).
        neighbours: features of the phones before and after, too.
        f0: log F0 and voicing, too: the paper's L+F; without them its L.
        phone_classes: also give the phone of every `grid` samples as "frames", for recognition.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        batch_size: int,
        seed: int,
        cache: str,
        crop: int,
        sample_rate: int = 16000,
        voice: str = VOICE,
        text: str | None = None,
        neighbours: bool = True,
        f0: bool = True,
        phone_classes: bool = False,
        grid: int = 1,
        num_workers: int = 0,
        max_device_batch: int | None = None,
        eval_batch_size: int = 1,
        limit_val: int | None = None,
        limit_test: int | None = None,
        crops_per_clip: int | None = None,
        val_clips: int | list[str] = 8,
        test_clips: int | list[str] = 8,
        split_seed: int = 0,
        max_seconds: float | None = None,
    ) -> None:
        self.sentences = SpokenSentences(text, voice, phone_classes)
        self.voice = voice
        self.neighbours, self.f0 = neighbours, f0
        # set before the parent's constructor, which asks local_features() for its hop and channels
        fixed = self.sentences.fixed_phones
        self.linguistics = LinguisticFrames(LinguisticFeatures(sample_rate, fixed or (), neighbours, f0))
        super().__init__(
            self.sentences,
            batch_size,
            seed,
            cache,
            crop,
            sample_rate,
            num_workers=num_workers,
            max_device_batch=max_device_batch,
            eval_batch_size=eval_batch_size,
            limit_val=limit_val,
            limit_test=limit_test,
            grid=grid,
            crops_per_clip=crops_per_clip,
            val_clips=val_clips,
            test_clips=test_clips,
            split_seed=split_seed,
            max_seconds=max_seconds,
            resample=True,
        )
        self._knows_phones = fixed is not None
        if not self._knows_phones:
            self.local_channels = 0

    def _load(self) -> tuple[list[Recording], list[Recording], Waves]:
        self._learn_phones()
        return super()._load()

    def _learn_phones(self) -> None:
        """Have the voice speak the sentences where its phones are not known yet."""
        if self._knows_phones:
            return
        phones = self.sentences.phones(self.cache)
        self.linguistics = LinguisticFrames(LinguisticFeatures(self.sample_rate, phones, self.neighbours, self.f0))
        self.local = self.linguistics
        self.local_channels = self.linguistics.channels
        self._knows_phones = True

    def local_features(self) -> LocalFeatures:
        """The linguistic features."""
        return self.linguistics

    def feature_names(self) -> list[str]:
        """Names of the channels of "local", in order.

        Raises:
            RuntimeError: they are not known before `setup`.
        """
        if not self._knows_phones:
            raise RuntimeError("setup() has not been called")
        return self.linguistics.features.feature_names()

    def inputs_of_text(self, text: str) -> dict[str, Tensor]:
        """What a model needs to say a sentence: {"local": (F, C), "labels": (0,)}.

        How long each phone is, and F0, are those of espeak-ng's own rendering of the sentence, which is discarded.

        Raises:
            DataError: a text of which nothing can be said.
            UserError: espeak-ng or another package is missing.
        """
        return self._inputs_of([text])[0]

    def _inputs_of(self, texts: list[str]) -> list[dict[str, Tensor]]:
        self._learn_phones()
        found = []
        for utterance in speak(texts, self.voice):
            sound = torch.from_numpy(read_sound(wav_bytes(utterance), repr(utterance.text), self.sound).wave)
            whole = F.pad(sound, (0, -len(sound) % self.hop))
            local = self.linguistics.of_speech(utterance.phones, whole)
            found.append({"local": local, "labels": torch.zeros(0, dtype=torch.int64)})
        return found

    def read_inputs(self, path: Path) -> Iterable[tuple[str, dict[str, Tensor]]]:
        """What a model needs to say each sentence of a text file, one a line; see `inputs_of_text`.

        They are called by the number of the sentence, from 1, and its first words.

        Raises:
            DataError: no text file, or a sentence of which nothing can be said.
        """
        if path.suffix.lower() != ".txt":
            raise DataError(f"{path} is of an unknown type. Expected a .txt file, a sentence a line.")
        texts = read_sentences(path)
        names = [f"{i:03d}-{_short(text)}".rstrip("-") for i, text in enumerate(texts, 1)]
        return list(zip(names, self._inputs_of(texts), strict=True))


def _short(text: str) -> str:
    """The first words of a sentence as a part of a file name."""
    return "-".join(re.findall(r"\w+", text.lower())[:4])[:40]
