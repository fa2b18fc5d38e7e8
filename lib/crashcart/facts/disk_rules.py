"""What may be deleted from a full disk at all: names of rotated logs, and what is never touched, whatever its name.

MISSION defect 9 (``find /var/log -name '*.log' -delete`` takes audit and evidence with it) and seed row S0-R6.
"""

from __future__ import annotations

from collections.abc import Iterable

ROTATED = (
    *("*.gz", "*.xz", "*.bz2", "*.zst", "*.old"),
    *("*.[0-9]", "*.[0-9][0-9]", "*.[0-9][0-9][0-9]", "*.log.[0-9]*"),
    *("*-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]", "*-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]"),
)
"""Names that rotation gives: compressed, numbered, dated (``-YYYYMMDD``, hourly ``-YYYYMMDDHH``), ``.old``.

A number in the middle of a name is no sign of rotation: ``postgresql-9.6-main.log`` is a live log.
"""

EVIDENCE = (
    *("auth.log", "secure", "wtmp", "btmp", "utmp", "lastlog", "faillog", "tallylog", "sudo"),
    *("mysql", "mariadb", "percona", "postgres", "pgsql", "pgbouncer", "mongo", "redis", "valkey", "cassandra", "couchdb"),
    *("elasticsearch", "opensearch", "influxdb", "clickhouse", "cockroach", "oracle", "mssql", "neo4j", "etcd"),
    *("containers", "containerd", "pods", "docker", "crio", "podman", "journal"),
)
"""Beginnings of file and directory names, in any case, that belong to logins, databases, containers and the journal."""

AUDIT = "audit"
"""A file or directory with this anywhere in its name is never touched either."""

PACKAGE_CACHES = (
    *("/var/cache/apt/archives", "/var/cache/dnf", "/var/cache/libdnf5", "/var/cache/yum"),
    *("/var/cache/zypp", "/var/cache/pacman/pkg"),
)
"""Where package managers keep what they downloaded and can download again."""

PACKAGES = ("*.deb", "*.rpm", "*.pkg.tar", "*.pkg.tar.*")

PACKAGE_LOCKS = (
    *("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/cache/apt/archives/lock", "/var/lib/apt/lists/lock"),
    *("/var/lib/rpm/.rpm.lock", "/usr/lib/sysimage/rpm/.rpm.lock", "/run/dnf/rpmtransaction.lock"),
)
"""Files that a package manager at work holds a lock on (fcntl or flock, both in /proc/locks)."""

PACKAGE_PIDS = (
    *("/run/yum.pid", "/run/zypp.pid", "/var/cache/dnf/metadata_lock.pid", "/var/cache/dnf/download_lock.pid"),
    *("/var/lib/dnf/rpmdb_lock.pid", "/var/lib/pacman/db.lck"),
)
"""Files that are there while a package manager is at work; one that holds the number of a dead process is stale."""

JOURNAL = "/var/log/journal"


def kept_name(name: str) -> str:
    """Return which rule keeps a file or directory of that name from being deleted from, or nothing."""
    lowered = name.lower()
    if AUDIT in lowered:
        return AUDIT
    return next((start for start in EVIDENCE if lowered.startswith(start)), "")


def any_name(patterns: Iterable[str]) -> str:
    """Write a find expression, for a script, that is true for any of these name patterns of ours."""
    return r"\( " + " -o ".join(f"-name '{pattern}'" for pattern in patterns) + r" \)"


def no_evidence() -> str:
    """Write a find expression, for a script, that is false for all that ``kept_name`` keeps, at any depth.

    Tests of the path and no ``-prune``: that does nothing beside ``-delete``, which works from the leaves up.
    """
    return " ".join([f"! -ipath '*{AUDIT}*'", *(f"! -ipath '*/{start}*'" for start in EVIDENCE)])
