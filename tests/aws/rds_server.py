"""moto's real server with a database in it, behind a front that counts requests and lets single ones go wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.rds.models import rds_backends
from werkzeug.serving import WSGIRequestHandler, make_server

REGION, ACCOUNT = "us-east-1", "123456789012"
WRITES = frozenset({"FailoverDBCluster", "RebootDBInstance"})
KEYS = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret"}

Answer = tuple[str, bytes]
App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Fault = Callable[[Callable[[], Answer]], Answer]

_ERROR = "<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error></ErrorResponse>"
_PENDING = (
    b"<DescribePendingMaintenanceActionsResponse><DescribePendingMaintenanceActionsResult><PendingMaintenanceActions/>"
    b"</DescribePendingMaintenanceActionsResult></DescribePendingMaintenanceActionsResponse>"
)


def throttled(answer: Callable[[], Answer]) -> Answer:
    """Refuse the request; nothing is done."""
    return "400 Bad Request", _ERROR.format("Throttling", "Rate exceeded").encode()


def lost_before(answer: Callable[[], Answer]) -> Answer:
    """Fail without having done anything."""
    return "503 Service Unavailable", _ERROR.format("ServiceUnavailable", "try later").encode()


def lost_after(answer: Callable[[], Answer]) -> Answer:
    """Do it, and fail to say so."""
    answer()
    return lost_before(answer)


AGO = timedelta(seconds=30)
"""A measurement is never of this very second, which a question for the time until now leaves out."""


class Front:
    """Counts requests by action; the next requests of an action meet the faults that ``faults`` lists for it."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self.actions: list[str] = []
        self.faults: dict[str, list[Fault]] = {}

    @property
    def writes(self) -> int:
        """How many requests arrived that would change something."""
        return sum(action in WRITES for action in self.actions)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        action = parse_qs(body.decode(errors="replace")).get("Action", [environ.get("HTTP_X_AMZ_TARGET", "")])[0]
        headers: list[Any] = []

        def answer() -> Answer:
            told: list[str] = []

            def start(status: str, given: list[Any], *rest: object) -> None:
                told.append(status)
                headers.extend(given)

            found = b"".join(self._app(environ, start))
            return told[0], found

        status, content = self._fault(action)(answer)
        kept = [(name, value) for name, value in headers if name.lower() not in {"content-length", "server", "date"}]
        start_response(status, [*kept, ("Content-Length", str(len(content)))])
        return [content]

    def _fault(self, action: str) -> Fault:
        with self._lock:
            self.actions.append(action)
            waiting = self.faults.get(action, [])
            if waiting:
                return waiting.pop(0)
        # moto does not know this call; nothing is pending here.
        unknown = action == "DescribePendingMaintenanceActions"
        return (lambda answer: ("200 OK", _PENDING)) if unknown else (lambda answer: answer())


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 -- the parent's name
        pass


class Server:
    """The running server. ``state`` is moto's own, to be arranged by tests."""

    def __init__(self, front: Front, url: str) -> None:
        self.front, self.url = front, url
        self.client = boto3.client("rds", endpoint_url=url, region_name=REGION, **KEYS)

    @property
    def state(self) -> Any:
        return rds_backends[ACCOUNT][REGION]

    @property
    def writer(self) -> str:
        cluster = self.client.describe_db_clusters(DBClusterIdentifier="orders")["DBClusters"][0]
        writers = [member["DBInstanceIdentifier"] for member in cluster["DBClusterMembers"] if member["IsClusterWriter"]]
        assert len(writers) == 1
        return str(writers[0])

    def seed(self, members: int = 3) -> None:
        """Make the cluster ``orders`` and the instances ``billing`` (Multi-AZ) and ``audit``, and forget what was."""
        self.state.reset()
        login = {"MasterUsername": "root", "MasterUserPassword": "p" * 9}
        self.client.create_db_cluster(DBClusterIdentifier="orders", Engine="aurora-postgresql", **login)
        plain = {"DBInstanceClass": "db.r6g.large", "Engine": "aurora-postgresql", "DBClusterIdentifier": "orders"}
        for tier in range(members):
            self.client.create_db_instance(DBInstanceIdentifier=f"orders-{tier + 1}", PromotionTier=tier, **plain)
        alone = {"DBInstanceClass": "db.m6g.large", "Engine": "postgres", "AllocatedStorage": 20, **login}
        self.client.create_db_instance(DBInstanceIdentifier="billing", MultiAZ=True, **alone)
        self.client.create_db_instance(DBInstanceIdentifier="audit", MultiAZ=False, **alone)
        self.client.describe_db_clusters()
        self._measure([f"orders-{tier + 1}" for tier in range(1, members)])
        self.front.actions.clear()
        self.front.faults.clear()

    def _measure(self, readers: list[str]) -> None:
        if not readers:
            return
        lag = {"MetricName": "AuroraReplicaLag", "Value": 20.0, "Unit": "Milliseconds", "Timestamp": datetime.now(UTC) - AGO}
        data = [{**lag, "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": name}]} for name in readers]
        cloudwatch = boto3.client("cloudwatch", endpoint_url=self.url, region_name=REGION, **KEYS)
        cloudwatch.put_metric_data(Namespace="AWS/RDS", MetricData=data)


@contextmanager
def running() -> Iterator[Server]:
    """Run the server in this process on a port of its own."""
    front = Front(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, front, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Server(front, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
