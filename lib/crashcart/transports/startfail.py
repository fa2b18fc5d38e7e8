"""Why a script never began: sudo said no, a program is missing, or the login shell could not read the line."""

from __future__ import annotations

import re
from typing import NamedTuple

from crashcart.errors import CrashcartError, NotSent, SudoDenied

_NOT_FOUND = 127
_NOT_EXECUTABLE = 126


class _Denial(NamedTuple):
    """A sentence of sudo (of sudo-rs too), what it means and what to do; both may name the ``{user}``."""

    words: re.Pattern[str]
    message: str
    hint: str


def _denial(words: str, message: str, hint: str) -> _Denial:
    return _Denial(re.compile(words, re.IGNORECASE), message, hint)


_NOPASSWD = "allow it without one: '{user} ALL=(ALL) NOPASSWD: ALL' in /etc/sudoers.d/crashcart"
_DENIALS = (
    _denial(
        r"incorrect (password|authentication) attempt|authentication failed, try again|sorry, try again",
        "sudo did not accept the password of {user}",
        f"type it again with --ask-become-pass, or {_NOPASSWD}",
    ),
    _denial(
        r"a password is required|(interactive )?authentication (is )?required|no password was provided",
        "sudo wants a password for {user}",
        f"give it with --ask-become-pass, or {_NOPASSWD}",
    ),
    _denial(
        r"must have a tty|no tty present",
        "sudo wants a terminal for {user}",
        "put 'Defaults:{user} !requiretty' into /etc/sudoers.d/crashcart",
    ),
    _denial(
        r"not in the sudoers file|may not run sudo|not allowed to (run|execute)|isn't allowed|not permitted",
        "sudo does not allow {user} to become root",
        "put '{user} ALL=(ALL) NOPASSWD: ALL' into /etc/sudoers.d/crashcart, or log in as another ansible_user",
    ),
    _denial(
        r"sudo: (command )?not found|sudo: no such file",
        "sudo is not installed there, and {user} is not root",
        "install sudo on the host, or log in as root (ansible_user: root)",
    ),
    _denial(
        r"^sudo(-rs)?: .*(account|password|expired|policy|plugin|sudoers|uid 0|setuid|privileges)",
        "sudo failed for {user}: {line}",
        "run 'sudo -n true' on the host as {user} and mend what it says",
    ),
)
_MISSING = re.compile(r"(\w+): (?:command )?not found|failed to (?:run|execute) command '?(\w+)|can't execute '?(\w+)")
_LOGIN_SHELL = "the login shell of {user} must be sh, bash, dash, zsh or ksh and must run commands without a terminal"


def start_failure(complaint: str, user: str, status: int | None, *, become: bool) -> CrashcartError:
    """Say why the script did not begin, from what was written instead of its marker.

    ``SudoDenied`` when it was sudo, else ``NotSent``: in both cases nothing was done on the host.
    """
    line = complaint.rpartition("\n")[2][:300]
    if become:
        for denial in _DENIALS:
            if denial.words.search(complaint):
                return SudoDenied(denial.message.format(user=user, line=line), hint=denial.hint.format(user=user, line=line))
    return _not_begun(line, user, status)


def _not_begun(line: str, user: str, status: int | None) -> NotSent:
    missing = _MISSING.search(line)
    if missing and status in (_NOT_FOUND, _NOT_EXECUTABLE):
        program = next(filter(None, missing.groups()))
        return NotSent(f"the host has no {program!r}, which every command needs", hint=f"install {program} there")
    said = f": {line}" if line else f" (exit status {status}, nothing said)"
    return NotSent(f"the command did not begin{said}", hint=_LOGIN_SHELL.format(user=user))
