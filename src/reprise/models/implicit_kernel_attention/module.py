"""Regression with a Transformer over the points of a data set, as a LightningModule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_args

import torch
from torch import Tensor

from reprise.models.implicit_kernel_attention.network import SetTransformer
from reprise.models.regression.module import (
    Choose,
    Part,
    Prediction,
    RegressionModule,
    inputs_of,
    targets_of,
)
from reprise.nn.attention.base import Draw
from reprise.nn.randomness import example_rng
from reprise.samples.attention import AttentionMaps
from reprise.samples.bands import Band
from reprise.samples.base import Sample

_MATRIX = 2000  # most points whose matrices of weights are looked at
_PARTS: tuple[Part, ...] = get_args(Part)


class SetRegression(RegressionModule):
    """Mean squared error of the training points, all points being tokens.

    The inputs of held-out points are tokens from the first iteration on, as in the authors' code; their targets enter
    nothing but measures. What the attention adds to the loss is divided by the number of training points.

    Args:
        network: of all points.
        optimizer, seed, choose, track_every, recent: see RegressionModule.
        redraw: an attention that is random draws anew in each evaluation, as the authors' code does; otherwise
            evaluations always see the same draws, so that iterates compare.
        curve: draw the predictions where there is one input, at the data's own points: a grid of points would be
            tokens, too, and change what the attention sees. 0: no picture.

    Raises:
        ConfigError: a value is out of range, or two do not go together.
    """

    def __init__(
        self,
        network: SetTransformer,
        optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        seed: int,
        choose: Choose = "last",
        track_every: int = 0,
        recent: int = 0,
        redraw: bool = False,
        curve: int = 1,
    ) -> None:
        super().__init__(optimizer, seed, choose, track_every, recent, curve)
        self.network = network
        self.redraw = redraw
        self.track_iterates()

    def objective(self, batch: dict[str, Any]) -> Tensor:
        """Mean squared error over the training points, plus the penalty divided by their number."""
        return self._loss(batch, *self._pass(batch))

    def predict(self, batch: dict[str, Any], x: Tensor) -> Prediction:
        """Predict at x (M, D), the tokens being the training points and x."""
        tokens = torch.cat([inputs_of(batch, "train"), x])
        y, _ = self.network(tokens.to(self.dtype), self._draw())
        return Prediction(y[len(tokens) - len(x) :])

    def predict_parts(self, batch: dict[str, Any], parts: tuple[Part, ...]) -> dict[Part, Prediction]:
        """Predict parts, the tokens being the points of all parts."""
        return self._part(batch, self._pass(batch)[0], parts)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Track the last iterate and take the loss of the next one; in one pass where nothing is drawn or dropped."""
        if self.iterates is None or not self.network.deterministic:
            return super().training_step(batch, batch_idx)
        y, penalty = self._pass(batch)
        iteration: int = self.trainer.datamodule.iteration  # type: ignore[attr-defined]
        if iteration and iteration % self.track_every == 0:
            found = self._part(batch, y.detach(), ("val", "test"))
            errors = {part: _rmse(made.mean, targets_of(batch, part)) for part, made in found.items()}
            self.iterates.add(errors.get("val"), errors["test"])
        return self._loss(batch, y, penalty)

    def measures(self, batch: dict[str, Any]) -> dict[str, tuple[float, int]]:
        """The number of parameters, and how even the weights of the attention are: their mean entropy in nats.

        The entropy is left out of more than 2000 points, for it needs the weights of all pairs at once.
        """
        found = {"test/parameters": (float(sum(p.numel() for p in self.network.parameters())), 1)}
        x = self._tokens(batch)
        if len(x) <= _MATRIX:
            entropies = [torch.special.entr(d.weights).sum(-1).mean() for d in self.network.decompose(x, self._draw())]
            found["test/attention_entropy"] = (float(torch.stack(entropies).mean()), 1)
        return found

    def pictures(self, batch: dict[str, Any]) -> list[Sample]:
        """The predictions beside the data, where there is one input, and what attention weights are made of."""
        x = self._tokens(batch)
        shown: list[Sample] = []
        if self.curve and x.shape[1] == 1:
            shown.append(self._band(batch))
        if len(x) <= _MATRIX:
            ordered = x[x[:, 0].argsort()]
            for i, found in enumerate(self.network.decompose(ordered, self._draw())):
                shown.append(
                    AttentionMaps(
                        name=f"attention_{i + 1}",
                        caption=f"layer {i + 1}; points in the order of {batch['x_label']}",
                        group="attention",
                        decomposition=found,
                    )
                )
        return shown

    def _band(self, batch: dict[str, Any]) -> Band:
        shift, scale = float(batch["y_shift"]), float(batch["y_scale"])
        x = torch.cat([inputs_of(batch, part) for part in _PARTS])[:, 0].cpu()
        order = x.argsort()
        raw = self._pass(batch)[0].double().cpu() * scale + shift
        points = {}
        named: tuple[tuple[Part, str], ...] = (("train", "training"), ("test", "test"))
        for part, name in named:
            y = targets_of(batch, part).cpu() * scale + shift
            points[name] = (inputs_of(batch, part)[:, 0].cpu().tolist(), y.tolist())
        return Band(
            name="prediction",
            caption="predictions at the data's own points",
            group="prediction",
            x=(batch["x_label"], x[order].tolist()),
            y=batch["y_label"],
            mean=raw[order].tolist(),
            points=points,
        )

    def _tokens(self, batch: dict[str, Any]) -> Tensor:
        """Inputs (N, D) of all parts: training, validation, test."""
        return torch.cat([inputs_of(batch, part) for part in _PARTS]).to(self.dtype)

    def _pass(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Predictions (N,) of all parts, and the penalty."""
        found: tuple[Tensor, Tensor] = self.network(self._tokens(batch), self._draw())
        return found

    def _part(self, batch: dict[str, Any], y: Tensor, parts: tuple[Part, ...]) -> dict[Part, Prediction]:
        pieces = dict(zip(_PARTS, y.split([len(targets_of(batch, part)) for part in _PARTS]), strict=True))
        return {part: Prediction(pieces[part]) for part in parts if len(pieces[part])}

    def _loss(self, batch: dict[str, Any], y: Tensor, penalty: Tensor) -> Tensor:
        target = targets_of(batch, "train").to(y)
        return (y[: len(target)] - target).square().mean() + penalty / len(target)

    def _draw(self) -> Draw:
        """Normal numbers that belong to an iteration in training, to an evaluation or to all of them otherwise."""
        stream, number = "evaluation", 0
        if self.training:
            stream, number = "training", int(self.trainer.datamodule.iteration)  # type: ignore[attr-defined]
        elif self.redraw and self.iterates is not None:
            number = int(self.iterates.seen)
        rng = example_rng(self.seed, f"spectral points, {stream}", number)

        def draw(shape: tuple[int, ...]) -> Tensor:
            return torch.from_numpy(rng.standard_normal(shape)).to(self.device)

        return draw


def _rmse(mean: Tensor, y: Tensor) -> Tensor:
    return (mean.double() - y.double()).square().mean().sqrt()
