"""An RDS database as its API describes it: a cluster with its members, or a DB instance, in one or two calls.

Seed rows S0-R3, S1-R3, S4-2C. Dearer facts are asked for by name: ``EVENTS``, ``LAG``, ``MAINTENANCE``, ``ENDPOINT``. What
those calls cannot tell is kept as unknown; what describes the database itself is read strictly or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from crashcart.decoding import convert, from_json
from crashcart.errors import Cancelled, CrashcartError, FactUnreadable, NoSuchResource
from crashcart.facts import rds_dns, rds_events, rds_lag
from crashcart.facts.rds_answers import ClusterAnswer, InstanceAnswer, ListedInstance, PendingAnswer
from crashcart.facts.rds_dns import Whereabouts
from crashcart.facts.rds_events import SHOWN, Recent
from crashcart.facts.rds_lag import Lag
from crashcart.facts.rds_names import named_better
from crashcart.facts.rds_status import Standing, cluster_standing, instance_standing
from crashcart.transports.base import ApiCall, CloudTransport

CLUSTER, INSTANCE = "rds_cluster", "rds_instance"
"""The kinds of targets that this fact knows."""

EVENTS, LAG, MAINTENANCE, ENDPOINT = "recent events", "replica lag", "pending maintenance", "endpoint"
OWN_EVENTS = "recent events of its own"
"""The dearer facts. ``OWN_EVENTS`` of a cluster are those without its writer's: they tell who became the writer."""


class Member(msgspec.Struct, frozen=True):
    """An instance of a cluster. Among readers, RDS promotes the one with the lowest ``tier`` first.

    ``allocated`` and ``grows_to`` are as those of an ``Instance``; of an Aurora member they mean nothing.
    """

    name: str
    is_writer: bool
    status: str
    db_class: str
    zone: str = ""
    tier: int = 1
    host: str = ""
    pending: tuple[str, ...] = ()
    allocated: int = 0
    grows_to: int = 0

    @property
    def standing(self) -> Standing:
        """How it is."""
        return instance_standing(self.status)

    @property
    def line(self) -> str:
        """Its name, with its status where that is not plainly ``available``."""
        return self.name if self.status == "available" else f"{self.name} ({self.status})"


class Cluster(msgspec.Struct, frozen=True):
    """A DB cluster: Aurora, or RDS's Multi-AZ cluster with two readable standbys."""

    name: str
    status: str
    engine: str
    members: tuple[Member, ...]
    arn: str = ""
    host: str = ""

    @property
    def writers(self) -> tuple[Member, ...]:
        """The members that are shown as the writer: one, unless something is going on."""
        return tuple(member for member in self.members if member.is_writer)

    @property
    def writer(self) -> Member | None:
        """The writer, if there is exactly one."""
        return self.writers[0] if len(self.writers) == 1 else None

    @property
    def readers(self) -> tuple[Member, ...]:
        """All other members."""
        return tuple(member for member in self.members if not member.is_writer)

    @property
    def available_readers(self) -> tuple[Member, ...]:
        """The readers that could be promoted now."""
        return tuple(member for member in self.readers if member.status == "available")

    @property
    def standing(self) -> Standing:
        """How the cluster as a whole is."""
        return cluster_standing(self.status)

    @property
    def takes_target(self) -> bool:
        """Whether a failover can be told where to go; RDS for MySQL Multi-AZ clusters choose themselves."""
        return self.engine != "mysql"

    def member(self, name: str) -> Member | None:
        """Return the member of that name; RDS knows names in lower case only."""
        return next((member for member in self.members if member.name == name.lower()), None)


class Instance(msgspec.Struct, frozen=True):
    """A DB instance. ``replica_of`` is what it replicates, ``cluster`` what it is a member of.

    ``allocated`` is its storage in GiB, ``grows_to`` where storage autoscaling ends (0: it is off, or not told).
    """

    name: str
    status: str
    engine: str
    db_class: str
    multi_az: bool
    zone: str = ""
    secondary_zone: str = ""
    replica_of: str = ""
    cluster: str = ""
    arn: str = ""
    host: str = ""
    pending: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    allocated: int = 0
    grows_to: int = 0

    @property
    def standing(self) -> Standing:
        """How it is."""
        return instance_standing(self.status)


