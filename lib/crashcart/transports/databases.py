"""Databases as their clients see them: the connector of a run, and one session with each.

The drivers (psycopg, PyMySQL, redis) are the extra ``db`` and are imported when first used. Every step has its limit,
3 s each to resolve, to connect and to log in, 5 s for one answer; then the socket is shut down, whatever the driver does.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from crashcart.errors import (
    Cancelled,
    ConnectionLost,
    ConnectRefused,
    ConnectTimeout,
    CrashcartError,
    FactUnreadable,
    SilentPeer,
    Unreachable,
)
from crashcart.secrets import Redactor
from crashcart.targets import Target
from crashcart.transports.base import DatabaseTransport, Rows
from crashcart.transports.database_access import Access, Engine, Place, Tls, endpoint_access

CONNECT = 3.0
"""Seconds that a name, a connection and a login may take, each."""

STATEMENT = 5.0
"""Seconds that one answer may take."""

MOST_ROWS = 200
"""Rows that are read of one answer."""

_T = TypeVar("_T")


def open_database(target: Target) -> DatabaseTransport:
    """Make the way to a target's endpoint; nothing is contacted before its first use."""
    return Database(target)


class Driver:
    """What each engine does its own way, over one connection; errors are the driver's own.

    ``handle`` is a second way to its socket, to shut it down with: what the driver does with its own is its own business.
    """

    def __init__(self, access: Access, sock: socket.socket) -> None:
        self.access, self.place, self.sock = access, access.place, sock
        self.handle = copy_of(sock.fileno())

    @property
    def password(self) -> str | None:
        """The password, for handing it to the driver."""
        return self.access.password.reveal() if self.access.password else None

    def log_in(self) -> None:
        """Log in within ``CONNECT``."""

    def ask(self, query: str) -> Rows:
        """Send a query that only reads."""
        raise FactUnreadable(f"{self.place.address} is not asked anything but whether it accepts connections", final=True)

    def speak_over(self, number: int) -> None:
        """Take another socket for the one that is shut down: the driver has opened it itself."""
        self.handle.close()
        self.handle = copy_of(number)

    def error(self, error: Exception) -> CrashcartError | None:
        """Say what an error of the driver means; None for one that is no answer of the server's."""
        return None

    def close(self) -> None:
        """End the connection."""
        self.handle.close()
        self.sock.close()


