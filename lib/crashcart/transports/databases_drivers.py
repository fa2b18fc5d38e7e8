"""PostgreSQL, MySQL and Redis through psycopg, PyMySQL and redis-py, and what their errors mean.

The drivers are imported when a session logs in: whoever has none of their URLs does not need them.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from crashcart.errors import (
    AuthenticationFailed,
    Busy,
    ConnectionLost,
    CrashcartError,
    FactUnreadable,
    Unreachable,
)
from crashcart.transports.base import Rows
from crashcart.transports.database_access import Tls
from crashcart.transports.databases import CONNECT, MOST_ROWS, STATEMENT, Driver, said, silent

if TYPE_CHECKING:
    import psycopg
    import pymysql
    import redis

OWN_NAME = "crashcart"
CREDENTIALS = "the user is in endpoint_url, the password in endpoint_password or endpoint_password_env"

_AUTH = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|role .* does not exist|is not permitted to log in",
    re.IGNORECASE,
)
_BUSY = re.compile(
    r"starting up|shutting down|in recovery mode|not yet accepting|too many clients|too many connections|connection slots",
    re.IGNORECASE,
)
_TLS = re.compile(r"\bSSL\b|\bTLS\b|certificate", re.IGNORECASE)
_PREFACE = re.compile(r"^(connection failed: )?(connection to server at .*? failed: )?((FATAL|ERROR):\s*)?")
_TIMEOUT = re.compile(r"timeout expired|timed out", re.IGNORECASE)

_MYSQL_AUTH = frozenset({1044, 1045, 1130, 1251, 1524, 1698, 3118, 3159})
_MYSQL_BUSY = frozenset({1040, 1053, 1129, 1203, 1226})
_MYSQL_TLS = 2026
_MYSQL_LOST = frozenset({2003, 2006, 2013})


class PostgreSql(Driver):
    """Every query is a transaction of its own that may only read and ends on the server, too, after ``STATEMENT``."""

    _connection: psycopg.Connection[Any]

    def log_in(self) -> None:
        """Log in at the address that was reached; libpq opens the connection itself."""
        import psycopg  # noqa: PLC0415

        address = self.sock.getpeername()[0]
        self.sock.close()
        ca = self.place.ca or ("system" if self.place.tls is Tls.VERIFY_FULL else None)
        self._connection = psycopg.connect(
            host=self.place.host,
            hostaddr=address,
            port=self.place.port,
            user=self.place.user or None,
            password=self.password,
            dbname=self.place.path or None,
            sslmode=self.place.tls.value,
            sslrootcert=ca,
            connect_timeout=int(CONNECT),
            application_name=OWN_NAME,
            autocommit=True,
            prepare_threshold=None,
        )
        self.speak_over(self._connection.fileno())

    def ask(self, query: str) -> Rows:
        """Ask within a transaction that may only read."""
        with self._connection.cursor() as cursor:
            cursor.execute("BEGIN READ ONLY")
            try:
                cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT * 1000 - 500:.0f}".encode())
                cursor.execute(query.encode())
                return tuple(tuple(map(_text, row)) for row in cursor.fetchmany(MOST_ROWS))
            finally:
                with suppress(Exception):
                    cursor.execute("ROLLBACK")

    def error(self, error: Exception) -> CrashcartError | None:
        """Tell from the server's code, or at login, where there is none, from its words."""
        import psycopg  # noqa: PLC0415

        if not isinstance(error, psycopg.Error):
            return None
        code, where, words = error.sqlstate or "", self.place.address, _last_line(error)
        if isinstance(error, psycopg.errors.ConnectionTimeout) or (not code and _TIMEOUT.search(words)):
            return silent(self.place)
        if code.startswith("57P") or code == "53300" or (not code and _BUSY.search(words)):
            return Busy(f"{where} answers, but {words}")
        if code.startswith("28") or (not code and _AUTH.search(words)):
            return AuthenticationFailed(f"{where} denies the login: {words}", hint=CREDENTIALS)
        if not code and _TLS.search(words):
            return Unreachable(f"{where}: TLS: {words}")
        if code and not code.startswith("08"):
            return FactUnreadable(f"{where}: {words}")
        return ConnectionLost(f"{where}: {words}")

    def close(self) -> None:
        """End the session."""
        super().close()
        if hasattr(self, "_connection"):
            self._connection.close()