class Maintenance(msgspec.Struct, frozen=True):
    """Maintenance that AWS has planned; ``unreadable`` says why it is not known."""

    actions: tuple[str, ...] = ()
    unreadable: str = ""


class Database(msgspec.Struct, frozen=True):
    """A cluster or an instance, exactly one of them, and the dearer facts that were asked for (None: not asked)."""

    cluster: Cluster | None = None
    instance: Instance | None = None
    recent: Recent | None = None
    lag: Lag | None = None
    maintenance: Maintenance | None = None
    endpoint: Whereabouts | None = None

    @property
    def name(self) -> str:
        """Its identifier."""
        return self._one.name

    @property
    def status(self) -> str:
        """RDS's word for how it is."""
        return self._one.status

    @property
    def pending(self) -> tuple[str, ...]:
        """Changes that are waiting for a reboot or a maintenance window, as ``name: change``."""
        if self.instance:
            return self.instance.pending
        members = self.cluster.members if self.cluster else ()
        return tuple(f"{member.name}: {change}" for member in members for change in member.pending)

    @property
    def cluster_arn(self) -> str:
        """The ARN of the cluster that it is, or is a member of; empty if it is neither, or RDS does not tell its own."""
        if self.cluster:
            return self.cluster.arn
        instance = self.instance
        place, is_arn, _ = instance.arn.partition(":db:") if instance else ("", "", "")
        return f"{place}:cluster:{instance.cluster}" if instance and instance.cluster and is_arn else ""

    @property
    def _one(self) -> Cluster | Instance:
        found = self.cluster or self.instance
        assert found  # noqa: S101 -- made by read() only
        return found


def observe(transport: CloudTransport, kind: str) -> Database:
    """Describe the transport's resource: of this kind, or of the kind that is found when it is empty.

    Raises ``FactUnreadable``, ``NoSuchResource`` with the nearest names, and the transport's errors.
    """
    name = transport.resource
    try:
        return read(_describe(transport, kind, name))
    except NoSuchResource as error:
        raise named_better(transport, name, kind, error) from error


def add(transport: CloudTransport, seen: Database, looks: frozenset[str], window: float = 0.0) -> Database:
    """Add the dearer facts that ``looks`` names; events reach at least ``window`` seconds back."""
    found: dict[str, Any] = {}
    if EVENTS in looks:
        found["recent"] = rds_events.observe(transport, _sources(seen), window)
    elif OWN_EVENTS in looks:
        own = rds_events.observe(transport, _sources(seen)[:1], window)
        found["recent"] = msgspec.structs.replace(own, is_whole=seen.cluster is None)
    if LAG in looks and seen.cluster:
        names = [member.name for member in seen.cluster.readers]
        found["lag"] = rds_lag.observe(transport, seen.cluster.engine, names)
    if MAINTENANCE in looks:
        found["maintenance"] = _maintenance(transport, seen)
    if ENDPOINT in looks and seen.cluster:
        hosts = {member.name: member.host for member in seen.cluster.members}
        found["endpoint"] = rds_dns.observe(transport, seen.cluster.host, hosts)
    return msgspec.structs.replace(seen, **found)


def parse(stdout: bytes) -> Database:
    """Read the answers of the describing calls from JSON, by the calls' names. Raises ``FactUnreadable``."""
    return read(from_json(stdout))


def read(answers: Mapping[str, Any]) -> Database:
    """Read the answers of the describing calls, by the calls' names. Raises ``FactUnreadable``."""
    instances = _convert(answers.get("DescribeDBInstances", {}), InstanceAnswer, "DescribeDBInstances").instances
    if "DescribeDBClusters" in answers:
        return Database(cluster=_cluster(answers["DescribeDBClusters"], instances))
    return Database(instance=_instance(_the_one(instances, "DescribeDBInstances")))


