"""Every way in which a call can go wrong, over real sockets: what it is called, and how many requests it took."""

from __future__ import annotations

import socket

import pytest
from botocore.exceptions import (
    CredentialRetrievalError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSOTokenLoadError,
    UnauthorizedSSOTokenError,
)
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NameResolutionError

from crashcart.errors import (
    AccessDenied,
    AuthenticationFailed,
    Busy,
    ConnectionLost,
    ConnectRefused,
    ConnectTimeout,
    CrashcartError,
    FactUnreadable,
    InvalidCall,
    NoSuchResource,
    NotSent,
    Throttled,
    Unreachable,
)
from crashcart.targets import Target
from crashcart.transports.aws import AwsConnector, AwsTransport
from crashcart.transports.aws_check import AwsAccess
from crashcart.transports.aws_errors import Sent, call_error, login_error
from crashcart.transports.base import ApiCall
from tests.aws.transport.breaking_server import (
    Behaviour,
    BreakingServer,
    Silence,
    answer,
    broken_off,
    error,
    reset_unread,
    truncated,
)
from tests.aws.transport.conftest import REGION, emulated

READ = ApiCall("rds", "DescribeDBClusters", {"DBClusterIdentifier": "orders"})
WRITE = ApiCall("rds", "FailoverDBCluster", {"DBClusterIdentifier": "orders"})
HTML = answer("<html><body>Service Unavailable</body></html>", 503, kind="text/html")
FOUND = answer(
    "<DescribeDBClustersResponse><DescribeDBClustersResult><DBClusters><DBCluster><Status>available</Status></DBCluster>"
    "</DBClusters></DescribeDBClustersResult></DescribeDBClustersResponse>"
)

DENIAL = (
    "User: arn:aws:sts::111122223333:assumed-role/oncall/ana is not authorized to perform: rds:FailoverDBCluster "
    "on resource: arn:aws:rds:eu-central-1:111122223333:cluster:orders because no identity-based policy allows it"
)

ONCE: list[tuple[str, Behaviour, type[CrashcartError]]] = [
    ("throttled", error("Throttling"), Throttled),
    ("throttled by status", error("SomethingNew", 429), Throttled),
    ("throttled with 503", error("RequestLimitExceeded", 503), Throttled),
    ("busy", error("InvalidDBClusterStateFault"), Busy),
    ("server error", error("InternalFailure", 500), ConnectionLost),
    ("unknown server error", error("SomethingNew", 502), ConnectionLost),
    ("unavailable, in HTML", HTML, ConnectionLost),
    ("crashed, in HTML", answer("<html>Internal <b>Server", 500, kind="text/html"), ConnectionLost),
    ("reset before the request was read", reset_unread, ConnectionLost),
    ("reset after the request was read", broken_off, ConnectionLost),
    ("truncated XML", truncated, ConnectionLost),
    ("denied", error("AccessDenied", 403, DENIAL), AccessDenied),
    ("no such cluster", error("DBClusterNotFoundFault", 404), NoSuchResource),
    ("no such thing of a new kind", error("WidgetNotFoundFault", 404), NoSuchResource),
    ("wrong parameter", error("InvalidParameterValue"), InvalidCall),
    ("unknown refusal", error("SomethingNew"), InvalidCall),
    ("unknown key", error("InvalidClientTokenId", 403), AuthenticationFailed),
    ("wrong clock", error("RequestExpired"), AuthenticationFailed),
    ("expired", error("ExpiredToken", 403), NotSent),
]


@pytest.mark.parametrize(("behaviour", "expected"), [row[1:] for row in ONCE], ids=[row[0] for row in ONCE])
def test_a_write_is_one_request_whatever_comes_back(
    server: BreakingServer, transport: AwsTransport, behaviour: Behaviour, expected: type[CrashcartError]
) -> None:
    server.does(behaviour)
    with pytest.raises(expected) as raised:
        transport.write(WRITE)
    assert server.requests == 1
    assert type(raised.value) is expected
    assert raised.value.__cause__ is not None


def test_a_write_that_is_not_answered_is_one_request(server: BreakingServer, transport: AwsTransport) -> None:
    silence = Silence()
    server.does(silence)
    with pytest.raises(ConnectionLost, match="did not answer in time; it may have taken effect"):
        transport.write(WRITE)
    silence.release.set()
    assert server.requests == 1


