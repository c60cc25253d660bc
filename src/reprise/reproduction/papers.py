"""Read conf/paper: strict, so that a misspelt key or an unexplained gap is an error with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml

from reprise.config.compose import group_choices, read_choice
from reprise.config.errors import ConfigError, suggest
from reprise.config.paths import conf_dir, show_path
from reprise.reproduction import paper as words
from reprise.reproduction.paper import (
    Claim,
    CodeLink,
    Column,
    Paper,
    Recipe,
    Row,
    Spread,
    Table,
    Target,
    Term,
    Tolerance,
)

_HEAD = {"title", "authors", "venue", "year", "arxiv", "url", "code", "note", "defaults", "columns", "tables", "claims"}
# What a figure inherits: paper defaults < column < table < row < cell.
_INHERITED = {
    "dataset": str,
    "split": str,
    "protocol": str,
    "unit": str,
    "digits": int,
    "direction": str,
    "public": bool,
    "sure": str,
    "source": str,
    "spread": dict,
    "tolerance": dict,
    "experiment": str,
    "overrides": list,
    "at": str,
    "measure": str,
    "version": int,
    "pick": str,
    "scale": float,
    "hardware": str,
    "why": str,
    "pending": str,
    "standin": str,
    "standin_at": str,
    "unrecovered": str,
    "blank": str,
}
_COLUMN = {"label", "baseline", *_INHERITED}
_TABLE = {"title", "printed", "note", "facts", "columns", "rows", *_INHERITED}
_ROW = {"label", "group", "baseline", "note", "facts", "values", *_INHERITED}
_CELL = {"value", "bound", "note", *_INHERITED}
_CLAIM = {"text", "kind", "relation", "direction", "measure", "version", "terms", "margin", "bound", "note"} | {
    "sure",
    "source",
    "why",
    "pending",
}
_TERM = {"label", "experiment", "overrides", "at", "measure", "x"}
_PRINTED = re.compile(r"^(<=|>=|~)?\s*(-?\d+(?:\.\d+)?(?:e-?\d+)?)(?:\s*(?:±|\+-)\s*(\d+(?:\.\d+)?(?:e-?\d+)?))?$")
_ID = re.compile(r"^[a-z0-9][a-z0-9_]*$")


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice; the second would silently win."""


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"the key {key!r} is given twice", problem_mark=key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, lambda loader, node: _mapping(loader, node, True)
)


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
    return _Reader(name, f"paper/{name}.yaml of another package").paper(read_choice("paper", name))


def read_papers(names: Iterable[str] | None = None) -> list[Paper]:
    """Read several papers, or all."""
    return [read_paper(name) for name in (paper_names() if names is None else names)]