def _describe(transport: CloudTransport, kind: str, name: str) -> dict[str, Any]:
    if kind == INSTANCE:
        return _ask(transport, "DescribeDBInstances", {"DBInstanceIdentifier": name})
    try:
        cluster = _ask(transport, "DescribeDBClusters", {"DBClusterIdentifier": name})
    except NoSuchResource:
        if kind:
            raise
        return _describe(transport, INSTANCE, name)
    return cluster | _ask(transport, "DescribeDBInstances", {"Filters": [{"Name": "db-cluster-id", "Values": [name]}]})


def _ask(transport: CloudTransport, operation: str, params: dict[str, Any]) -> dict[str, Any]:
    return {operation: transport.read(ApiCall("rds", operation, params))}


def _sources(seen: Database) -> list[tuple[str, str]]:
    """Name whose events tell of a failover: of a cluster, its own and its writer's."""
    if seen.instance:
        return [("db-instance", seen.instance.name)]
    cluster = seen.cluster
    writers = [("db-instance", member.name) for member in cluster.writers] if cluster else []
    return [("db-cluster", seen.name), *writers[:1]]


def _maintenance(transport: CloudTransport, seen: Database) -> Maintenance:
    arn = (seen.cluster or seen.instance or Cluster("", "", "", ())).arn
    if not arn:
        return Maintenance(unreadable="its ARN is not known")
    call = ApiCall("rds", "DescribePendingMaintenanceActions", {"ResourceIdentifier": arn})
    try:
        answer = _convert(transport.read(call), PendingAnswer, call.operation)
    except Cancelled:
        raise
    except CrashcartError as error:
        return Maintenance(unreadable=error.message[:SHOWN])
    return Maintenance(tuple(action.line for resource in answer.resources for action in resource.actions))


def _cluster(answer: Any, instances: list[ListedInstance]) -> Cluster:
    listed = _the_one(_convert(answer, ClusterAnswer, "DescribeDBClusters").clusters, "DescribeDBClusters")
    described = {instance.name: instance for instance in instances}
    missing = [member.name for member in listed.members if member.name not in described]
    if missing:
        raise FactUnreadable(f"RDS lists {', '.join(missing)} as a member of {listed.name}, but does not describe it")
    members = tuple(
        _member(described[member.name], is_writer=member.is_writer, tier=member.tier) for member in listed.members
    )
    return Cluster(listed.name, listed.status, listed.engine, members, listed.arn, listed.host)


def _member(instance: ListedInstance, *, is_writer: bool, tier: int) -> Member:
    return Member(
        instance.name,
        is_writer,
        instance.status,
        instance.db_class,
        instance.zone,
        tier,
        instance.endpoint.address,
        instance.changes,
        instance.allocated,
        instance.grows_to,
    )


def _instance(listed: ListedInstance) -> Instance:
    if listed.multi_az is None:
        raise FactUnreadable(f"RDS does not tell whether {listed.name} is Multi-AZ")
    return Instance(
        name=listed.name,
        status=listed.status,
        engine=listed.engine,
        db_class=listed.db_class,
        multi_az=listed.multi_az,
        zone=listed.zone,
        secondary_zone=listed.secondary_zone,
        replica_of=listed.replica_of or listed.replica_of_cluster,
        cluster=listed.cluster,
        arn=listed.arn,
        host=listed.endpoint.address,
        pending=listed.changes,
        troubles=tuple(info.line for info in listed.status_infos if not info.normal),
        allocated=listed.allocated,
        grows_to=listed.grows_to,
    )


def _the_one(found: list[Any], call: str) -> Any:
    if len(found) != 1:
        raise FactUnreadable(f"{call} was asked about one resource and describes {len(found)}")
    return found[0]


def _convert(answer: Any, kind: type[Any], call: str) -> Any:
    try:
        return convert(answer, kind, strict=False)
    except msgspec.ValidationError as error:
        raise FactUnreadable(f"the answer of {call} lacks what is needed: {error}") from error
