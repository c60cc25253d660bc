"""WaveNet that recognises phones or words (section 3.4): one stack, two losses.

Mean pooling to frames of 10 ms after the dilated stack, and a few convolutions that are not causal, are all that the
paper says of the classifier. Its widths, the ReLUs and the weight of the losses are ours.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.config.errors import ConfigError
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.models.wavenet.objective import next_sample_loss


class Recognised(NamedTuple):
    """What the network says of B pieces of audio of T samples, F frames of `pool` samples.

    Attributes:
        frames: logits of the class of each frame, (B, F, classes); None without such.
        words: logits of the class of each piece, (B, words); None without such.
        log_prob: of each sample given the samples before it, in nats, (B, T); None where it was not asked for.
    """

    frames: Tensor | None
    words: Tensor | None
    log_prob: Tensor | None


class RecognitionNetwork(nn.Module):
    """A WaveNet whose features are also pooled to frames and classified.

    Frame i pools the features with which its own samples i pool ... (i + 1) pool - 1 are predicted, so it has seen all
    of them but the last one; the convolutions over frames then look ahead. Frames beyond the ends of the audio are
    zeros to them. Samples that do not exist are left out of the mean.

    Args:
        wavenet: the stack and the distribution of the next sample, without conditions.
        pool: samples of a frame; 160 are 10 ms at 16 kHz.
        classes: classes of a frame; 0 for none.
        words: classes of a whole piece of audio; 0 for none.
        channels: of the convolutions over frames.
        convolutions: how many, each followed by a ReLU.
        kernel: their taps, an odd number.

    Raises:
        ConfigError: a number is out of range, there is nothing to recognise, or the stack takes conditions.
    """

    def __init__(
        self,
        wavenet: WaveNetNetwork,
        pool: int = 160,
        classes: int = 0,
        words: int = 0,
        channels: int = 128,
        convolutions: int = 3,
        kernel: int = 3,
    ) -> None:
        super().__init__()
        for name, value in {"pool": pool, "channels": channels, "convolutions": convolutions, "kernel": kernel}.items():
            if value < 1:
                raise ConfigError(f"model.network.{name} is {value}. Expected 1 or more.")
        if kernel % 2 == 0:
            raise ConfigError(f"model.network.kernel is {kernel}. Expected an odd number, which has a middle.")
        if min(classes, words) < 0 or not (classes or words):
            raise ConfigError(f"model.network has classes={classes}, words={words}. Expected one of them above 0.")
        if wavenet.global_channels or wavenet.local_channels:
            raise ConfigError("model.network.wavenet takes conditions, of which a recogniser has none. Set both to 0.")
        self.wavenet = wavenet
        self.pool = pool
        self.classes = classes
        self.words = words
        widths = [wavenet.post.in_features] + [channels] * convolutions
        self.convolutions = nn.ModuleList(
            nn.Conv1d(widths[i], channels, kernel, padding=kernel // 2) for i in range(convolutions)
        )
        self.frame_classes = nn.Linear(channels, classes) if classes else None
        self.word_classes = nn.Linear(channels, words) if words else None

    @property
    def receptive_field(self) -> int:
        """R: samples before the first one to be classified that have to be given."""
        return self.wavenet.receptive_field

    def forward(self, audio: Tensor, exists: Tensor, next_sample: bool = True) -> Recognised:
        """Recognise pieces of audio.

        Args:
            audio: (B, R + T) in [-1, 1], T being whole frames; the first R are context.
            exists: (B, R + T), False before the clip begins and behind its end.
            next_sample: also give the log probability of the T samples.

        Raises:
            ValueError: T is not a number of whole frames.
        """
        total = audio.shape[1] - self.receptive_field
        if total < 1 or total % self.pool:
            raise ValueError(f"{total} samples beside the context are no whole frames of {self.pool}")
        pooled, counted, log_prob = self._pooled(audio, exists, next_sample)
        return Recognised(*self._classified(pooled, counted), log_prob)

    def clip(self, audio: Tensor, next_sample: bool = True, piece: int = 16384) -> Recognised:
        """Recognise a whole clip, silence before it.

        Args:
            audio: (T,) in [-1, 1], any length; the last frame may be a part of one.
            next_sample: also give the log probability of its samples.
            piece: samples taken through the stack at once; bounds the memory, does not change the result.

        Returns:
            as `forward` for B = 1, ceil(T / pool) frames, log_prob (1, T).
        """
        past, length = self.receptive_field, len(audio)
        padded = F.pad(audio, (past, -length % self.pool))[None]
        place = torch.arange(padded.shape[1], device=audio.device)[None]
        exists = (place >= past) & (place < past + length)
        step = max(piece // self.pool, 1) * self.pool
        parts = [
            self._pooled(padded[:, i : i + past + step], exists[:, i : i + past + step], next_sample)
            for i in range(0, padded.shape[1] - past, step)
        ]
        pooled, counted = (torch.cat([part[i] for part in parts], 1) for i in (0, 1))  # type: ignore[misc]
        found = torch.cat([part[2] for part in parts if part[2] is not None], 1)[:, :length] if next_sample else None
        return Recognised(*self._classified(pooled, counted), found)

    def _pooled(self, audio: Tensor, exists: Tensor, next_sample: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        """Means (B, F, S) of the frames, which of them exist (B, F), and log probabilities (B, T)."""
        net, past = self.wavenet, self.receptive_field
        inputs = net.head.inputs(audio)
        features = F.relu(net.features(inputs[:, :-1], exists=exists[:, :-1]))
        log_prob = None
        if next_sample:
            parameters = net.out(F.relu(net.post(features)))
            log_prob = net.head.log_prob(parameters, inputs[:, past:])
        there = exists[:, past:].unflatten(1, (-1, self.pool))[..., None]
        counts = there.sum(2)
        means = (features.unflatten(1, (-1, self.pool)) * there).sum(2) / counts.clamp(min=1)
        return means, counts[..., 0] > 0, log_prob

    def _classified(self, x: Tensor, exists: Tensor) -> tuple[Tensor | None, Tensor | None]:
        there = exists[..., None].to(x)
        for convolution in self.convolutions:
            x = F.relu(convolution((x * there).transpose(1, 2))).transpose(1, 2)
        frames = None if self.frame_classes is None else self.frame_classes(x)
        mean = (x * there).sum(1) / there.sum(1).clamp(min=1)
        return frames, None if self.word_classes is None else self.word_classes(mean)


class Losses(NamedTuple):
    """Losses in nats: what is trained, and its two parts."""

    total: Tensor
    classes: Tensor
    next_sample: Tensor


def class_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy: the mean over examples of the mean over their frames of known class.

    An example counts the same however many frames of it are known, so that a batch may be divided among processes.

    Args:
        logits: (B, F, K).
        classes: (B, F) int64, -1 where unknown.
    """
    known = classes >= 0
    each = F.cross_entropy(logits.float().transpose(1, 2), classes.clamp(min=0), reduction="none") * known
    return (each.sum(1) / known.sum(1).clamp(min=1)).mean()


def recognition_losses(
    found: Recognised, exists: Tensor, frames: Tensor | None, words: Tensor | None, weight: float
) -> Losses:
    """The class loss, of frames and words where the network has them, and `weight` times that of the next sample.

    Args:
        found: of the network.
        exists: (B, T).
        frames: classes (B, F), -1 where unknown.
        words: classes (B,), -1 where unknown.
        weight: of the next sample; without log probabilities it counts nothing.
    """
    zero = torch.zeros((), device=exists.device)
    classes, next_sample = zero, zero
    if found.frames is not None and frames is not None:
        classes = classes + class_loss(found.frames, frames)
    if found.words is not None and words is not None:
        classes = classes + class_loss(found.words[:, None], words[:, None])
    if found.log_prob is not None:
        next_sample = next_sample_loss(found.log_prob, exists)
    return Losses(classes + weight * next_sample, classes, next_sample)
