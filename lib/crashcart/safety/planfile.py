"""The plan file: what a run would do, written down so that others can approve exactly that.

``--plan FILE`` writes it. Its encoding is canonical (sorted keys, two spaces, one newline at the end), so the SHA-256 of the
file is the hash of the plan, and ``sha256sum FILE`` tells it too. Approving never changes it: signatures lie beside it.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from crashcart.decoding import from_json
from crashcart.errors import BadInput
from crashcart.operations.base import Action
from crashcart.plan import Plan, TargetPlan, Undo
from crashcart.results import Change
from crashcart.secrets import encode_secret
from crashcart.transports.base import Command

SCHEMA = 1
DOCUMENT = "crashcart-plan"
MAX_BYTES = 64 * 1024 * 1024
SHORT = 12
"""Characters of the short hash that a person types."""

_NOT_COMPARED = frozenset({"summary", "changes", "pin", "peers", "targets"})
"""Words, and what was merely seen (sizes, loads): an act depends on its token. Peers are counted live, targets singly."""

_SHOWN = 200

CLOCK = "(by the host's clock)"
"""Stands in a plan for an argument that follows the clock, such as the age of files: it is another one in each run."""


class HostCall(msgspec.Struct, frozen=True, tag_field="type", tag="command"):
    """The exact command of an act on a host. ``timeout`` is in seconds."""

    script: str
    args: tuple[str, ...] = ()
    become: bool = True
    timeout: float = 30.0


class CloudCall(msgspec.Struct, frozen=True, tag_field="type", tag="api"):
    """The exact API call of an act on a cloud resource."""

    service: str
    operation: str
    params: dict[str, Any] = {}


class Wanted(msgspec.Struct, frozen=True):
    """An act that the survey found wanting on a target: the call, the token that it depends on, the state that was seen."""

    target: str
    step: str
    operation: str
    key: str
    effect: str
    summary: str
    only_if: str
    call: HostCall | CloudCall
    changes: tuple[Change, ...] = ()
    undo: Undo | None = None
    pin: Any = None

    @classmethod
    def of(cls, target: str, step: str, operation: str, action: Action, pin: Any = None) -> Wanted:
        """Write down what a target wants, as the engine would send it; ``pin`` is the state that it was decided from."""
        return cls(
            target=target,
            step=step,
            operation=operation,
            key=action.key,
            effect=action.effect.value,
            summary=action.summary,
            only_if=action.only_if,
            call=_exact_call(action),
            changes=action.changes,
            undo=action.undo,
            pin=pin,
        )


class Finding(msgspec.Struct, frozen=True):
    """What the survey found on a target that wants no act: shown to approvers, not compared."""

    target: str
    outcome: str
    message: str = ""


class ApprovalRule(msgspec.Struct, frozen=True):
    """How many persons besides the author must approve, who may (a file in OpenSSH's allowed_signers format), for how long.

    ``max_age`` is in seconds, from the plan's making to its run.
    """

    count: int
    signers: str = ""
    max_age: float = 86400.0


class PlanDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="document", tag=DOCUMENT):
    """A plan with what the survey found, who made it, when (UTC) and why. ``approval`` is what it needed then."""

    plan: Plan
    wanted: tuple[Wanted, ...]
    author: str
    created: Annotated[datetime, msgspec.Meta(tz=True)]
    version: str
    reason: str = ""
    incident: str = ""
    others: tuple[Finding, ...] = ()
    approval: ApprovalRule | None = None
    schema: int = SCHEMA


class _Head(msgspec.Struct):
    document: str
    schema: int


def encode_plan(document: PlanDocument) -> bytes:
    """Return the canonical bytes of a plan document, secrets masked."""
    # Through its own types once: a number that was made as 20 is read back as 20.0.
    read_back = from_json(msgspec.json.encode(document, enc_hook=encode_secret), PlanDocument)
    plain = msgspec.to_builtins(read_back, enc_hook=encode_secret)
    return msgspec.json.format(msgspec.json.encode(plain, order="sorted"), indent=2) + b"\n"


def plan_hash(document: PlanDocument) -> str:
    """Return the SHA-256 of a plan document in hexadecimal: that of its file."""
    return hashlib.sha256(encode_plan(document)).hexdigest()


def write_plan(path: Path, document: PlanDocument) -> str:
    """Write a plan file, owner-only and whole or not at all, and return its hash.

    Raises ``BadInput`` when it cannot be written, or when something that is no plan file is there.
    """
    _check_free(path)
    data = encode_plan(document)
    try:
        _replace(path, data)
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror}", file=path) from error
    return hashlib.sha256(data).hexdigest()


def read_plan(path: Path) -> PlanDocument:
    """Read a plan file. Raises ``BadInput`` with the place for one that is broken, edited, or of another version."""
    data = _read(path)
    _check_head(path, data)
    document = _decode(path, data)
    if encode_plan(document) != data:
        hint = "make the plan again with --plan"
        raise BadInput("not as crashcart wrote it: edited, or made by another version", file=path, hint=hint)
    return document


def differences(approved: PlanDocument, now: PlanDocument) -> list[str]:
    """Tell in words how the plan or the world differs from what was approved; nothing when it is the same.

    Secrets are compared as they are written: masked.
    """
    before, after = _as_read(approved), _as_read(now)
    return [*_of_run(before, after), *_of_targets(before.plan, after.plan), *_of_acts(before, after)]


def _exact_call(action: Action) -> HostCall | CloudCall:
    call = action.call
    if isinstance(call, Command):
        args = tuple(CLOCK if place in action.clocked else arg for place, arg in enumerate(call.args))
        return HostCall(call.script, args, call.become, call.timeout)
    return CloudCall(call.service, call.operation, call.params)


def _as_read(document: PlanDocument) -> PlanDocument:
    return from_json(encode_plan(document), PlanDocument)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path) from error
    if len(data) > MAX_BYTES:
        raise BadInput(f"larger than {MAX_BYTES // 1024 // 1024} MiB, so no plan file", file=path)
    return data


def _decode(path: Path, data: bytes) -> PlanDocument:
    try:
        return from_json(data, PlanDocument)
    except msgspec.MsgspecError as error:
        raise _broken(path, data, error) from error
    except RecursionError as error:
        raise BadInput("nested too deeply", file=path) from error


def _check_head(path: Path, data: bytes) -> None:
    try:
        head = from_json(data, _Head)
    except msgspec.MsgspecError as error:
        raise _broken(path, data, error) from error
    if head.document != DOCUMENT:
        raise BadInput(f"not a plan file: it holds {head.document!r}", file=path)
    if head.schema != SCHEMA:
        raise BadInput(f"plan schema {head.schema}; this version reads {SCHEMA}", file=path, hint="use one version for all")


def _broken(path: Path, data: bytes, error: Exception) -> BadInput:
    found = re.search(r"\(byte (\d+)\)", str(error))
    if not found and "truncated" not in str(error):
        return BadInput(f"not a plan file: {error}", file=path)
    before = data[: int(found[1])] if found else data
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return BadInput(f"not a plan file: {error}", file=path, line=line, column=column)


def _check_free(path: Path) -> None:
    """Whatever is at the path must be a plan file, although perhaps an edited one or one of another schema."""
    if not os.path.lexists(path):
        return
    hint = "name a file that is not there yet"
    if path.is_symlink() or not path.is_file():
        raise BadInput("is there already and is no plan file", file=path, hint=hint)
    try:
        is_plan = from_json(_read(path), _Head).document == DOCUMENT
    except msgspec.MsgspecError:
        is_plan = False
    if not is_plan:
        raise BadInput("is there already and is no plan file", file=path, hint=hint)


def _replace(path: Path, data: bytes) -> None:
    descriptor, half = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(half).replace(path)
    except BaseException:
        Path(half).unlink(missing_ok=True)
        raise


def _of_run(before: PlanDocument, after: PlanDocument) -> Iterator[str]:
    if before.version != after.version:
        yield f"crashcart {before.version} made the plan, this is {after.version}"
    for name, old, new in _differing(before.plan, after.plan):
        yield f"{name}: {_short(old)} was approved, now {_short(new)}"


def _of_targets(before: Plan, after: Plan) -> Iterator[str]:
    old, new = ({target.target.name: target for target in plan.targets} for plan in (before, after))
    yield from (f"{name}: approved, but not selected now" for name in old if name not in new)
    yield from (f"{name}: selected now, but not in the approved plan" for name in new if name not in old)
    yield from (text for name in old if name in new for text in _of_target(name, old[name], new[name]))
    if [name for name in old if name in new] != [name for name in new if name in old]:
        yield "the targets come in another order"


def _of_target(name: str, before: TargetPlan, after: TargetPlan) -> Iterator[str]:
    for field, old, new in _differing(before.target, after.target):
        what = _changed_keys(old, new) if field == "variables" else f"{_short(old)} was approved, now {_short(new)}"
        yield f"{name}: its {field} differ: {what}"
    for field, old, new in _differing(before, after):
        if field == "steps":
            yield f"{name}: its steps differ: {_first_difference(old, new)}"
        elif field != "target":
            yield f"{name}: {field}: {_short(old)} was approved, now {_short(new)}"


def _of_acts(before: PlanDocument, after: PlanDocument) -> Iterator[str]:
    old, new = ({(act.target, act.step): act for act in document.wanted} for document in (before, after))
    yield from (f"{target}: {step} is not wanted any more" for target, step in old if (target, step) not in new)
    yield from (
        f"{target}: {step} is wanted now, and was not when approved" for target, step in new if (target, step) not in old
    )
    for place in (place for place in old if place in new):
        yield from (f"{place[0]}: {place[1]}: {text}" for text in _of_act(old[place], new[place]))


def _of_act(before: Wanted, after: Wanted) -> Iterator[str]:
    words = {"only_if": "the state that it depends on", "key": "the act", "call": "the call"}
    for field, old, new in _differing(before, after):
        yield f"{words.get(field, field)} differs: {_short(old)} was approved, now {_short(new)}"


def _differing(before: msgspec.Struct, after: msgspec.Struct) -> Iterator[tuple[str, Any, Any]]:
    """Compare field by field, so that a field that is added one day is compared too."""
    for field in before.__struct_fields__:
        old, new = getattr(before, field), getattr(after, field)
        if field not in _NOT_COMPARED and old != new:
            yield field, old, new


def _changed_keys(old: dict[str, Any], new: dict[str, Any]) -> str:
    return ", ".join(
        sorted(key for key in old.keys() | new.keys() if key not in old or key not in new or old[key] != new[key])
    )


def _first_difference(old: tuple[Any, ...], new: tuple[Any, ...]) -> str:
    for before, after in zip(old, new, strict=False):
        if before != after:
            return f"{_short(before)} was approved, now {_short(after)}"
    return f"{len(old)} were approved, now {len(new)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return (text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...") or "nothing"
