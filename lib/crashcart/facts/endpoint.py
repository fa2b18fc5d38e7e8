"""How URLs answer a host, measured: so many requests to each, how long they took, when the certificate ends; one exec.

Seed rows S0-D1 and S0-V1. A redirect is not followed: the page that it leads to may be a login. No body is kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from crashcart.errors import FactUnreadable
from crashcart.transports.base import Command, Transport

CERTIFICATE = r"""
# expiry HOST PORT: when the certificate there ends, and whether it is trusted; nothing where that cannot be told.
expiry() {
  if command -v openssl >/dev/null 2>&1; then
    shown=$(timeout --foreground -k 1 4 openssl s_client -connect "$1:$2" -servername "$1" </dev/null 2>/dev/null)
    printf '%s\n' "$shown" | openssl x509 -noout -enddate 2>/dev/null
    printf '%s\n' "$shown" | sed -n 's/^ *Verify return code: \([0-9]*\) (\(.*\))$/verify=\1 \2/p' | head -n 1
  elif command -v curl >/dev/null 2>&1; then
    timeout --foreground -k 1 4 curl -q -k -s -v -g -o /dev/null -m 3 --noproxy '*' "https://$1:$2/" </dev/null 2>&1 |
      sed -n 's/^\*.*expire date: /notAfter=/p' | head -n 1
  fi
}
"""
"""A shell function for scripts that look at certificates."""

SCRIPT = (
    CERTIFICATE
    + r"""
