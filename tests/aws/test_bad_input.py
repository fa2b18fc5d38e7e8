"""What is wrong on the command line, in the inventory or at AWS: the right exit code, one clear message, nothing changed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crashcart.lab.aws.account import PARTS, RESOURCES
from tests.aws.commandline import Commands, keys
from tests.cli.conftest import INV
from tests.emulator import Emulator, running_emulator

SCALE = ("recover.asg-scale", "--hosts", "lab-asg", "--at-least")
FAIL_OVER = ("recover.rds-failover", "--hosts", "lab-aurora", "--force")
CACHE = ("recover.elasticache-failover", "--force", "--hosts")
ARN = "arn:aws:rds:us-east-1:123456789012:cluster:lab-aurora"
NOTHING: Mapping[str, Any] = {}
KEYS_OF_THE_LAB = "".join(f"{name}: {value}\n" for name, value in keys().items())
MOST = 12
"""Requests that something that cannot work may cost: nothing is asked again and again."""


class Case(msgspec.Struct, frozen=True):
    """A command line that must come to an exit code, with a message and a hint that hold these words.

    ``targets`` is added to the inventory, ``variables`` are those of all targets, ``fault`` is put into the emulator.
    ``asks`` says that something may be asked: what is wrong with the input itself is known before.
    """

    words: tuple[str, ...]
    code: int
    says: str
    hint: str = ""
    asks: bool = True
    targets: Mapping[str, Any] = NOTHING
    variables: Mapping[str, Any] = NOTHING
    fault: Mapping[str, Any] = NOTHING


def flag(*words: str, says: str, hint: str = "") -> Case:
    return Case(words, 2, says, hint, asks=False)


def reach(says: str, hint: str, code: int, *, words: tuple[str, ...] = FAIL_OVER, **variables: Any) -> Case:
    return Case(words, code, says, hint, asks=False, variables=variables)


NO_KEYS: dict[str, Any] = {"aws_access_key_id": None, "aws_secret_access_key": None}
NUMBER = "--at-least: expected a whole number from 1 to 10000, such as 6, got "
ELSEWHERE = "us-west-2 has no {!r}; is aws_region right?"

CASES = {
    # -- numbers
    "negative capacity": flag(*SCALE, "-1", says=f"{NUMBER}'-1'"),
    "no number": flag(*SCALE, "six", says=f"{NUMBER}'six'"),
    "a fraction": flag(*SCALE, "1.5", says=f"{NUMBER}'1.5'"),
    "zero": flag(*SCALE, "0", says=f"{NUMBER}'0'"),
    "another script's digit": flag(*SCALE, "\u0663", says=f"{NUMBER}'\u0663'"),
    "far too many": flag(*SCALE, "9" * 30, says=NUMBER),
    "no capacity at all": flag(*SCALE[:3], says="expected either --at-least, such as 6, or --by"),
    "both": flag(*SCALE, "3", "--by", "+1", says="expected either --at-least, such as 6, or --by"),
    "by less": flag(*SCALE[:3], "--by=-2", says="got '-2'; capacity is only ever raised here"),
    "by words": flag(*SCALE[:3], "--by", "lots", says="such as +2 or +50%, got 'lots'"),
    "restore to less than none": flag("recover.asg-restore", "--hosts", "lab-asg", "--desired=-3", says="from 0 to 10000"),
    "restore nothing": flag("recover.asg-restore", "--hosts", "lab-asg", says="expected --desired, --min-size or"),
    "a port that is none": flag(
        *("recover.target-deregister", "--hosts", "lab-web", "--member", "10.0.0.9", "--port", "-1"), says="from 1 to 65535"
    ),
    "beyond max": Case((*SCALE, "40"), 3, "40 is above the max of lab-asg", "--raise-max sets its max to 40"),
    # -- members
    "a name that is none": flag(*FAIL_OVER, "--to", "x;y", says="--to: expected the name of a DB instance", hint=""),
    "to a stranger": Case((*FAIL_OVER, "--to", "lab-db"), 3, "lab-db is no member of lab-aurora; its members are"),
    "to a typo": Case((*FAIL_OVER, "--to", "lab-arora-2"), 3, "lab-arora-2 is no member", "did you mean lab-aurora-2"),
    "to, of an instance": Case(
        ("recover.rds-failover", "--hosts", "lab-db", "--to", "lab-aurora-2"),
        3,
        "an instance with one standby",
        "leave out --to",
    ),
    "to a node elsewhere": Case((*CACHE, "lab-redis", "--to", "lab-rdis-002"), 3, "is no node of lab-redis", "did you mean"),
    "a node group that is none": Case(
        (*CACHE, "lab-redis-cluster", "--node-group", "0009"), 3, "0009 is no node group", "did you mean"
    ),
    # -- names
    "a cluster in another region": Case(
        FAIL_OVER,
        1,
        "DBClusterNotFoundFault",
        ELSEWHERE.format("lab-aurora"),
        targets={"rds_cluster": {"lab-aurora": {"aws_region": "us-west-2"}}},
    ),
    "a group in another region": Case(
        (*SCALE, "3"),
        1,
        "there is no Auto Scaling group 'lab-asg'",
        ELSEWHERE.format("lab-asg"),
        targets={"autoscaling_group": {"lab-asg": {"aws_region": "us-west-2"}}},
    ),
    "an ARN of another region": Case(
        ("recover.rds-failover", "--hosts", "far", "--force"),
        1,
        "DBClusterNotFoundFault",
        "lies in us-west-2, and the calls go to us-east-1: set aws_region to us-west-2",
        targets={"rds_cluster": {"far": {"aws_id": ARN.replace("us-east-1", "us-west-2")}}},
    ),
    "a typo in a group's name": Case(
        ("recover.asg-scale", "--hosts", "lab-agc", "--at-least", "3"),
        1,
        "there is no Auto Scaling group 'lab-agc'",
        "us-east-1 has no 'lab-agc'; did you mean lab-asg?",
        targets={"autoscaling_group": {"lab-agc": {}}},
    ),
    "a typo in a target's name": Case(
        ("recover.asg-scale", "--hosts", "lab-agc", "--at-least", "3"), 2, "lab-agc", "lab-asg", asks=False
    ),
    **{
        f"two targets of one cluster, {how}": Case(
            ("recover.rds-failover", "--hosts", "rds_cluster", "--force"),
            2,
            "are one and the same (rds_cluster/us-east-1/lab-aurora)",
            "select one of them: --hosts 'rds_cluster:!",
            asks=False,
            targets={"rds_cluster": {"lab-aurora": {}, "other": {"aws_id": name}}},
        )
        for how, name in {"by name": "lab-aurora", "by case": "Lab-Aurora", "by ARN": ARN}.items()
    },
    "a host whose instance nobody told": Case(
        ("recover.service-restart", "--hosts", "web1", "--unit", "api"),
        2,
        "elbv2.drain on web1: template '{{ instance_id }}': 'instance_id' is undefined",
        "set the variable instance_id for it in the inventory; it is done when: target_group is defined and not no_drain",
        asks=False,
        targets={"linux": {"web1": {"target_group": "lab-web"}}},
    ),
    "two members of one cluster": Case(
        ("recover.rds-failover", "--hosts", "members", "--force"),
        3,
        "is a member of the cluster lab-aurora, and a cluster is failed over as a whole",
        "select lab-aurora (kind rds_cluster) instead",
        targets={"members": {f"lab-aurora-{number}": {"kind": "rds_instance"} for number in (1, 2)}},
    ),
    # -- the way to AWS
    **{
        f"an endpoint that is no URL: {url}": reach(
            f"lab-aurora: aws_endpoint_url {url!r} is not an http or https URL",
            "http://127.0.0.1:5000",
            2,
            aws_endpoint_url=url,
        )
        for url in ("localhost", "http://", "http://exa mple", "http://127.0.0.1:99999", "ftp://127.0.0.1")
    },
    "an endpoint that is a number": reach("aws_endpoint_url is a text, not 5000", '"5000"', 2, aws_endpoint_url=5000),
    "the emulator is down": reach(
        "nothing listens on http://127.0.0.1:1", "inv lab.up", 4, aws_endpoint_url="http://127.0.0.1:1", words=(*SCALE, "3")
    ),
    "no credentials": reach("there are no AWS credentials", "aws sso login", 4, **NO_KEYS),
    "a profile that is none": reach(
        "there is no AWS profile 'oncal'", "aws configure sso", 2, aws_profile="oncal", **NO_KEYS
    ),
    "a role that is none": reach("'crashcart' is not a role's ARN", "arn:aws:iam::", 2, aws_role_arn="crashcart"),
    "a region that is none": reach("aws_region 'narnia' is not a region", "for example", 2, aws_region="narnia"),
    "no region": reach("no AWS region is set", "set aws_region", 2, aws_region=None),
    "a region that this emulator has not": Case(
        FAIL_OVER, 1, "there is no region 'us-esat-1'; did you mean", variables={"aws_region": "us-esat-1"}
    ),
    "expired credentials": Case(
        FAIL_OVER,
        4,
        "the AWS credentials have expired",
        "log in again: aws sso login",
        fault={"name": "aws.error", "value": "ExpiredToken", "times": 1000},
    ),
    "unknown credentials": Case(
        FAIL_OVER,
        4,
        "InvalidClientTokenId",
        "the key is unknown to AWS",
        fault={"name": "aws.error", "value": "InvalidClientTokenId", "times": 1000},
    ),
    "denied to look": Case(
        FAIL_OVER,
        1,
        f"rds:DescribeDBClusters is denied to arn:aws:sts::123456789012:user/moto on {ARN}",
        f'missing in the policy: {{"Effect":"Allow","Action":"rds:DescribeDBClusters","Resource":"{ARN}"}}',
        fault={"name": "aws.denied", "service": "rds", "times": 1000},
    ),
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Emulator]:
    """Nothing is ever changed in it, so all tests share what it holds."""
    with running_emulator() as running:
        running.reset(*PARTS)
        running.advance(30)
        yield running


@pytest.fixture
def emulator(shared: Emulator) -> Iterator[Emulator]:
    shared.forget_requests()
    yield shared
    shared.clear_faults()


@pytest.fixture
def commands(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Commands:
    return Commands(emulator, tmp_path, monkeypatch, capsys)


def with_targets(more: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: {name: {} for name in names} for kind, names in RESOURCES.items()} | dict(more)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_one_clear_message_and_nothing_changed(case: Case, commands: Commands, emulator: Emulator) -> None:
    commands.write(with_targets(case.targets), **case.variables)
    if case.fault:
        emulator.fault(**case.fault)
    said = commands(*case.words, "--output", "json")
    document = said.document
    told = document["targets"] or [document["run"]]
    assert (said.code, document["run"]["exit_code"]) == (case.code, case.code), said.all
    assert all(case.says in one["message"] and case.hint in (one["hint"] or "") for one in told), said.all
    assert "Traceback" not in said.all
    assert emulator.writes() == []
    assert len(emulator.requests()) <= (MOST if case.asks else 0)
    assert document["run"]["duration_s"] < 30, "by the run's clock, which waits count on"
    assert (commands.folder / "state/runs").exists() is (case.code != 2), "bad input leaves no run behind"


@pytest.mark.parametrize(
    ("fault", "code", "says", "attempts"),
    [
        ({"name": "aws.denied"}, 1, "rds:FailoverDBCluster is denied to arn:aws:sts::123456789012:user/moto on " + ARN, 1),
        ({"name": "aws.error", "value": "ExpiredToken"}, 1, "the AWS credentials have expired", 3),
    ],
    ids=["denied", "expired"],
)
def test_an_act_that_aws_refuses(
    fault: dict[str, Any], code: int, says: str, attempts: int, commands: Commands, emulator: Emulator
) -> None:
    """Looking is allowed, acting is not: it fails, is tried no more often than it may, and the database is as it was."""
    emulator.fault(**fault, action="FailoverDBCluster", times=1000)
    said = commands(*FAIL_OVER, "--output", "json")
    (target,) = said.document["targets"]
    assert (said.code, target["outcome"]) == (code, "failed"), said.all
    assert says in target["message"]
    assert len(emulator.writes()) == attempts
    if fault["name"] == "aws.denied":
        statement = f'{{"Effect":"Allow","Action":"rds:FailoverDBCluster","Resource":"{ARN}"}}'
        assert target["hint"] == f"missing in the policy: {statement}"
    cluster = emulator.client("rds").describe_db_clusters(DBClusterIdentifier="lab-aurora")["DBClusters"][0]
    writers = [one["DBInstanceIdentifier"] for one in cluster["DBClusterMembers"] if one["IsClusterWriter"]]
    assert (cluster["Status"], writers) == ("available", ["lab-aurora-1"])


def test_a_person_reads_the_statement_too(commands: Commands, emulator: Emulator) -> None:
    emulator.fault("aws.denied", action="SetDesiredCapacity", times=10)
    said = commands(*SCALE, "3")
    name = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:*:autoScalingGroupName/lab-asg"
    assert said.code == 1
    assert f"autoscaling:SetDesiredCapacity is denied to arn:aws:sts::123456789012:user/moto on {name}" in said.out
    assert f'{{"Effect":"Allow","Action":"autoscaling:SetDesiredCapacity","Resource":"{name}"}}' in said.out


@pytest.mark.parametrize("mode", [(), ("--check",)], ids=["run", "check"])
def test_a_cluster_and_its_member_are_not_both_meant(mode: tuple[str, ...], commands: Commands, emulator: Emulator) -> None:
    """Only looking tells that an instance is a member: both are refused, and nothing is changed."""
    commands.write({"rds_cluster": {"lab-aurora": {}}, "rds_instance": {"lab-aurora-2": {}}})
    selection = ("--hosts", "rds_cluster,rds_instance", "--force")
    said = commands("recover.rds-failover", *selection, *mode, "--output", "json")
    cluster, member = said.document["targets"]
    assert (said.code, cluster["outcome"], member["outcome"]) == (3, "refused", "refused"), said.all
    both = f"lab-aurora and lab-aurora-2 are both selected, and an act on one is an act on the other ({ARN})"
    assert (cluster["message"], cluster["hint"]) == (both, "select what is meant: --hosts lab-aurora")
    assert "select lab-aurora (kind rds_cluster) instead" in member["hint"]
    assert emulator.writes() == []


@pytest.mark.parametrize(
    ("url", "says"), [("localhost", "is not an http or https URL"), ("http://127.0.0.1:1", "nothing listens on")]
)
def test_an_inventory_that_asks_aws_and_cannot(url: str, says: str, commands: Commands) -> None:
    """The group is not empty because nobody answered, and no other inventory takes its place."""
    commands.inventory.write_text(f"source: aws\nregions: [us-east-1]\naws_endpoint_url: {url}\n{KEYS_OF_THE_LAB}")
    said = commands("check.rds", "--hosts", "aws")
    assert said.code == 2, said.all
    assert says in said.err
    assert said.err.count("invalid: ") == 1
    assert "Traceback" not in said.all


OUTSIDE = {
    "negative capacity": ((*SCALE, "-1"), 2, f"{NUMBER}'-1'"),
    "an endpoint that is no URL": (FAIL_OVER, 2, "is not an http or https URL"),
    "the emulator is down": (FAIL_OVER, 4, "nothing listens on http://127.0.0.1:1"),
    "no credentials": (FAIL_OVER, 4, "there are no AWS credentials"),
}
VARIABLES: dict[str, dict[str, Any]] = {
    "an endpoint that is no URL": {"aws_endpoint_url": "localhost"},
    "the emulator is down": {"aws_endpoint_url": "http://127.0.0.1:1"},
    "no credentials": NO_KEYS,
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_inv_itself_says_so_and_ends(name: str, commands: Commands, emulator: Emulator) -> None:
    """A process of its own, with the real clock: what cannot work is not waited for."""
    words, code, says = OUTSIDE[name]
    commands.write(**VARIABLES.get(name, {}))
    checkout = Path(__file__).resolve().parents[2]
    done = subprocess.run([INV, *words], cwd=checkout, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code, done.stderr
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert emulator.writes() == []
