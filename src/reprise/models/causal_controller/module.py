"""The Causal Controller as a LightningModule: a WGAN over labels, measured against the law of the data."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.adversarial.announce import announce, require_whole_networks
from reprise.models.causal_controller import showing
from reprise.models.causal_controller.critic import Critic
from reprise.models.causal_controller.distances import Distances, distances_of
from reprise.models.causal_controller.drawing import DrawingModule
from reprise.models.causal_controller.draws import RealRows
from reprise.models.causal_controller.duel import Duel
from reprise.models.causal_controller.measures import LEAST, Counted, answers, count_draws, lost_labels
from reprise.models.causal_controller.network import Controller
from reprise.models.causal_controller.reference import reference_values
from reprise.nn.causal.choices import columns_of, require_table
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.causal.law import CausalLaw, LabelLaw
from reprise.nn.causal.queries import query_table, words_of
from reprise.nn.causal.undefined import undefined_in_words
from reprise.nn.randomness import example_rng
from reprise.samples.base import Sample

log = logging.getLogger(__name__)
_VERSION = 1
_REMEDIES = (
    "model.rare_share=0.25 (rare rows come more often and count less), model.pack=2 or a larger model.batch_size"
)


class CausalController(DrawingModule):
    """A sampler of labels wired like a causal graph, trained against a Wasserstein critic on the labels of the data.

    An iteration is one generator step: `critic_steps` steps of the critic, then a joint step of both. So max_steps of
    the trainer counts generator steps. Lightning's global_step does so too: only the controller's optimiser is stepped
    through Lightning, the critic's directly.

    Every process computes the whole batch, of draws that are a function of seed and iteration: the networks are so
    small that sharing a batch out would cost more than it saves. So several processes give the numbers of one.

    Replica r of a run with seed s is the run with seed s + r. Metrics are replica 0's; those of the others stand under
    test/replica_1 and so on.

    Args:
        graph: the causal graph; its labels are columns of the data, chosen by name.
        network: the controller, called with graph and replicas.
        critic: called with inputs and replicas.
        controller_optimizer, critic_optimizer: optimiser classes with their settings, waiting for parameters.
        seed: of weights and draws.
        replicas: R, trained side by side.
        batch_size: B, rows of a step.
        critic_steps: before each joint step.
        penalty: lambda of the gradient penalty.
        pack: rows that the critic sees as one (PacGAN); 1 is the paper's.
        rare_share: chance of a real row to be drawn among those with a rare label, see `RealRows`; 0 is the paper's.
        samples_tvd: draws of a measurement.
        samples_query: draws for each intervention that is asked about.
        measured_steps: generator steps after which the distance is measured.
        stop_tvd: end training when a measured distance (tvd) is below it; None: never.
        stop_from: the first step at which that may happen, and at which a label is called lost in training; before, the
            rare ones come late.

    Raises:
        ConfigError: a number is out of range, or the graph has too many labels.
    """

    def __init__(
        self,
        graph: CausalGraph,
        network: Callable[..., Controller],
        critic: Callable[..., Critic],
        controller_optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        critic_optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        seed: int,
        replicas: int = 1,
        batch_size: int = 64,
        critic_steps: int = 20,
        penalty: float = 0.1,
        pack: int = 1,
        rare_share: float = 0.0,
        samples_tvd: int = 500_000,
        samples_query: int = 100_000,
        measured_steps: Sequence[int] = (),
        stop_tvd: float | None = None,
        stop_from: int = 5000,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        for name, value in (("samples_tvd", samples_tvd), ("samples_query", samples_query), ("replicas", replicas)):
            if value < 1:
                raise ConfigError(f"model.{name} is {value}. Expected 1 or more.")
        require_table(graph)
        self.graph = graph
        self.seeds = [seed + r for r in range(replicas)]
        self.controller = network(graph=graph, replicas=replicas)
        self.critic = critic(inputs=pack * len(graph), replicas=replicas)
        self.controller.initialise([example_rng(s, "controller weights", 0) for s in self.seeds])
        self.critic.initialise([example_rng(s, "critic weights", 0) for s in self.seeds])
        self.duel = Duel(self.controller, self.critic, self.seeds, batch_size, critic_steps, penalty, pack)
        self.controller_optimizer, self.critic_optimizer = controller_optimizer, critic_optimizer
        self.rare_share = rare_share
        self.samples_tvd, self.samples_query = samples_tvd, samples_query
        self.stop_tvd, self.stop_from = stop_tvd, stop_from
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.steps: Tensor
        self.distances = Distances(measured_steps, replicas)
        self.samples: list[Sample] = []  # of the last test
        self._rows: tuple[Tensor, RealRows, LabelLaw] | None = None
        self._warned: set[str] = set()
        self._told_undefined = False
        self._logged: set[str] = set()

    # the data

    def _data(self, batch: dict[str, Any]) -> tuple[RealRows, LabelLaw]:
        """The graph's columns of the labels, and their law; read once, since a problem is the same in every batch."""
        labels = batch["labels"]
        if self._rows is None or self._rows[0] is not labels:
            rows = labels[:, self._columns()]
            law = LabelLaw.of_rows(self.graph.names, rows.cpu().numpy())
            self._rows = labels, RealRows(rows, self.rare_share), law
        return self._rows[1:]

    def _columns(self) -> list[int]:
        names = getattr(self.trainer.datamodule, "label_names", None)  # type: ignore[attr-defined]
        return columns_of(self.graph.names, names, celeba="data=celeba_labels")

    # training

    def on_fit_start(self) -> None:
        """Refuse what does not go together with gradients taken by hand."""
        require_whole_networks(self, "model=causal_controller")

    def on_train_start(self) -> None:
        """A run that was resumed after it had stopped stays so."""
        if self._stops():
            self.trainer.should_stop = True

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Measure what the last step made, where that is asked for, and do the next generator step."""
        rows, law = self._data(batch)
        self._measure_if_due(law)
        if self._stops():
            self.trainer.should_stop = True  # after this step
        critic, controller = self._raw_critic_optimizer(), self._optimizers()[0]
        with torch.autocast(self.device.type, enabled=False):
            draws = self.duel.draw(int(self.steps), rows)
            self.duel.play(draws, rows, critic.step, controller.step, lambda loss: announce(self, loss))
        self.steps += 1

    def _optimizers(self) -> list[Any]:
        found = self.optimizers()
        return list(found) if isinstance(found, list) else [found]

    def _raw_critic_optimizer(self) -> torch.optim.Optimizer:
        """Torch's own: stepping it is not counted by Lightning."""
        return self._optimizers()[1].optimizer  # type: ignore[no-any-return]

    def _stops(self) -> bool:
        return self.stop_tvd is not None and self.distances.was_below(self.stop_tvd, self.stop_from)

    # measuring

    def _measure_if_due(self, law: LabelLaw) -> None:
        """Measure the weights as they are, once, if their step is one of those to measure."""
        step = int(self.steps)
        if not self.distances.is_due(step):
            return
        counted = count_draws(self.controller, self.samples_tvd, self.seeds)
        self.distances.note(step, counted, law)
        drawn = counted[0].law(law.names)
        values = {f"train/{name}": value for name, value in distances_of(counted[0], law).items()}
        values |= {f"train/marginal/{name.lower()}": drawn.marginal(name) for name in law.names}
        values["train/discrete_percent"] = 100.0 * counted[0].near
        for logger in self.trainer.loggers:
            logger.log_metrics(values, step=step)
        if step >= self.stop_from:
            self._warn_of_lost(drawn, law)

    def _warn_of_lost(self, drawn: LabelLaw, data: LabelLaw) -> None:
        """Say so once for each label that the controller has lost."""
        for name in lost_labels(drawn, data):
            if name not in self._warned and self.trainer.is_global_zero:
                log.warning(
                    "after step %d the controller draws %s=1 in %.5f of the rows, the data have %.5f: it is lost or "
                    "about to be, which the distance hardly shows. Remedies: %s.",
                    int(self.steps), name, drawn.marginal(name), data.marginal(name), _REMEDIES,
                )  # fmt: skip
                self._warned.add(name)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Distance from the data's law, unseen combinations counted: val/tvd."""
        _, law = self._data(batch)
        self._measure_if_due(law)
        counted = count_draws(self.controller, self.samples_tvd, self.seeds)[0]
        self._log({"val/tvd": counted.tvd(law, as_released=False), "val/discrete_percent": 100.0 * counted.near})

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Both distances now and at the measured steps, marginals, and what is asked under conditions and do."""
        _, law = self._data(batch)
        fit = law.fit(self.graph)
        counted = count_draws(self.controller, self.samples_tvd, self.seeds)
        self.distances.note(int(self.steps), counted, law)
        self._warn_of_undefined(fit)
        queries = query_table(law.names)
        conditions = {tuple(q.values.items()): q.values for q in queries if q.kind == "do"}
        found = {
            key: count_draws(self.controller, self.samples_query, self.seeds, do) for key, do in conditions.items()
        }
        for r, of_replica in enumerate(counted):
            drawn = of_replica.law(law.names)
            prefix = "test/" if r == 0 else f"test/replica_{r}/"
            intervened = {q.name: found[tuple(q.values.items())][r] for q in queries if q.kind == "do"}
            said, met = answers(of_replica, intervened, queries, law.names)
            draws = {f"draws/given_{words_of(q.values)}": float(met[q.name]) for q in queries if q.name in met}
            known = {name: value for name, value in said.items() if not math.isnan(value)}
            values = self._values(r, of_replica, drawn, law) | draws | known
            self._log({prefix + name: value for name, value in values.items()})
            if r == 0:
                self._warn_of_lost(drawn, law)
                self._warn_of_unanswered({name: met[name] for name in said if name not in known})
                exact = reference_values(law, fit, queries)
                self._log({f"test/reference/{name}": value for name, value in exact.items()})
                self.samples = self._pictures(law, fit, drawn, said)

    def _warn_of_undefined(self, fit: CausalLaw) -> None:
        """Say once what the graph that is fitted to the data does not know."""
        words = undefined_in_words(fit)
        if words and not self._told_undefined and self.trainer.is_global_zero:
            log.warning("of the graph fitted to the data, %s", words)
            self._told_undefined = True

    def _warn_of_unanswered(self, met: dict[str, int]) -> None:
        """Name the conditional queries that too few draws can answer."""
        for name, count in met.items() if self.trainer.is_global_zero else ():
            log.warning(
                "%d of %d draws meet the condition of %s, fewer than %d: test/%s is left out",
                count, self.samples_tvd, name, LEAST, name,
            )  # fmt: skip

    def _values(self, r: int, counted: Counted, drawn: LabelLaw, law: LabelLaw) -> dict[str, float]:
        """Metrics of replica r, by name after `test/`."""
        values = distances_of(counted, law)
        for name, of_steps in self.distances.of(r).items():
            values |= {f"{name}/step_{step}": value for step, value in of_steps.items()}
        values["discrete_percent"] = 100.0 * counted.near
        values["lost_labels"] = float(len(lost_labels(drawn, law)))
        return values | {f"marginal/{name.lower()}": drawn.marginal(name) for name in law.names}

    def _pictures(self, law: LabelLaw, fit: CausalLaw, drawn: LabelLaw, said: dict[str, float]) -> list[Sample]:
        joint = fit.joint()
        found: list[Sample] = [showing.marginal_bars(law, joint, drawn)]
        if said:
            found.append(showing.query_bars(query_table(law.names), law, fit, said))
        released, counted = self.distances.of(0).values()
        if released:
            values = list(released.values()), list(counted.values())
            found.append(showing.distance_curve(list(released), *values, floor=law.tvd(joint)))
        return found

    def _log(self, values: dict[str, float]) -> None:
        """Log numbers that every process has alike."""
        self._logged.update(values)
        for name, value in values.items():
            self.log(name, value, batch_size=1)

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        return dict.fromkeys(sorted(self._logged), _VERSION)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One optimiser a network: the controller's, the critic's."""
        return [
            self.controller_optimizer(self.controller.parameters()),
            self.critic_optimizer(self.critic.parameters()),
        ]
