"""What is wrong with a cloud target's variables is said before anything is contacted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crashcart.errors import BadInput
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.transports.aws import AwsTransport
from crashcart.transports.aws_check import cloud_access, resource_of
from crashcart.transports.connect import TargetConnector, check_target
from crashcart.transports.local import LocalTransport

ROLE = "arn:aws:iam::111122223333:role/path/crashcart-oncall"
URL = "http://127.0.0.1:5000"


def target(**variables: Any) -> Target:
    return Target("orders", "rds_cluster", {"aws_region": "eu-central-1", **variables})


BAD = [
    ({"aws_regoin": "eu-central-1"}, "unknown variable 'aws_regoin'", "aws_region"),
    ({"aws_some_other_thing": 1}, "unknown variable 'aws_some_other_thing'", "known are"),
    ({"aws_region": ""}, "no AWS region is set", "aws_region"),
    ({"aws_region": "eu-centrall"}, "is not a region", "eu-central-1"),
    ({"aws_region": "Frankfurt"}, "is not a region", "for example"),
    ({"aws_region": 5}, "aws_region is a text, not 5", 'aws_region: "5"'),
    ({"aws_endpoint_url": "localhost:5000"}, "is not an http or https URL", "http://"),
    ({"aws_endpoint_url": "ftp://localhost"}, "is not an http or https URL", "http://"),
    ({"aws_endpoint_url": "http://localhost:99999"}, "is not an http or https URL", "http://"),
    ({"aws_role_arn": "crashcart-oncall"}, "is not a role's ARN", "arn:aws:iam::"),
    ({"aws_external_id": "x"}, "aws_external_id belongs to aws_role_arn", "aws_role_arn"),
    ({"aws_access_key_id": "A", "aws_secret_access_key": Secret("s")}, "only for an emulator", "aws_profile"),
    ({"aws_endpoint_url": URL, "aws_access_key_id": "A"}, "aws_secret_access_key is missing", "together"),
    ({"aws_profile": "oncal"}, "there is no AWS profile 'oncal'", "did you mean oncall?"),
    (
        {"aws_endpoint_url": URL, "aws_access_key_id": "A", "aws_secret_access_key": "s", "aws_profile": "oncall"},
        "exclude each other",
        "leave one",
    ),
]


@pytest.fixture(autouse=True)
def configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("[profile oncall]\nregion = us-west-2\n[profile homeless]\noutput = json\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))


@pytest.mark.parametrize(("variables", "message", "hint"), BAD)
def test_what_cannot_work_is_named_with_its_target(variables: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(BadInput) as raised:
        check_target(target(**variables))
    assert raised.value.message.startswith("orders: ")
    assert message in raised.value.message
    assert hint in raised.value.hint


def test_the_region_may_come_from_the_aws_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cloud_access(target(aws_region=None, aws_profile="oncall")).region == "us-west-2"
    assert cloud_access(target(aws_profile="oncall")).region == "eu-central-1"
    with pytest.raises(BadInput, match="no AWS region is set"):
        cloud_access(target(aws_region=None, aws_profile="homeless"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    assert cloud_access(target(aws_region=None)).region == "ap-south-1"


def test_a_broken_aws_configuration_is_bad_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("what is this")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "broken"))
    with pytest.raises(BadInput, match="the AWS configuration cannot be used"):
        check_target(target(aws_profile="oncall"))


def test_equal_variables_are_one_access() -> None:
    variables = {"aws_endpoint_url": f"{URL}/", "aws_access_key_id": "A", "aws_secret_access_key": Secret("s")}
    one, other = (cloud_access(target(**variables, aws_id=name)) for name in ("a", "b"))
    assert one == other
    assert hash(one) == hash(other)
    assert one.endpoint_url == URL
    assert "Secret" not in repr(one)
    assert cloud_access(target(aws_role_arn=ROLE, aws_external_id="x")).role_arn == ROLE


def test_the_resource_is_the_name_unless_aws_id_says_otherwise() -> None:
    assert resource_of(target()) == "orders"
    assert resource_of(target(aws_id="prod-orders")) == "prod-orders"


def test_the_kind_decides_the_way() -> None:
    connector = TargetConnector()
    connector.name_run("ana", "run1")
    assert isinstance(connector(target()), AwsTransport)
    assert isinstance(connector(Target("web", variables={"ansible_connection": "local"})), LocalTransport)
    check_target(Target("web", variables={"aws_some_other_thing": "of a host, and nobody's business"}))
    connector.close()


def test_checking_imports_no_boto3() -> None:
    """Only what reads the AWS configuration needs botocore, and nothing boto3."""
    script = (
        "import sys\n"
        "from crashcart.targets import Target\n"
        "from crashcart.transports.connect import TargetConnector, check_target\n"
        "check_target(Target('x', 'rds_cluster', {'aws_region': 'eu-central-1'}))\nTargetConnector()\n"
        "assert not {'boto3', 'botocore'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
