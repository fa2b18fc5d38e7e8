"""What a no-op costs: at most two reads per target, over four regions in one run, counted in the emulator's log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from crashcart.lab.aws.account import PARTS, RESOURCES
from crashcart.lab.aws.compute_seed import seed_compute
from crashcart.lab.aws.seed import _seed_caches, _seed_databases
from tests.aws.matrix.rig import Rig

REGIONS = ("us-east-1", "eu-central-1", "eu-west-1", "us-west-2")
MOST = {"check.asg": 3, "check.elasticache": 3, "check.rds": 4, "check.targets": 5}
"""Checks that say more than how the target is: target groups, service updates, storage, errors; all else takes two reads."""

NO_OPS: dict[str, tuple[str, ...]] = {
    "check.rds": (),
    "check.elasticache": (),
    "check.asg": (),
    "check.targets": (),
    "recover.rds-failover": ("--to", "lab-aurora-1"),
    "recover.asg-scale": ("--at-least", "2"),
    "recover.asg-restore": ("--desired", "2"),
    "recover.elasticache-failover": ("--to", "lab-redis-001"),
}
KINDS = {
    "check.rds": ("rds_cluster", "rds_instance"),
    "check.elasticache": ("elasticache_replication_group",),
    "check.asg": ("autoscaling_group",),
    "check.targets": ("target_group",),
    "recover.rds-failover": ("rds_cluster",),
    "recover.asg-scale": ("autoscaling_group",),
    "recover.asg-restore": ("autoscaling_group",),
    "recover.elasticache-failover": ("elasticache_replication_group",),
}


FAILOVERS = 5
"""Clusters of each region that are failed over: as many as make it worth asking together."""


def targets_of(playbook: str) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Name what a playbook is for in every region, by kind; with a node to name, only what has it."""
    only = {"recover.elasticache-failover": ("lab-redis",)}.get(playbook)
    return {
        kind: {
            f"{name}.{region}": {"aws_id": name, "aws_region": region}
            for region in REGIONS
            for name in only or RESOURCES[kind]
        }
        for kind in KINDS[playbook]
    }


@pytest.fixture
def regions(rig: Rig) -> Rig:
    """The lab's account, the same in four regions."""
    rig.begin(PARTS, lambda _: None)
    for region in REGIONS[1:]:
        client = partial(rig.emulator.client, region=region)
        _seed_databases(client("rds"))
        _seed_caches(client("elasticache"))
        seed_compute(client, ())
    rig.advance(60)
    return rig


@pytest.mark.parametrize("playbook", sorted(NO_OPS))
def test_a_no_op_costs_two_reads_per_target_at_most(playbook: str, regions: Rig) -> None:
    targets = targets_of(playbook)
    count = sum(len(names) for names in targets.values())
    regions.write_inventory(targets)
    regions.emulator.forget_requests()
    said = regions.run(playbook, "--hosts", "all", "--output", "json", *NO_OPS[playbook])
    found = said.document["targets"]
    requests = regions.emulator.requests()
    assert len(found) == count, said.err
    assert {one["outcome"] for one in found} <= ({"ok", "failed"} if playbook.startswith("check.") else {"ok"}), said.out
    assert not regions.emulator.writes()
    assert {request["region"] for request in requests} == set(REGIONS)
    assert len(requests) <= MOST.get(playbook, 2) * count, f"{len(requests)} reads of {count} targets"


def test_that_clusters_have_just_failed_over_costs_two_reads_each_at_most(regions: Rig) -> None:
    """That a writer has just become it is told by events, which many clusters ask for together."""
    targets = {"rds_cluster": dict(failed_over(regions))}
    regions.write_inventory(targets)
    regions.emulator.forget_requests()
    regions.emulator.fault("aws.slow", service="rds", seconds=0.3, times=len(REGIONS))
    said = regions.run("recover.rds-failover", "--hosts", "all", "--output", "json", "--yes")
    assert {one["outcome"] for one in said.document["targets"]} == {"ok"}, said.out
    assert all("has just failed over" in one["message"] for one in said.document["targets"])
    assert not regions.emulator.writes()
    count, reads = len(targets["rds_cluster"]), len(regions.emulator.requests())
    assert reads <= 2 * count, f"{reads} reads of {count} targets"


def failed_over(regions: Rig) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Make small clusters in all regions, fail each over, and name them as targets."""
    engine = {"Engine": "aurora-mysql"}
    names = [f"more-{number}" for number in range(FAILOVERS)]
    clients = {region: regions.emulator.client("rds", region=region) for region in REGIONS}
    for region, client in clients.items():
        for name in names:
            client.create_db_cluster(DBClusterIdentifier=name, MasterUsername="u", MasterUserPassword="password", **engine)
            for number in (1, 2):
                member = {"DBInstanceIdentifier": f"{name}-{number}", "DBInstanceClass": "db.r6g.large"}
                client.create_db_instance(DBClusterIdentifier=name, **member, **engine)
            yield f"{name}.{region}", {"aws_id": name, "aws_region": region}
    regions.advance(60)
    for client in clients.values():
        for name in names:
            client.failover_db_cluster(DBClusterIdentifier=name)
    regions.advance(60)
