"""What is deployed in a folder of a host, since when, and by whom; one exec, nothing is fetched.

Seed row S0-D6. Of a git checkout the reflog is read as the file that it is: it says when HEAD moved on this host, which a
commit's own date does not. The commits themselves are asked of git as the folder's owner, never as root, because a
repository's configuration can name programs to run. Of a symlink to a release, the link's own time counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from crashcart.errors import FactUnreadable
from crashcart.facts.logs import masked
from crashcart.transports.base import Command, Transport

MOST = 20
LIMIT = 12.0

SCRIPT = r"""
# $1 folder, $2 seconds to look back, $3 how many commits
within() { limit=$1; shift; timeout --foreground -k 1 "$limit" "$@"; }
now=$(date +%s)
printf 'now=%s\n' "$now"
[ -e "$1" ] || { printf 'kind=absent\nend\n'; exit 0; }
[ -L "$1" ] && printf 'linked=%s\nowner=%s\nto=%s\n' "$(stat -c %Y -- "$1")" "$(stat -c %U -- "$1")" "$(readlink -e -- "$1")"
cd -P -- "$1" 2>/dev/null || { printf 'kind=special\nend\n'; exit 0; }
[ -s REVISION ] && printf 'revision=%s\n' "$(head -c 64 REVISION | head -n 1)"
printf 'modified=%s\n' "$(stat -c %Y .)"
top=$PWD
while [ ! -e "$top/.git" ] && [ "$top" != / ] && [ -n "$top" ]; do top=${top%/*}; done
if [ ! -e "$top/.git" ]; then printf 'kind=plain\nend\n'; exit 0; fi
printf 'kind=git\ntop=%s\n' "$top"
git=$top/.git
[ -f "$git" ] && git=$(sed -n 's/^gitdir: //p' "$git") && case $git in /*) ;; *) git=$top/$git ;; esac
[ -f "$git/logs/HEAD" ] && within 2 tail -n 50 -- "$git/logs/HEAD" | cut -b1-400 | sed 's/^/moved=/'
command -v git >/dev/null 2>&1 || { printf 'git=none\nend\n'; exit 0; }
owner=$(stat -c %u -- "$top") group=$(stat -c %g -- "$top") become=
if [ "$(id -u)" = 0 ] && [ "$owner" != 0 ]; then
  command -v setpriv >/dev/null 2>&1 || { printf 'git=no-setpriv\nend\n'; exit 0; }
  become="setpriv --reuid=$owner --regid=$group --clear-groups --no-new-privs --"
fi
ask() {
  within 4 $become env -i PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C.UTF-8 HOME=/ \
    GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0 GIT_NO_LAZY_FETCH=1 \
    GIT_ALLOW_PROTOCOL=none git -c safe.directory="$top" -c core.fsmonitor=false -c core.hooksPath=/dev/null \
    -c log.showSignature=false -c core.pager=cat -C "$top" --no-pager "$@" 2>/dev/null
}
ask log --no-show-signature --no-color -n "$3" --format='commit=%ct %h %an%x09%s' HEAD -- | cut -b1-400
printf 'git=%s\n' "$([ -n "$(ask rev-parse --short HEAD)" ] && echo read || echo unreadable)"
printf 'end\n'
"""

_MOVED = re.compile(r"[0-9a-f]{40,64} ([0-9a-f]{40,64}) (.*) <[^>]*> (\d{1,12}) [+-]\d{4}(?:\t(.*))?")
_COMMIT = re.compile(r"(\d{1,12}) ([0-9a-f]{4,64}) ([^\t]*)\t(.*)")


class Moved(msgspec.Struct, frozen=True):
    """HEAD was moved on the host: when (seconds since 1970), by whom, to which commit, and how."""

    at: float
    who: str
    commit: str
    how: str = ""


class Commit(msgspec.Struct, frozen=True):
    """A commit: when it was made (seconds since 1970), by whom, and its subject."""

    at: float
    commit: str
    author: str
    subject: str


class Deployed(msgspec.Struct, frozen=True):
    """What is in a folder, at ``now`` by the host's clock.

    ``kind`` is ``git``, ``plain``, ``absent`` or ``special`` (no folder). ``linked`` is when the symlink to it was made, by
    ``owner``, and ``to`` what. ``git`` says whether commits could be read: ``read``, ``none`` (no git there),
    ``no-setpriv``, ``unreadable``.
    """

    kind: str
    now: float
    linked: float | None = None
    owner: str = ""
    to: str = ""
    revision: str = ""
    modified: float | None = None
    moves: tuple[Moved, ...] = ()
    commits: tuple[Commit, ...] = ()
    git: str = ""


def observe(transport: Transport, path: str, window: float) -> Deployed:
    """Look at a folder. Raises ``FactUnreadable`` and the transport's errors."""
    result = transport.run(Command(SCRIPT, (path, str(max(1, int(window))), str(MOST)), timeout=LIMIT))
    if not result.ok or result.stdout.cut:
        raise FactUnreadable(f"what is deployed could not be read: {result.ending}")
    return parse(result.stdout.data)


def parse(stdout: bytes) -> Deployed:
    """Read what the script printed, the newest first. Raises ``FactUnreadable``."""
    text = stdout.decode(errors="replace")
    if not text.endswith("end\n"):
        raise FactUnreadable("what the host says of what is deployed breaks off")
    lines = [line.partition("=")[::2] for line in text.split("\n")]
    fields = {name: value for name, value in lines if name not in {"moved", "commit"}}
    if not fields.get("now", "").isdecimal() or "kind" not in fields:
        raise FactUnreadable("what the host says of what is deployed is not understood")
    moves = sorted(_moves(value for name, value in lines if name == "moved"), key=lambda one: -one.at)
    commits = sorted(_commits(value for name, value in lines if name == "commit"), key=lambda one: -one.at)
    return Deployed(
        kind=fields["kind"],
        now=float(fields["now"]),
        linked=_time(fields, "linked"),
        owner=masked(fields.get("owner", ""))[:64],
        to=masked(fields.get("to", ""))[:200],
        revision=masked(fields.get("revision", ""))[:64],
        modified=_time(fields, "modified"),
        moves=tuple(moves[:MOST]),
        commits=tuple(commits[:MOST]),
        git=fields.get("git", ""),
    )


def _moves(lines: Iterator[str]) -> Iterator[Moved]:
    for line in lines:
        found = _MOVED.match(line)
        if found:
            yield Moved(float(found[3]), masked(found[2])[:64], found[1][:10], masked(found[4] or "")[:120])


def _commits(lines: Iterator[str]) -> Iterator[Commit]:
    for line in lines:
        found = _COMMIT.match(line)
        if found:
            yield Commit(float(found[1]), found[2], masked(found[3])[:64], masked(found[4])[:120])


def _time(fields: Mapping[str, str], name: str) -> float | None:
    return float(fields[name]) if fields.get(name, "").isdecimal() else None
