"""Against moto's real server: sessions, roles, pages, and what AWS's records would show."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest

from crashcart.clock import SystemClock
from crashcart.errors import InvalidCall, NoSuchResource
from crashcart.transports.aws import AwsConnector
from crashcart.transports.aws_check import cloud_access
from crashcart.transports.aws_names import Identity
from crashcart.transports.aws_sessions import AwsSession, AwsSessions, Limits
from crashcart.transports.base import ApiCall
from tests.aws.transport.breaking_server import BreakingServer, reply, take_request
from tests.aws.transport.conftest import REGION, emulated

ROLE = "arn:aws:iam::111122223333:role/crashcart-oncall"
ALL_GROUPS = ApiCall("autoscaling", "DescribeAutoScalingGroups", {})


@pytest.fixture(scope="module")
def seeded(moto_url: str) -> str:
    """An account with an Aurora cluster and 25 parameter groups."""
    urlopen(Request(f"{moto_url}/moto-api/reset", method="POST")).close()  # noqa: S310 -- our own server
    keys = {"endpoint_url": moto_url, "region_name": REGION, "aws_access_key_id": "A", "aws_secret_access_key": "s"}
    rds = boto3.client("rds", **keys)
    login = {"MasterUsername": "u", "MasterUserPassword": "p" * 9}
    rds.create_db_cluster(DBClusterIdentifier="orders", Engine="aurora-mysql", **login)
    logs = boto3.client("logs", **keys)
    for number in range(25):
        logs.create_log_group(logGroupName=f"group-{number}")
    return moto_url


@pytest.fixture
def connector() -> Iterator[AwsConnector]:
    made = AwsConnector(limits=Limits(items=20))
    yield made
    made.close()


def test_a_target_is_read(seeded: str, connector: AwsConnector) -> None:
    transport = connector(emulated(seeded, "shown", aws_id="orders"))
    found = transport.read(ApiCall("rds", "DescribeDBClusters", {"DBClusterIdentifier": transport.resource}))
    assert [cluster["DBClusterIdentifier"] for cluster in found["DBClusters"]] == ["orders"]
    assert set(found) == {"DBClusters"}
    assert (transport.region, transport.is_emulated) == (REGION, True)


def test_an_unknown_name_is_no_such_resource(seeded: str, connector: AwsConnector) -> None:
    with pytest.raises(NoSuchResource, match="DBClusterNotFoundFault") as raised:
        connector(emulated(seeded)).read(ApiCall("rds", "DescribeDBClusters", {"DBClusterIdentifier": "oders"}))
    assert raised.value.action == "rds:DescribeDBClusters"


def test_all_pages_are_one_answer_and_too_many_an_error(seeded: str) -> None:
    call = ApiCall("logs", "DescribeLogGroups", {"limit": 5})
    names = {f"group-{number}" for number in range(25)}
    enough, fewer_items, fewer_pages = (AwsConnector(limits=it) for it in (Limits(), Limits(items=24), Limits(pages=4)))
    found = enough(emulated(seeded)).read(call)
    assert {group["logGroupName"] for group in found["logGroups"]} == names
    assert "nextToken" not in found
    with pytest.raises(InvalidCall, match="more than 24 items"):
        fewer_items(emulated(seeded)).read(call)
    with pytest.raises(InvalidCall, match="more than 4 pages"):
        fewer_pages(emulated(seeded)).read(call)


def test_a_read_may_ask_for_the_first_few_only(seeded: str, connector: AwsConnector) -> None:
    call = ApiCall("logs", "DescribeLogGroups", {"limit": 5, "PaginationConfig": {"MaxItems": 3}})
    found = connector(emulated(seeded)).read(call)
    assert len(found["logGroups"]) == 3
    assert "NextToken" not in found


def test_a_role_is_assumed_under_the_name_of_the_run(seeded: str) -> None:
    connector = AwsConnector(session_name="ana-run7", run="run7")
    target = emulated(seeded, aws_role_arn=ROLE, aws_external_id="partner")
    found = connector(target).read(ApiCall("sts", "GetCallerIdentity", {}))
    assert found["Arn"] == "arn:aws:sts::111122223333:assumed-role/crashcart-oncall/ana-run7"
    connector.close()


def test_a_role_is_asked_for_once_and_with_its_external_id(server: BreakingServer, connector: AwsConnector) -> None:
    requests = record(server)
    transport = connector(emulated(server.url, aws_role_arn=ROLE, aws_external_id="partner"))
    for _ in range(3):
        assert transport.read(ALL_GROUPS) == {}
    asked = [request for request in requests if b"Action=AssumeRole" in request]
    assert len(asked) == 1
    assert b"ExternalId=partner" in asked[0]
    assert b"RoleSessionName=crashcart" in asked[0]


def test_requests_name_the_run(server: BreakingServer) -> None:
    requests = record(server)
    AwsConnector(run="20300131-030000-a1b2c3")(emulated(server.url)).read(ALL_GROUPS)
    agent = next(line for line in requests[0].splitlines() if line.lower().startswith(b"user-agent:"))
    assert agent.endswith(b" crashcart/20300131-030000-a1b2c3")


def test_clients_are_made_once_whatever_the_number_of_threads(seeded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    original = AwsSession._client

    def count(self: AwsSession, name: str, config: Any) -> Any:
        made.append(name)
        return original(self, name, config)

    monkeypatch.setattr(AwsSession, "_client", count)
    connector = AwsConnector()
    start = threading.Barrier(16)

    def read(number: int) -> int:
        start.wait(10)
        target = emulated(seeded, f"t{number}", aws_region=("us-east-1", "us-west-2")[number % 2])
        return len(connector(target).read(ALL_GROUPS)["AutoScalingGroups"])

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(read, range(16))) == 0
    assert made == ["autoscaling"] * 2
    connector.close()


def test_reads_and_writes_have_their_own_patience(seeded: str) -> None:
    sessions = AwsSessions(Identity(), Limits(), SystemClock())
    session = sessions.get(cloud_access(emulated(seeded)))
    session.authenticate()
    read, write = (session.service("rds", writes=writes).client.meta.config for writes in (False, True))
    assert (read.retries["total_max_attempts"], read.connect_timeout, read.read_timeout) == (4, 3.0, 10.0)
    assert (write.retries["total_max_attempts"], write.connect_timeout, write.read_timeout) == (1, 3.0, 30.0)
    assert session.service("rds", writes=False) is session.service("rds", writes=False)


def test_renewing_replaces_a_session_once(seeded: str) -> None:
    sessions = AwsSessions(Identity(), Limits(), SystemClock())
    access = cloud_access(emulated(seeded))
    stale = sessions.get(access)
    sessions.renew(stale)
    fresh = sessions.get(access)
    sessions.renew(stale)
    assert stale is not fresh
    assert sessions.get(access) is fresh


def record(server: BreakingServer) -> list[bytes]:
    """Have the server answer everything; return where its requests will be."""
    requests: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        requests.append(take_request(connection))
        connection.sendall(assumed(requests[-1]))

    server.does(behave)
    return requests


def assumed(request: bytes) -> bytes:
    """Answer as STS does to AssumeRole, and to everything else with an empty list."""
    credentials = (
        "<Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
        "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
    )
    name = "AssumeRole" if b"Action=AssumeRole" in request else "DescribeAutoScalingGroups"
    body = credentials if name == "AssumeRole" else ""
    return reply(f"<{name}Response><{name}Result>{body}</{name}Result></{name}Response>", 200, "text/xml")
