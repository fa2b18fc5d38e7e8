"""``--report DIR``: what a run leaves for others to read, made from its journal."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from crashcart.errors import BadInput
from crashcart.journal.recall import PastRun
from crashcart.reports.html import html
from crashcart.reports.junit import junit
from crashcart.reports.markdown import markdown

REPORTS: dict[str, Callable[[PastRun], bytes]] = {
    "junit.xml": junit,
    "report.html": html,
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


def report_files(place: Path) -> list[Path]:
    """Return the files that a place means: one by the end of its name, else those of a folder. Raises ``BadInput``."""
    kinds = {Path(name).suffix for name in REPORTS}
    if place.suffix not in kinds or place.is_dir():
        check_report_folder(place)
        return [place / name for name in REPORTS]
    check_report_folder(place.parent)
    return [place]


def write_report(file: Path, past: PastRun) -> str:
    """Write the report that the end of a file's name asks for, whole or not at all. Returns why it could not be written."""
    make = next(make for name, make in REPORTS.items() if Path(name).suffix == file.suffix)
    return _noted(write_whole(file, make(past)))


def write_reports(folder: Path, past: PastRun) -> list[str]:
    """Write every report, each whole or not at all. Returns what could not be written, and why.

    This is no error any more: the run is over, and its exit code says what came of it.
    """
    notes = (_noted(write_whole(folder / name, make(past))) for name, make in REPORTS.items())
    return [note for note in notes if note]


def write_whole(path: Path, data: bytes) -> str:
    """Write a file for everybody to read, whole or not at all. Returns why it could not be written, or nothing."""
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
        return f"{path} cannot be written: {error.strerror}"
    return ""


def _noted(why: str) -> str:
    return f"--report: {why}" if why else ""
