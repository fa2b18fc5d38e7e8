"""Reads what the scripts of ``disk_script`` print: records, each ended by a newline and a NUL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from crashcart.errors import FactUnreadable
from crashcart.facts.disk_listing import ACTIVE, BLOCK, last_entries, readable, sections, sort_out, with_last_entry
from crashcart.facts.disk_state import Consumer, DiskState, Found, HeldFile, Holder, LeftOut, Listing, LiveLog, Ranking

REASONS = {
    "link": "a symbolic link is on the way there",
    "elsewhere": "it is on another file system",
    "mounts": "what is mounted inside it cannot be told",
    "locked": "a package manager is at work",
    "unknown": "it cannot be told what is open",
    "nobody": "the host does not know the owner",
    "absent": "it is not there, or is no regular file",
}
"""Why something is left out, by the scripts' word for it."""

RANKED = 10
"""Consumers that are named."""

_LARGEST = re.compile(rb"(\d+) largest (.*)\n", re.DOTALL)
_CROWDED = re.compile(rb"(\d+)\t(.*)", re.DOTALL)
_FAILURE = re.compile(r"^(?:find: )?(.+)$", re.MULTILINE)

Records = Mapping[str, Sequence[bytes]]


def parse(stdout: bytes) -> DiskState:
    """Read a look's output. Raises ``FactUnreadable`` when it is cut off or not ours."""
    *rows, rest = stdout.split(b"\0")
    if rest or not rows or rows[-1] != b"end\n":
        raise FactUnreadable("what the host says of its disk breaks off")
    try:
        return _state(rows, _by_tag(rows))
    except (ValueError, LookupError) as error:
        raise FactUnreadable(f"what the host says of its disk is not understood: {error!r}") from error


def _by_tag(rows: Sequence[bytes]) -> Records:
    """Sort records by their first word. One without its newline was cut in the middle, and is passed over."""
    found: dict[str, list[bytes]] = {}
    for row in rows:
        tag, _, body = row.removesuffix(b"\n").partition(b" ")
        if row.endswith(b"\n"):
            found.setdefault(tag.decode(errors="replace"), []).append(body)
    return found


def _state(rows: Sequence[bytes], records: Records) -> DiskState:
    for found in (Found.MISSING, Found.FILE):
        if found in records:
            return DiskState(found=found)
    volume = _volume(records)
    asked = records.get("ranked", ())
    return msgspec.structs.replace(
        volume,
        read_only="read-only" in records,
        gnu_find="no-gnu-find" not in records,
        failures=_failures(records),
        live=(*_live_logs(records), *_lost_logs(records)),
        listing=_listing(rows, records, volume.device) if "listing" in records else None,
        largest=_ranking(_largest(rows), b"largest", rows) if b"largest" in asked else None,
        crowded=_ranking(_crowded(rows), b"crowded", rows) if b"crowded" in asked else None,
    )


def _volume(records: Records) -> DiskState:
    device, mount = records["volume"][0].split(b" ", 1)
    *counts, kind = records["space"][0].split(b" ", 6)
    block, blocks, free, available, inodes, inodes_free = map(int, counts)
    return DiskState(
        device=int(device),
        mount=readable(mount),
        kind=kind.decode(errors="replace"),
        size=block * blocks,
        used=block * (blocks - free),
        available=block * available,
        inodes=inodes,
        inodes_used=inodes - inodes_free,
    )


def _failures(records: Records) -> tuple[str, ...]:
    complaints = b"\n".join(records.get("failed", ())).decode(errors="replace")
    return tuple(_FAILURE.findall(complaints))


def _listing(rows: Sequence[bytes], records: Records, device: int) -> Listing:
    found = sections(rows)
    sorted_out = sort_out(found, device, _opened(records))
    known = last_entries(b"\n".join(records.get("headers", ())))
    return Listing(
        now=float(records["listing"][0]),
        candidates=tuple(with_last_entry(candidate, known) for candidate in sorted_out.candidates),
        left_out=(*map(_left_out, records.get("left", ())), *sorted_out.left_out),
        held=tuple(map(_held, records.get("held", ()))),
        active_journal=sum(section.size for section in found if section.stage == ACTIVE),
    )


def _left_out(body: bytes) -> LeftOut:
    stage, word, root = body.decode(errors="replace").split(" ", 2)
    return LeftOut(stage, REASONS[word], "" if root == "-" else root, matters=word != "elsewhere")


def _opened(records: Records) -> dict[str, frozenset[int] | None]:
    opened: dict[str, frozenset[int] | None] = {}
    for body in records.get("open", ()):
        root, *inodes = body.decode(errors="replace").split()
        opened[root] = None if "unknown" in inodes else frozenset(map(int, inodes))
    return opened


def _held(body: bytes) -> HeldFile:
    """Read ``inode blocks pid unit command``, and on the next line the name that the file had."""
    facts, _, name = body.partition(b"\n")
    inode, blocks, pid, unit, command = facts.split(b" ", 4)
    return HeldFile(
        path=readable(name.removesuffix(b" (deleted)")),
        inode=int(inode),
        size=int(blocks) * BLOCK,
        pid=int(pid),
        command=readable(command),
        unit="" if unit == b"-" else readable(unit),
    )


def _live_logs(records: Records) -> Iterator[LiveLog]:
    for body in records.get("live", ()):
        device, inode, links, blocks, length, path = body.split(b" ", 5)
        yield LiveLog(
            path=readable(path),
            device=int(device),
            inode=int(inode),
            links=int(links),
            size=int(blocks) * BLOCK,
            length=int(length),
            holders=tuple(_holders(records, inode)),
            mapped=inode in records.get("mapped", ()),
            trouble=REASONS["unknown"] if inode in records.get("unasked", ()) else "",
        )


def _lost_logs(records: Records) -> Iterator[LiveLog]:
    for body in records.get("lost", ()):
        word, _, path = body.partition(b" ")
        yield LiveLog(path=readable(path), trouble=REASONS[word.decode()])


def _holders(records: Records, inode: bytes) -> Iterator[Holder]:
    for body in records.get("holder", ()):
        held, pid, fd, flags, command = body.split(b" ", 4)
        if held == inode:
            yield Holder(int(pid), int(fd), int(flags, 8), readable(command))


def _largest(rows: Sequence[bytes]) -> Iterator[Consumer]:
    matches = filter(None, map(_LARGEST.fullmatch, rows))
    return (Consumer(readable(match[2]), int(match[1]) * BLOCK) for match in matches)


def _crowded(rows: Sequence[bytes]) -> Iterator[Consumer]:
    matches = filter(None, map(_CROWDED.fullmatch, rows))
    return (Consumer(readable(match[2]), int(match[1])) for match in matches)


def _ranking(consumers: Iterator[Consumer], name: bytes, rows: Sequence[bytes]) -> Ranking:
    is_whole = any(re.fullmatch(rb"\d+ whole %b\n" % name, row) for row in rows)
    return Ranking(tuple(consumers)[:RANKED], complete=is_whole)
