"""What the network says of the next sample, and how a sample enters the network again."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.config.errors import ConfigError
from reprise.models.wavenet.mulaw import Quantiser, check_quantiser, decode, encode


class Head(nn.Module):
    """A distribution over the next sample.

    Attributes:
        channels: numbers P that it needs of the network for each sample.
        classes: codes that enter the network one-hot; 0 where the waveform itself enters.
        levels: values that a sample can take; a likelihood is a probability of one of them.
    """

    channels: int
    classes: int
    levels: int

    @abstractmethod
    def inputs(self, audio: Tensor) -> Tensor:
        """What enters the network of a waveform (B, T): codes, int64 (B, T), or the waveform as it is quantised."""

    @abstractmethod
    def audio(self, inputs: Tensor) -> Tensor:
        """The waveform, float32, of what enters the network; the inverse of `inputs` on what is quantised."""

    @abstractmethod
    def log_prob(self, parameters: Tensor, inputs: Tensor) -> Tensor:
        """Log probability of samples, in nats.

        Args:
            parameters: (..., P).
            inputs: (...), as they enter the network.

        Returns:
            (...).
        """

    @abstractmethod
    def draw(self, parameters: Tensor, uniform: Tensor, temperature: float = 1.0) -> Tensor:
        """Draw samples by the inverse of the distribution function, so that equal uniforms are equal samples.

        Args:
            parameters: (..., P).
            uniform: (..., U) in [0, 1), float64; U is `uniforms`.
            temperature: below 1 for likelier samples.

        Returns:
            (...), as they enter the network.
        """

    uniforms: int = 1


class Softmax(Head):
    """A categorical distribution over mu-law codes (section 2.2).

    Args:
        levels: codes.
        quantiser: see `mulaw.encode`.
    """

    def __init__(self, levels: int = 256, quantiser: Quantiser = "rounded") -> None:
        super().__init__()
        check_quantiser(quantiser, levels)
        self.levels = self.channels = self.classes = levels
        self.quantiser: Quantiser = quantiser

    def inputs(self, audio: Tensor) -> Tensor:
        """Codes of a waveform."""
        return encode(audio, self.levels, self.quantiser)

    def audio(self, inputs: Tensor) -> Tensor:
        """The waveform of codes."""
        return decode(inputs, self.levels, self.quantiser)

    def log_prob(self, parameters: Tensor, inputs: Tensor) -> Tensor:
        """Log softmax at the codes; parameters are logits (..., levels)."""
        flat = F.cross_entropy(parameters.float().reshape(-1, self.levels), inputs.flatten(), reduction="none")
        return -flat.view(inputs.shape)

    def draw(self, parameters: Tensor, uniform: Tensor, temperature: float = 1.0) -> Tensor:
        """The first code at which the distribution function, in float64, exceeds the uniform number."""
        cumulative = torch.softmax(parameters.double() / temperature, -1).cumsum(-1)
        below = cumulative <= uniform[..., :1] * cumulative[..., -1:]
        return below.sum(-1).clamp(max=self.levels - 1)


class LogisticMixture(Head):
    """A mixture of logistics over samples of so many levels, each integrated over its cell (as in PixelCNN++).

    No figure of the paper needs it; public vocoders prefer it to the softmax.

    Args:
        mixtures: components K; P = 3 K: logits, means and log scales.
        levels: cells on [-1, 1]; 65,536 are 16 bits.
        least_log_scale: log scales are at least this.
    """

    uniforms = 2

    def __init__(self, mixtures: int = 10, levels: int = 65536, least_log_scale: float = -14.0) -> None:
        super().__init__()
        if mixtures < 1 or levels < 2:
            raise ConfigError(f"mixtures={mixtures}, levels={levels}. Expected 1 or more, and 2 or more.")
        self.mixtures = mixtures
        self.levels = levels
        self.classes = 0
        self.channels = 3 * mixtures
        self.least_log_scale = least_log_scale

    def inputs(self, audio: Tensor) -> Tensor:
        """The waveform at the nearest level, float32."""
        top = self.levels - 1
        # in float64, so that a level is the same number wherever it comes from
        return (torch.round((audio.double().clamp(-1.0, 1.0) + 1.0) * (top / 2.0)) * (2.0 / top) - 1.0).float()

    def audio(self, inputs: Tensor) -> Tensor:
        """The waveform itself."""
        return inputs

    def _parts(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, mean, log_scale = parameters.float().chunk(3, -1)
        return logits, mean, log_scale.clamp(min=self.least_log_scale)

    def log_prob(self, parameters: Tensor, inputs: Tensor) -> Tensor:
        """Log of the mixture's mass in the cell of each sample; the outermost cells reach to infinity."""
        logits, mean, log_scale = self._parts(parameters)
        half = 1.0 / (self.levels - 1)
        x = inputs[..., None] - mean
        inverse = torch.exp(-log_scale)
        upper, lower = (x + half) * inverse, (x - half) * inverse
        # log(sigmoid(u) - sigmoid(l)) = log sigmoid(u) + log sigmoid(-l) + log(1 - exp(l - u)), where nothing cancels
        width = 2.0 * half * inverse
        narrow = math.log(2.0 * half) - log_scale - width / 2.0  # of log(1 - exp(-width)) to second order
        wide = torch.log(-torch.expm1(-width.clamp(min=1e-3)))
        inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.where(width < 1e-3, narrow, wide)
        first = inputs[..., None] < -1.0 + half
        last = inputs[..., None] > 1.0 - half
        log_mass = torch.where(first, F.logsigmoid(upper), torch.where(last, F.logsigmoid(-lower), inner))
        return torch.logsumexp(F.log_softmax(logits, -1) + log_mass, -1)

    def log_density(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Log density (...), float64, of the mixture itself, not of its cells, at any numbers x (...)."""
        logits, mean, log_scale = (part.double() for part in self._parts(parameters))
        z = (x.double()[..., None] - mean) * torch.exp(-log_scale)
        return torch.logsumexp(F.log_softmax(logits, -1) + F.logsigmoid(z) + F.logsigmoid(-z) - log_scale, -1)

    def draw(self, parameters: Tensor, uniform: Tensor, temperature: float = 1.0) -> Tensor:
        """A component by the first uniform number, a sample of it by the second, at the nearest level."""
        logits, mean, log_scale = self._parts(parameters)
        cumulative = torch.softmax(logits.double() / temperature, -1).cumsum(-1)
        chosen = (cumulative <= uniform[..., :1]).sum(-1, keepdim=True).clamp(max=self.mixtures - 1)
        u = uniform[..., 1].clamp(1e-12, 1.0 - 1e-12)
        spread = torch.exp(log_scale.double().gather(-1, chosen)[..., 0]) * temperature
        drawn = mean.double().gather(-1, chosen)[..., 0] + spread * (torch.log(u) - torch.log1p(-u))
        return self.inputs(drawn)
