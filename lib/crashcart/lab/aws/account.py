"""What everybody has to know of the lab's account: region, credentials, names. Imports nothing."""

from __future__ import annotations

REGION = "us-east-1"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
KEYS = ("AKIALABLABLABLABLABL", "the-lab-takes-any")
"""Credentials of nobody, for an emulator that takes any."""

PARTS = ("databases", "caches", "compute")
"""What can be seeded, each by itself."""

HOSTS_GROUP = "lab-hosts"
"""The target group that the lab's hosts are in."""

RESOURCES = {
    "rds_cluster": ("lab-aurora",),
    "rds_instance": ("lab-db", "lab-db-replica", "lab-db-single"),
    "elasticache_replication_group": ("lab-redis", "lab-redis-cluster"),
    "autoscaling_group": ("lab-asg",),
    "target_group": ("lab-web", "lab-api", HOSTS_GROUP),
}
"""What is seeded, by the kind of target that it is."""
