"""How much does a whole run over AWS cost? 200 targets in 4 regions as a no-op, against a plain boto3 loop in the same run.

    python benchmarks/cloud_runs.py                     200 targets, 32 at a time
    python benchmarks/cloud_runs.py --targets 1000

Two no-ops over moto's own server; and over the lab's emulator, which has events, the second run of a failover right after
the first. Per contestant: seconds, the ratio to a boto3 loop that only sends the same reads with as many threads and judges
nothing, HTTP requests per target (counted in the server's log), CPU seconds and peak memory. Each contestant is a process
of its own, start-up included: for crashcart that is the command line, the inventory, the plan, the journal and the JSON.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from cloud import BASE, KEYS, REGIONS, Ground, best_of, emulator, parse_options, report

from crashcart.lab.aws.emulator import AwsEmulator

TIMES = 3

LOOP = """
import boto3, json, sys, time
from concurrent.futures import ThreadPoolExecutor
from botocore.config import Config

url, threads, targets = sys.argv[1], int(sys.argv[2]), json.load(sys.stdin)
keys = {{"aws_access_key_id": "AKIABENCH", "aws_secret_access_key": "secret"}}
session, config = boto3.Session(), Config(max_pool_connections=threads)
regions = {{region for _, region in targets}}

def connect(service):
    return {{it: session.client(service, endpoint_url=url, region_name=it, config=config, **keys) for it in regions}}

{clients}

def visit(target):
    name, region = target
    {reads}

with ThreadPoolExecutor(threads) as pool:
    assert len(list(pool.map(visit, targets))) == len(targets)
"""

DATABASES = LOOP.format(
    clients='databases, metrics = connect("rds"), connect("cloudwatch")',
    reads="""databases[region].describe_db_clusters(DBClusterIdentifier=name)
    members = databases[region].describe_db_instances(Filters=[{"Name": "db-cluster-id", "Values": [name]}])
    wanted = [("VolumeBytesUsed", "DBClusterIdentifier", name)]
    wanted += [("FreeLocalStorage", "DBInstanceIdentifier", it["DBInstanceIdentifier"]) for it in members["DBInstances"]]
    queries = [
        {"Id": f"m{number}", "MetricStat": {"Period": 3600, "Stat": "Minimum", "Metric": {
            "Namespace": "AWS/RDS", "MetricName": metric, "Dimensions": [{"Name": dimension, "Value": value}]}}}
        for number, (metric, dimension, value) in enumerate(wanted)
    ]
    metrics[region].get_metric_data(MetricDataQueries=queries, StartTime=time.time() - 86400, EndTime=time.time())""",
)
FAILED_OVER = LOOP.format(
    clients='databases = connect("rds")',
    reads="""databases[region].describe_db_clusters(DBClusterIdentifier=name)
    databases[region].describe_db_instances(Filters=[{"Name": "db-cluster-id", "Values": [name]}])
    databases[region].describe_events(SourceType="db-cluster", SourceIdentifier=name, Duration=61)""",
)
GROUPS = LOOP.format(
    clients='groups = connect("autoscaling")',
    reads="groups[region].describe_auto_scaling_groups(AutoScalingGroupNames=[name])",
)

RUN = """
import json, os, sys, tempfile
from pathlib import Path

url, threads, targets = sys.argv[1], sys.argv[2], json.load(sys.stdin)
with tempfile.TemporaryDirectory() as folder:
    os.environ["CRASHCART_STATE"] = folder
    reached = {{"aws_endpoint_url": url, "aws_access_key_id": "AKIABENCH", "aws_secret_access_key": "secret"}}
    hosts = {{name: {{"aws_region": region}} for name, region in targets}}
    inventory = Path(folder, "hosts.json")
    inventory.write_text(json.dumps({{"all": {{"vars": {{"kind": "{kind}", **reached}}, "hosts": hosts}}}}))
    sys.stdout, sys.stderr = open(Path(folder, "out"), "w"), open(os.devnull, "w")
    said = ["--hosts", "all", "--inventory", str(inventory), "--forks", threads, "--output", "json"]
    sys.argv = ["crashcart", *{words!r}, *said]
    from crashcart.cli.program import main
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    sys.stdout.flush()
    found = json.loads(Path(folder, "out").read_text())["summary"]
    assert found["ok"] == len(targets), (code, found)
