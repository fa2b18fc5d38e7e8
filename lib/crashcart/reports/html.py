"""A run as one HTML file: it loads nothing, runs without its script, and says the worst first."""

from __future__ import annotations

from crashcart.journal.recall import PastRun
from crashcart.reports.html_page import make_page


def html(past: PastRun) -> bytes:
    """Return the run as a page in UTF-8; the same bytes for the same journal."""
    # jinja2 is needed by those only who asked for a report.
    from crashcart.reports.html_template import render  # noqa: PLC0415

    return render("report.html", page=make_page(past))