class MySql(Driver):
    """A session that may only read."""

    _connection: pymysql.Connection[Any]

    def log_in(self) -> None:
        """Log in over the connection that stands."""
        import pymysql  # noqa: PLC0415

        self._connection = pymysql.Connection(
            host=self.place.host,
            port=self.place.port,
            user=self.place.user or None,
            password=self.password or "",
            database=self.place.path or None,
            ssl=tls_context(self.place.tls, self.place.ca),
            ssl_disabled=self.place.tls is Tls.DISABLE,
            read_timeout=STATEMENT,
            write_timeout=STATEMENT,
            program_name=OWN_NAME,
            autocommit=True,
            defer_connect=True,
        )
        self._connection.connect(self.sock)
        with self._connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION READ ONLY")
            try:
                cursor.execute(f"SET SESSION max_execution_time = {STATEMENT * 1000:.0f}")
            except pymysql.MySQLError:  # MariaDB's name for it
                cursor.execute(f"SET SESSION max_statement_time = {STATEMENT:.0f}")

    def ask(self, query: str) -> Rows:
        """Ask; the first row of an answer that has names of its own (``SHOW``) is the names."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            names = [tuple(column[0] for column in cursor.description or ())] if query.startswith("SHOW") else []
            return tuple(tuple(map(_text, row)) for row in (*names, *cursor.fetchmany(MOST_ROWS)))

    def error(self, error: Exception) -> CrashcartError | None:
        """Tell from the server's or the client's number."""
        import pymysql  # noqa: PLC0415

        if not isinstance(error, pymysql.MySQLError):
            return None
        number, words = (error.args[0] if error.args else 0), said(error.args[-1] if error.args else error)
        where = self.place.address
        if number in _MYSQL_AUTH:
            return AuthenticationFailed(f"{where} denies the login: {words}", hint=CREDENTIALS)
        if number in _MYSQL_BUSY:
            return Busy(f"{where} answers, but {words}")
        if number == _MYSQL_TLS or isinstance(error.__cause__, ssl.SSLError):
            return Unreachable(f"{where}: TLS: {words}")
        if number in _MYSQL_LOST or not number:
            late = isinstance(error.__cause__ or error.__context__, TimeoutError)
            return silent(self.place) if late else ConnectionLost(f"{where}: {words}")
        return FactUnreadable(f"{where}: {words}")

    def close(self) -> None:
        """End the session."""
        if hasattr(self, "_connection"):
            with suppress(Exception):
                self._connection.close()
        super().close()


class Redis(Driver):
    """Commands that only read; RESP2, which every server speaks."""

    _client: redis.Redis

    def log_in(self) -> None:
        """Log in at the address that was reached, and PING."""
        import redis  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        self.sock.close()
        self._client = redis.Redis(
            host=self.place.host,
            port=self.place.port,
            username=self.place.user or None,
            password=self.password or None,
            ssl=self.place.tls is not Tls.DISABLE,
            ssl_ca_certs=self.place.ca if self.place.ca not in {"", "system"} else None,
            socket_connect_timeout=CONNECT,
            socket_timeout=CONNECT,
            retry=Retry(NoBackoff(), 0),
            client_name=OWN_NAME,
            single_connection_client=True,
            decode_responses=True,
            protocol=2,
        )
        self._send("PING")
        sock = getattr(self._client.connection, "_sock", None)
        if sock:
            self.speak_over(sock.fileno())

    def ask(self, query: str) -> Rows:
        """Send a command; an answer of named values comes as rows of name and value."""
        answer = self._send(*query.split())
        if isinstance(answer, dict):
            return tuple((str(name), _text(value)) for name, value in answer.items())
        lines = [line.partition(":") for line in str(answer).splitlines()]
        return tuple((name, value) for name, _, value in lines) if len(lines) > 1 else ((_text(answer),),)

    def _send(self, *words: str) -> object:
        send: Callable[..., object] = self._client.execute_command
        return send(*words)

    def error(self, error: Exception) -> CrashcartError | None:
        """Tell from the class, and where it is one for all from the server's words."""
        import redis  # noqa: PLC0415

        if not isinstance(error, redis.RedisError):
            return None
        where, words = self.place.address, said(error)
        if isinstance(error, redis.AuthenticationError) or "NOAUTH" in words or "WRONGPASS" in words:
            return AuthenticationFailed(f"{where} denies the login: {words}", hint=CREDENTIALS)
        if isinstance(error, redis.BusyLoadingError) or "max number of clients" in words or "MASTERDOWN" in words:
            return Busy(f"{where} answers, but {words}")
        if isinstance(error, redis.TimeoutError):
            return silent(self.place)
        if isinstance(error, redis.ConnectionError):
            is_tls = isinstance(error.__cause__ or error.__context__, ssl.SSLError) or _TLS.search(words)
            return Unreachable(f"{where}: TLS: {words}") if is_tls else ConnectionLost(f"{where}: {words}")
        return FactUnreadable(f"{where}: {words}")

    def close(self) -> None:
        """End the session."""
        if hasattr(self, "_client"):
            with suppress(Exception):
                self._client.close()
        super().close()


def tls_context(tls: Tls, ca: str) -> ssl.SSLContext | None:
    """Return what MySQL's driver needs for TLS; None where it may do without."""
    if tls in {Tls.DISABLE, Tls.PREFER}:
        return None
    context = ssl.create_default_context(cafile=ca if ca not in {"", "system"} else None)
    context.check_hostname = tls is Tls.VERIFY_FULL
    if tls is Tls.REQUIRE:
        context.verify_mode = ssl.CERT_NONE
    return context


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _last_line(error: Exception) -> str:
    """Return the server's own words without libpq's preface, which repeats the address."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    words = next((line for line in lines if "FATAL:" in line or "ERROR:" in line), lines[0] if lines else "")
    return said(_PREFACE.sub("", words))
