"""What a host reaches of what it depends on: names, TCP, certificates; all at the same time, in one exec.

Seed row S0-D16. There is no ping in it: many networks drop it, so it proves nothing either way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from crashcart.errors import FactUnreadable
from crashcart.facts.endpoint import CERTIFICATE, expiry_of
from crashcart.transports.base import Command, Transport

MOST = 32
"""Dependencies that one look may try: each is a few processes on the host, all at once."""

LIMIT = 16.0
"""Seconds for the look; each of its parts has its own limit of a few."""

SCRIPT = (
    CERTIFICATE
    + r"""
# of each dependency: host, port or nothing, and tls or nothing
within() { limit=$1; shift; timeout --foreground -k 1 "$limit" "$@"; }
reach() {
  if command -v bash >/dev/null 2>&1; then within 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>&1 </dev/null
  elif command -v nc >/dev/null 2>&1; then within 4 nc -z -w 3 "$1" "$2" 2>&1 </dev/null
  else printf 'no tool'; return 127
  fi
}
flat() { tr '\n\r\t\0' '    ' | cut -b1-300; }
try() {
  found=$(within 3 getent ahosts "$2" 2>/dev/null); resolved=$?
  reached= said= certificate=
  if [ "$resolved" -eq 0 ] && [ -n "$3" ]; then
    said=$(reach "$2" "$3"); reached=$?
    [ "$reached" -ne 0 ] || [ "$4" != tls ] || certificate=$(expiry "$2" "$3")
  fi
  printf 'number=%s\nresolved=%s\naddresses=%s\nreached=%s\nsaid=%s\n%s\n\n' "$1" "$resolved" \
    "$(printf '%s\n' "$found" | awk 'NF && !seen[$1]++ { printf "%s ", $1 }' | cut -b1-300)" \
    "$reached" "$(printf '%s' "$said" | flat)" "$certificate"
}
ask() {
  within 3 dig +time=2 +tries=1 +short "@$1" "$2" >/dev/null 2>&1
  printf 'server=%s\nanswered=%s\n\n' "$1" "$?"
}
printf 'now=%s\n\n' "$(date +%s)"
name=
number=0
while [ $# -ge 3 ]; do
  case $1 in *[!0-9.:]*) name=${name:-$1} ;; esac
  try "$number" "$1" "$2" "$3" &
  number=$((number + 1)); shift 3
done
if [ -n "$name" ] && command -v dig >/dev/null 2>&1; then
  for server in $(sed -n 's/^nameserver  *\([0-9a-fA-F.:]*\).*/\1/p' /etc/resolv.conf 2>/dev/null | head -n 3); do
    ask "$server" "$name" &
  done
fi
wait
printf 'end\n'
"""
)

_PLACE = re.compile(
    r"(?:(?P<scheme>tls|tcp|https)://)?(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9_.-]+))(?::(?P<port>\d{1,5}))?/?"
)


class Dependency(msgspec.Struct, frozen=True):
    """What a host depends on: a name, with a port unless only the name matters, and whether TLS is spoken there."""

    host: str
    port: int = 0
    tls: bool = False

    @classmethod
    def parse(cls, text: str) -> Dependency:
        """Read ``db.example.com:5432``, ``tls://cache:6380``, ``https://api``, or a name alone. Raises ``ValueError``."""
        found = _PLACE.fullmatch(text.strip())
        port = int((found and found["port"]) or 0)
        if not found or port > 65535 or (found["host"] or "").startswith("-"):
            raise ValueError(f"expected a dependency such as db.example.com:5432 or tls://cache:6380, got {text!r}")
        scheme = found["scheme"] or ""
        if scheme and scheme != "https" and not port:
            raise ValueError(f"expected a port in {text!r}")
        return cls(found["six"] or found["host"], port or (443 if scheme == "https" else 0), scheme in {"tls", "https"})

    @property
    def shown(self) -> str:
        """The dependency for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


class Route(msgspec.Struct, frozen=True):
    """How far a host gets to a dependency.

    ``reached`` is None where it was not tried. ``said`` is why not. ``expires`` is when the certificate there ends (seconds
    since 1970); ``untrusted`` says what is wrong with it.
    """

    dependency: Dependency = Dependency("")
    resolved: bool | None = None
    addresses: tuple[str, ...] = ()
    reached: bool | None = None
    said: str = ""
    expires: float | None = None
    untrusted: str = ""


class Network(msgspec.Struct, frozen=True):
    """What a host reaches, at ``now`` (seconds since 1970), and which of its name servers do not answer."""

    now: float
    routes: tuple[Route, ...] = ()
    mute_servers: tuple[str, ...] = ()


def observe(transport: Transport, dependencies: Sequence[Dependency]) -> Network:
    """Try all dependencies. Raises ``FactUnreadable`` and the transport's errors."""
    args = [part for one in dependencies for part in (one.host, str(one.port or ""), "tls" if one.tls else "")]
    result = transport.run(Command(SCRIPT, tuple(args), timeout=LIMIT, become=False))
    if not result.ok or result.stdout.cut:
        raise FactUnreadable(f"what the host reaches could not be asked: {result.ending}")
    state = parse(result.stdout.data)
    if len(state.routes) != len(dependencies):
        raise FactUnreadable(f"expected an answer about {len(dependencies)} dependencies, got {len(state.routes)}")
    routes = (msgspec.structs.replace(route, dependency=one) for route, one in zip(state.routes, dependencies, strict=True))
    return msgspec.structs.replace(state, routes=tuple(routes))


def parse(stdout: bytes) -> Network:
    """Read what the script printed; the caller knows the dependencies. Raises ``FactUnreadable``."""
    text = stdout.decode(errors="replace")
    if not text.endswith("end\n"):
        raise FactUnreadable("what the host says of its network breaks off")
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in text.split("\n\n")]
    now = next((block["now"] for block in blocks if "now" in block), "")
    if not now.isdecimal():
        raise FactUnreadable("the host does not tell its time")
    answers = sorted(
        (block for block in blocks if block.get("number", "").isdecimal()), key=lambda block: int(block["number"])
    )
    mute = (block["server"] for block in blocks if block.get("answered", "0") != "0" and "server" in block)
    return Network(float(now), tuple(map(_route, answers)), tuple(sorted(mute)))


def _route(block: Mapping[str, str]) -> Route:
    reached, resolved = block.get("reached", ""), block.get("resolved", "")
    return Route(
        resolved=None if resolved == "127" else resolved == "0",
        addresses=tuple(block.get("addresses", "").split()),
        reached=None if reached in {"", "127"} else reached == "0",
        said=_why(resolved, reached, block.get("said", "")),
        expires=expiry_of(f"{name}={value}" for name, value in block.items()),
        untrusted=" ".join(_untrusted(block)),
    )


def _why(resolved: str, reached: str, said: str) -> str:
    if resolved != "0":
        words = {"124": "its name servers do not answer", "127": "no getent on the host"}
        return words.get(resolved, "the name does not resolve")
    if reached in {"", "0"}:
        return ""
    known = ("Connection refused", "No route to host", "Network is unreachable", "timed out")
    found = next((words for words in known if words.lower() in said.lower()), "")
    if reached == "127":
        return "neither bash nor nc on the host"
    return found.lower() or ("timed out" if reached in {"124", "137"} else said.strip()[:120] or "not reached")


def _untrusted(block: Mapping[str, str]) -> Iterator[str]:
    number, _, words = block.get("verify", "0 ok").partition(" ")
    if number != "0":
        yield words
