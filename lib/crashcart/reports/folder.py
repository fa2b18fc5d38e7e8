"""``--report DIR``: what a run leaves for others to read, made from its journal."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from crashcart.errors import BadInput
from crashcart.journal.recall import PastRun
from crashcart.reports.junit import junit
from crashcart.reports.markdown import markdown

REPORTS: dict[str, Callable[[PastRun], bytes]] = {
    "junit.xml": junit,
    "summary.md": lambda past: markdown(past).encode("utf-8", "backslashreplace"),
}
"""Each file by its name, and what makes it; a new kind of report is one more line here."""

_READABLE = 0o644


def check_report_folder(folder: Path) -> None:
    """Make the folder, before anything is contacted. Raises ``BadInput`` when it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        hint = "name a folder that can be made or written to"
        raise BadInput(f"--report: {folder} cannot be written: {error.strerror}", hint=hint) from error
    for name in REPORTS:
        if (folder / name).is_dir():
            raise BadInput(f"--report: {folder / name} is a folder", hint="name another folder, or move that one away")


def write_reports(folder: Path, past: PastRun) -> list[str]:
    """Write every report, each whole or not at all. Returns what could not be written, and why.

    This is no error any more: the run is over, and its exit code says what came of it.
    """
    notes = (_write(folder / name, make(past)) for name, make in REPORTS.items())
    return [note for note in notes if note]


def _write(path: Path, data: bytes) -> str:
    half: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=path.parent, delete=False) as file:
            half = Path(file.name)
            file.write(data)
        half.chmod(_READABLE)
        half.replace(path)
    except OSError as error:
        if half:
            half.unlink(missing_ok=True)
        return f"--report: {path} cannot be written: {error.strerror}"
    return ""
