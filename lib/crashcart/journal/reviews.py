"""Reviews: a run under ``--break-glass`` is looked at afterwards, and somebody signs it off.

``reviews.jsonl`` in the state folder is chained like a journal and for its owner only. Cutting off its end shows a run as
open again, never as reviewed. A review is of one record: a run that goes on afterwards (``runs.resume``) needs another.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from crashcart.actors import is_author
from crashcart.clock import Clock
from crashcart.decoding import from_json
from crashcart.errors import BadInput, JournalError, Refused
from crashcart.journal.folder import EVENTS, run_ids
from crashcart.journal.lines import ORIGIN, Altered, digest
from crashcart.journal.recall import PastRun
from crashcart.results import Mode

REVIEWS = "reviews.jsonl"
LONGEST_NOTE = 4000


class Review(msgspec.Struct, frozen=True):
    """A sign-off: when (UTC), by whom, of which run and which state of its record (``hash`` of the journal's last line)."""

    time: Annotated[datetime, msgspec.Meta(tz=True)]
    prev: str
    run: str
    hash: str
    actor: str
    note: str = ""
    own: bool = False
    """Whether the run's own actor signed it off."""

    @property
    def text(self) -> str:
        """The review in words."""
        who = f"{self.actor}{' (who also ran it)' if self.own else ''}"
        return f"{self.run} was signed off by {who} on {self.time:%Y-%m-%d %H:%M} UTC{f': {self.note}' if self.note else ''}"


class SignOff(msgspec.Struct, frozen=True):
    """What signing off came to: the review that stands, and whether it stood already."""

    review: Review
    already: bool = False


class ToReview(msgspec.Struct, frozen=True):
    """A run that somebody has to look at, and why."""

    run: str
    why: str


def sign_off(state: Path, past: PastRun, actor: str, note: str, clock: Clock) -> SignOff:
    """Note that somebody looked at a break-glass run and accepts it. A second time changes nothing.

    Raises ``Refused`` for a run that needs none, and when a note is needed and missing: for one's own run, and for one
    without an end. ``JournalError`` when the reviews cannot be read or written, ``Altered`` when their chain is broken.
    """
    _check_needed(past)
    _check_note(past, actor, note)
    with _opened(state / REVIEWS) as file:
        reviews, raw = _parse(state / REVIEWS, _whole(file))
        standing = _standing(past, {review.run: review for review in reviews})
        if standing:
            return SignOff(standing, already=True)
        review = _review(past, actor, note, digest(raw[-1]) if raw else ORIGIN, clock.now())
        _append(file, raw, review)
    return SignOff(review)


def signed_off(state: Path) -> dict[str, Review]:
    """Return the latest review of each run. Raises ``Altered`` naming the line, ``JournalError`` when it cannot be read."""
    path = state / REVIEWS
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}") from error
    reviews, _ = _parse(path, data)
    return {review.run: review for review in reviews}


def to_review(state: Path, runs: Path) -> tuple[ToReview, ...]:
    """Return the runs that need a review and have none, oldest first.

    A journal that cannot be read is among them: whether it was break-glass is unknown, which is not "no".
    """
    reviews = signed_off(state)
    found = (_why(runs / name / EVENTS, reviews) for name in run_ids(runs))
    return tuple(ToReview(name, why) for name, why in zip(run_ids(runs), found, strict=True) if why)


def needs_review(past: PastRun) -> bool:
    """Tell whether a run went past the questions and waits that others are for: it could act, and was break-glass."""
    first = past.started
    return first.options.break_glass and first.options.mode is Mode.APPLY and not first.plan.read_only


def _why(journal: Path, reviews: Mapping[str, Review]) -> str:
    try:
        past = PastRun.read(journal)
    except JournalError as error:
        return f"cannot be read: {error.message}"
    if not needs_review(past) or _standing(past, reviews):
        return ""
    first, options = past.started, past.started.options
    why = "; ".join(text for text in (options.reason, options.incident) if text)
    again = "signed off, then went on; " if first.run in reviews else ""
    return f"{again}break-glass by {first.actor}: {first.plan.playbook} on {first.plan.pattern}{f': {why}' if why else ''}"


def _standing(past: PastRun, reviews: Mapping[str, Review]) -> Review | None:
    review = reviews.get(past.started.run)
    return review if review and review.hash == past.lines[-1].hash else None


def _check_needed(past: PastRun) -> None:
    if not needs_review(past):
        first = past.started
        what = "it only looked" if first.options.break_glass else "it was not made with --break-glass"
        raise Refused(f"{first.run} needs no review: {what}", hint="inv runs.list --to-review shows those that do")


def _check_note(past: PastRun, actor: str, note: str) -> None:
    if len(note) > LONGEST_NOTE:
        raise BadInput(
            f"--note: at most {LONGEST_NOTE} characters, got {len(note)}", hint="name the incident's page instead"
        )
    if note.strip():
        return
    run = past.started.run
    if is_author([actor], past.started.actor):
        raise Refused(
            f"{run} is your own: somebody else should look at it", hint=f"inv runs.sign-off {run} --note 'why you do'"
        )
    if past.finished is None:
        hint = f"inv runs.resume {run}, or inv runs.sign-off {run} --note 'how it ended'"
        raise Refused(f"{run} has no end: it still runs, or was killed", hint=hint)


def _review(past: PastRun, actor: str, note: str, previous: str, now: datetime) -> Review:
    own = is_author([actor], past.started.actor)
    return Review(now, previous, past.started.run, past.lines[-1].hash, actor, note.strip(), own)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open the reviews, alone; made owner-only when they are not there."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
    except OSError as error:
        raise JournalError(f"cannot write {path}: {error.strerror}") from error


def _whole(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _parse(path: Path, data: bytes) -> tuple[list[Review], list[bytes]]:
    """Check the chain; a torn last line (its writer was killed) is left out."""
    raw = data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]
    previous, reviews = ORIGIN, []
    for number, line in enumerate(raw, start=1):
        review = _decode(path, number, line)
        if review.prev != previous:
            raise Altered(f"{path}:{number}: this line does not follow from the one before it")
        previous = digest(line)
        reviews.append(review)
    return reviews, raw


def _decode(path: Path, number: int, line: bytes) -> Review:
    try:
        return from_json(line, Review)
    except msgspec.MsgspecError as error:
        raise Altered(f"{path}:{number}: not a review: {error}") from error


def _append(file: BinaryIO, raw: list[bytes], review: Review) -> None:
    file.seek(sum(len(line) + 1 for line in raw))
    file.truncate()
    file.write(msgspec.json.encode(review) + b"\n")
    file.flush()
    os.fsync(file.fileno())
