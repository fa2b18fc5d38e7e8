"""What is asked of each engine, and how its answers are read: the role, the connections, who blocks whom.

All of it reads, is bounded in time by the transport and in size here, and touches no table of the application. No query text
is kept, since it may hold anything: its first word is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum

import msgspec

from crashcart.errors import Busy, FactUnreadable
from crashcart.transports.base import DatabaseTransport, Rows
from crashcart.transports.database_access import Engine

_PG_ROLE = """
SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only'),
  (SELECT source FROM pg_settings WHERE name = 'default_transaction_read_only')
"""
_PG_COUNTS = """
SELECT coalesce(state, 'hidden'), coalesce(application_name, ''), count(*), current_setting('max_connections')
FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 50
"""
_PG_BLOCKED = """
SELECT waiting.pid, blocker, extract(epoch FROM now() - waiting.query_start)::int, coalesce(waiting.application_name, ''),
  left(split_part(ltrim(waiting.query), ' ', 1), 12), coalesce(holding.state, 'hidden'),
  coalesce(holding.application_name, '')
FROM pg_stat_activity waiting CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) blocker
LEFT JOIN pg_stat_activity holding ON holding.pid = blocker
WHERE waiting.wait_event_type = 'Lock' ORDER BY 3 DESC LIMIT 50
"""
_MY_COUNTS = """
SELECT lower(command), user, count(*), @@max_connections FROM information_schema.processlist
GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 50
"""
_MY_BLOCKED = """
SELECT waiting.trx_mysql_thread_id, holding.trx_mysql_thread_id,
  timestampdiff(second, waiting.trx_wait_started, now()), coalesce(asking.user, ''),
  left(substring_index(ltrim(coalesce(asking.info, '')), ' ', 1), 12), lower(coalesce(keeping.command, 'hidden')),
  coalesce(keeping.user, '')
FROM {waits} waits
JOIN information_schema.innodb_trx waiting ON waiting.trx_id = waits.{waiting}
JOIN information_schema.innodb_trx holding ON holding.trx_id = waits.{holding}
LEFT JOIN information_schema.processlist asking ON asking.id = waiting.trx_mysql_thread_id
LEFT JOIN information_schema.processlist keeping ON keeping.id = holding.trx_mysql_thread_id
ORDER BY 3 DESC LIMIT 50
"""
_MY_WAITS = (
    ("performance_schema.data_lock_waits", "requesting_engine_transaction_id", "blocking_engine_transaction_id"),
    ("information_schema.innodb_lock_waits", "requesting_trx_id", "blocking_trx_id"),
)
"""Where MySQL 8 keeps who waits for whom, and where 5.7 and MariaDB do."""


class Role(StrEnum):
    """What may be done there. ``sharded``: a cluster of several writers; ``not asked``: only that it answers is known."""

    WRITER = "writer"
    READ_ONLY = "read-only"
    REPLICA = "replica"
    SHARDED = "sharded"
    NOT_ASKED = "not asked"


class Standing(msgspec.Struct, frozen=True):
    """A role and how it was told."""

    role: Role
    detail: str = ""


class Count(msgspec.Struct, frozen=True):
    """Connections of one application (or user) in one state."""

    state: str
    application: str
    number: int


class Blocked(msgspec.Struct, frozen=True):
    """A session that waits for a lock that another one holds, for ``seconds``; ``doing`` is the first word of its query."""

    pid: int
    by: int
    seconds: int
    application: str
    doing: str
    by_state: str
    by_application: str


class Load(msgspec.Struct, frozen=True):
    """How busy it is: connections in use, and of how many; whoever is blocked. ``unreadable`` says why it is not known."""

    used: int = 0
    most: int = 0
    counts: tuple[Count, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    unreadable: str = ""
    facts: tuple[str, ...] = ()

    @property
    def full(self) -> float:
        """The share of connections in use, in per cent; 0 where there is no limit."""
        return 100.0 * self.used / self.most if self.most else 0.0


def postgresql_role(transport: DatabaseTransport) -> Standing:
    """A standby recovers; a server that is set read-only takes no writes either. A login's own setting speaks of itself."""
    recovering, read_only, source = _row(transport.ask(_PG_ROLE), 3)
    if recovering == "True":
        return Standing(Role.REPLICA, "it is in recovery")
    if read_only == "on" and source not in {"user", "database user", "client", "session"}:
        return Standing(Role.READ_ONLY, f"default_transaction_read_only is on ({source})")
    return Standing(Role.WRITER, "it is not in recovery")


def mysql_role(transport: DatabaseTransport) -> Standing:
    """A replica replicates, be it writable; Aurora's readers have a read-only InnoDB."""
    read_only, innodb = _row(transport.ask("SELECT @@global.read_only, @@global.innodb_read_only"), 2)
    if innodb == "1":
        return Standing(Role.REPLICA, "innodb_read_only is on")
    source = _mysql_source(transport)
    if source:
        return Standing(Role.REPLICA, f"it replicates from {source}")
    if read_only not in {"0", "OFF"}:
        return Standing(Role.READ_ONLY, "read_only is on")
    hidden = ", and this user may not see whether it replicates" if source is None else ""
    return Standing(Role.WRITER, f"read_only is off{hidden}")