class Database:
    """A session with one endpoint, opened on first use. ``cancel`` ends what is in flight from another thread."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._driver: Driver | None = None
        self._seconds = 0.0
        self._lock = threading.Lock()
        self._flight: _Flight | None = None

    @property
    def engine(self) -> Engine:
        """What answers there."""
        return self._place.engine

    @property
    def address(self) -> str:
        """``host:port``."""
        return self._place.address

    def connect(self) -> float:
        """Connect and log in, where that is not done yet; return the seconds that it took."""
        if self._driver is None:
            began = time.monotonic()
            access = endpoint_access(self._target)
            driver = self._guarded(access, None, CONNECT, lambda: _logged_in(access, self._watch))
            self._driver, self._seconds = driver, time.monotonic() - began
        return self._seconds

    def ask(self, query: str) -> Rows:
        """Ask something that changes nothing; at most ``MOST_ROWS`` rows of its answer, every value as text."""
        self.connect()
        driver = self._driver
        assert driver is not None  # noqa: S101 -- connect has made it
        try:
            return self._guarded(driver.access, driver, STATEMENT, lambda: self._watched(driver, query))
        except (Unreachable, ConnectionLost, Cancelled):
            self.close()
            raise

    def cancel(self) -> None:
        """Shut down the connection that is in use; whoever waits for it gets ``Cancelled``."""
        with self._lock:
            if self._flight:
                self._flight.end(cancelled=True)

    def close(self) -> None:
        """End the connection; the next use opens another."""
        driver, self._driver = self._driver, None
        if driver:
            with suppress(Exception):
                driver.close()

    @property
    def _place(self) -> Place:
        return Place.parse(str(self._target.variable("endpoint_url", "")))

    def _watch(self, sock: socket.socket) -> None:
        with self._lock:
            if self._flight:
                self._flight.watch(sock)

    def _watched(self, driver: Driver, query: str) -> Rows:
        self._watch(driver.handle)
        return driver.ask(query)

    def _guarded(self, access: Access, driver: Driver | None, limit: float, work: Callable[[], _T]) -> _T:
        """Do it within a limit of time, and raise ours for whatever it raises."""
        redact = Redactor([access.password] if access.password else [])
        with self._under_way(limit) as flight:
            try:
                return work()
            except CrashcartError as error:
                raise _why(flight, access.place, connected=driver is not None) or error from error
            except Exception as error:  # noqa: BLE001 -- each driver has its own errors; what is nobody's is raised again
                plain = _translated(error, access, driver)
                raise _why(flight, access.place, connected=driver is not None) or _redacted(plain, redact) from None

    @contextmanager
    def _under_way(self, limit: float) -> Iterator[_Flight]:
        flight = _Flight(limit)
        with self._lock:
            self._flight = flight
        try:
            yield flight
        finally:
            with self._lock:
                self._flight = None
            flight.close()


class _Flight:
    """One thing under way: its socket is shut down when its time is over, or when it is cancelled."""

    def __init__(self, limit: float) -> None:
        self.late = self.cancelled = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(limit, self.end)
        self._timer.daemon = True

    def watch(self, sock: socket.socket) -> None:
        """Shut this one down, from now on after the limit."""
        with self._lock:
            if self._socket is None:
                self._socket = copy_of(sock.fileno())
                self._timer.start()
        if self.late or self.cancelled:
            self._shut()

    def end(self, *, cancelled: bool = False) -> None:
        """End it from another thread."""
        self.cancelled, self.late = self.cancelled or cancelled, self.late or not cancelled
        self._shut()

    def close(self) -> None:
        """Forget about it."""
        self._timer.cancel()
        with self._lock:
            sock, self._socket = self._socket, None
        if sock:
            sock.close()

    def _shut(self) -> None:
        with self._lock, suppress(OSError):
            if self._socket:
                self._socket.shutdown(socket.SHUT_RDWR)


def copy_of(number: int) -> socket.socket:
    """Return another way to an open socket."""
    return socket.socket(fileno=os.dup(number))


def dial(place: Place) -> socket.socket:
    """Open a TCP connection. Raises ``ConnectRefused``, ``ConnectTimeout`` and ``Unreachable``."""
    try:
        return socket.create_connection((_address(place), place.port), timeout=CONNECT)
    except ConnectionRefusedError as error:
        raise ConnectRefused(f"{place.address} refuses connections") from error
    except TimeoutError as error:
        raise ConnectTimeout(f"{place.address} does not accept connections within {CONNECT:.0f} s") from error
    except OSError as error:
        raise Unreachable(f"{place.address} cannot be reached: {error.strerror or error}") from error


def _address(place: Place) -> str:
    """Ask for the first address of a name, for as long as a connection may take: a resolver has no limit of its own."""
    found: list[str | OSError] = []

    def resolve() -> None:
        try:
            found.append(str(socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0][4][0]))
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(CONNECT)
    if found and isinstance(found[0], str):
        return found[0]
    why = getattr(found[0], "strerror", "") if found else f"no answer within {CONNECT:.0f} s"
    raise ConnectTimeout(f"{place.host} does not resolve: {why}")


def _logged_in(access: Access, watch: Callable[[socket.socket], None]) -> Driver:
    driver = _driver(access.place.engine)(access, dial(access.place))
    watch(driver.handle)
    try:
        driver.log_in()
    except Exception as error:
        plain = _translated(error, access, driver)
        with suppress(Exception):
            driver.close()
        raise Unreachable(plain.message) if isinstance(plain, ConnectionLost) else plain from error
    return driver


def _driver(engine: Engine) -> type[Driver]:
    """Return the driver of an engine; each costs up to 0.1 s to import."""
    if engine is Engine.PORT:
        return Driver
    if engine is Engine.HTTP:
        from crashcart.transports.databases_http import Http  # noqa: PLC0415

        return Http
    from crashcart.transports.databases_drivers import MySql, PostgreSql, Redis  # noqa: PLC0415

    found: dict[Engine, type[Driver]] = {Engine.POSTGRESQL: PostgreSql, Engine.MYSQL: MySql, Engine.REDIS: Redis}
    return found[engine]


def _why(flight: _Flight, place: Place, *, connected: bool) -> CrashcartError | None:
    if flight.cancelled:
        return Cancelled(f"{place.address} was being asked when the run ended")
    if not flight.late:
        return None
    if connected:
        return ConnectionLost(f"{place.address} gave no answer within {STATEMENT:.0f} s")
    return silent(place)


def _translated(error: Exception, access: Access, driver: Driver | None) -> CrashcartError:
    if isinstance(error, CrashcartError):
        return error
    ours = driver.error(error) if driver else None
    if ours:
        return ours
    if isinstance(error, TimeoutError):
        return silent(access.place)
    if isinstance(error, OSError):
        return ConnectionLost(f"{access.place.address} broke the connection: {error.strerror or said(error)}")
    raise error


def _redacted(error: CrashcartError, redact: Redactor) -> CrashcartError:
    error.message = redact.data(error.message.encode()).decode()
    return error


def silent(place: Place) -> SilentPeer:
    """Return what a server is that accepts connections and nothing else."""
    over = " over TLS" if place.tls not in {Tls.DISABLE, Tls.PREFER} else ""
    return SilentPeer(f"{place.address} accepts connections but does not answer{over} within {CONNECT:.0f} s")


def said(error: Any) -> str:
    """Return what a driver or server says, in one short line."""
    text = " ".join(str(error).split())
    return "".join(char for char in text if char.isprintable())[:200]
