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
"""Each file by its name, and what makes it."""

_READABLE = 0o644


def check_report_folder(folder: Path) -> None:
    """Make the folder, before anything is contacted. Raises ``BadInput`` when it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInput(f"--report: {folder} cannot be written: {error.strerror}") from error


def write_reports(folder: Path, past: PastRun) -> None:
    """Write every report, each whole or not at all. Raises ``BadInput`` when one cannot be written."""
    for name, make in REPORTS.items():
        _write(folder / name, make(past))


def _write(path: Path, data: bytes) -> None:
    try:
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=path.parent, delete=False) as file:
            file.write(data)
        half = Path(file.name)
        half.chmod(_READABLE)
        half.replace(path)
    except OSError as error:
        raise BadInput(f"--report: {path} cannot be written: {error.strerror}") from error
