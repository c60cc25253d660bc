"""Turn the YAML of a paper file into a paper: tables, figures with what they inherit, claims."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reprise.config.errors import suggest
from reprise.reproduction import paper as words
from reprise.reproduction.paper import Claim, CodeLink, Column, Paper, Row, Table, Target, Term
from reprise.reproduction.paper_parts import (
    CELL,
    CLAIM,
    COLUMN,
    HEAD,
    INHERITED,
    ROW,
    TABLE,
    TERM,
    TERMS,
    PartReader,
    as_written,
    merge,
)


class PaperReader(PartReader):
    """Turns parsed YAML into a paper.

    Args:
        name: of the paper.
        file: for messages.
    """

    def paper(self, raw: Any) -> Paper:
        """Read a whole paper."""
        head = self.mapping(raw, "", HEAD)
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
        for i, link in enumerate(self.sequence(head.get("code"), "code")):
            link = self.mapping(link, f"code[{i}]", {"url", "official", "note"})
            url = self.text(link, "url", f"code[{i}]")
            if not url.startswith("https://"):
                raise self.fail(f"code[{i}].url", f"is {url!r}. Expected https://...")
            code.append(CodeLink(url, self.flag(link, "official", f"code[{i}]"), str(link.get("note") or "")))
        defaults = self.mapping(head.get("defaults") or {}, "defaults", INHERITED)
        columns = {
            key: self.mapping(value, f"columns.{key}", COLUMN)
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
        """Read a table with its rows."""
        where = f"tables.{key}"
        table = self.mapping(raw, where, TABLE)
        names = table.get("columns")
        if not isinstance(names, list) or not names:
            raise self.fail(f"{where}.columns", "is empty. Expected a list of names from the columns of the paper.")
        for name in names:
            if not isinstance(name, str) or name not in columns:
                raise self.fail(f"{where}.columns", f"names {name!r}. {suggest(str(name), columns)}")
        if len(set(names)) < len(names):
            raise self.fail(f"{where}.columns", f"is {names!r}. Expected each name once.")
        headings = self.sequence(table.get("facts"), f"{where}.facts")
        if not all(isinstance(h, str) for h in headings):
            raise self.fail(f"{where}.facts", f"is {headings!r}. Expected a list of headings.")
        shown: list[Column] = []
        rows: list[Row] = []
        group = ""
        for name in names:
            # Where datasets are the rows, the methods, rivals among them, are the columns.
            self.flag(columns[name], "baseline", f"columns.{name}")
            merged = merge(defaults, columns[name], table)
            direction = self.choice(merged.get("direction"), words.Direction, f"columns.{name}.direction")
            label = self.text(columns[name], "label", f"columns.{name}")
            shown.append(Column(name, label, str(merged.get("unit") or ""), direction))
        for row_key, row_raw in self.items(table.get("rows"), f"{where}.rows"):
            at = f"{where}.rows.{row_key}"
            row = self.mapping(row_raw, at, ROW)
            values = self.mapping(row.get("values"), f"{at}.values", names)
            group = str(row["group"] or "") if "group" in row else group
            baseline = self.flag(row, "baseline", at)
            label = self.text(row, "label", at)
            facts = self.sequence(row.get("facts"), f"{at}.facts") or [""] * len(headings)
            if len(facts) != len(headings):
                raise self.fail(f"{at}.facts", f"is {facts!r}. Expected {len(headings)}, as the table has headings.")
            if any(isinstance(f, (bool, list, dict)) for f in facts):
                raise self.fail(f"{at}.facts", f"is {facts!r}. Expected words and numbers; quote 'yes' and 'no'.")
            targets = {
                name: self.target(
                    (key, row_key, name),
                    values[name],
                    merge(defaults, columns[name], table, row),
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
                Row(row_key, label, group, baseline, tuple("" if f is None else as_written(f) for f in facts), targets)
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
        """Read a figure: what it says itself over what it inherits."""
        where = f"tables.{place[0]}.rows.{place[1]}.values.{place[2]}"
        cell = self.mapping(raw if isinstance(raw, Mapping) else {"value": raw}, where, CELL)
        if "value" not in cell:
            raise self.fail(where, "has no value. Expected a number, a text as printed, or null.")
        value, bound, printed_spread, decimals = self.printed(cell["value"], where)
        bound = self.choice(cell.get("bound", bound), words.Bound, f"{where}.bound")
        spread_raw = cell.get("spread")
        if isinstance(spread_raw, dict) and spread_raw.get("value") is not None:
            self.number(spread_raw["value"], f"{where}.spread.value")
            printed_spread = as_written(spread_raw["value"])
        if "value" in (merged.get("spread") or {}):
            raise self.fail(
                where, "inherits the value of a spread. Expected that beside the figure, as in 4.47 ± 0.04."
            )
        merged = merge(merged, cell)
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
        digits = decimals if merged.get("digits") is None else merged["digits"]
        if digits is not None and digits < 0:
            raise self.fail(f"{where}.digits", f"is {digits}. Expected 0 or more.")
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
        tolerance = self.tolerance(merged.get("tolerance"), value, spread, f"{where}.tolerance")
        if recipe is not None and value is not None and not why and tolerance is None:
            if merged.get("tolerance"):
                raise self.fail(
                    f"{where}.tolerance", "is in spreads, but the figure has none. Expected value or percent."
                )
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
            pick=self.choice(merged.get("pick") or "final", words.Pick, f"{where}.pick"),
            scale=1.0 if merged.get("scale") is None else float(merged["scale"]),
            hardware=merged.get("hardware"),
            why=why.strip() if why else None,
            pending=pending.strip() if pending and recipe is None else None,
            standin=standin,
            blank=str(merged.get("blank") or "") if value is None else "",
            standin_measure=self.measure(merged.get("measure"), merged.get("standin_at", merged.get("at")), where),
            **fixed,
        )

    def claim(self, key: str, raw: Any, defaults: dict[str, Any]) -> Claim:
        """Read a claim with its terms."""
        where = f"claims.{key}"
        claim = self.mapping(raw, where, CLAIM)
        kind = self.choice(claim.get("kind"), words.ClaimKind, f"{where}.kind")
        why, pending = claim.get("why"), claim.get("pending", defaults.get("pending"))
        terms = []
        for i, term_raw in enumerate(self.sequence(claim.get("terms"), f"{where}.terms")):
            at = f"{where}.terms[{i}]"
            term = self.mapping(term_raw, at, TERM)
            recipe = self.recipe(term, at)
            measure = self.measure(term.get("measure", claim.get("measure")), term.get("at"), at)
            if recipe is not None and measure is None:
                raise self.fail(at, "has no measure. Expected e.g. measure: test/bpd, with at where it says {at}.")
            x = self.number(term.get("x", i), f"{at}.x")
            terms.append(Term(self.text(term, "label", at), recipe, measure or "", x))
        least, most, count = TERMS[kind]
        if kind == "trend" and len({t.x for t in terms}) < len(terms):
            raise self.fail(f"{where}.terms", "has two terms at the same x. A trend needs different ones.")
        tested = bool(terms) and all(t.recipe for t in terms)
        if terms and not least <= len(terms) <= most:
            raise self.fail(f"{where}.terms", f"has {len(terms)}. Expected {count}, as in every {kind}.")
        if not tested and not why and not pending:
            raise self.fail(where, "has no experiments to test it. Name them, or say why not (why, pending).")
        margin = self.tolerance(claim.get("margin"), None, None, f"{where}.margin")
        if claim.get("margin") is not None and margin is None:
            raise self.fail(f"{where}.margin", "is relative to nothing. Expected a value, in the unit of the measure.")
        if tested and kind == "equivalence" and margin is None:
            raise self.fail(where, "is an equivalence without a margin. Expected margin: {value: ..., reason: ...}.")
        bound = None if claim.get("bound") is None else self.number(claim["bound"], f"{where}.bound")
        if tested and kind == "threshold" and bound is None:
            raise self.fail(where, "is a threshold without a bound. Expected bound: a number.")
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
            bound=bound,
            version=claim.get("version"),
            note=str(claim.get("note") or "").strip(),
            why=why,
            pending=None if tested else pending,
        )
