"""What a model of labelled images is held to: queries that a judge of its pictures answers, and pictures of them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from reprise.config.errors import ConfigError, DataError, RunError
from reprise.metrics.labels.distance import distances_by_label, intra_label_distance
from reprise.metrics.labels.judge import Judge
from reprise.metrics.labels.judged import agreement, judged_share, label_share
from reprise.models.adversarial.source import Kind
from reprise.nn.causal.queries import Query, snake, words_of
from reprise.nn.randomness import rank_seed
from reprise.samples.base import Sample
from reprise.samples.labels import DoGivenGrid, Found, LabelRow, sweep_grid, words_of_row

LEVELS = 256  # of the pictures that are shown
SWEPT = (0.0, 0.25, 0.5, 0.75, 1.0)


class Drawer(Protocol):
    """A model of labels and of images that are made from them."""

    def draw_labels(self, count: int, kind: Kind, values: dict[str, int], generator: torch.Generator) -> Tensor:
        """Labels (count, n) of 0 and 1, as observed, under a condition or under an intervention.

        Raises:
            DataError, RunError: nothing meets the condition.
        """

    def images_of(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Images (B, C, S, S) in [-1, 1] of labels (B, n), whose values may lie between 0 and 1."""


@dataclass(frozen=True)
class Drawn:
    """Labels of one kind and what was found in their images.

    Attributes:
        labels: (B, n); (0, n) where the condition was not met.
        answers: of the judge, (B, n), on the CPU; NaN for labels that are not judged.
        shown: the first images, (K, C, S, S) in [-1, 1], on the CPU.
        trouble: why there are none; "" where there are some.
    """

    labels: Tensor
    answers: Tensor
    shown: Tensor
    trouble: str = ""


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes:
        metrics: by name, without `test/`. What could not be judged is not among them.
        notes: a line for each thing that could not be judged or drawn, and for each label how well it is judged.
        samples: the grid of do above given, where a query asks for either, and sweeps of the labels.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)


@torch.no_grad()
def examine(
    model: Drawer,
    judge: Judge,
    names: Sequence[str],
    queries: Sequence[Query],
    seed: int,
    count: int = 1000,
    batch: int = 250,
    shown: int = 10,
    distances: int = 256,
) -> Examination:
    """Draw labels as the queries ask, make images of them, and let a judge look.

    Reports, with the names of queries (`reprise.nn.causal.queries`):
    `images_p_male/do_mustache`: share of images judged male; `p_male/do_mustache`: share of the labels they were made
    from; `agreement/do_mustache`, `agreement/given_mustache`: share of images judged to have what the query sets or
    asks for; `agreement/observe/male`: share of images of observed labels judged to have the label as
    asked, the mean over its values;
    `intra_label_distance` and, by value, `intra_label_distance/mustache` (`reprise.metrics.labels.distance`) of images
    of observed labels; and how well the judge itself judges (`Judge.measures`).

    Args:
        model: is asked for labels and images.
        judge: of the same labels.
        names: of the model's labels, in the order of its columns.
        queries: to be answered.
        seed: of all draws; those of one kind do not depend on what else is asked.
        count: images a kind of draw.
        batch: images that the model makes at once; with batch statistics they belong to the result.
        shown: images a row of the grid.
        distances: images of which distances are taken, all pairs of them.

    Raises:
        ConfigError: the judge's labels are others, or a number is below 1.
    """
    _check(judge, names, {"count": count, "batch": batch, "shown": shown, "distances": distances})
    kept = max(shown, min(distances, count))
    observed = _draw(model, judge, "observe", {}, seed, count, batch, kept)
    drawn = {
        (kind, words): _draw(model, judge, kind, values, seed, count, batch, shown)
        for (kind, words), values in _conditions(queries).items()
    }
    metrics: dict[str, float] = {}
    for query in queries:
        found = observed if query.kind == "marginal" else drawn[query.kind, words_of(query.values)]
        if not found.trouble:
            metrics[query.name] = label_share(found.labels, names, query.event)
            metrics[f"images_{query.name}"] = judged_share(found.answers, names, query.event)
            if query.kind != "marginal":
                name = f"agreement/{query.kind}_{words_of(query.values)}"
                metrics[name] = judged_share(found.answers, names, query.values)
    agreed = agreement(observed.answers, observed.labels, names)
    metrics |= {f"agreement/observe/{snake(name)}": value for name, value in agreed.items()}
    metrics |= _distances(observed, names, distances)
    unknown = [name for name, value in metrics.items() if math.isnan(value)]
    notes = [*judge.words(), *(f"{name}: not measured" for name in unknown)]
    notes += [f"{kind} {words}: {found.trouble}" for (kind, words), found in drawn.items() if found.trouble]
    kept_metrics = {name: value for name, value in metrics.items() if not math.isnan(value)} | judge.measures()
    samples = [*_grid(drawn, queries, names, count, shown), *_sweep(model, observed, names, queries, seed)]
    return Examination(kept_metrics, notes, samples)


