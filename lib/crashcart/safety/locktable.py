"""The table of a shared lock: what its items hold, and the calls that read and change them. Nothing here is sent.

The table has one key, ``id`` (a text). A run has one item, ``run/<run id>``, and one for each of its targets,
``target/<key>``, that names the run. A target is held while its run's item is there and renewed; so keeping a thousand
targets costs one small write, as it costs one ``flock`` on the controller.

``owner`` is a name that each process makes up for itself. A process renews an item only while it is the owner, so a run that
was resumed elsewhere, or taken over, notices. ``beat`` counts the renewals: whoever takes over deletes the item only if
owner and beat are still those that it watched. ``expires`` is for DynamoDB's own clearing up (TTL on that attribute), long
after.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from crashcart.decoding import convert
from crashcart.errors import FactUnreadable
from crashcart.journal.claims import target_key
from crashcart.targets import Target
from crashcart.transports.aws_check import cloud_access
from crashcart.transports.base import ApiCall
from crashcart.values import format_span

SCHEMA = "key: id (String); docs/aws/credentials.md has the command that makes it"
FAILED = "ConditionalCheckFailedException"
CANCELLED = "TransactionCanceledException"
AT_ONCE = 100
"""Items that DynamoDB reads or writes in one call at most."""

KEEP = 7 * 86400
"""Seconds after which the items of a run that is gone may be cleared up."""

LONGEST = 600.0
"""Seconds that a lock may say that it lasts without being renewed; more is not believed."""

SKEW = 1.5
"""How many times its own time a lock may seem to last: clocks that differ by seconds are no reason to doubt it."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_WIDEST = 200


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A run that holds targets. ``since`` and ``until`` are seconds since 1970 by its own clock, ``ttl`` is in seconds."""

    run: str
    owner: str
    beat: int = 0
    ttl: float
    since: float
    until: float
    actor: str = "somebody unknown"
    controller: str = "a machine unknown"
    pid: int = 0
    playbook: str = "nothing known"
    reason: str = ""
    incident: str = ""

    def __post_init__(self) -> None:
        if not _RUN_ID.fullmatch(self.run) or not 0 < self.ttl <= LONGEST or not 0 <= self.since <= self.until < 2**33:
            raise ValueError("no run id, or times that cannot be")

    def is_at_work(self, now: datetime) -> bool:
        """Tell whether it was renewed lately, by two clocks that may differ. False is a suspicion, and not more."""
        return 0 < self.until - now.timestamp() <= self.ttl * SKEW

    def same_as(self, other: Holder) -> bool:
        """Tell whether it was not renewed between two looks."""
        return (self.owner, self.beat) == (other.owner, other.beat)

    def told(self, target: str, now: datetime) -> str:
        """Say who has a target, since when, doing what, where, and until when."""
        held = format_span(max(0.0, now.timestamp() - self.since))
        what = ", ".join(_clean(text) for text in (self.playbook, self.reason, self.incident) if text)
        where = f"run {self.run}, process {self.pid} on {_clean(self.controller)}"
        until = f"valid until {_date(self.until)} unless it is renewed"
        return f"{target} is held by {_clean(self.actor)} since {_date(self.since)} ({held}): {what} ({where}); {until}"

    @property
    def hint(self) -> str:
        """Say how to ask, and what helps when nobody can answer."""
        place = _clean(self.controller)
        return (
            f"ask {_clean(self.actor)}, or wait until it ends; on {place}, inv runs.show {self.run} shows it, "
            f"inv runs.resume {self.run} ends it if it died; otherwise it runs out {format_span(self.ttl)} after its death"
        )


class Claim(msgspec.Struct, frozen=True):
    """A target in the hands of one run, by the process that took it."""

    id: str
    run: str
    owner: str
    target: str = ""


class LockTable:
    """The calls of one table. Conditions are part of each, so that sending one twice does no harm."""

    def __init__(self, name: str) -> None:
        self._name = name

    def begin(self, me: Holder) -> ApiCall:
        """Make a run's item; one of the same run is made anew, for this process."""
        item = {"id": f"run/{me.run}", **msgspec.structs.asdict(me), "expires": int(me.until) + KEEP}
        condition = self._if("attribute_not_exists(#id) OR #run = :run", id=None, run=me.run)
        return ApiCall("dynamodb", "PutItem", {"TableName": self._name, "Item": _attributes(item), **condition})

    def renew(self, me: Holder) -> ApiCall:
        """Renew the run's item, if this process still owns it."""
        change = {"UpdateExpression": "SET #until = :until, #expires = :expires ADD #beat :one"}
        condition = self._if(
            "#owner = :owner", owner=me.owner, until=me.until, expires=int(me.until) + KEEP, beat=None, _one=1
        )
        return ApiCall("dynamodb", "UpdateItem", {**self._key(f"run/{me.run}"), **change, **condition})

    def end(self, me: Holder) -> ApiCall:
        """Delete the run's item, if this process still owns it: from then on, none of its targets is held."""
        return ApiCall(
            "dynamodb", "DeleteItem", {**self._key(f"run/{me.run}"), **self._if("#owner = :owner", owner=me.owner)}
        )

    def take_over(self, seen: Holder) -> ApiCall:
        """Delete another run's item, if it was not renewed since it was seen."""
        condition = self._if("#owner = :owner AND #beat = :beat", owner=seen.owner, beat=seen.beat)
        return ApiCall("dynamodb", "DeleteItem", {**self._key(f"run/{seen.run}"), **condition})

    def claim(self, claims: Sequence[Claim], over: Mapping[str, str], expires: int) -> ApiCall:
        """Write targets' items, all or none; over those of a run that is gone, ``over`` names their owners."""
        return self._all_or_none({"Put": self._put(claim, over.get(claim.id, ""), expires)} for claim in claims)

    def unclaim(self, claims: Sequence[Claim]) -> ApiCall:
        """Delete targets' items, all or none, if this process owns them."""
        return self._all_or_none(
            {"Delete": {**self._key(claim.id), **self._if("#owner = :owner", owner=claim.owner)}} for claim in claims
        )

    def read_holder(self, run: str) -> ApiCall:
        """Read a run's item as it is now."""
        return ApiCall("dynamodb", "GetItem", {**self._key(f"run/{run}"), "ConsistentRead": True})

    def read_claims(self, ids: Sequence[str]) -> ApiCall:
        """Read targets' items as they are now."""
        wanted = {"Keys": [_attributes({"id": name}) for name in ids], "ConsistentRead": True}
        return ApiCall("dynamodb", "BatchGetItem", {"RequestItems": {self._name: wanted}})

    def holder_in(self, answer: Mapping[str, Any]) -> Holder | None:
        """Return what ``read_holder`` found. Raises ``FactUnreadable``."""
        item = answer.get("Item")
        return _decode(item, Holder) if item else None

    def claims_in(self, answer: Mapping[str, Any]) -> list[Claim]:
        """Return what ``read_claims`` found. Raises ``FactUnreadable``, also when not all were read."""
        if answer.get("UnprocessedKeys"):
            raise FactUnreadable(f"table {self._name} did not read all that it was asked for")
        return [_decode(item, Claim) for item in answer.get("Responses", {}).get(self._name, [])]

    def _put(self, claim: Claim, over: str, expires: int) -> dict[str, Any]:
        item = {**msgspec.structs.asdict(claim), "expires": expires}
        mine = "attribute_not_exists(#id) OR #run = :run"
        condition = (
            self._if(f"{mine} OR #owner = :over", id=None, run=claim.run, owner=None, _over=over)
            if over
            else self._if(mine, id=None, run=claim.run)
        )
        return {"TableName": self._name, "Item": _attributes(item), **condition}

    def _key(self, name: str) -> dict[str, Any]:
        return {"TableName": self._name, "Key": _attributes({"id": name})}

    @staticmethod
    def _all_or_none(items: Iterable[dict[str, Any]]) -> ApiCall:
        return ApiCall("dynamodb", "TransactWriteItems", {"TransactItems": list(items)})

    @staticmethod
    def _if(condition: str, **used: Any) -> dict[str, Any]:
        """Return a condition with its names and values; a name with ``_`` in front is a value only, None a name only."""
        values = {f":{name.lstrip('_')}": value for name, value in used.items() if value is not None}
        return {
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name for name in used if not name.startswith("_")},
            "ExpressionAttributeValues": _attributes(values),
        }


