"""Read conf/paper: strict, so that a misspelt key or an unexplained gap is an error with its place."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reprise.config.compose import compose_config, group_choices, read_choice
from reprise.config.errors import ConfigError, suggest
from reprise.config.paths import conf_dir, show_path
from reprise.config.protocol import protocol_values
from reprise.reproduction.paper import Paper
from reprise.reproduction.paper_parts import load
from reprise.reproduction.paper_reader import PaperReader


def paper_names() -> list[str]:
    """Names of the papers in conf/paper, those that other packages add included."""
    return group_choices("paper")


def read_paper(name: str) -> Paper:
    """Read and check conf/paper/NAME.yaml.

    Raises:
        ConfigError: there is none, or something in it is wrong; the message names the place.
    """
    if name not in (names := paper_names()):
        raise ConfigError(f"there is no paper {name!r}. {suggest(name, names)}")
    path = conf_dir() / "paper" / f"{name}.yaml"
    if path.is_file():
        return parse_paper(path)
    return PaperReader(name, f"paper/{name}.yaml of another package").paper(read_choice("paper", name))


def read_papers(names: Iterable[str] | None = None) -> list[Paper]:
    """Read several papers, or all."""
    return [read_paper(name) for name in (paper_names() if names is None else names)]


def parse_paper(path: Path) -> Paper:
    """Read and check a paper file anywhere."""
    return PaperReader(path.stem, show_path(path)).paper(load(path))


def check_paper(name: str) -> Paper:
    """Read a paper and check what its recipes name: that they compose, and that a row's overrides change something.

    Raises:
        ConfigError: something is wrong; the message names the place.
    """
    paper = read_paper(name)
    recipes = {t.recipe: t.id for t in paper.targets if t.recipe} | {
        t.standin: t.id for t in paper.targets if t.standin
    }
    recipes |= {term.recipe: f"claim {c.id}" for c in paper.claims for term in c.terms if term.recipe}
    for recipe, place in recipes.items():
        assert recipe is not None
        protocol = protocol_values(compose_config(recipe.words).values)
        plain = protocol_values(compose_config([f"experiment={recipe.experiment}"]).values)
        if recipe.overrides and protocol == plain:
            raise ConfigError(f"{place}: the overrides {' '.join(recipe.overrides)} change nothing of the protocol.")
    return paper
