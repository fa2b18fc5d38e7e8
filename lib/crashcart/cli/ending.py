"""How a command ends when it did not run: one clear message, the right exit code, and JSON where it was asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from invoke import Exit

from crashcart.errors import BadInput, CrashcartError, JournalError, Refused, Unreachable
from crashcart.results import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE

_CODES: tuple[tuple[type[CrashcartError], int, str], ...] = (
    (BadInput, EXIT_BAD_INPUT, "invalid"),
    (Refused, EXIT_REFUSED, "refused"),
    (JournalError, EXIT_REFUSED, "refused"),
    (Unreachable, EXIT_UNREACHABLE, "unreachable"),
    (CrashcartError, EXIT_FAILED, "failed"),
)


def exit_code_of(error: CrashcartError) -> int:
    """Return the exit code of an error that ended a command."""
    return next(code for kind, code, _ in _CODES if isinstance(error, kind))


def write_document(document: Mapping[str, Any]) -> None:
    """Print a JSON document: the only thing that stdout gets."""
    from crashcart.reports.document import encode

    sys.stdout.buffer.write(encode(document))
    sys.stdout.buffer.flush()


def refuse(error: CrashcartError, code: int, *, as_json: bool, playbook: str = "") -> Exit:
    """Say why nothing ran and return the ``Exit`` to raise. Text goes to stderr, the JSON document to stdout."""
    status = next(status for kind, _, status in _CODES if isinstance(error, kind))
    if as_json:
        from crashcart.reports.document import refusal_document

        write_document(refusal_document(status, code, error.message, playbook, hint=error.hint))
    print(f"{status}: {error}", file=sys.stderr)
    return Exit(code=code)


def ended(command: Callable[[], int], *, as_json: bool = False, playbook: str = "") -> None:
    """Run a command and leave with its exit code; errors of ours become messages, never tracebacks."""
    try:
        code = command()
    except CrashcartError as error:
        raise refuse(error, exit_code_of(error), as_json=as_json, playbook=playbook) from error
    if code:
        raise Exit(code=code)