READS: list[tuple[str, Behaviour, type[CrashcartError], int]] = [
    ("server error", error("InternalFailure", 500), ConnectionLost, 4),
    ("reset", broken_off, ConnectionLost, 4),
    ("truncated XML", truncated, FactUnreadable, 1),
    ("busy", error("InvalidDBClusterStateFault"), Busy, 1),
    ("denied", error("AccessDenied", 403, DENIAL), AccessDenied, 1),
    ("no such cluster", error("DBClusterNotFoundFault", 404), NoSuchResource, 1),
    ("expired, and again with fresh credentials", error("ExpiredToken", 403), AuthenticationFailed, 2),
]


@pytest.mark.parametrize(("behaviour", "expected", "requests"), [row[1:] for row in READS], ids=[row[0] for row in READS])
def test_a_read_is_repeated_only_where_that_helps(
    server: BreakingServer, transport: AwsTransport, behaviour: Behaviour, expected: type[CrashcartError], requests: int
) -> None:
    server.does(behaviour)
    with pytest.raises(expected) as raised:
        transport.read(READ)
    assert "may have taken effect" not in raised.value.message
    assert server.requests == requests


def test_a_read_outlives_a_broken_connection(server: BreakingServer, transport: AwsTransport) -> None:
    server.does(broken_off, error("InternalFailure", 500), FOUND)
    assert transport.read(READ) == {"DBClusters": [{"Status": "available"}]}
    assert server.requests == 3


def test_a_read_takes_fresh_credentials_when_its_own_have_expired(server: BreakingServer, transport: AwsTransport) -> None:
    server.does(error("ExpiredTokenException", 403), FOUND)
    assert transport.read(READ) == {"DBClusters": [{"Status": "available"}]}
    assert server.requests == 2


def test_nothing_listens(connector: AwsConnector) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    for send in (connector(emulated(url)).read, connector(emulated(url)).write):
        with pytest.raises(ConnectRefused) as raised:
            send(WRITE)
        assert raised.value.message == f"nothing listens on {url}"
        assert raised.value.hint == "is the emulator up? inv lab.up"


def test_an_endpoint_that_does_not_resolve(connector: AwsConnector) -> None:
    with pytest.raises(ConnectTimeout, match=r"nowhere\.invalid does not resolve") as raised:
        connector(emulated("http://nowhere.invalid")).write(WRITE)
    assert raised.value.hint == "is aws_endpoint_url right?"


@pytest.mark.parametrize(("region", "hint"), [("eu-central-9", "did you mean eu-central-"), ("us-east-1", "HTTPS_PROXY")])
def test_an_endpoint_of_aws_that_does_not_resolve_names_the_nearest_region(region: str, hint: str) -> None:
    host = f"rds.{region}.amazonaws.com"
    cause = NameResolutionError(host, HTTPConnection(host), socket.gaierror(-2, "Name or service not known"))
    error = EndpointConnectionError(endpoint_url=f"https://{host}/", error=cause)
    found = call_error(error, Sent(READ, AwsAccess(region), writes=False), str)
    assert type(found) is ConnectTimeout
    assert found.message == f"{host} does not resolve"
    assert hint in found.hint


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (None, "there are no AWS credentials", "aws sso login --profile oncall"),
        (UnauthorizedSSOTokenError(), "single sign-on is over", "aws sso login --profile oncall"),
        (SSOTokenLoadError(error_msg="no token"), "single sign-on is over", "aws sso login --profile oncall"),
        (CredentialRetrievalError(provider="custom-process", error_msg="exit 1"), "cannot be used", "docs/aws/"),
        (ReadTimeoutError(endpoint_url="https://sts"), "no AWS credentials could be had", ""),
    ],
)
def test_a_login_that_fails_says_how_to_get_one(error: Exception | None, message: str, hint: str) -> None:
    found = login_error(error, AwsAccess("eu-central-1", profile="oncall"))
    assert isinstance(found, Unreachable)
    assert message in found.message
    assert hint in found.hint


def test_wrong_parameters_are_found_before_anything_is_sent(server: BreakingServer, transport: AwsTransport) -> None:
    for send in (transport.read, transport.write):
        with pytest.raises(InvalidCall, match="FailoverDBCluster: Parameter validation failed"):
            send(ApiCall("rds", "FailoverDBCluster", {"DBCluster": "orders"}))
    assert server.requests == 0


def test_unknown_operations_name_the_nearest(server: BreakingServer, transport: AwsTransport) -> None:
    with pytest.raises(InvalidCall, match="rds has no operation 'FailOverDBCluster'") as raised:
        transport.write(ApiCall("rds", "FailOverDBCluster", {}))
    assert "FailoverDBCluster" in raised.value.hint
    with pytest.raises(InvalidCall, match="there is no service 'rdbms'"):
        transport.write(ApiCall("rdbms", "FailoverDBCluster", {}))
    assert server.requests == 0


