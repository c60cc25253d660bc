"""The report's page: every reported figure beside ours, with the evidence behind it."""

from reprise.reproduction.report.page import PAGE, render_page
from reprise.reproduction.report.samples import Media

__all__ = ["PAGE", "Media", "render_page"]