"""


def main() -> int:
    options = parse_options()
    with tempfile.TemporaryDirectory(prefix="cloud-runs-") as name, emulator(Path(name)) as (url, log):
        print(f"{options.targets} targets in {len(REGIONS)} regions, {options.threads} threads, {os.cpu_count()} cores")
        for title, kind, words, loop in (
            ("check.rds", "rds_cluster", ["check.rds"], DATABASES),
            ("recover.asg-scale, no-op", "autoscaling_group", ["recover.asg-scale", "--at-least", "1"], GROUPS),
        ):
            targets = tuple((f"{kind[:3]}-{n}", REGIONS[n % len(REGIONS)]) for n in range(options.targets))
            ground = Ground(url, log, options.threads, targets)
            seed = seed_clusters if kind == "rds_cluster" else seed_groups
            seed(ground)
            run = RUN.format(kind=kind, words=words)
            report({BASE: best_of(TIMES, ground, loop), title: best_of(TIMES, ground, run)})
    second_failover(options)
    return 0


def second_failover(options: argparse.Namespace) -> None:
    """Fail all clusters over, and measure the run that finds it done."""
    with tempfile.TemporaryDirectory(prefix="cloud-runs-") as name:
        lab = AwsEmulator(Path(name))
        lab.start()
        url = lab.ready().url or sys.exit("the emulator does not start")
        try:
            lab.reset((), ())
            targets = tuple((f"rds-{n}", REGIONS[n % len(REGIONS)]) for n in range(options.targets))
            ground = Ground(url, Path(name, "requests.jsonl"), options.threads, targets, request="\n")
            seed_clusters(ground)
            lab.admin("POST", "clock", advance=60)
            clients = make_clients("rds", ground)
            for target, region in targets:
                clients[region].failover_db_cluster(DBClusterIdentifier=target)
            lab.admin("POST", "clock", advance=60)
            run = RUN.format(kind="rds_cluster", words=["recover.rds-failover"])
            costs = {BASE: best_of(TIMES, ground, FAILED_OVER), "recover.rds-failover, again": best_of(TIMES, ground, run)}
        finally:
            lab.stop()
    report(costs)


def seed_clusters(ground: Ground) -> None:
    """Make one Aurora cluster of two members per target."""
    engine = {"Engine": "aurora-mysql"}
    clients = make_clients("rds", ground)
    for name, region in ground.targets:
        login = {"MasterUsername": "u", "MasterUserPassword": "password"}
        clients[region].create_db_cluster(DBClusterIdentifier=name, **engine, **login)
        for number in (1, 2):
            member = {"DBInstanceIdentifier": f"{name}-{number}", "DBInstanceClass": "db.r6g.large"}
            clients[region].create_db_instance(DBClusterIdentifier=name, **member, **engine)


def seed_groups(ground: Ground) -> None:
    """Make one Auto Scaling group of one instance per target."""
    clients = make_clients("autoscaling", ground)
    template = {"LaunchConfigurationName": "bench"}
    for made in clients.values():
        made.create_launch_configuration(**template, ImageId="ami-12345678", InstanceType="t3.small")
    for name, region in ground.targets:
        sizes = {"MinSize": 1, "MaxSize": 2, "DesiredCapacity": 1}
        where = {"AvailabilityZones": [f"{region}a"]}
        clients[region].create_auto_scaling_group(AutoScalingGroupName=name, **template, **sizes, **where)


def make_clients(service: str, ground: Ground) -> dict[str, Any]:
    """Make a boto3 client of each region."""
    import boto3  # noqa: PLC0415

    return {it: boto3.client(service, endpoint_url=ground.url, region_name=it, **KEYS) for it in REGIONS}


if __name__ == "__main__":
    sys.exit(main())
