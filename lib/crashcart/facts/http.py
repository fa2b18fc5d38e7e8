"""HTTP health as a host sees it: one bounded GET, by curl or wget on the host, else through the host's connection.

Nothing is uploaded, no temporary file is made, at most ``KEPT`` bytes of the answer are read.
"""

from __future__ import annotations

import re
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from crashcart.errors import Cancelled, ConnectionLost, FactUnreadable, TransportError, Unreachable
from crashcart.transports.base import Command, Transport

LIMIT = 5.0
"""Seconds that a health probe may take."""

KEPT = 4096
"""Bytes of an answer that are read, its headers included."""

SHORT = 120
"""Characters of an answer's first line that are quoted."""

PROBE = r"""
# probe URL SECONDS: how the URL answers, seen from here. Proxies and the user's own settings would show another world,
# redirects another page. --foreground keeps the tool in our process group, so that it dies with us.
ask() {
  case $1 in
    curl) timeout --foreground -k 1 "$4" curl -q -sS -g -i -m "$3" --noproxy '*' --url "$2" ;;
    wget) timeout --foreground -k 1 "$4" wget --no-config --no-hsts -nv -S -O - --content-on-error --no-proxy -t 1 -T "$3" \
            --max-redirect=0 "$2" ;;
  esac
}
probe() {
  if command -v curl >/dev/null 2>&1; then tool=curl
  elif command -v wget >/dev/null 2>&1; then tool=wget
  else printf 'tool=none\n\n'; return
  fi
  printf 'tool=%s\n' "$tool"
  exec 3>&1
  reply=$({ ask "$tool" "$1" "$2" "$3" </dev/null; printf 'exit=%s\n' "$?" >&3; } 2>&1 | head -c 4096)
  printf '\n%s\n' "$reply"
}
"""
"""A shell function for scripts that probe: ``probe URL SECONDS SECONDS_AT_MOST``."""

SCRIPT = PROBE + 'probe "$1" "$2" "$3"\n'

_STATUS = re.compile(r"^\s*HTTP/[\d.]+ +([2-9]\d\d)", re.MULTILINE)
_CURL_SAYS = re.compile(r"^curl: \(\d+\) (.*)$", re.MULTILINE)
_MEASURED = re.compile(r" after \d+ (?:ms|milliseconds)")
_WGET_HEADER = re.compile(r"(?:  \S[^\n]*\n?)+")
_WGET_REPORT = re.compile(r"^(?:https?://\S+:|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d .*|\d+ redirections exceeded\.)$")

_TIMED_OUT = frozenset({28, 124, 137})
"""curl's own limit, and ``timeout`` ending either tool; wget knows no 28."""
_SILENT = {"curl": frozenset({7, 18, 52, 55, 56, 92, 95, 96}) | _TIMED_OUT, "wget": frozenset({4}) | _TIMED_OUT}
"""Exit statuses that mean: the service did not answer, or stopped in the middle. All others blame the tool or the URL."""
_WGET_BLAMELESS = re.compile(r"unable to resolve|SSL|TLS|certificate", re.IGNORECASE)
_WGET_SERVER_ERROR = 8


class Health(StrEnum):
    """How a health URL answers. Only ``unwell`` and ``silent`` speak against the service."""

    OK = "ok"
    """A status from 200 to 399."""
    UNWELL = "unwell"
    """A status of 500 or more: it answers, and says that it is not well."""
    SILENT = "silent"
    """Nothing listens, or no whole answer came in time: hung or gone."""
    WRONG = "wrong"
    """A status from 400 to 499: it answers, but this is not a health page, or needs a login."""
    UNKNOWN = "unknown"
    """Could not be asked: no tool, no route, a name that does not resolve, a certificate that is not trusted."""


class Probe(msgspec.Struct, frozen=True):
    """What a health URL answered. ``reason`` is the body's first line, or the tool's error; ``by`` says who asked."""

    health: Health
    status: int = 0
    reason: str = ""
    by: str = ""
    url: str = ""

    @property
    def words(self) -> str:
        """The answer as people say it: ``200``, ``503 disk full``, ``no answer (timed out)``."""
        if self.status and self.health is not Health.SILENT:
            return f"{self.status} {self.reason}".strip() if self.health is not Health.OK else str(self.status)
        return f"no answer ({self.reason})" if self.health is Health.SILENT else f"not known ({self.reason})"

    @property
    def line(self) -> str:
        """The answer with the part of the URL that names it: ``/health 503 disk full``."""
        parts = urlsplit(self.url)
        return f"{parts.path if len(parts.path) > 1 else parts.netloc} {self.words}".strip()

    @property
    def tool_failed(self) -> bool:
        """Whether the host's own tools could not ask, so that asking through its connection is worth a try."""
        return self.health is Health.UNKNOWN and self.by != "controller"


