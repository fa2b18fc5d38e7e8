"""How much does the AWS transport cost? 200 targets in 4 regions, one no-op read of each, against moto's real server.

    python benchmarks/cloud.py                      200 targets, 32 threads
    python benchmarks/cloud.py --targets 1000 --threads 64

Prints, per contestant: seconds, the ratio to a plain boto3 loop with the same number of threads, HTTP requests per target
(counted in its log), CPU seconds of the client and its peak memory. Each contestant is a process of its own, start-up
included; the best of three counts.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REGIONS = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2")
KEYS = {"aws_access_key_id": "AKIABENCH", "aws_secret_access_key": "secret"}
BASE = "boto3, client per region"

SHARED = """
import boto3, json, sys
from concurrent.futures import ThreadPoolExecutor
from botocore.config import Config

url, threads, targets = sys.argv[1], int(sys.argv[2]), json.load(sys.stdin)
keys = {"aws_access_key_id": "AKIABENCH", "aws_secret_access_key": "secret"}
session, config = boto3.Session(), Config(max_pool_connections=threads)
regions = {region for _, region in targets}
clients = {it: session.client("rds", endpoint_url=url, region_name=it, config=config, **keys) for it in regions}

def visit(target):
    name, region = target
    return clients[region].describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]["Status"]

with ThreadPoolExecutor(threads) as pool:
    assert len(list(pool.map(visit, targets))) == len(targets)
"""

EACH = """
import boto3, json, sys
from concurrent.futures import ThreadPoolExecutor

url, threads, targets = sys.argv[1], int(sys.argv[2]), json.load(sys.stdin)
keys = {"aws_access_key_id": "AKIABENCH", "aws_secret_access_key": "secret"}

def visit(target):
    name, region = target
    client = boto3.Session().client("rds", endpoint_url=url, region_name=region, **keys)
    return client.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]["Status"]

with ThreadPoolExecutor(threads) as pool:
    assert len(list(pool.map(visit, targets))) == len(targets)
"""

CRASHCART = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from crashcart.targets import Target
from crashcart.transports.base import ApiCall
from crashcart.transports.connect import TargetConnector, check_target

url, threads, targets = sys.argv[1], int(sys.argv[2]), json.load(sys.stdin)
keys = {"aws_access_key_id": "AKIABENCH", "aws_secret_access_key": "secret"}
connector = TargetConnector()

def visit(target):
    name, region = target
    cluster = Target(name, "rds_cluster", {"aws_region": region, "aws_endpoint_url": url, **keys})
    check_target(cluster)
    transport = connector.cloud(cluster)
    call = ApiCall("rds", "DescribeDBClusters", {"DBClusterIdentifier": transport.resource})
    return transport.read(call)["DBClusters"][0]["Status"]

with ThreadPoolExecutor(threads) as pool:
    assert len(list(pool.map(visit, targets))) == len(targets)
"""


@dataclass(frozen=True)
class Cost:
    """What one contestant took."""

    seconds: float
    cpu: float
    peak_mb: float
    requests: float


@dataclass(frozen=True)
class Ground:
    """The emulator, and what is in it."""

    url: str
    log: Path
    threads: int
    targets: tuple[tuple[str, str], ...]
    request: str = '"POST / '
    """What the log has once per request."""


def main() -> int:
    options = parse_options()
    with tempfile.TemporaryDirectory(prefix="cloud-") as name, emulator(Path(name)) as (url, log):
        targets = tuple((f"cluster-{n}", REGIONS[n % len(REGIONS)]) for n in range(options.targets))
        ground = Ground(url, log, options.threads, targets)
        seed(ground)
        print(f"{options.targets} targets in {len(REGIONS)} regions, {options.threads} threads, {os.cpu_count()} cores")
        contestants = {BASE: SHARED, "boto3, client per target": EACH, "crashcart": CRASHCART}
        report({title: best_of(3, ground, script) for title, script in contestants.items()})
    return 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--threads", type=int, default=32)
    return parser.parse_args()


def seed(ground: Ground) -> None:
    """Make one Aurora cluster per target."""
    import boto3  # noqa: PLC0415

    clients = {it: boto3.client("rds", endpoint_url=ground.url, region_name=it, **KEYS) for it in REGIONS}

    def make(target: tuple[str, str]) -> None:
        name, region = target
        clients[region].create_db_cluster(
            DBClusterIdentifier=name, Engine="aurora-mysql", MasterUsername="u", MasterUserPassword="password"
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, ground.targets))


def best_of(times: int, ground: Ground, script: str) -> Cost:
    return min((measure(ground, script) for _ in range(times)), key=lambda cost: cost.seconds)


def measure(ground: Ground, script: str) -> Cost:
    before = count_requests(ground)
    began = time.monotonic()
    words = [sys.executable, "-c", script, ground.url, str(ground.threads)]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(json.dumps(ground.targets).encode())
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    if process.returncode:
        sys.exit(f"a contestant failed with {process.returncode}")
    requests = (count_requests(ground) - before) / len(ground.targets)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, requests)


def count_requests(ground: Ground) -> int:
    return ground.log.read_text(errors="replace").count(ground.request)


def report(costs: dict[str, Cost]) -> None:
    base = costs[BASE].seconds
    print(f"\n{'no-op':<26} {'seconds':>8} {'ratio':>6} {'requests/target':>16} {'CPU s':>7} {'peak MB':>8}")
    for name, cost in costs.items():
        ratio = cost.seconds / base
        print(f"{name:<26} {cost.seconds:>8.2f} {ratio:>6.2f} {cost.requests:>16.2f} {cost.cpu:>7.2f} {cost.peak_mb:>8.0f}")


@contextmanager
def emulator(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run moto's server in a process of its own, so that it does not share the contestants' interpreter lock."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "moto.log"
    program = str(Path(sys.executable).with_name("moto_server"))
    with log.open("wb") as out:
        process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=out, stderr=out)
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}", log
    finally:
        process.terminate()
        process.wait()


def wait_for_port(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("moto's server did not start")


if __name__ == "__main__":
    sys.exit(main())
