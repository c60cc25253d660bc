"""Symbols of verdicts and outcomes, drawn once and used everywhere, so that no badge speaks by colour alone."""

from __future__ import annotations

_CHECK = '<path d="M3 8.5l3.2 3.2L13 4.8"/>'
_CROSS = '<path d="M4 4l8 8M12 4l-8 8"/>'
_WAVE = '<path d="M2.5 9.5c1.8-3.4 3.6-3.4 5.5-1.5s3.7 1.9 5.5-1.5"/>'
_SHAPES = {
    "reproduced": _CHECK,
    "holds": _CHECK,
    "better": '<path d="M8 13V3.5M3.8 7.6L8 3.4l4.2 4.2"/>',
    "not-reproduced": _CROSS,
    "contradicted": _CROSS,
    "inconclusive": _WAVE,
    "undecided": _WAVE,
    "scaled": '<path d="M2.5 13.5h11v-11z"/>',
    "stale": '<circle cx="8" cy="8" r="5.6"/><path d="M8 4.8V8l2.4 1.6"/>',
    "missing": '<circle cx="8" cy="8" r="5.4" stroke-dasharray="2.4 2.2"/>',
    "not-testable": '<circle cx="8" cy="8" r="5.6"/><path d="M4.2 11.8l7.6-7.6"/>',
    "quoted": '<path d="M3.5 6.2h2.6v3.6H3.5zM9.5 6.2h2.6v3.6H9.5z"/>',
    "measured": '<circle cx="8" cy="8" r="5.4"/><circle cx="8" cy="8" r="1.4"/>',
}
ICONS = (
    '<svg class="icons" aria-hidden="true" width="0" height="0"><defs>'
    + "".join(f'<symbol id="i-{name}" viewBox="0 0 16 16">{shape}</symbol>' for name, shape in _SHAPES.items())
    + "</defs></svg>"
)
