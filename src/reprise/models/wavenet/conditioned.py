"""A WaveNet with all that it is conditioned on: labels and tags of a clip, features of its frames, its distant past."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.config.errors import ConfigError
from reprise.models.wavenet.conditions import LocalCondition
from reprise.models.wavenet.context import ContextCache, ContextStack
from reprise.models.wavenet.generate import Engine, OnChunk, generate
from reprise.models.wavenet.labels import global_condition
from reprise.models.wavenet.network import WaveNetNetwork

_PIECE = 16384  # samples of a clip that are measured at once, which bounds the memory


class ConditionedWaveNet(nn.Module):
    """The network and what makes its conditions.

    Args:
        network: gives p(x_t | past, h, y).
        labels: names of the classes of each kind, tags last; their one-hot vectors side by side are h.
        local: makes local conditions of frames of features; None for none.
        context: a stack over a longer past, further local conditions; None for none.

    Raises:
        ConfigError: the conditions are not as many numbers as the network takes.
    """

    def __init__(
        self,
        network: WaveNetNetwork,
        labels: Mapping[str, Sequence[str]],
        local: LocalCondition | None = None,
        context: ContextStack | None = None,
    ) -> None:
        super().__init__()
        total = sum(len(names) for names in labels.values())
        if total != network.global_channels:
            raise ConfigError(
                f"model.labels has {total} names in all, model.network.global_channels is {network.global_channels}. "
                f"Set the latter to {total}."
            )
        channels = (local.channels if local else 0) + (context.channels if context else 0)
        if channels != network.local_channels:
            raise ConfigError(
                f"model.local and model.context give {channels} channels, model.network.local_channels is "
                f"{network.local_channels}. Set the latter to {channels}."
            )
        self.network = network
        self.labels = labels
        self.local = local
        self.context = context

    @property
    def receptive_field(self) -> int:
        """Samples that the distribution of the next one may depend on."""
        return self.network.receptive_field + (self.context.receptive_field if self.context is not None else 0)

    def log_prob(
        self,
        audio: Tensor,
        exists: Tensor,
        labels: Tensor,
        tags: Tensor | None,
        y: Tensor | None,
        start: int = 0,
    ) -> Tensor:
        """Log probability of the last T of receptive_field + T samples, in nats.

        Args:
            audio: (B, receptive_field + T) in [-1, 1].
            exists: the same shape, False before a clip begins.
            labels: (B, K), -1 where unknown.
            tags: (B, N) of 0 and 1; None without tags.
            y: what `local` made of the features, (B, receptive_field + T, Y); None without.
            start: place of the first column in the clip, up to whole frames of the context stack.

        Returns:
            (B, T).
        """
        seen = self.network.receptive_field + audio.shape[1] - self.receptive_field  # R + T
        parts = [] if y is None else [y[:, -seen:]]
        if self.context is not None:
            heard = self.network.head.audio(self.network.head.inputs(audio)).to(audio.dtype)
            parts.append(self.context(heard, start, exists))
        local = torch.cat(parts, -1) if parts else None
        h = global_condition(self.labels, labels, tags, audio)
        return self.network.log_prob(audio[:, -seen:], h, local, exists[:, -seen:])

    @torch.no_grad()
    def clip_log_prob(self, audio: Tensor, labels: Tensor, tags: Tensor | None, frames: Tensor | None) -> Tensor:
        """Log probability of each sample of a whole clip, silence before it, in nats.

        Beyond both ends of the clip its features are zeros.

        Args:
            audio: (T,) in [-1, 1].
            labels: (K,).
            tags: (N,) or None.
            frames: features (F, C), F * hop at least T; None without.

        Returns:
            (T,).
        """
        reach, length = self.receptive_field, len(audio)
        padded = F.pad(audio, (reach, 0))[None]
        exists = (torch.arange(reach + length, device=audio.device) >= reach)[None]
        y = None
        if self.local is not None and frames is not None:
            y = self._conditions(self.local, frames, reach)[None]
        found = []
        for start in range(0, length, _PIECE):
            part = slice(start, min(start + _PIECE, length) + reach)
            of_y = None if y is None else y[:, part]
            of_tags = None if tags is None else tags[None]
            found.append(self.log_prob(padded[:, part], exists[:, part], labels[None], of_tags, of_y, start - reach)[0])
        return torch.cat(found)

    @torch.no_grad()
    def draw(
        self,
        lengths: Sequence[int],
        labels: Tensor,
        tags: Tensor | None,
        frames: Sequence[Tensor] | None,
        *,
        seed: int,
        keys: Sequence[int],
        stream: str = "generate",
        temperature: float = 1.0,
        engine: Engine = "auto",
        on_chunk: OnChunk | None = None,
    ) -> list[Tensor]:
        """Draw clips; a clip's samples do not depend on the others, as `generate` says.

        Args:
            lengths: samples of each.
            labels: (B, K).
            tags: (B, N) or None.
            frames: features of each, (F_i, C); None without.
            seed, keys, stream: decide what is drawn.
            temperature: below 1 for likelier samples.
            engine: see `generate`.
            on_chunk: see `generate`.

        Returns:
            (T_i,) each, in [-1, 1], on the CPU.

        Raises:
            ConfigError: features are missing or too short.
        """
        # a code is drawn by a distribution function, which conditions in bfloat16 would shift
        with torch.autocast(self.network.first.weight.device.type, enabled=False):
            like = self.network.first.weight
            h = global_condition(self.labels, labels, tags, like)
            lead = self._lead()
            y = None
            if self.local is not None:
                if frames is None:
                    raise ConfigError("features are missing: the model is conditioned on them. Expected input=PATH.")
                y = [self._conditions(self.local, f.to(like), lead) for f in frames]
            given = [torch.zeros(lead) for _ in lengths] if lead else None
            waves = generate(
                self.network,
                [lead + length for length in lengths],
                h,
                y,
                before=self._before(len(lengths)),
                given=given,
                more=None if self.context is None else _more(self.context, len(lengths), lead),
                seed=seed,
                keys=keys,
                stream=stream,
                temperature=temperature,
                engine=engine,
                chunk=None if self.context is None else self.context.pool,
                on_chunk=on_chunk,
            )
            return [wave[lead:] for wave in waves]

    @staticmethod
    def _conditions(local: LocalCondition, frames: Tensor, lead: int) -> Tensor:
        """Local conditions (lead + F * hop, Y) of a clip and of `lead` samples before it; beyond it frames are 0."""
        before = -(-lead // local.hop) + local.reach
        y: Tensor = local(F.pad(frames, (0, 0, before, local.reach))[None])[0]
        return y[before * local.hop - lead : (before + len(frames)) * local.hop]

    def _lead(self) -> int:
        """Samples of silence with which drawing begins.

        Conditions of the silence before a clip already hear of its first frames, or vary within a frame, where the
        local condition looks at more than one; the network sees so much of them. With zeros for all layers' inputs it
        sees none.
        """
        if self.local is None or self.local.reach == 0 or self.network.padding == "zeros":
            return 0
        unit = self.context.pool if self.context is not None else 1
        return -(-self.network.receptive_field // unit) * unit

    def _before(self, batch: int) -> Tensor | None:
        """Local conditions (B, Y) of the silence before all that `_lead` covers."""
        like = self.network.first.weight
        parts = []
        if self.local is not None:
            quiet = like.new_zeros(1, 2 * self.local.reach + 1, self.local.inputs)
            parts.append(self.local(quiet)[:, self.local.reach * self.local.hop])
        if self.context is not None:
            parts.append(ContextCache(self.context, 1).condition)
        return torch.cat(parts, -1).expand(batch, -1) if parts else None


def _more(stack: ContextStack, batch: int, lead: int) -> Callable[[Tensor, int], Tensor]:
    """Conditions of the context stack for one chunk of `pool` samples after another; the first `lead` are silence.

    To the stack silence is 0, which the codes of the head may only come near. Each clip has a cache of its own, so that
    the others do not change a bit of its conditions.
    """
    caches = [ContextCache(stack, 1) for _ in range(batch)]

    def condition(heard: Tensor, first: int) -> Tensor:
        if first > lead:
            for cache, own in zip(caches, heard.split(1), strict=True):
                cache.push(own[:, first - stack.pool : first])
        return torch.cat([cache.condition for cache in caches])[:, None].expand(-1, stack.pool, -1)

    return condition