def test_no_credentials(server: BreakingServer, connector: AwsConnector) -> None:
    target = Target("orders", "rds_cluster", {"aws_region": REGION, "aws_endpoint_url": server.url})
    with pytest.raises(AuthenticationFailed, match="there are no AWS credentials") as raised:
        connector(target).write(WRITE)
    assert "aws sso login" in raised.value.hint
    assert server.requests == 0


def test_a_denial_names_the_statement_and_the_caller(server: BreakingServer, transport: AwsTransport) -> None:
    server.does(error("AccessDenied", 403, DENIAL))
    with pytest.raises(AccessDenied) as raised:
        transport.write(WRITE)
    cluster = "arn:aws:rds:eu-central-1:111122223333:cluster:orders"
    assert raised.value.message == (
        f"rds:FailoverDBCluster is denied to arn:aws:sts::111122223333:assumed-role/oncall/ana on {cluster}"
    )
    statement = f'{{"Effect":"Allow","Action":"rds:FailoverDBCluster","Resource":"{cluster}"}}'
    assert raised.value.hint == f"missing in the policy: {statement}"


def test_a_terse_denial_has_sts_asked_who_we_are(server: BreakingServer, transport: AwsTransport) -> None:
    caller = "arn:aws:iam::111122223333:user/ana"
    identity = f"<GetCallerIdentityResult><Arn>{caller}</Arn></GetCallerIdentityResult>"
    server.does(
        error("AccessDenied", 403),
        answer(f"<GetCallerIdentityResponse>{identity}</GetCallerIdentityResponse>"),
        reset_unread,
    )
    with pytest.raises(AccessDenied, match=f"denied to {caller} on arn:aws:rds:eu-central-1:111122223333:cluster:orders"):
        transport.write(WRITE)
    assert server.requests == 2


def test_a_denial_does_not_wait_for_sts(server: BreakingServer, transport: AwsTransport) -> None:
    server.does(error("AccessDenied", 403, "no"), reset_unread)
    with pytest.raises(
        AccessDenied, match="rds:FailoverDBCluster is denied to the caller on arn:aws:rds:eu-central-1:"
    ) as raised:
        transport.write(WRITE)
    assert "cluster:orders" in raised.value.hint


ROLE = "arn:aws:iam::111122223333:role/oncall"
LOGINS: list[tuple[str, Behaviour, type[CrashcartError], str]] = [
    ("denied", error("AccessDenied", 403), AuthenticationFailed, f'"Action":"sts:AssumeRole","Resource":"{ROLE}"'),
    ("unknown key", error("InvalidClientTokenId", 403), AuthenticationFailed, "unknown to AWS"),
    ("sts broken", error("InternalFailure", 500), Unreachable, ""),
    ("sts breaks off", broken_off, Unreachable, ""),
    ("sts in HTML", answer("<html>Internal <b>Server", 500, kind="text/html"), Unreachable, ""),
    ("own credentials expired", error("ExpiredToken", 403), NotSent, "aws sso login"),
]


@pytest.mark.parametrize(("behaviour", "expected", "hint"), [row[1:] for row in LOGINS], ids=[row[0] for row in LOGINS])
def test_a_role_that_is_not_given_means_that_nothing_was_done(
    server: BreakingServer, connector: AwsConnector, behaviour: Behaviour, expected: type[CrashcartError], hint: str
) -> None:
    server.does(behaviour)
    with pytest.raises(expected) as raised:
        connector(emulated(server.url, aws_role_arn=ROLE)).write(WRITE)
    assert type(raised.value) is expected
    assert isinstance(raised.value, Unreachable | NotSent)
    assert hint in raised.value.hint


def test_errors_of_a_new_kind_are_never_taken_for_nothing_done(server: BreakingServer, transport: AwsTransport) -> None:
    """Whatever a library raises once a request has left, a write may have taken effect and a read is no answer."""
    server.does(answer("\x00\xff" * 10, 200))
    with pytest.raises(ConnectionLost):
        transport.write(WRITE)
    with pytest.raises(FactUnreadable):
        transport.read(READ)


def test_foreign_texts_are_bounded_and_on_one_line(server: BreakingServer, transport: AwsTransport) -> None:
    server.does(error("InvalidParameterValue", message="no&#10;" + "x" * 5000))
    with pytest.raises(InvalidCall) as raised:
        transport.write(WRITE)
    assert len(raised.value.message) < 600
    assert "\n" not in raised.value.message


def test_all_of_it_is_in_the_error_tree() -> None:
    assert all(issubclass(kind, CrashcartError) for _, _, kind in ONCE)
    assert issubclass(ConnectRefused, Unreachable)