def _conditions(queries: Sequence[Query]) -> dict[tuple[Kind, str], dict[str, int]]:
    """What has to be drawn: values of labels by kind and words, each once."""
    found: dict[tuple[Kind, str], dict[str, int]] = {}
    for query in queries:
        if query.kind != "marginal":
            found.setdefault((query.kind, words_of(query.values)), query.values)
    return found


def _draw(
    model: Drawer, judge: Judge, kind: Kind, values: Mapping[str, int], seed: int, count: int, batch: int, kept: int
) -> Drawn:
    """Labels of one kind, and what the judge says of their images; or why there are none."""
    generator = _generator(seed, f"{kind} {words_of(dict(values))}")
    try:
        labels = model.draw_labels(count, kind, dict(values), generator)
    except (DataError, RunError) as error:
        nothing = torch.zeros(0, len(judge.names))
        return Drawn(nothing, nothing, torch.zeros(0, 1, 1, 1), str(error))
    answers: list[Tensor] = []
    shown: list[Tensor] = []
    for part in labels.split(batch):
        images = model.images_of(part, generator)
        answers.append(judge.answers(images).cpu())
        if sum(len(part) for part in shown) < kept:
            shown.append(images.float().cpu())
    return Drawn(labels.cpu(), torch.cat(answers), torch.cat(shown)[:kept])


def _distances(observed: Drawn, names: Sequence[str], count: int) -> dict[str, float]:
    images, labels = observed.shown[:count], observed.labels[:count]
    found = {"intra_label_distance": intra_label_distance(images, labels, names)}
    return found | {f"intra_label_distance/{n}": v for n, v in distances_by_label(images, labels, names).items()}


def _grid(
    drawn: Mapping[tuple[Kind, str], Drawn], queries: Sequence[Query], names: Sequence[str], count: int, shown: int
) -> list[Sample]:
    """A block for each condition that is asked for by do or given."""
    blocks: list[list[LabelRow]] = []
    for words in dict.fromkeys(words_of(query.values) for query in queries if query.kind != "marginal"):
        block: list[LabelRow] = []
        kinds: tuple[Kind, ...] = ("do", "given")
        for kind in kinds:
            asked = [query for query in queries if query.kind == kind and words_of(query.values) == words]
            if asked:
                block.append(_row(drawn[kind, words], asked, names, shown))
        blocks.append(block)
    if not any(row.images is not None for block in blocks for row in block):
        return []
    caption = "labels that are set (do) above labels that happened (given), with what a judge sees in the pictures"
    return [
        DoGivenGrid(
            name="do_and_given", caption=caption, group="do_and_given", blocks=blocks, levels=LEVELS, judged=count
        )
    ]


def _row(drawn: Drawn, asked: Sequence[Query], names: Sequence[str], shown: int) -> LabelRow:
    """Pictures of one condition, and figures of the events that are asked for and of the condition itself."""
    values, kind = asked[0].values, asked[0].kind
    words, explained = words_of_row("do" if kind == "do" else "given", values)
    if drawn.trouble:
        return LabelRow(words, explained, None, trouble=drawn.trouble)
    found = []
    for event in (*(query.event for query in asked), values):
        share = judged_share(drawn.answers, names, event)
        title = ", ".join(name if value else f"not {name}" for name, value in event.items())
        found.append(Found(title, None if math.isnan(share) else share, label_share(drawn.labels, names, event)))
    return LabelRow(words, explained, _whole_numbers(drawn.shown[:shown]), found)


def _sweep(model: Drawer, observed: Drawn, names: Sequence[str], queries: Sequence[Query], seed: int) -> list[Sample]:
    """Each label that a query names, moved from 0 to 1 in one observed draw, with the same noise throughout."""
    asked = list(dict.fromkeys(name for query in queries for name in query.labels))
    strips = []
    for name in asked:
        swept = observed.labels[:1].float().repeat(len(SWEPT), 1)
        swept[:, list(names).index(name)] = torch.tensor(SWEPT)
        # a picture at a time, since images draw their noise one after the other
        made = [model.images_of(row[None], _generator(seed, f"sweep {name}")).float().cpu() for row in swept]
        strips.append((name, _whole_numbers(torch.cat(made))))
    return [sweep_grid("label_sweep", strips, SWEPT, LEVELS)] if strips else []


def _whole_numbers(images: Tensor) -> Tensor:
    """Bytes of values in [-1, 1]."""
    return ((images + 1.0) * ((LEVELS - 1) / 2)).round().clamp(0, LEVELS - 1).to(torch.uint8)


def _generator(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(rank_seed(seed, zlib.crc32(purpose.encode())))


def _check(judge: Judge, names: Sequence[str], numbers: Mapping[str, int]) -> None:
    if tuple(names) != judge.names:
        raise ConfigError(
            f"the judge knows the labels {', '.join(judge.names)}; the model has {', '.join(names)}. Expected the "
            "same, in the same order: train the judge on the columns of the model's graph."
        )
    for name, value in numbers.items():
        if value < 1:
            raise ConfigError(f"{name} of an examination is {value}. Expected 1 or more.")
