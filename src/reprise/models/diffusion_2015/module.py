"""Diffusion (2015) as a LightningModule: the bound on random steps to train, on all steps to measure, sampling."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.base import WeightedMean
from reprise.metrics.lower_bound import BoundBits, BoundGainBits, StepTerms
from reprise.models.diffusion_2015.chain import Chain, Known, strata
from reprise.models.diffusion_2015.showing import diffused, panels, shown_steps, terms_curve
from reprise.nn.images import TEST_GROUPS
from reprise.nn.randomness import ExampleDraws
from reprise.samples.base import Sample

_HELD_OUT = 0  # seed of the noise of evaluation: fixed, so that checkpoints and processes compare


class Diffusion2015(pl.LightningModule):
    """A diffusion chain whose reverse steps are learned by the bound K on the log-likelihood.

    For data of another form derive from this class and override `observed`, and `pictures` to show them.

    Args:
        network: of the reverse steps; its outputs are what the chain documents.
        chain: Gaussian or binomial.
        shape: of one example, e.g. [2].
        optimizer: optimiser class with its settings, waiting for parameters.
        seed: decides steps and noise of each example.
        steps_per_example: in training, steps t of each example whose terms estimate the bound; None for all of them.
        rates_lr: learning rate of the chain's rates; None for the optimiser's own.
        lr_schedule: learning-rate schedule waiting for the optimiser, stepped once an iteration.
        divisor: parts of an example that reported bounds are divided by, e.g. pixels; 1 for bits an example.
        trajectories: in evaluation, draws of each x_t.
        rows: most states x_t that the network is given at once in evaluation; bounds the memory.
        samples: examples drawn after each validation; 0 for none.
        test_samples: examples drawn when a run is evaluated.

    Raises:
        ConfigError: a number is out of range.
    """

    generation_batch = 256  # examples that `reprise generate` draws at once

    def __init__(
        self,
        network: nn.Module,
        chain: Chain,
        shape: list[int],
        optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        seed: int,
        steps_per_example: int | None = None,
        rates_lr: float | None = None,
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        divisor: int = 1,
        trajectories: int = 1,
        rows: int = 65536,
        samples: int = 0,
        test_samples: int = 0,
    ) -> None:
        super().__init__()
        for name, value in {"divisor": divisor, "trajectories": trajectories, "rows": rows}.items():
            if value < 1:
                raise ConfigError(f"model.{name} is {value}. Expected 1 or more.")
        for name, value in {"samples": samples, "test_samples": test_samples}.items():
            if value < 0:
                raise ConfigError(f"model.{name} is {value}. Expected 0 or more.")
        if steps_per_example is not None and not 1 <= steps_per_example < chain.steps:
            raise ConfigError(
                f"model.steps_per_example is {steps_per_example}. Expected 1 to {chain.steps - 1}, the learned steps "
                "of the chain, or null for all of them."
            )
        self.network = network
        self.chain = chain
        self.shape = tuple(shape)
        self.optimizer = optimizer
        self.seed = seed
        self.steps_per_example = steps_per_example or chain.steps - 1
        self.rates_lr = rates_lr
        self.lr_schedule = lr_schedule
        self.divisor = divisor
        self.trajectories = trajectories
        self.rows = rows
        self.counts = {"val": samples, "test": test_samples}
        self.val_bound = BoundBits(divisor)
        # lists, in the order of TEST_GROUPS: what a rank did not see is reduced all the same
        self.test_bound = nn.ModuleList(BoundBits(divisor) for _ in TEST_GROUPS)
        self.test_gain = nn.ModuleList(BoundGainBits(divisor) for _ in TEST_GROUPS)
        self.test_terms = StepTerms(chain.steps - 1)
        self.samples: list[Sample] = []  # of the last validation or test

    def observed(self, batch: dict[str, Any], seed: int, keys: list[int]) -> Tensor:
        """What the chain sees of a batch: x_0 (B, *shape) in float32.

        Args:
            batch: of the data module.
            seed: of draws that belong to the examples, such as dequantisation noise.
            keys: (B,) one number an example, likewise.
        """
        return batch["x"].float()  # type: ignore[no-any-return]

    def forward(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Estimate the bound from some steps: K (B,) in nats; t (B, S) and noise (B, S, *shape) as in `Chain.terms`."""
        table = self.chain.table()
        terms = self.chain.terms(self.network, table, x_0, t, noise)
        weight = (self.chain.steps - 1) / t.shape[1]
        return self.chain.log_prior(x_0) + self.chain.ends(table, x_0) - weight * terms.sum(1)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Minus the bound in bits, from random steps of each example."""
        keys = batch["position"].tolist()
        x_0 = self.observed(batch, self.seed, keys)
        draws = ExampleDraws(self.seed, "train", keys)
        t = strata(draws.uniform(self.steps_per_example), self.chain.steps).to(x_0.device)
        noise = self.chain.noise(draws, self.steps_per_example, *self.shape).to(x_0.device)
        return -self(x_0, t, noise).mean().float() / (math.log(2.0) * self.divisor)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The bound from all steps."""
        bound, _, _ = self.measure(batch)
        self.val_bound.update(bound)
        self.log("val/bound_bits", self.val_bound, batch_size=len(bound))

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The bound, its gain over the null model, and its terms, of held-out and of training examples apart."""
        self.record(batch, *self.measure(batch))

    def record(self, batch: dict[str, Any], bound: Tensor, gain: Tensor, terms: Tensor) -> None:
        """Count examples of a test batch; what `measure` found of them. A place to count more of them."""
        for group in range(len(TEST_GROUPS)):
            chosen = batch["group"] == group
            self.test_bound[group].update(bound[chosen])  # type: ignore[operator]
            self.test_gain[group].update(gain[chosen])  # type: ignore[operator]
        self.test_terms.update(terms[batch["group"] == 0])

    @torch.no_grad()
    def measure(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        """The bound of each example from all steps, with noise that belongs to the example.

        Returns:
            K and K - log pi(x_0), (B,) each, and the KL terms of steps 2 to T, (B, T - 1), in nats.
        """
        # by the example's own name: numbers must not change with what else is measured
        keys = [zlib.crc32(name.encode()) for name in batch["id"]]
        x_0 = self.observed(batch, _HELD_OUT, keys)
        table = self.chain.table()
        learned = torch.arange(2, self.chain.steps + 1, device=x_0.device)
        total = x_0.new_zeros(len(x_0), len(learned), dtype=torch.float64)
        draws = ExampleDraws(_HELD_OUT, "bound", keys)
        for _ in range(self.trajectories):
            for chosen in learned.split(max(1, self.rows // len(x_0))):
                noise = self.chain.noise(draws, len(chosen), *self.shape).to(x_0.device)
                t = chosen.expand(len(x_0), -1)
                total[:, chosen - 2] += self.chain.terms(self.network, table, x_0, t, noise)
        terms = total / self.trajectories
        gain = self.chain.ends(table, x_0) - terms.sum(1)
        return self.chain.log_prior(x_0) + gain, gain, terms

    def on_validation_epoch_end(self) -> None:
        """Draw samples; every process draws the same, so that none waits for another."""
        self.samples = self.pictures("val", self.counts["val"])

    def on_test_epoch_end(self) -> None:
        """Log `test/bound_bits`, `test/bound_gain_bits`, the same of training examples, and draw samples."""
        for name, metric in self._test_metrics().items():
            value = metric.compute()
            if not value.isnan():  # no example of that kind was asked for
                self.log(name, value.float())
            metric.reset()
        self.samples = self.pictures("test", self.counts["test"])
        self.test_terms.reset()

    def pictures(self, split: Literal["val", "test"], count: int) -> list[Sample]:
        """What to show after a validation or an evaluation: data diffused, samples drawn, costs of the steps."""
        curve = terms_curve(self.test_terms) if split == "test" else []
        if not count:
            return curve
        steps = shown_steps(self.chain.steps)
        states: dict[int, Tensor] = {}

        def keep(t: int, x: Tensor) -> None:
            if t in steps:
                states[t] = x

        self.sample(list(range(count)), stream="samples", on_step=keep)
        examples: Any = self.trainer.datamodule.eval_set(split)  # type: ignore[attr-defined]
        items = [examples[i] for i in range(min(count, len(examples)))]
        keys = [zlib.crc32(item["id"].encode()) for item in items]
        x_0 = self.observed({"x": torch.stack([item["x"] for item in items]).to(self.device)}, _HELD_OUT, keys)
        return [panels("samples", steps, diffused(self.chain, x_0, steps), [states[t] for t in steps]), *curve]

    def _test_metrics(self) -> dict[str, WeightedMean]:
        found: dict[str, Any] = {}
        for prefix, bound, gain in zip(TEST_GROUPS, self.test_bound, self.test_gain, strict=True):
            found |= {f"{prefix}/bound_bits": bound, f"{prefix}/bound_gain_bits": gain}
        return found

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        found = self._test_metrics() | {"val/bound_bits": self.val_bound}
        return {name: metric.version for name, metric in found.items()}

    def configure_optimizers(self) -> Any:
        """Build the optimiser over the network and, where they are learned, the chain's rates."""
        groups: list[dict[str, Any]] = [{"params": list(self.network.parameters())}]
        if rates := list(self.chain.parameters()):
            groups.append({"params": rates} | ({} if self.rates_lr is None else {"lr": self.rates_lr}))
        optimizer = self.optimizer(groups)
        if self.lr_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.lr_schedule(optimizer), "interval": "step"},
        }

    def sample(
        self,
        keys: list[int],
        seed: int = 0,
        stream: str = "generate",
        known: Known | None = None,
        on_step: Callable[[int, Tensor], Any] | None = None,
    ) -> Tensor:
        """Draw examples; each depends on its key, not on the others of the batch.

        Args:
            keys: one number per example, that with the seed decides its noise.
            seed: equal seeds give equal examples.
            stream: name of the random stream.
            known: a second distribution to multiply with, such as values to keep; see `Known`.
            on_step: called with t and x_t, from x_T to x_0.

        Returns:
            (B, *shape) in the chain's own values.
        """
        draws = ExampleDraws(seed, stream, keys)
        training = self.network.training
        self.network.eval()
        made = self.chain.sample(
            self.network, lambda: self.chain.noise(draws, *self.shape).to(self.device), known, on_step
        )
        self.network.train(training)
        return made

    def inputs_for(self, **_: Any) -> Literal["none"]:
        """Nothing has to be given to `generate`."""
        return "none"

    def generate_steps(self) -> int:
        """Steps that `generate` takes, for a progress bar."""
        return self.chain.steps

    def generate(
        self,
        conditions: list[Any],
        *,
        seed: int = 0,
        keys: list[int] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> list[Tensor]:
        """Draw examples.

        Args:
            conditions: None each.
            seed: equal seeds give equal examples.
            keys: one number per example that, with the seed, decides its noise; by default its place in the list.
            on_step: called after each step.

        Returns:
            (*shape) each, on the CPU.
        """
        keys = list(range(len(conditions))) if keys is None else keys

        def count(t: int, x: Tensor) -> None:
            if on_step is not None and t < self.chain.steps:
                on_step(t)

        return list(self.sample(keys, seed, on_step=count).cpu())
