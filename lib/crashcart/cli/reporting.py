"""``runs.report``: the reports of a past run, made from its journal."""

from __future__ import annotations

import sys
from pathlib import Path

from crashcart.cli.house import to_json
from crashcart.errors import BadInput
from crashcart.journal.recall import PastRun
from crashcart.reports.folder import report_files, write_report
from crashcart.results import EXIT_FAILED, EXIT_OK

DEFAULT = "report.html"
"""What is written, beside the journal, where no place is named."""


def report(journal: Path, place: str | None, *, as_json: bool) -> int:
    """Write the reports that ``place`` means and say where they are. Raises ``BadInput`` and ``JournalError``."""
    if place == "":
        raise BadInput("--report: expected a path, got nothing")
    files = report_files(Path(place).absolute() if place else journal.parent.absolute() / DEFAULT)
    past = PastRun.read(journal)
    notes = {file: write_report(file, past) for file in files}
    written = [str(file) for file, note in notes.items() if not note]
    for note in filter(None, notes.values()):
        print(f"note: {note}", file=sys.stderr)
    print(to_json({"schema": 1, "run": past.started.run, "written": written}) if as_json else "\n".join(written))
    return EXIT_OK if len(written) == len(files) else EXIT_FAILED