def arguments(url: str, timeout: float = LIMIT) -> tuple[str, str, str]:
    """Return the arguments of ``probe``: the tool's own limit, and a second later the one that ends the tool."""
    return url, f"{timeout:g}", f"{timeout + 1:g}"


def observe(transport: Transport, url: str, timeout: float = LIMIT) -> Probe:
    """Probe a URL from its host. Raises ``FactUnreadable`` and the transport's errors."""
    command = Command(SCRIPT, arguments(url, timeout), timeout=timeout + 10, become=False)
    result = transport.run(command)
    if not result.ok:
        raise FactUnreadable(f"{url} could not be probed: {result.ending}")
    return complete(transport, parse(result.stdout.data), url, timeout)


def complete(transport: Transport, probe: Probe, url: str, timeout: float = LIMIT) -> Probe:
    """Ask through the host's connection what its own tools could not, and note the URL.

    The tools' reason stays when that fails too.
    """
    answered = _fetch(transport, probe, url, timeout) if probe.tool_failed else probe
    return msgspec.structs.replace(answered, url=str(url))


def _fetch(transport: Transport, probe: Probe, url: str, timeout: float) -> Probe:
    try:
        reply = transport.fetch(url, timeout)
    except (Cancelled, ConnectionLost, Unreachable):
        raise  # the session itself is gone: that is for the next look to find out
    except TransportError as error:
        return msgspec.structs.replace(probe, reason=f"{probe.reason}; through the connection: {error.message}")
    if not reply.status:
        reason = "timed out" if reply.body.startswith("no answer within") else reply.body
        return Probe(Health.SILENT, reason=reason, by="controller")
    return Probe(_judge(reply.status), reply.status, _first_line(reply.body), "controller")


def parse(stdout: bytes) -> Probe:
    """Read what ``probe`` printed. Raises ``FactUnreadable`` when that is not its form."""
    head, _, reply = stdout.decode(errors="replace").partition("\n\n")
    fields = dict(line.partition("=")[::2] for line in head.splitlines())
    tool, status = fields.get("tool", ""), fields.get("exit", "")
    if tool == "none":
        return Probe(Health.UNKNOWN, reason="neither curl nor wget on the host", by=tool)
    if tool not in _SILENT or not status.isdecimal():
        raise FactUnreadable(f"expected a health probe's answer, got {head[:SHORT]!r}")
    return _read_reply(tool, int(status), reply)


def _read_reply(tool: str, ended: int, reply: str) -> Probe:
    answered = _STATUS.search(reply)
    status = int(answered[1]) if answered else 0
    if answered and _is_whole(tool, ended, reply):
        return Probe(_judge(status), status, _first_line(_body(tool, reply)), tool)
    error = "stopped in the middle of the answer" if answered else _error(tool, ended, reply)
    silent = ended in _SILENT[tool] and not (tool == "wget" and _WGET_BLAMELESS.search(reply))
    return Probe(Health.SILENT if silent else Health.UNKNOWN, status, error, tool)


def _is_whole(tool: str, ended: int, reply: str) -> bool:
    """Tell whether the answer came to its end, or to the end of what we read of it."""
    return ended == 0 or (tool == "wget" and ended == _WGET_SERVER_ERROR) or len(reply.encode()) >= KEPT - 1


def _judge(status: int) -> Health:
    if 200 <= status < 400:
        return Health.OK
    return Health.WRONG if 400 <= status < 500 else Health.UNWELL


def _body(tool: str, reply: str) -> str:
    if tool == "curl":
        return reply.replace("\r\n", "\n").partition("\n\n")[2]
    # wget prints headers indented, then the body, then its own report of the transfer.
    body = _WGET_HEADER.sub("", reply.lstrip("\n"), count=1)
    return "\n".join(line for line in body.splitlines() if not _WGET_REPORT.match(line))


def _error(tool: str, ended: int, reply: str) -> str:
    """Return the tool's complaint; without the milliseconds, which would make every look's words differ."""
    if ended in _TIMED_OUT or "timed out" in reply:
        return "timed out"
    said = _CURL_SAYS.search(reply) if tool == "curl" else None
    text = _MEASURED.sub("", said[1]) if said else _first_line(reply)
    return text[:SHORT] or f"{tool} ended with status {ended}"


def _first_line(text: str) -> str:
    """Return the first line with something in it, without control characters, cut to a length that fits a message."""
    lines = ("".join(char for char in line if char.isprintable()).strip() for line in text.splitlines())
    return next((line for line in lines if line), "")[:SHORT]