def parse_paper(path: Path) -> Paper:
    """Read and check a paper file anywhere."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{show_path(path)} is no valid YAML: {error}") from None
    return _Reader(path.stem, show_path(path)).paper(raw)


class _Reader:
    """Turns parsed YAML into a paper.

    Args:
        name: of the paper.
        file: for messages.
    """

    def __init__(self, name: str, file: str) -> None:
        self.name = name
        self.file = file
        self.experiments = set(group_choices("experiment"))

    def fail(self, where: str, what: str) -> ConfigError:
        return ConfigError(f"{self.file}: {where + ': ' if where else ''}{what}")

    def mapping(self, raw: Any, where: str, keys: Iterable[str]) -> dict[str, Any]:
        """Check that something is a mapping of known keys, with inherited ones of their type."""
        if not isinstance(raw, Mapping):
            raise self.fail(where, f"is {raw!r}. Expected keys and values.")
        for key, value in raw.items():
            if key not in set(keys):
                raise self.fail(where, f"has an unknown key {key!r}. {suggest(str(key), keys)}")
            kind = _INHERITED.get(key)
            if kind is not None and value is not None and not _fits(value, kind):
                raise self.fail(f"{where}.{key}" if where else key, f"is {value!r}. Expected a {kind.__name__}.")
        return dict(raw)

    def text(self, raw: Mapping[str, Any], key: str, where: str) -> str:
        value = raw.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(where, f"{key} is {value!r}. Expected text.")
        return value.strip()

    def choice(self, value: Any, allowed: Any, where: str) -> Any:
        if value not in get_args(allowed):
            raise self.fail(where, f"is {value!r}. {suggest(str(value), get_args(allowed))}")
        return value

    def items(self, raw: Any, where: str) -> list[tuple[str, Any]]:
        """Members of a mapping whose keys are ids."""
        if not isinstance(raw, Mapping) or not raw:
            raise self.fail(where, "is empty. Expected names with their content.")
        for key in raw:
            if not isinstance(key, str) or not _ID.match(key):
                raise self.fail(where, f"has the name {key!r}. Expected lower case letters, digits and _.")
        return list(raw.items())

    def paper(self, raw: Any) -> Paper:
        head = self.mapping(raw, "", _HEAD)
        authors = head.get("authors")
        if not isinstance(authors, list) or not authors or not all(isinstance(a, str) for a in authors):
            raise self.fail("authors", f"is {authors!r}. Expected a list of names.")
        year = head.get("year")
        if type(year) is not int:
            raise self.fail("year", f"is {year!r}. Expected a year.")
        arxiv = head.get("arxiv")
        if arxiv is not None and not (isinstance(arxiv, str) and re.match(r"^\d{4}\.\d{4,5}$", arxiv)):
            raise self.fail("arxiv", f"is {arxiv!r}. Expected a quoted number such as '2009.00713', or null.")
        code = []
        for i, link in enumerate(head.get("code") or []):
            link = self.mapping(link, f"code[{i}]", {"url", "official", "note"})
            url = self.text(link, "url", f"code[{i}]")
            if not url.startswith("https://"):
                raise self.fail(f"code[{i}].url", f"is {url!r}. Expected https://...")
            code.append(CodeLink(url, bool(link.get("official", False)), str(link.get("note") or "")))
        defaults = self.mapping(head.get("defaults") or {}, "defaults", _INHERITED)
        columns = {
            key: self.mapping(value, f"columns.{key}", _COLUMN)
            for key, value in self.items(head.get("columns"), "columns")
        }
        tables = tuple(
            self.table(key, value, defaults, columns) for key, value in self.items(head.get("tables"), "tables")
        )
        claims = tuple(
            self.claim(key, value, defaults)
            for key, value in (self.items(head["claims"], "claims") if head.get("claims") else [])
        )
        home = head.get("url") or (f"https://arxiv.org/abs/{arxiv}" if arxiv else None)
        if home is not None and not str(home).startswith("https://"):
            raise self.fail("url", f"is {home!r}. Expected https://...")
        used = {column.id for table in tables for column in table.columns}
        if unused := sorted(set(columns) - used):
            raise self.fail("columns", f"{', '.join(unused)}: no table has them. Delete them, or name them there.")
        return Paper(
            name=self.name,
            title=self.text(head, "title", ""),
            authors=tuple(authors),
            venue=str(head.get("venue") or ""),
            year=year,
            arxiv=arxiv,
            url=home,
            code=tuple(code),
            note=str(head.get("note") or "").strip(),
            tables=tables,
            claims=claims,
        )

    def table(self, key: str, raw: Any, defaults: dict[str, Any], columns: dict[str, dict[str, Any]]) -> Table:
        where = f"tables.{key}"
        table = self.mapping(raw, where, _TABLE)
        names = table.get("columns")
        if not isinstance(names, list) or not names:
            raise self.fail(f"{where}.columns", "is empty. Expected a list of names from the columns of the paper.")
        for name in names:
            if name not in columns:
                raise self.fail(f"{where}.columns", f"names {name!r}. {suggest(str(name), columns)}")
        headings = table.get("facts") or []
        if not isinstance(headings, list) or not all(isinstance(h, str) for h in headings):
            raise self.fail(f"{where}.facts", f"is {headings!r}. Expected a list of headings.")
        shown: list[Column] = []
        rows: list[Row] = []
        group = ""
        for name in names:
            # Where datasets are the rows, the methods, rivals among them, are the columns.
            if not isinstance(columns[name].get("baseline", False), bool):
                raise self.fail(
                    f"columns.{name}.baseline", f"is {columns[name]['baseline']!r}. Expected true or false."
                )
            merged = _merge(defaults, columns[name], table)
            direction = self.choice(merged.get("direction"), words.Direction, f"columns.{name}.direction")
            label = self.text(columns[name], "label", f"columns.{name}")
            shown.append(Column(name, label, str(merged.get("unit") or ""), direction))
        for row_key, row_raw in self.items(table.get("rows"), f"{where}.rows"):
            at = f"{where}.rows.{row_key}"
            row = self.mapping(row_raw, at, _ROW)
            values = self.mapping(row.get("values"), f"{at}.values", names)
            group = str(row["group"] or "") if "group" in row else group
            baseline = row.get("baseline", False)
            if not isinstance(baseline, bool):
                raise self.fail(f"{at}.baseline", f"is {baseline!r}. Expected true or false.")
            label = self.text(row, "label", at)
            facts = row.get("facts") or [""] * len(headings)
            if not isinstance(facts, list) or len(facts) != len(headings):
                raise self.fail(f"{at}.facts", f"is {facts!r}. Expected {len(headings)}, as the table has headings.")
            targets = {
                name: self.target(
                    (key, row_key, name),
                    values[name],
                    _merge(defaults, columns[name], table, row),
                    {
                        "label": label,
                        "group": group,
                        "baseline": baseline or columns[name].get("baseline", False),
                        "metric": columns[name]["label"],
                    },
                    row.get("note"),
                )
                for name in names
                if name in values
            }
            rows.append(
                Row(row_key, label, group, baseline, tuple("" if f is None else str(f) for f in facts), targets)
            )
        return Table(
            key,
            self.text(table, "title", where),
            self.text(table, "printed", where),
            str(table.get("note") or "").strip(),
            tuple(headings),
            tuple(shown),
            tuple(rows),
        )

    def target(
        self, place: tuple[str, str, str], raw: Any, merged: dict[str, Any], fixed: dict[str, Any], row_note: Any
    ) -> Target:
        where = f"tables.{place[0]}.rows.{place[1]}.values.{place[2]}"
        cell = self.mapping(raw if isinstance(raw, Mapping) else {"value": raw}, where, _CELL)
        if "value" not in cell:
            raise self.fail(where, "has no value. Expected a number, a text as printed, or null.")
        value, bound, printed_spread, decimals = self.printed(cell["value"], where)
        bound = self.choice(cell.get("bound", bound), words.Bound, f"{where}.bound")
        spread_raw = cell.get("spread")
        if isinstance(spread_raw, dict) and "value" in spread_raw:
            printed_spread = spread_raw["value"]
        merged = _merge(merged, cell)
        note = " ".join(str(n).strip() for n in (cell.get("note"), row_note) if n)
        if value is None:
            note = note or str(merged.get("unrecovered") or "").strip()
            if not note:
                raise self.fail(where, "is null. Expected a note that says why (note or unrecovered).")
        for name in ("dataset", "split", "source"):
            self.text(merged, name, where)
        if not isinstance(merged.get("public"), bool):
            raise self.fail(where, "public is missing. Expected true or false: whether outsiders can get the data.")
        spread = self.spread(merged.get("spread"), printed_spread, where)
        digits = merged.get("digits", decimals)
        recipe = self.recipe(merged, where)
        standin = self.recipe(
            {"experiment": merged.get("standin"), "overrides": merged.get("overrides")}, f"{where}.standin"
        )
        why, pending = merged.get("why"), merged.get("pending")
        if not fixed["baseline"] and recipe is None and not why and not pending:
            raise self.fail(
                where,
                "has no experiment. Name one, or say why nobody outside can run it (why) or why not yet (pending).",
            )
        measure = self.measure(merged.get("measure"), merged.get("at"), where)
        if recipe is not None and not why and measure is None:
            raise self.fail(where, "has an experiment but no measure. Expected e.g. measure: test/bpd.")
        if not merged["public"] and not why and not fixed["baseline"]:
            raise self.fail(
                where, "has data that outsiders cannot get. Say so in why, and name a standin if there is one."
            )
        tolerance = self.tolerance(merged.get("tolerance"), value, spread, where)
        if recipe is not None and value is not None and not why and tolerance is None:
            raise self.fail(where, "has no tolerance. Expected value, percent or spreads, and the reason.")
        return Target(
            paper=self.name,
            table=place[0],
            row=place[1],
            column=place[2],
            value=value,
            bound=bound,
            spread=spread,
            digits=digits,
            sure=self.choice(merged.get("sure"), words.Sure, f"{where}.sure"),
            source=merged["source"].strip(),
            direction=self.choice(merged.get("direction"), words.Direction, f"{where}.direction"),
            dataset=merged["dataset"],
            split=merged["split"],
            public=merged["public"],
            protocol=str(merged.get("protocol") or "").strip(),
            unit=str(merged.get("unit") or ""),
            note=note,
            tolerance=tolerance,
            recipe=recipe,
            measure=measure,
            version=merged.get("version"),
            pick=self.choice(merged.get("pick", "final"), words.Pick, f"{where}.pick"),
            scale=float(merged.get("scale", 1.0)),
            hardware=merged.get("hardware"),
            why=why.strip() if why else None,
            pending=pending.strip() if pending and recipe is None else None,
            standin=standin,
            blank=str(merged.get("blank") or "") if value is None else "",
            standin_measure=self.measure(merged.get("measure"), merged.get("standin_at", merged.get("at")), where),
            **fixed,
        )

    def printed(self, value: Any, where: str) -> tuple[float | None, Any, str | None, int | None]:
        """Read a figure as printed: value, bound, spread, decimals."""
        if value is None:
            return None, "=", None, None
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise self.fail(where, f"is {value!r}. Expected a number, a text such as '4.47 ± 0.04', or null.")
        match = _PRINTED.match(str(value).strip())
        if match is None:
            raise self.fail(where, f"is {value!r}. Expected a figure such as 3.14, '<= 5.40' or '4.47 ± 0.04'.")
        bound, number, spread = match.groups()
        return float(number), bound or "=", spread, _decimals(number)

    def spread(self, meaning: Any, printed: float | str | None, where: str) -> Spread | None:
        if printed is None:
            return None
        meaning = self.mapping(meaning or {}, f"{where}.spread", {"value", "kind", "over", "n"})
        n = meaning.get("n")
        if n is not None and (type(n) is not int or n < 1):
            raise self.fail(f"{where}.spread.n", f"is {n!r}. Expected a count, or null.")
        return Spread(
            float(printed),
            self.choice(meaning.get("kind", "unknown"), words.SpreadKind, f"{where}.spread.kind"),
            self.choice(meaning.get("over", "unknown"), words.Over, f"{where}.spread.over"),
            n,
            _decimals(printed) if isinstance(printed, str) else None,
        )

    def tolerance(self, raw: Any, value: float | None, spread: Spread | None, where: str) -> Tolerance | None:
        """Read a tolerance: `value` in the unit of the figure, `percent` of it, or a number of its `spreads`."""
        if raw is None:
            return None
        given = self.mapping(raw, f"{where}.tolerance", {"value", "percent", "spreads", "reason"})
        reason = self.text(given, "reason", f"{where}.tolerance")
        ways = [w for w in ("value", "percent", "spreads") if given.get(w) is not None]
        if len(ways) != 1:
            raise self.fail(f"{where}.tolerance", "Expected one of value, percent, spreads.")
        amount = given[ways[0]]
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount <= 0:
            raise self.fail(f"{where}.tolerance.{ways[0]}", f"is {amount!r}. Expected a number above 0.")
        if ways[0] == "value":
            return Tolerance(float(amount), reason)
        one = {
            "percent": None if value is None else abs(value) / 100,
            "spreads": None if spread is None else spread.value,
        }
        base = one[ways[0]]
        if base == 0:
            raise self.fail(f"{where}.tolerance.{ways[0]}", "gives 0, which nothing can meet. Expected a value.")
        return None if base is None else Tolerance(base * amount, reason)

    def recipe(self, raw: Mapping[str, Any], where: str) -> Recipe | None:
        name = raw.get("experiment")
        if not name:
            return None
        if name not in self.experiments:
            raise self.fail(where, f"names the experiment {name!r}. {suggest(str(name), self.experiments)}")
        return Recipe(str(name), tuple(str(o) for o in raw.get("overrides") or ()))

    def measure(self, pattern: Any, at: Any, where: str) -> str | None:
        if not pattern:
            return None
        if "{at}" in pattern and not at:
            return None
        return str(pattern).replace("{at}", str(at or ""))

    def claim(self, key: str, raw: Any, defaults: dict[str, Any]) -> Claim:
        where = f"claims.{key}"
        claim = self.mapping(raw, where, _CLAIM)
        kind = self.choice(claim.get("kind"), words.ClaimKind, f"{where}.kind")
        why, pending = claim.get("why"), claim.get("pending", defaults.get("pending"))
        terms = []
        for i, term_raw in enumerate(claim.get("terms") or []):
            at = f"{where}.terms[{i}]"
            term = self.mapping(term_raw, at, _TERM)
            recipe = self.recipe(term, at)
            measure = self.measure(term.get("measure", claim.get("measure")), term.get("at"), at)
            if recipe is not None and measure is None:
                raise self.fail(at, "has no measure. Expected e.g. measure: test/bpd, with at where it says {at}.")
            x = term.get("x", i)
            if isinstance(x, bool) or not isinstance(x, (int, float)):
                raise self.fail(f"{at}.x", f"is {x!r}. Expected a number.")
            terms.append(Term(self.text(term, "label", at), recipe, measure or "", float(x)))
        least, most = {"ordering": (2, 99), "trend": (3, 99), "equivalence": (2, 2), "threshold": (1, 1)}[kind]
        if kind == "trend" and len({t.x for t in terms}) < len(terms):
            raise self.fail(f"{where}.terms", "has two terms at the same x. A trend needs different ones.")
        tested = bool(terms) and all(t.recipe for t in terms)
        if terms and not least <= len(terms) <= most:
            raise self.fail(f"{where}.terms", f"has {len(terms)} terms. An {kind} has {least} or more, at most {most}.")
        if not tested and not why and not pending:
            raise self.fail(where, "has no experiments to test it. Name them, or say why not (why, pending).")
        margin = self.tolerance(claim.get("margin"), None, None, where)
        if tested and kind == "equivalence" and margin is None:
            raise self.fail(where, "is an equivalence without a margin. Expected margin: {value: ..., reason: ...}.")
        bound = claim.get("bound")
        if tested and kind == "threshold" and (isinstance(bound, bool) or not isinstance(bound, (int, float))):
            raise self.fail(f"{where}.bound", f"is {bound!r}. A threshold needs a number.")
        return Claim(
            paper=self.name,
            id=key,
            text=self.text(claim, "text", where),
            kind=kind,
            sure=self.choice(claim.get("sure", defaults.get("sure")), words.Sure, f"{where}.sure"),
            source=self.text({**defaults, **claim}, "source", where),
            terms=tuple(terms),
            relation=self.choice(claim.get("relation", "falls"), words.Relation, f"{where}.relation"),
            direction=self.choice(claim.get("direction", "lower"), words.Direction, f"{where}.direction"),
            margin=margin,
            bound=None if bound is None else float(bound),
            version=claim.get("version"),
            note=str(claim.get("note") or "").strip(),
            why=why,
            pending=None if tested else pending,
        )


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _decimals(text: str) -> int | None:
    return None if "e" in text else len(text.partition(".")[2])


def _merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """What a figure inherits, the last layer that gives a key wins; a spread's meaning is merged key by key."""
    found: dict[str, Any] = {}
    for layer in layers:
        for key in _INHERITED:
            if key not in layer:
                continue
            old, new = found.get(key), layer[key]
            found[key] = {**old, **new} if key == "spread" and isinstance(old, dict) and isinstance(new, dict) else new
    return found


def check_paper(name: str) -> Paper:
    """Read a paper and check what its recipes name: that they compose, and that a row's overrides change something.

    Raises:
        ConfigError: something is wrong; the message names the place.
    """
    from reprise.config.compose import compose_config
    from reprise.config.protocol import protocol_values

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
