"""Fill a fresh emulator with the lab's account, over HTTP with real clients, as anybody would create it.

    lab-aurora              Aurora PostgreSQL: lab-aurora-1 (writer, us-east-1a), -2 (tier 1, 1b), -3 (tier 2, 1c)
    lab-db                  PostgreSQL, Multi-AZ
    lab-db-replica          a read replica of lab-db
    lab-db-single           PostgreSQL in one zone
    lab-redis               Redis, cluster mode off: a primary and two replicas, automatic failover and Multi-AZ on
    lab-redis-cluster       Redis, cluster mode on: two node groups of a primary and two replicas

What runs on instances is in ``compute_seed.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from crashcart.clock import SystemClock
from crashcart.lab.aws.account import KEYS, REGION, ZONES
from crashcart.lab.aws.compute_seed import LabInstance, add_hosts, seed_compute
from crashcart.secrets import Secret
from crashcart.transports.aws_check import AwsAccess
from crashcart.transports.aws_gate import InFlight
from crashcart.transports.aws_names import Identity
from crashcart.transports.aws_sessions import AwsSession, AwsSessions, Limits, Service

AGE = 3600.0
"""Seconds that what is seeded is old."""

SEEDER = "crashcart/lab-seed"
"""How the seeding client calls itself; its requests are not logged, and meet no faults."""

_LOGIN = {"MasterUsername": "lab", "MasterUserPassword": "lab-only-password"}


class Seeder:
    """Seeds one emulator, any number of times; its clients are made once."""

    def __init__(self, url: str) -> None:
        self._access = AwsAccess(REGION, endpoint_url=url, access_key_id=KEYS[0], secret_access_key=Secret(KEYS[1]))
        self._sessions = AwsSessions(Identity(run=SEEDER.rpartition("/")[2]), Limits(), SystemClock())

    def seed(self, parts: Collection[str], hosts: Sequence[LabInstance]) -> None:
        """Create the parts that are named."""
        if parts:
            self._sessions.get(self._access).authenticate()
        if "databases" in parts:
            _seed_databases(self._client("rds"))
        if "caches" in parts:
            _seed_caches(self._client("elasticache"))
        if "compute" in parts:
            seed_compute(self._client, hosts)

    def add_hosts(self, hosts: Sequence[LabInstance]) -> dict[str, str]:
        """Create the instances of those lab hosts that have none yet; tell the instance of every lab host, by name."""
        return add_hosts(self._client, hosts)

    def close(self) -> None:
        """Close its connections."""
        self._sessions.close()

    def _client(self, service: str) -> _Client:
        return _Client(self._sessions.get(self._access), service)


class _Client:
    """A boto3 client that sends through the house's own session."""

    def __init__(self, session: AwsSession, service: str) -> None:
        self._service: Service = session.service(service, writes=True)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**params: Any) -> Any:
            with self._service.wire.carrying(InFlight(SystemClock(), pages=1)):
                return getattr(self._service.client, method)(**params)

        return call


def _seed_databases(rds: Any) -> None:
    engine = {"Engine": "aurora-postgresql"}
    rds.create_db_cluster(DBClusterIdentifier="lab-aurora", EngineVersion="15.4", **engine, **_LOGIN)
    for number, zone in enumerate(ZONES, 1):
        rds.create_db_instance(
            DBInstanceIdentifier=f"lab-aurora-{number}",
            DBClusterIdentifier="lab-aurora",
            DBInstanceClass="db.r6g.large",
            AvailabilityZone=zone,
            PromotionTier=number - 1,
            **engine,
        )
        # Whoever is first becomes the writer, once somebody looks.
        rds.describe_db_clusters()
    alone = {"Engine": "postgres", "DBInstanceClass": "db.m6g.large", "AllocatedStorage": 20, "EngineVersion": "15.4"}
    rds.create_db_instance(DBInstanceIdentifier="lab-db", MultiAZ=True, **alone, **_LOGIN)
    rds.create_db_instance_read_replica(DBInstanceIdentifier="lab-db-replica", SourceDBInstanceIdentifier="lab-db")
    rds.create_db_instance(DBInstanceIdentifier="lab-db-single", MultiAZ=False, **alone, **_LOGIN)


def _seed_caches(elasticache: Any) -> None:
    both = {"AutomaticFailoverEnabled": True, "MultiAZEnabled": True, "Engine": "redis", "CacheNodeType": "cache.m6g.large"}
    elasticache.create_replication_group(
        ReplicationGroupId="lab-redis",
        ReplicationGroupDescription="cluster mode off",
        NumCacheClusters=3,
        PreferredCacheClusterAZs=list(ZONES),
        **both,
    )
    shard = {"PrimaryAvailabilityZone": ZONES[0], "ReplicaAvailabilityZones": list(ZONES[1:]), "ReplicaCount": 2}
    elasticache.create_replication_group(
        ReplicationGroupId="lab-redis-cluster",
        ReplicationGroupDescription="cluster mode on",
        ClusterMode="enabled",
        NumNodeGroups=2,
        ReplicasPerNodeGroup=2,
        NodeGroupConfiguration=[{"NodeGroupId": name, **shard} for name in ("0001", "0002")],
        **both,
    )
