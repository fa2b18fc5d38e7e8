"""docs/aws/credentials.md states what the lock and the audit need: exactly what they ask for."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from crashcart.errors import Refused
from crashcart.journal.bucket import Bucket
from crashcart.journal.parcel import Piece
from crashcart.transports.aws_places import AUDIT, place_of
from crashcart.transports.connect import TargetConnector
from tests.aws.beside.sharing import Laptop, hosts
from tests.emulator import Emulator

PAGE = Path(__file__).resolve().parents[3] / "docs/aws/credentials.md"
NAMED = {"GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem"}


class Statement(msgspec.Struct, rename="pascal"):
    effect: str
    action: list[str]
    resource: str


class Policy(msgspec.Struct, rename="pascal"):
    statement: list[Statement]


def stated() -> set[str]:
    (block,) = re.findall(
        r"```json\n(.*?)```", PAGE.read_text().partition("## The shared lock")[2].partition("\n## ")[0], re.DOTALL
    )
    return {action for statement in msgspec.json.decode(block, type=Policy).statement for action in statement.action}


def test_the_lock_and_the_audit_need_what_is_stated_and_nothing_else(emulator: Emulator) -> None:
    emulator.client("s3").create_bucket(Bucket="audit")
    emulator.forget_requests()
    targets, ana, ben = hosts(emulator, "web1"), Laptop("ana"), Laptop("ben")
    with ana.holding("run-a", targets), pytest.raises(Refused):
        ben.lock("run-b", targets)._take()
    place = place_of(emulator.target("linux", "web1", audit="s3://audit/a"), AUDIT)
    assert place
    connect = TargetConnector()
    for _ in range(2):
        Bucket(connect.beside(place), place.name, place.path).ship("run-a", [Piece("x.json", b"{}")])
    connect.close()
    seen = {(request["service"], request["action"].split()[0]) for request in emulator.requests()}
    plain = {f"dynamodb:{action}" for service, action in seen if service == "dynamodb" and action in NAMED}
    assert seen - {("dynamodb", action) for action in NAMED} == {
        ("dynamodb", "TransactWriteItems"),
        ("s3", "PUT"),
        ("s3", "HEAD"),
    }
    # A transaction is allowed by what is in it: here puts and deletes. HEAD is a GetObject in IAM.
    assert plain | {"s3:PutObject", "s3:GetObject"} == stated()
