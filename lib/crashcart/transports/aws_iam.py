"""What an API call is called in IAM, and the policy statement that would allow it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from crashcart.transports.base import ApiCall

PREFIXES = {
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "resourcegroupstaggingapi": "tag",
    "stepfunctions": "states",
    "efs": "elasticfilesystem",
    "opensearch": "es",
    "emr": "elasticmapreduce",
    "service-quotas": "servicequotas",
}
"""IAM's names of services, where they differ from botocore's."""

ACTIONS = {
    ("s3", "ListObjects"): "s3:ListBucket",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("s3", "HeadBucket"): "s3:ListBucket",
    ("s3", "HeadObject"): "s3:GetObject",
    ("s3", "CopyObject"): "s3:PutObject",
    ("s3", "CreateMultipartUpload"): "s3:PutObject",
    ("s3", "UploadPart"): "s3:PutObject",
    ("s3", "CompleteMultipartUpload"): "s3:PutObject",
    ("s3", "DeleteObjects"): "s3:DeleteObject",
    ("s3", "ListBuckets"): "s3:ListAllMyBuckets",
    ("s3", "ListObjectVersions"): "s3:ListBucketVersions",
    ("s3", "GetObjectLockConfiguration"): "s3:GetBucketObjectLockConfiguration",
    ("dynamodb", "TransactWriteItems"): "dynamodb:PutItem",
    ("rds", "DownloadDBLogFilePortion"): "rds:DownloadCompleteDBLogFile",
    ("resourcegroupstaggingapi", "GetResources"): "tag:GetResources",
}
"""IAM's names of calls, where they differ from the API's."""

_ARN = {
    ("rds", "DBClusterIdentifier"): "arn:{partition}:rds:{region}:{account}:cluster:{id}",
    ("rds", "DBInstanceIdentifier"): "arn:{partition}:rds:{region}:{account}:db:{id}",
    ("rds", "DBClusterParameterGroupName"): "arn:{partition}:rds:{region}:{account}:cluster-pg:{id}",
    ("rds", "DBParameterGroupName"): "arn:{partition}:rds:{region}:{account}:pg:{id}",
    ("rds", "ResourceIdentifier"): "{id}",
    ("elasticache", "ReplicationGroupId"): "arn:{partition}:elasticache:{region}:{account}:replicationgroup:{id}",
    ("elasticache", "CacheClusterId"): "arn:{partition}:elasticache:{region}:{account}:cluster:{id}",
    ("autoscaling", "AutoScalingGroupName"): (
        "arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{id}"
    ),
    ("elbv2", "TargetGroupArn"): "{id}",
    ("dynamodb", "TableName"): "arn:{partition}:dynamodb:{region}:{account}:table/{id}",
    ("s3", "Bucket"): "arn:{partition}:s3:::{id}",
    ("sts", "RoleArn"): "{id}",
}
"""The resource that a call's parameter names."""

_LISTED = {
    "rds:DescribeDBClusters": "arn:{partition}:rds:{region}:{account}:cluster:*",
    "rds:DescribeDBInstances": "arn:{partition}:rds:{region}:{account}:db:*",
    "elasticache:DescribeReplicationGroups": "arn:{partition}:elasticache:{region}:{account}:replicationgroup:*",
    "elasticache:DescribeCacheClusters": "arn:{partition}:elasticache:{region}:{account}:cluster:*",
}
"""What a call that lists is about when no parameter names a resource."""

_UNSCOPED = re.compile(
    r"autoscaling:Describe|elasticloadbalancing:Describe|ec2:Describe|cloudwatch:|\w+:DescribeEvents$|cloudtrail:Lookup|elasticache:DescribeUpdateActions|tag:"
)
"""Actions that IAM allows on every resource or on none."""

_DENIAL = re.compile(
    r"User: (?P<caller>arn:\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)(?: on resource: (?P<resource>\S+))?"
)


class Denial(msgspec.Struct, frozen=True):
    """Who was denied what on which resource; a deny that a policy spells out is ``explicit``."""

    action: str
    resource: str
    caller: str
    explicit: bool = False

    @property
    def statement(self) -> str:
        """The least privilege that is missing, as one line of a policy."""
        return statement(self.action, self.resource)


def iam_action(service: str, operation: str) -> str:
    """Return a call's name in IAM: ``elbv2`` ``DescribeTargetHealth`` is ``elasticloadbalancing:DescribeTargetHealth``."""
    return ACTIONS.get((service, operation), f"{PREFIXES.get(service, service)}:{operation}")


def statement(action: str, resource: str) -> str:
    """Return a policy statement as one line of JSON."""
    return msgspec.json.encode({"Effect": "Allow", "Action": action, "Resource": resource}).decode()


def read_denial(message: str, call: ApiCall, region: str, caller: str = "") -> Denial:
    """Return what a denial's text says, completed from the call; ``caller`` is the ARN of who asked, where it is known."""
    found = _DENIAL.search(message)
    explicit = "explicit deny" in message
    if found:
        said = (found["resource"] or "").rstrip(".,") or resource_arn(call, region, found["caller"])
        return Denial(found["action"], said, found["caller"], explicit)
    return Denial(iam_action(call.service, call.operation), resource_arn(call, region, caller), caller, explicit)


def resource_arn(call: ApiCall, region: str, caller: str) -> str:
    """Return the ARN of what a call is about, ``*`` where it cannot be told or IAM knows no narrower one."""
    action = iam_action(call.service, call.operation)
    if _UNSCOPED.match(action):
        return "*"
    template, name = _named(call.service, call.params) or (_LISTED.get(action, "*"), "")
    partition, account = _account(caller)
    return template.format(partition=partition, region=region, account=account, id=name)


def _named(service: str, params: Mapping[str, Any]) -> tuple[str, str] | None:
    if service == "s3" and "Key" in params:
        return _ARN["s3", "Bucket"], f"{params.get('Bucket')}/{params['Key']}"
    for (owner, parameter), template in _ARN.items():
        value = params.get(parameter)
        if owner == service and isinstance(value, str):
            return ("{id}", value) if value.startswith("arn:") else (template, value)
    return None


def _account(caller: str) -> tuple[str, str]:
    """Read partition and account from the ARN of the caller; any account where it is not known."""
    parts = caller.split(":")
    return (parts[1], parts[4]) if len(parts) > 5 else ("aws", "*")
