"""The synthetic study: a GAN whose generator is wired like a graph, on data of three variables that follow one.

Data and adversaries are repeated side by side, each repetition with polynomials and weights of its own, since figures
are means over such repetitions. The data are drawn here and not by a data module: how many repetitions there are, and
which polynomials each one has, decides the shapes of networks and data alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.adversarial.announce import announce, require_whole_networks
from reprise.models.polynomial_graphs.draws import BLOCK, uniform
from reprise.models.polynomial_graphs.graphs import GraphName
from reprise.models.polynomial_graphs.network import VARIABLES, Discriminator, GeneratorName, build_generator
from reprise.models.polynomial_graphs.objective import discriminator_loss, generator_loss, tvd
from reprise.models.polynomial_graphs.polynomials import PolynomialData
from reprise.samples.base import Sample
from reprise.samples.captioned import CaptionedCurve

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class PolynomialGraphs(pl.LightningModule):
    """Repetitions of one generator against data of one graph, each learned from its beginning.

    Generator and discriminator take one step each from the same forward pass, on the same fresh batch; an iteration of
    the loop is `updates` such steps, since its own work would take as long as one of them. All numbers of repetition r
    are a function of seed, r and the step. Measured, at steps of `measure_every` and of `report_at` and at the test:
    the total variation distance of `measured` points of either side in bins^3 equal bins, fresh points each time. Step
    k is the state after k steps of both networks.

    Reports, as means over repetitions: `test/tvd/step_K` for each K of `report_at` that the run has reached,
    `test/tvd/steps_A_B`, the mean of what was measured from step A to B of `average`, once B is reached, `test/tvd` of
    the weights as they are, `test/tvd_spread`, the standard deviation of that over repetitions, and
    `test/tvd_floor`, what two draws of the data differ by.

    Args:
        seed: of polynomials, weights, noise and data.
        data: graph of the data.
        generator: graph of the generator; or fc3, fc5, fc10, fully connected with so many layers.
        as_released: the data with the fault of the authors' code (`PolynomialData`).
        repetitions: R.
        batch_size: B, examples of data and of noise a step and repetition.
        noise_dims: of each variable; a fully connected generator sees as many in all, as released.
        hidden: width of all layers.
        kernels, kernel_dims: of the discriminator's minibatch layer.
        measured: points of either side.
        bins: of each axis.
        measure_every: steps.
        report_at: steps whose distances are reported by name.
        average: first and last step, whose measurements and those between are reported as one mean; None: no such mean.
        updates: steps of an iteration.
        iterations: of the run; room is made for what is measured in so many.
        optimizer: of the generator, and another one of the discriminator; called with parameters.

    Raises:
        ConfigError: a number is below 1, or nothing is measured within `average`.
    """

    version = 1
    polynomials: PolynomialData

    def __init__(
        self,
        seed: int,
        data: GraphName,
        generator: GeneratorName,
        as_released: bool,
        repetitions: int,
        batch_size: int,
        noise_dims: int,
        hidden: int,
        kernels: int,
        kernel_dims: int,
        measured: int,
        bins: int,
        measure_every: int,
        report_at: Sequence[int],
        average: Sequence[int] | None,
        updates: int,
        iterations: int,
        optimizer: OptimizerFactory,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        sizes = {
            "repetitions": repetitions,
            "batch_size": batch_size,
            "noise_dims": noise_dims,
            "hidden": hidden,
            "kernels": kernels,
            "kernel_dims": kernel_dims,
            "measured": measured,
            "bins": bins,
            "measure_every": measure_every,
            "updates": updates,
            "iterations": iterations,
            "report_at": min(report_at, default=1),
        }
        for name, value in sizes.items():
            if value < 1:
                raise ConfigError(f"model.{name} is {value}. Expected 1 or more.")
        self.seed, self.repetitions, self.batch_size = seed, repetitions, batch_size
        self.measured, self.bins = measured, bins
        self.updates = updates
        self.wiring = data, generator  # for captions
        self.report_at = list(report_at)
        self.average = None if average is None else (int(average[0]), int(average[-1]))
        self.optimizer = optimizer
        self.polynomials = PolynomialData(data, as_released, seed, repetitions)
        self.generator = build_generator(generator, seed, repetitions, noise_dims, hidden)
        self.discriminator = Discriminator(seed, repetitions, hidden, kernels, kernel_dims)
        self.noise = VARIABLES * noise_dims
        every = range(measure_every, iterations * updates + 1, measure_every)
        self.measured_at = sorted({*every, *report_at})
        if self.average is not None and not self._averaged():
            raise ConfigError(
                f"model.average is {list(self.average)}, and no step from first to last is measured. Expected two "
                f"ascending steps with one of {self.measured_at[:3]}... between them, or null."
            )
        self.register_buffer("done", torch.zeros((), dtype=torch.long))
        nothing = torch.full((len(self.measured_at), repetitions), float("nan"), dtype=torch.float64)
        self.register_buffer("distances", nothing)
        self.done: Tensor
        self.distances: Tensor
        self._step = 0  # `done`, without asking the device
        self._block: tuple[int, Tensor, Tensor] | None = None
        self.samples: list[Sample] = []
        self._reported: list[str] = []

    def on_fit_start(self) -> None:
        """Refuse accumulation and sharding, and go on at the step of the checkpoint."""
        require_whole_networks(self, "polynomial_graphs")
        self._step = int(self.done)

    def batch_of(self, step: int) -> tuple[Tensor, Tensor]:
        """Data (R, B, 3) and noise (R, B, 3 noise_dims) of a step."""
        block, place = divmod(step, BLOCK)
        if self._block is None or self._block[0] != block or self._block[1].device != self.done.device:
            r, b = self.repetitions, self.batch_size
            exogenous = uniform(self.seed, "exogenous", r, block, BLOCK * b, VARIABLES).to(self.done.device)
            noise = uniform(self.seed, "noise", r, block, BLOCK, b, self.noise).to(self.done.device)
            with torch.no_grad():
                x = self.polynomials(exogenous).reshape(r, BLOCK, b, VARIABLES)
            # steps first, so that a step's numbers lie together
            self._block = block, x.transpose(0, 1).contiguous(), noise.transpose(0, 1).contiguous()
        return self._block[1][place], self._block[2][place]

    def gradients(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Put the gradients of both networks in place, from one forward pass.

        Args:
            x: data (R, B, 3).
            noise: (R, B, 3 noise_dims).

        Returns:
            losses of discriminator and generator, (R,) each.
        """
        real, fake = self.discriminator(torch.stack([x, self.generator(noise)], 1)).unbind(1)
        losses = discriminator_loss(real, fake), generator_loss(fake)
        # the sum over repetitions, so that each has the gradient that it would have alone
        for loss, network in zip(losses, (self.discriminator, self.generator), strict=True):
            parameters = list(network.parameters())
            for parameter, gradient in zip(
                parameters, torch.autograd.grad(loss.sum(), parameters, retain_graph=True), strict=True
            ):
                parameter.grad = gradient
        return losses[0].detach(), losses[1].detach()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Steps of either network in every repetition; the loop sees the discriminators' mean loss at the last one."""
        # Lightning's wrappers take as long as the step, and the loop needs them once an iteration
        bare: Any = self.optimizers(use_pl_optimizer=False)
        counted: Any = self.optimizers()
        for last in [False] * (self.updates - 1) + [True]:
            of_discriminator, _ = self.gradients(*self.batch_of(self._step))
            if last:
                announce(self, of_discriminator.mean())
            for optimizer in counted if last else bare:
                optimizer.step()
            self.done += 1
            self._step += 1
            if self._step in self.measured_at:
                self.distances[self.measured_at.index(self._step)] = self.distance("tvd", self._step)

    @torch.no_grad()
    def distance(self, purpose: str, number: int) -> Tensor:
        """Total variation distance of generator and data, (R,); fresh points for each purpose and number."""
        return tvd(
            self.generator(self._points(f"{purpose}, noise", number, self.noise)),
            self._data(purpose, number),
            self.bins,
        )

    @torch.no_grad()
    def floor(self) -> Tensor:
        """What two draws of the data differ by, (R,)."""
        return tvd(self._data("floor", 0), self._data("floor", 1), self.bins)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The distance at the end, for the monitor."""
        self.log("val/tvd", self.distance("validation", 0).mean().float(), batch_size=1)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Log what was measured on the way and what the weights as they are give."""
        now, found = self.distance("test", 0), {}
        for step in self.report_at:
            values = self.distances[self.measured_at.index(step)]
            if step <= int(self.done):
                found[f"test/tvd/step_{step}"] = float(values.mean())
        if self.average is not None and self.average[1] <= int(self.done):
            name = "test/tvd/steps_{}_{}".format(*self.average)
            found[name] = float(self.distances[self._averaged()].mean())
        found |= {"test/tvd": float(now.mean()), "test/tvd_floor": float(self.floor().mean())}
        if self.repetitions > 1:
            found["test/tvd_spread"] = float(now.std())
        for name, value in found.items():
            self.log(name, value, batch_size=1)
        self._reported = list(found)
        self.samples = self.curves()

    def curves(self) -> list[Sample]:
        """The distance over the steps: its mean and every repetition; none before the first measurement."""
        count = sum(step <= int(self.done) for step in self.measured_at)
        if count == 0:
            return []
        values = self.distances[:count].cpu()
        series = {"mean": values.mean(1).tolist()}
        series |= {f"repetition {r}": values[:, r].tolist() for r in range(min(self.repetitions, 5))}
        caption = (
            f"How far what the {self.wiring[1]} generator draws is from {self.wiring[0]} data, by the step of "
            f"training; {self.repetitions} repetitions"
        )
        x = ("step", self.measured_at[:count])
        return [CaptionedCurve(name="tvd", caption=caption, x=x, series=series, axis="total variation distance")]

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each measure, for the run record."""
        return dict.fromkeys(["val/tvd", *self._reported], self.version)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One optimiser for the discriminator, one for the generator."""
        return [self.optimizer(self.discriminator.parameters()), self.optimizer(self.generator.parameters())]

    def _averaged(self) -> list[int]:
        """Places of the measurements within `average`."""
        first, last = self.average or (0, -1)
        return [place for place, step in enumerate(self.measured_at) if first <= step <= last]

    def _points(self, purpose: str, number: int, dims: int) -> Tensor:
        """Numbers (R, measured, dims) from [0, 1)."""
        return uniform(self.seed, purpose, self.repetitions, number, self.measured, dims).to(self.done.device)

    def _data(self, purpose: str, number: int) -> Tensor:
        """Data (R, measured, 3)."""
        found: Tensor = self.polynomials(self._points(f"{purpose}, exogenous", number, VARIABLES))
        return found
