"""The bar that filters the page; without the script it is not shown."""

from __future__ import annotations

from reprise.reproduction.report.context import Context
from reprise.reproduction.report.markup import slug, text
from reprise.reproduction.standing import KINDS, OUTCOMES, Report


def controls_html(report: Report, context: Context) -> str:
    """Search, verdict, paper, two switches, and how much of the page is left."""
    kinds = _options([k for k in KINDS if k != "quoted"])
    outcomes = _options([o for o in OUTCOMES if o not in KINDS])
    papers = "".join(
        f'<option value="{context.ids.of("p", p.paper.name)}">{text(p.paper.name)}</option>' for p in report.papers
    )
    return (
        '<form class="controls" id="controls" role="search" aria-label="Filter figures and claims" hidden>'
        '<label class="wide">Search <input type="search" name="q" autocomplete="off" '
        'placeholder="row, metric"></label>'
        '<label>Verdict <select name="verdict"><option value="">all</option>'
        f'<optgroup label="figures">{kinds}</optgroup>'
        f'<optgroup label="claims only">{outcomes}</optgroup></select></label>'
        f'<label>Paper <select name="paper"><option value="">all</option>{papers}</select></label>'
        '<label class="switch"><input type="checkbox" name="runs"> only with runs</label>'
        '<label class="switch"><input type="checkbox" name="baselines" checked> competitors</label>'
        '<p class="status" role="status"></p>'
        '<button type="button" class="reset" hidden>Show all</button></form>'
    )


def _options(names: list[str]) -> str:
    return "".join(f'<option value="{slug(n)}">{text(n)}</option>' for n in names)