def shared_key(target: Target) -> str:
    """Name what a target really is for everybody who shares a table, which is reached with the target's own access.

    A table belongs to one account, and the resource that is reached the same way to the same one; so kind, region and
    identifier say what an ARN says. A host is its address and port; a machine that needs no connection, its name.
    """
    if target.variable("ansible_connection") == "local":
        return f"{target_key(target)}/{socket.gethostname()}".lower()
    if target.kind == "linux":
        return target_key(target)
    known = {"aws_region": cloud_access(target).region, "aws_id": _plain_id(str(target.variable("aws_id") or target.name))}
    return target_key(msgspec.structs.replace(target, variables={**target.variables, **known}))


def _plain_id(name: str) -> str:
    """Take the identifier out of an ARN."""
    if not name.startswith("arn:"):
        return name
    parts = name.rpartition(":")[2].split("/")
    return parts[1] if parts[0] == "targetgroup" and len(parts) > 1 else parts[-1]


def _attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write values as DynamoDB wants them: texts and numbers, each with its type."""
    return {name: {"S": value} if isinstance(value, str) else {"N": str(value)} for name, value in values.items()}


def _decode(item: Mapping[str, Any], kind: type[Any]) -> Any:
    try:
        plain = {name: str(next(iter(value.values()))) for name, value in item.items()}
        return convert(plain, kind, strict=False)
    except (msgspec.MsgspecError, ValueError, AttributeError, StopIteration) as error:
        name = _clean(str(item.get("id")))
        raise FactUnreadable(f"an item of the lock's table cannot be understood: {name}: {error}", final=True) from error


def _clean(text: str) -> str:
    """Make text from a table fit for a line of ours."""
    return "".join(char if char.isprintable() else " " for char in text[:_WIDEST]).strip()


def _date(epoch: float) -> str:
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M:%S} UTC"