def redis_role(transport: DatabaseTransport) -> Standing:
    """Ask for PING, and the role. With cluster mode no node is the primary of all: the cluster's own state counts."""
    if transport.ask("PING") not in {(("True",),), (("PONG",),)}:
        raise FactUnreadable(f"{transport.address} does not answer PING with PONG")
    known = _named(transport.ask("INFO"))
    if known.get("cluster_enabled") == "1":
        state = _named(transport.ask("CLUSTER INFO")).get("cluster_state", "")
        if state != "ok":
            raise Busy(f"{transport.address} answers, but cluster_state is {state or 'not told'}")
        return Standing(Role.SHARDED, "cluster_state is ok")
    if known.get("role") == "master":
        return Standing(Role.WRITER, "its role is master")
    if known.get("role") == "slave":
        return Standing(Role.REPLICA, f"it replicates from {known.get('master_host', 'another')}")
    raise FactUnreadable(f"{transport.address} does not tell its role")


def http_role(transport: DatabaseTransport) -> Standing:
    """A URL tells no role; anything but 2xx is no answer of a service that works."""
    status, reason = _row(transport.ask("GET"), 2)
    if not status.startswith("2"):
        raise Busy(f"{transport.address} answers {status} {reason}".strip())
    return Standing(Role.NOT_ASKED, f"HTTP {status}")


def port_role(_: DatabaseTransport) -> Standing:
    """A port tells no role."""
    return Standing(Role.NOT_ASKED, "only its port is asked")


def postgresql_load(transport: DatabaseTransport) -> Load:
    """Connections by state and application, and who waits for whom."""
    return _sql_load(transport.ask(_PG_COUNTS), transport.ask(_PG_BLOCKED))


def mysql_load(transport: DatabaseTransport) -> Load:
    """The same, by command and user; where locks are listed depends on the version."""
    counts = transport.ask(_MY_COUNTS)
    for waits, waiting, holding in _MY_WAITS:
        with suppress(FactUnreadable):
            return _sql_load(counts, transport.ask(_MY_BLOCKED.format(waits=waits, waiting=waiting, holding=holding)))
    return msgspec.structs.replace(_sql_load(counts, ()), facts=("who is blocked is not shown to this user",))


def redis_load(transport: DatabaseTransport) -> Load:
    """Clients and memory."""
    known = _named(transport.ask("INFO"))
    memory = f"memory {known.get('used_memory_human', '?')} of {known.get('maxmemory_human', '?')}"
    facts = (memory, f"evicted keys {known.get('evicted_keys', '?')}", f"replicas {known.get('connected_slaves', '?')}")
    return Load(_number(known.get("connected_clients", "")), _number(known.get("maxclients", "")), facts=facts)


Look = Callable[[DatabaseTransport], Standing]
ROLES: Mapping[Engine, Look] = {
    Engine.POSTGRESQL: postgresql_role,
    Engine.MYSQL: mysql_role,
    Engine.REDIS: redis_role,
    Engine.HTTP: http_role,
    Engine.PORT: port_role,
}
LOADS: Mapping[Engine, Callable[[DatabaseTransport], Load]] = {
    Engine.POSTGRESQL: postgresql_load,
    Engine.MYSQL: mysql_load,
    Engine.REDIS: redis_load,
}


def _mysql_source(transport: DatabaseTransport) -> str | None:
    """Return whom a replica replicates from; empty where that is nobody, None where this user may not know."""
    for query in ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"):
        with suppress(FactUnreadable):
            answer = transport.ask(query)
            if len(answer) < 2:
                return ""
            status = dict(zip(answer[0], answer[1], strict=True))
            return status.get("Source_Host") or status.get("Master_Host") or "another"
    return None


def _sql_load(counts: Rows, blocked: Rows) -> Load:
    rows = [Count(state, application, _number(number)) for state, application, number, _ in counts]
    most = _number(counts[0][3]) if counts else 0
    return Load(sum(row.number for row in rows), most, tuple(rows), tuple(map(_blocked, blocked)))


def _blocked(row: Sequence[str]) -> Blocked:
    pid, by, seconds, application, doing, state, other = row
    return Blocked(_number(pid), _number(by), _number(seconds), application[:64], doing.upper(), state, other[:64])


def _row(rows: Rows, length: int) -> tuple[str, ...]:
    if len(rows) != 1 or len(rows[0]) != length:
        raise FactUnreadable(f"expected one row of {length} values, got {len(rows)} rows")
    return rows[0]


def _named(rows: Rows) -> dict[str, str]:
    return {row[0]: row[1] for row in rows if len(row) == 2}


def _number(text: str) -> int:
    try:
        return max(0, int(float(text)))
    except ValueError:
        return 0