# $1 requests to each, $2 seconds for one, $3 seconds for all, $4 pause; then of each URL: itself, its host, port if https
times=$1 limit=$2 budget=$3 pause=$4; shift 4
said='\n@ %{http_code} %{time_connect} %{time_appconnect} %{time_total} %{redirect_url}\n'
began=$(date +%s)
within() { timeout --foreground -k 1 "$((${limit%.*} + 2))" "$@"; }
request() {
  if [ "$tool" = curl ]; then
    within curl -q -sS -g -o /dev/null -m "$limit" --noproxy '*' -w "$said" --url "$1" 2>&1
  else
    start=$(date +%s%N)
    answer=$(within wget --no-config --no-hsts -nv -S -O /dev/null --no-proxy -t 1 -T "$limit" --max-redirect=0 "$1" 2>&1)
    set -- "$?" "$(($(date +%s%N) - start))"
    code=$(printf '%s\n' "$answer" | sed -n 's/^ *HTTP\/[0-9.]* \([0-9]\{3\}\).*/\1/p' | tail -n 1)
    printf '%s\n@ %s 0 0 %s.%09d -\n' "$answer" "${code:-000}" "$(($2 / 1000000000))" "$(($2 % 1000000000))"
    return "$1"
  fi
}
if command -v curl >/dev/null 2>&1; then tool=curl; elif command -v wget >/dev/null 2>&1; then tool=wget; else tool=none; fi
printf 'tool=%s\nnow=%s\n' "$tool" "$(date +%s)"
while [ $# -ge 3 ]; do
  printf 'url\n' && [ -z "$3" ] || expiry "$2" "$3"
  number=0
  while [ "$tool" != none ] && [ "$number" -lt "$times" ] && [ "$(($(date +%s) - began))" -lt "$budget" ]; do
    [ "$number" -eq 0 ] || sleep "$pause"
    reply=$(request "$1" </dev/null)
    printf 'sample %s %s\n' "$?" "$(printf '%s' "$reply" | tail -c 1500 | tr '\n\r\0' '   ')"
    number=$((number + 1))
  done
  shift 3
done
printf 'end\n'
"""
)

_MEASURED = re.compile(r"^sample (\d+) (.*)@ (\d{3}) ([0-9.,]+) ([0-9.,]+) ([0-9.,]+) (\S*)\s*$")
_UNTRUSTED = re.compile(r"SSL|TLS|certificate|GnuTLS", re.IGNORECASE)
_CURL_SAYS = re.compile(r"curl: \(\d+\) (.*?)(?: More details here: .*)?$")
_CURL = {6: "dns", 7: "refused", 28: "timeout", 124: "timeout", 137: "timeout"}
_CURL_TLS = frozenset({35, 51, 53, 54, 58, 59, 60, 66, 80, 82, 83, 90, 91})
_CURL_OWN = frozenset({1, 2, 3, 27, 77, 126, 127})
"""Exit statuses that speak of the tool and not of the URL."""


class Trouble(StrEnum):
    """Why no answer came."""

    NONE = "none"
    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    TLS = "tls"
    BROKEN = "broken"
    TOOL = "tool"


class Sample(msgspec.Struct, frozen=True):
    """One request. Times are seconds from its start; ``status`` is 0 where no answer came, ``said`` the tool's complaint."""

    status: int = 0
    total: float = 0.0
    trouble: Trouble = Trouble.NONE
    connected: float = 0.0
    secured: float = 0.0
    redirect: str = ""
    said: str = ""

    @property
    def words(self) -> str:
        """The answer as people say it."""
        if self.trouble is Trouble.NONE:
            return f"{self.status}, a redirect to {self.redirect}" if self.redirect else str(self.status)
        return f"no answer ({self.trouble.value}{': ' if self.said else ''}{self.said})"


class Endpoint(msgspec.Struct, frozen=True):
    """One URL. ``expires`` is when its certificate ends (seconds since 1970), None where that is not known."""

    url: str
    samples: tuple[Sample, ...] = ()
    expires: float | None = None

    def percentile(self, share: float) -> float:
        """Return how long the answers took at most, in seconds, for that share of them (0 to 100)."""
        return percentile([sample.total for sample in self.samples if sample.status], share)


class Endpoints(msgspec.Struct, frozen=True):
    """All URLs that were asked for, by which tool, and when (seconds since 1970, the host's clock)."""

    tool: str
    now: float
    found: tuple[Endpoint, ...] = ()


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile: the smallest value that ``share`` per cent of them do not exceed; 0 of none."""
    if not values:
        return 0.0
    rank = math.ceil(len(values) * share / 100)
    return sorted(values)[max(1, min(rank, len(values))) - 1]


def observe(
    transport: Transport,
    urls: Sequence[str],
    *,
    samples: int = 1,
    timeout: float = 5.0,
    budget: float = 10.0,
    pause: float = 0.0,
) -> Endpoints:
    """Ask each URL ``samples`` times, all within ``budget`` seconds. Raises ``FactUnreadable``, the transport's errors."""
    numbers = (str(samples), f"{timeout:g}", f"{math.ceil(budget)}", f"{pause:g}")
    asked = [part for url in urls for part in _parts(url)]
    result = transport.run(Command(SCRIPT, (*numbers, *asked), timeout=budget + timeout + 10, become=False))
    if not result.ok or result.stdout.cut:
        raise FactUnreadable(f"the URLs could not be asked: {result.ending}")
    state = parse(result.stdout.data)
    named = (msgspec.structs.replace(one, url=str(url)) for one, url in zip(state.found, urls, strict=True))
    return msgspec.structs.replace(state, found=tuple(named))


def parse(stdout: bytes) -> Endpoints:
    """Read what the script printed; the caller knows the URLs. Raises ``FactUnreadable``."""
    lines = stdout.decode(errors="replace").splitlines()
    fields = dict(line.partition("=")[::2] for line in lines[:2])
    if not lines or lines[-1] != "end" or not fields.get("now", "").isdecimal():
        raise FactUnreadable("what the host says of the URLs breaks off")
    tool = fields.get("tool", "")
    return Endpoints(tool, float(fields["now"]), tuple(_endpoint(part, tool) for part in _each(lines[2:-1])))


def expiry_of(lines: Iterable[str]) -> float | None:
    """Return when a certificate ends, from what ``expiry`` printed."""
    for line in lines:
        name, _, value = line.partition("=")
        if name == "notAfter":
            try:
                return datetime.strptime(value.strip(), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC).timestamp()
            except ValueError:
                return None
    return None


def _parts(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return url, f"[{host}]" if ":" in host else host, str(parts.port or 443) if parts.scheme == "https" else ""


def _each(lines: Iterable[str]) -> Iterator[list[str]]:
    block: list[str] | None = None
    for line in lines:
        if line == "url":
            if block is not None:
                yield block
            block = []
        elif block is not None:
            block.append(line)
    if block is not None:
        yield block


def _endpoint(lines: Sequence[str], tool: str) -> Endpoint:
    samples = tuple(_sample(line, tool) for line in lines if line.startswith("sample "))
    return Endpoint("", samples, expiry_of(lines))


def _sample(line: str, tool: str) -> Sample:
    found = _MEASURED.match(line)
    if not found:
        return Sample(trouble=Trouble.TOOL, said=_short(line.partition(" ")[2]))
    ended, said, status, redirect = int(found[1]), found[2], int(found[3]), found[7].strip("-")
    connected, secured, total = (float(found[place].replace(",", ".")) for place in (4, 5, 6))
    trouble = _trouble(tool, ended, status, said)
    complaint = _CURL_SAYS.search(said.strip())
    shown = _short(complaint[1] if complaint else said) if trouble is not Trouble.NONE else ""
    kept = status if trouble is Trouble.NONE else 0
    return Sample(kept, round(total, 6), trouble, connected, secured, _short(redirect), shown)


def _trouble(tool: str, ended: int, status: int, said: str) -> Trouble:
    if tool == "wget":
        return _wget_trouble(ended, status, said)
    if ended == 0:
        return Trouble.NONE
    if ended in _CURL_OWN:
        return Trouble.TOOL
    return Trouble.TLS if ended in _CURL_TLS else Trouble(_CURL.get(ended, "broken"))


def _wget_trouble(ended: int, status: int, said: str) -> Trouble:
    if status and ended in {0, 8}:
        return Trouble.NONE
    if ended == 5 or _UNTRUSTED.search(said):
        return Trouble.TLS
    if "unable to resolve" in said:
        return Trouble.DNS
    if "refused" in said:
        return Trouble.REFUSED
    if "timed out" in said or ended in {124, 137}:
        return Trouble.TIMEOUT
    return Trouble.BROKEN if ended == 4 else Trouble.TOOL


def _short(text: str) -> str:
    return "".join(char for char in text if char.isprintable()).strip()[:200]
