"""What an inventory's own check scripts say of a host: run there with a deadline, if they are what they are meant to be.

Seed row S0-D4. A script is run only if it is a regular file of root's that nobody else can write, in folders of which the
same is true, and its SHA-256 is the declared one. Otherwise it is not run at all, and what it would have said is unknown.
All of them take one exec.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence

import msgspec

from crashcart.errors import FactUnreadable
from crashcart.facts.logs import masked
from crashcart.transports.base import Command, Transport

MOST = 8
KEPT = 8192
"""Bytes that are kept of the end of what a script prints."""

LINES = 20
"""Lines of that which are kept."""

SPARE = 5.0
"""Seconds for the exec beside the deadlines of its scripts."""

SCRIPT = r"""
# for each script: path, SHA-256, user, seconds; $1 bytes that are kept of its output
kept=$1; shift
safe() { [ "$(stat -c %u -- "$1")" = 0 ] && case $(stat -c %A -- "$1") in ?????w*|????????w*) return 1 ;; esac; }
safe_folders() {
  folder=$1
  while folder=${folder%/*}; do
    safe "${folder:-/}" || return 1
    [ -n "$folder" ] || return 0
  done
}
trusted() {
  [ -e "$1" ] || { echo missing; return; }
  real=$(readlink -e -- "$1") && [ -f "$real" ] || { echo special; return; }
  safe "$real" || { echo unsafe; return; }
  { safe_folders "$real" && safe_folders "$1"; } || { echo folder; return; }
  found=$(sha256sum <"$real") && [ "${found%% *}" = "$2" ] || { echo "hash ${found%% *}"; return; }
  [ -x "$real" ] || { echo not-executable; return; }
  id -u -- "$3" >/dev/null 2>&1 || { echo no-user; return; }
  command -v setpriv >/dev/null 2>&1 || echo no-setpriv
}
while [ $# -ge 4 ]; do
  path=$1 sum=$2 user=$3 limit=$4; shift 4
  why=$(trusted "$path" "$sum" "$user")
  printf 'why=%s\n' "$why"
  if [ -z "$why" ]; then
    printf 'output='
    {
      (cd / && exec timeout -k 1 "$limit" setpriv --reuid="$(id -u -- "$user")" --regid="$(id -g -- "$user")" --init-groups \
        --no-new-privs -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/ \
        "$(readlink -e -- "$path")") 2>&1 </dev/null
      printf '\nstatus=%s\n' "$?"
    } | tail -c "$kept" | base64 -w 0
    printf '\n'
  fi
  printf '\n'
done
printf 'end\n'
"""


class Script(msgspec.Struct, frozen=True):
    """A script to run: where it is, what it has to be, as whom it is run, and for how many seconds at most."""

    path: str
    sha256: str
    user: str = "nobody"
    timeout: float = 4.0


class Said(msgspec.Struct, frozen=True):
    """What came of a script: its exit ``status``, and the end of what it printed; or ``why`` it was not run."""

    path: str = ""
    status: int | None = None
    lines: tuple[str, ...] = ()
    why: str = ""


class Scripts(msgspec.Struct, frozen=True):
    """What came of all scripts, in their order."""

    said: tuple[Said, ...] = ()


def observe(transport: Transport, scripts: Sequence[Script]) -> Scripts:
    """Run the scripts, one after the other. Raises ``FactUnreadable`` and the transport's errors."""
    args = [part for one in scripts for part in (one.path, one.sha256.lower(), one.user, f"{one.timeout:g}")]
    limit = sum(one.timeout + 1 for one in scripts) + SPARE
    result = transport.run(Command(SCRIPT, (str(KEPT), *args), timeout=limit))
    if not result.ok or result.stdout.cut:
        raise FactUnreadable(f"the check scripts could not be run to their end: {result.ending}")
    state = parse(result.stdout.data)
    if len(state.said) != len(scripts):
        raise FactUnreadable(f"expected the answers of {len(scripts)} scripts, got {len(state.said)}")
    named = (msgspec.structs.replace(said, path=one.path) for said, one in zip(state.said, scripts, strict=True))
    return Scripts(tuple(named))


def parse(stdout: bytes) -> Scripts:
    """Read what was printed; the caller knows the paths. Raises ``FactUnreadable``."""
    text = stdout.decode(errors="replace")
    if not text.endswith("end\n"):
        raise FactUnreadable("what the check scripts say breaks off")
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in text[:-4].split("\n\n")]
    return Scripts(tuple(_said(block) for block in blocks if "why" in block))


def _said(block: Mapping[str, str]) -> Said:
    if block["why"]:
        return Said(why=block["why"])
    try:
        printed = base64.b64decode(block.get("output", ""), validate=True).decode(errors="replace")
    except binascii.Error as error:
        raise FactUnreadable("what a check script printed is not understood") from error
    body, found, status = printed.rstrip("\n").rpartition("\nstatus=")
    if not found or not re.fullmatch(r"\d{1,3}", status):
        raise FactUnreadable("how a check script ended is not told")
    lines = [masked(line)[:200] for line in body.splitlines() if line.strip()]
    return Said(status=int(status), lines=tuple(lines[-LINES:]))
