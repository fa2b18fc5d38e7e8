"""How an operation declares the AWS calls that it may send: the least privilege that it needs, next to what needs it.

    calls = (
        reads("rds:DescribeDBClusters", "cluster:*"),
        reads("rds:DescribeEvents"),
        writes("rds:FailoverDBCluster", "cluster:{names}"),
    )

Resources are as the service authorization reference of AWS has them, without partition, region and account. A list that
names nobody (all clusters, to find the nearest name) is allowed by IAM on ``cluster:*`` only, so reads are often about all.
"""

from __future__ import annotations

import msgspec

ANY = "*"
"""The resource of a call for which IAM knows no narrower one."""


class Condition(msgspec.Struct, frozen=True):
    """A condition of a policy: IAM's operator, its key, and a value that may hold ``{largest}`` and the like."""

    operator: str
    key: str
    value: str


class Grants(msgspec.Struct, frozen=True):
    """Where a policy allows something: the account, the region, and how the resources there are called.

    ``names`` is a name or a pattern with ``*``; ``largest`` is how large a scaling group may be made.
    """

    account: str = "123456789012"
    region: str = "eu-west-1"
    names: str = "prod-*"
    partition: str = "aws"
    largest: int = 40

    def fill(self, text: str) -> str:
        """Put these values into a text with ``{names}`` and the like."""
        return text.format(**msgspec.to_builtins(self))


class AwsCall(msgspec.Struct, frozen=True):
    """A call as IAM names it, what it is about, and whether it changes something. No resource: IAM knows none for it.

    ``region`` is where it is always sent, for a service that has one place for all regions.
    """

    action: str
    resources: tuple[str, ...] = ()
    writes: bool = False
    only_if: Condition | None = None
    region: str = ""

    @property
    def service(self) -> str:
        """IAM's name of the service."""
        return self.action.partition(":")[0]

    def arns(self, grants: Grants) -> tuple[str, ...]:
        """Return the ARNs that it has to be allowed on."""
        prefix = f"arn:{grants.partition}:{self.service}:{grants.region}:{grants.account}:"
        return tuple(prefix + grants.fill(resource) for resource in self.resources) or (ANY,)


def reads(action: str, *resources: str, region: str = "") -> AwsCall:
    """Declare a call that changes nothing."""
    return AwsCall(action, resources, region=region)


def writes(action: str, *resources: str, only_if: Condition | None = None) -> AwsCall:
    """Declare a call that changes something. It names its resource: nothing is changed on ``*``."""
    return AwsCall(action, resources, writes=True, only_if=only_if)
