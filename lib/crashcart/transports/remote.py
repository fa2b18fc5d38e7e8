"""The line that runs a script on a host: in its own process group, with a time limit there, as root where asked.

The line is read by the login shell of the user, so it holds nothing but ``exec`` and quoted words: sh, bash, dash, zsh
and ksh read it alike. csh and tcsh cannot (a quoted newline, ``!``), fish only without backslashes; the start failure
that follows names the login shell as the suspect.

What happens on the host, from the outside in: sudo (unless the user is root already), ``timeout``, which makes itself
the leader of a process group, and ``sh`` with a prologue and the script. The prologue

- takes stdin away, so that a password that sudo did not read is not read by the script either;
- stays alive after ``timeout`` has sent TERM (its trap sleeps), so that the KILL that follows still finds the group and
  ends children that ignore TERM, even when the controller is gone;
- writes a marker line to stdout and to stderr, the latter with the number of the group. What a login shell, sudo or a
  banner wrote before the markers is not the script's output.
"""

from __future__ import annotations

import secrets
import shlex

from crashcart.errors import BadInput, TransportError
from crashcart.transports.base import Command

KILL_AFTER = 2.0
"""Seconds between TERM and KILL when a command's time is up."""

LINE_LIMIT = 128 * 1024 - 1
"""Bytes that Linux takes as one argument, which is what the whole line becomes when the login shell starts."""

_PROLOGUE = (
    "exec </dev/null; trap 'exec sleep 60' TERM; LC_ALL=C PATH=$PATH:/usr/sbin:/sbin; export LC_ALL PATH; "
    'echo {token}; echo {token} "$PPID" >&2\n'
)
_BECOME = 'LC_ALL=C; export LC_ALL; [ "$(id -u)" = 0 ] || set -- {sudo} -- "$@"; exec "$@"'
_SUDO = "sudo -n"
_SUDO_WITH_PASSWORD = "sudo -S -p ''"  # noqa: S105 - an empty prompt, not a password
_END_GROUP = """\
kill -s TERM -- "-$1" 2>/dev/null || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; kill -s 0 -- "-$1" 2>/dev/null || exit 0; done
kill -s KILL -- "-$1" 2>/dev/null; exit 0"""


def new_token() -> str:
    """Return a marker that no output holds by chance."""
    return f"crashcart-{secrets.token_hex(8)}"


def remote_line(command: Command, token: str, *, with_password: bool = False) -> bytes:
    """Return the line to be run by the login shell.

    Raises ``BadInput`` for an argument that no process can be given, ``TransportError`` for a line over ``LINE_LIMIT``.
    """
    seconds = f"{max(command.timeout, 0.1):.3f}"
    script = _PROLOGUE.format(token=token) + command.script
    words = ["timeout", "-k", f"{KILL_AFTER:g}", seconds, "sh", "-c", script, "sh", *command.args]
    if command.become:
        sudo = _SUDO_WITH_PASSWORD if with_password else _SUDO
        words = ["sh", "-c", _BECOME.format(sudo=sudo), "sh", *words]
    return _encode("exec " + shlex.join(words))


def end_group(group: int, command: Command) -> Command:
    """Return the command that ends the process group of another one: TERM, within a second KILL.

    Whether the group is gone afterwards is not asked: where nobody buries orphans, as in a container, it never is.
    """
    return Command(script=_END_GROUP, args=(str(group),), timeout=10.0, become=command.become, keep=4096)


def _encode(line: str) -> bytes:
    """Encode as Python decodes file names, so that names in any encoding come back as the bytes they were."""
    try:
        data = line.encode(errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise BadInput(f"an argument cannot be sent to a host: {error.reason}") from error
    if b"\0" in data:
        raise BadInput("an argument holds a NUL byte; no process can be given one")
    if len(data) > LINE_LIMIT:
        raise TransportError(f"the command is {len(data)} bytes long; a host takes at most {LINE_LIMIT} at once")
    return data
