"""What the operations say of real servers: only a writer is good, and each trouble has its name."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
import redis

from crashcart.errors import AuthenticationFailed, ConnectRefused, ConnectTimeout, FactUnreadable, SilentPeer, Unreachable
from crashcart.operations import find_operation
from crashcart.operations.base import Decision, Done, Fail, Memory, NoGoal, Wait
from crashcart.results import Verdict
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.transports.connect import TargetConnector
from crashcart.values import decode
from tests.databases import servers
from tests.databases.servers import PASSWORD, Server

REDIS = "redis://127.0.0.1:{}"
POSTGRESQL = "postgresql://app@127.0.0.1:{}/postgres"
MYSQL = "mysql://app@127.0.0.1:{}/orders"


def decision(operation: str, url: str, *, password: str = PASSWORD, **wish: Any) -> Decision:
    """Look once and decide, over the connection that a run would open."""
    made = find_operation(operation)
    wanted = decode({"url": url, **wish}, made.wish)
    target = Target("orders-db", "rds_cluster", {"endpoint_password": Secret(password)} if password else {})
    session = TargetConnector()(made.subject(target, wanted))
    state = made.observe(session, wanted, frozenset())
    found = made.decide(state, Memory(pin=state, goal=NoGoal()), wanted)
    assert PASSWORD not in repr((state, found))
    return found


def answers(url: str, **wish: Any) -> Decision:
    return decision("database.answers", url, **wish)


def assess(url: str, **wish: Any) -> Decision:
    return decision("database.assess", url, **wish)


def lines(found: Decision, name: str) -> tuple[str, ...]:
    assert isinstance(found, Done | Fail)
    return next((one.lines for one in found.evidence if one.name == name), ())


# -- who is the writer ---------------------------------------------------------------------------------------------------


def test_a_redis_primary_is_the_writer(primary: Server) -> None:
    found = answers(REDIS.format(primary.port))
    assert isinstance(found, Done)
    assert "role writer: its role is master" in found.why


def test_a_redis_replica_that_answers_is_not(replica: Server) -> None:
    found = answers(REDIS.format(replica.port))
    assert isinstance(found, Wait)
    assert "answers, but as replica and not as writer" in found.why
    assert isinstance(answers(REDIS.format(replica.port), role="reader"), Done)
    assert isinstance(answers(REDIS.format(replica.port), role="any"), Done)


def test_a_cluster_is_good_when_all_its_slots_are_served() -> None:
    with servers.redis("--cluster-enabled", "yes", "--cluster-port", str(servers.free_port())) as node:
        url = REDIS.format(node.port)
        waiting = answers(url)
        assert isinstance(waiting, Wait)
        assert "cluster_state is fail" in waiting.why
        with redis.Redis(port=node.port, password=PASSWORD) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        done = _first_done(url)
        assert "role sharded" in done.why


def _first_done(url: str) -> Done:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        found = answers(url)
        if isinstance(found, Done):
            return found
    pytest.fail("the cluster does not get ready")


def test_a_postgresql_writer(writer: Server) -> None:
    found = answers(POSTGRESQL.format(writer.port))
    assert isinstance(found, Done)
    assert "role writer: it is not in recovery" in found.why


def test_a_standby_that_answers_is_not_the_writer(standby: Server) -> None:
    found = answers(POSTGRESQL.format(standby.port))
    assert isinstance(found, Wait)
    assert "as replica and not as writer: it is in recovery" in found.why
    worst = assess(POSTGRESQL.format(standby.port))
    assert isinstance(worst, Fail)
    assert worst.verdict is Verdict.DOWN


def test_a_server_that_is_set_read_only_is_told_apart_from_a_login_that_is(writer: Server) -> None:
    with psycopg.connect(_dsn(writer), autocommit=True) as admin:
        admin.execute("ALTER DATABASE template1 SET default_transaction_read_only = on")
        admin.execute("CREATE ROLE watcher LOGIN")
        admin.execute(f"ALTER ROLE watcher PASSWORD '{PASSWORD}'")
        admin.execute("ALTER ROLE watcher SET default_transaction_read_only = on")
        try:
            found = answers(f"postgresql://app@127.0.0.1:{writer.port}/template1")
            assert isinstance(found, Wait)
            assert "as read-only and not as writer" in found.why
            assert isinstance(answers(f"postgresql://watcher@127.0.0.1:{writer.port}/postgres"), Done)
        finally:
            admin.execute("ALTER DATABASE template1 RESET default_transaction_read_only")
            admin.execute("DROP ROLE watcher")


def test_mysql_writer_read_only_and_replica(mariadb: Server) -> None:
    url = MYSQL.format(mariadb.port)
    good = answers(url)
    assert isinstance(good, Done)
    assert "role writer: read_only is off" in good.why
    with _mysql(mariadb) as admin:
        admin.execute("SET GLOBAL read_only = 1")
        read_only = answers(url)
        admin.execute("SET GLOBAL read_only = 0")
        assert isinstance(read_only, Wait)
        assert "as read-only" in read_only.why
        admin.execute("CHANGE MASTER TO MASTER_HOST='orders-1.example.com', MASTER_USER='repl'")
        try:
            replica = answers(url)
        finally:
            admin.execute("RESET SLAVE ALL")
        assert isinstance(replica, Wait)
        assert "as replica and not as writer: it replicates from orders-1.example.com" in replica.why


# -- plain endpoints -----------------------------------------------------------------------------------------------------


def test_a_port_says_that_its_role_is_not_asked(primary: Server) -> None:
    found = answers(f"tcp://127.0.0.1:{primary.port}", password="")
    assert isinstance(found, Done)
    assert "its role is not asked" in found.why


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready?deep=1" else 503)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_a_url_has_to_answer_2xx() -> None:
    with HTTPServer(("127.0.0.1", 0), _Page) as page:
        thread = threading.Thread(target=page.serve_forever, daemon=True)
        thread.start()
        here = f"http://127.0.0.1:{page.server_port}"
        good, bad = answers(f"{here}/ready?deep=1"), answers(f"{here}/other")
        page.shutdown()
        thread.join()
    assert isinstance(good, Done)
    assert isinstance(bad, Wait)
    assert "answers 503" in bad.why


# -- connect, login, time-out, TLS: each its own -------------------------------------------------------------------------

SCHEMES = {"redis": REDIS, "postgresql": POSTGRESQL, "mysql": MYSQL}
schemes = pytest.mark.parametrize("form", SCHEMES.values(), ids=SCHEMES.keys())


@schemes
def test_nothing_listens(form: str) -> None:
    url = form.format(servers.free_port())
    with pytest.raises(ConnectRefused, match="refuses connections"):
        assess(url)
    waiting = answers(url)
    assert isinstance(waiting, Wait)
    assert "refuses connections" in waiting.why


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(ConnectTimeout, match=r"orders\.invalid does not resolve"):
        assess("postgresql://app@orders.invalid/orders")


def test_a_server_that_accepts_and_never_answers_is_given_up_within_three_seconds() -> None:
    with servers.mute() as port, ThreadPoolExecutor() as pool:
        began = time.monotonic()
        asked = [pool.submit(assess, form.format(port)) for form in SCHEMES.values()]
        errors = [one.exception() for one in asked]
        assert time.monotonic() - began < 4.5
    for error in errors:
        assert isinstance(error, SilentPeer)
        assert "accepts connections but does not answer" in error.message


@pytest.mark.parametrize(("form", "fixture"), [(REDIS, "primary"), (POSTGRESQL, "writer"), (MYSQL, "mariadb")])
def test_a_wrong_password_is_no_verdict_and_is_not_waited_for(
    form: str, fixture: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(fixture)
    for operation in ("database.answers", "database.assess"):
        with pytest.raises(AuthenticationFailed, match="denies the login") as raised:
            decision(operation, form.format(server.port), password="wrong-password")
        assert "endpoint_password_env" in raised.value.hint
        assert "wrong-password" not in str(raised.value)
    with pytest.raises(AuthenticationFailed):
        assess(form.format(server.port), password="")


def test_tls_that_the_server_does_not_have(primary: Server, standby: Server, mariadb: Server) -> None:
    for url in (
        f"rediss://127.0.0.1:{primary.port}",
        f"{POSTGRESQL.format(standby.port)}?sslmode=require",
        f"{MYSQL.format(mariadb.port)}?sslmode=require",
    ):
        with pytest.raises(Unreachable, match="TLS"):
            assess(url)


def test_a_certificate_is_verified_where_the_url_says_so(secure_redis: Server, writer: Server, authority: Path) -> None:
    redis_url, sql = f"rediss://localhost:{secure_redis.port}", f"postgresql://app@localhost:{writer.port}/postgres"
    assert isinstance(answers(f"{redis_url}?sslrootcert={authority}"), Done)
    assert isinstance(answers(f"{sql}?sslmode=verify-full&sslrootcert={authority}"), Done)
    assert isinstance(answers(f"{sql}?sslmode=require"), Done)
    for url in (redis_url, f"{sql}?sslmode=verify-full"):
        with pytest.raises(Unreachable, match=r"TLS.*certificate"):
            assess(url)


def test_a_missing_file_of_certificates_is_named() -> None:
    with pytest.raises(FactUnreadable, match="there is no file of certificates") as raised:
        assess("mysql://app@127.0.0.1/orders?sslmode=verify-full&sslrootcert=/nowhere.pem")
    assert raised.value.final


# -- how busy it is ------------------------------------------------------------------------------------------------------


def test_who_blocks_whom_is_a_tree(writer: Server) -> None:
    with _blocked(writer, 2) as (holder, waiting):
        found = assess(POSTGRESQL.format(writer.port), blocked_for="0s")
    assert isinstance(found, Fail)
    assert (found.verdict, "2 sessions wait for locks" in found.why) == (Verdict.DEGRADED, True), found.why
    assert f"the first to hold one is {holder} (holder, idle in transaction)" in found.why
    shown = lines(found, "blocked")
    assert shown[0] == f"{holder} (holder, idle in transaction) blocks:"
    assert {int(line.split()[0]) for line in shown[1:]} == set(waiting)
    assert all("(waiting, UPDATE)" in line for line in shown[1:])
    assert "secret text" not in repr(found)
    assert "holder, idle in transaction" in " ".join(lines(found, "connections"))


def test_a_short_wait_for_a_lock_is_healthy(writer: Server) -> None:
    with _blocked(writer, 1):
        found = assess(POSTGRESQL.format(writer.port), blocked_for="10m")
    assert isinstance(found, Done)
    assert lines(found, "blocked")


def test_a_server_without_a_connection_left_is_down_and_says_so(writer: Server) -> None:
    dsn = _dsn(writer)
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("CREATE ROLE small LOGIN")
        admin.execute(f"ALTER ROLE small PASSWORD '{PASSWORD}'")
        try:
            nearly = [psycopg.connect(dsn) for _ in range(9)]
            url = f"postgresql://small@127.0.0.1:{writer.port}/postgres"
            full = assess(url)
            for one in nearly:
                one.close()
            busy = assess(POSTGRESQL.format(writer.port), full="1%")
        finally:
            admin.execute("DROP ROLE small")
    assert isinstance(full, Fail)
    assert (full.verdict, "answers, but" in full.why) == (Verdict.DOWN, True), full.why
    assert isinstance(busy, Fail)
    assert "of 12 connections are in use" in busy.why


def test_redis_tells_clients_and_memory(primary: Server) -> None:
    found = assess(REDIS.format(primary.port))
    assert isinstance(found, Done)
    assert "of 10000 connections" in found.why or " connections" in found.why
    assert lines(found, "facts")[0].startswith("memory ")


def test_mysql_tells_who_blocks_whom(mariadb: Server) -> None:
    with _mysql(mariadb) as holding, _mysql(mariadb) as asking, _mysql(mariadb) as watching:
        holding.execute("CREATE TABLE IF NOT EXISTS stock (id INT PRIMARY KEY, n INT) ENGINE=InnoDB")
        holding.execute("REPLACE INTO stock VALUES (1, 1)")
        holding.execute("BEGIN")
        holding.execute("UPDATE stock SET n = 2 WHERE id = 1")
        thread = threading.Thread(target=lambda: asking.execute("UPDATE stock SET n = 3 WHERE id = 1"))
        thread.start()
        try:
            _until(lambda: _count(watching, "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"))
            found = assess(MYSQL.format(mariadb.port), blocked_for="0s")
        finally:
            holding.execute("ROLLBACK")
            thread.join()
    assert isinstance(found, Fail)
    assert "1 session waits for locks" in found.why
    assert any("(app, UPDATE)" in line for line in lines(found, "blocked"))


# -- bounded -------------------------------------------------------------------------------------------------------------


def test_a_look_leaves_no_connection_and_cannot_write(writer: Server) -> None:
    with psycopg.connect(_dsn(writer), autocommit=True) as admin:
        assert isinstance(assess(POSTGRESQL.format(writer.port)), Done)
        ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crashcart'"
        _until(lambda: not int((admin.execute(ours).fetchone() or (1,))[0]))
    target = Target(
        "orders", "database", {"endpoint_url": POSTGRESQL.format(writer.port), "endpoint_password": Secret(PASSWORD)}
    )
    session = TargetConnector()(target)
    with pytest.raises(FactUnreadable, match="read-only transaction"):
        session.ask("CREATE TABLE bad (id int)")  # type: ignore[attr-defined]
    began = time.monotonic()
    with pytest.raises(FactUnreadable, match="statement timeout"):
        session.ask("SELECT pg_sleep(60)")  # type: ignore[attr-defined]
    assert time.monotonic() - began < 5
    session.close()


def test_an_interrupt_ends_what_is_in_flight() -> None:
    with servers.mute() as port:
        session = TargetConnector()(Target("orders", "database", {"endpoint_url": f"mysql://app@127.0.0.1:{port}/orders"}))
        raised: list[BaseException] = []

        def ask() -> None:
            try:
                session.connect()  # type: ignore[attr-defined]
            except Exception as error:  # noqa: BLE001 -- whatever it is, it is looked at below
                raised.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        began = time.monotonic()
        while thread.is_alive() and time.monotonic() - began < 2.5:
            session.cancel()
        thread.join()
    assert type(raised[0]).__name__ == "Cancelled"


def _dsn(server: Server, name: str = "test") -> str:
    return f"host=127.0.0.1 port={server.port} user=app password={PASSWORD} dbname=postgres application_name={name}"


@contextmanager
def _mysql(server: Server) -> Iterator[pymysql.cursors.Cursor]:
    with (
        pymysql.connect(
            host="127.0.0.1", port=server.port, user="app", password=PASSWORD, database="orders", autocommit=True
        ) as made,
        made.cursor() as cursor,
    ):
        yield cursor


def _count(cursor: pymysql.cursors.Cursor, query: str) -> int:
    cursor.execute(query)
    return int((cursor.fetchone() or (0,))[-1])


@contextmanager
def _blocked(server: Server, number: int) -> Iterator[tuple[int, list[int]]]:
    """Let one session hold a row, and others wait for it."""
    with psycopg.connect(_dsn(server), autocommit=True) as admin, psycopg.connect(_dsn(server, "holder")) as holder:
        admin.execute("CREATE TABLE IF NOT EXISTS stock (id int PRIMARY KEY, n text)")
        admin.execute("INSERT INTO stock VALUES (1, '') ON CONFLICT DO NOTHING")
        holder.execute("UPDATE stock SET n = 'held' WHERE id = 1")
        waiting = [psycopg.connect(_dsn(server, "waiting")) for _ in range(number)]
        asks = "UPDATE stock SET n = 'secret text' WHERE id = 1"
        threads = [threading.Thread(target=_in_vain, args=(one, asks)) for one in waiting]
        for thread in threads:
            thread.start()
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        _until(lambda: int((admin.execute(query).fetchone() or (0,))[0]) == number)
        yield holder.info.backend_pid, [one.info.backend_pid for one in waiting]
        holder.rollback()
        for thread in threads:
            thread.join()
        for one in waiting:
            one.close()


def _in_vain(connection: psycopg.Connection[Any], query: str) -> None:
    connection.execute(query.encode())
    connection.rollback()


def _until(holds: Any) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
