"""Operations, by name. Third parties add theirs through the entry point group ``crashcart.operations``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from crashcart.errors import BadInput, nearest
from crashcart.operations.base import Operation

ENTRY_POINTS = "crashcart.operations"

SHIPPED = {
    "asg.assess": "crashcart.operations.autoscaling:AssessGroup",
    "asg.restore": "crashcart.operations.autoscaling:RestoreSizes",
    "asg.scale": "crashcart.operations.autoscaling:ScaleOut",
    "deploy.assess": "crashcart.operations.deploys:AssessDeploys",
    "database.answers": "crashcart.operations.database:AnswerClients",
    "database.assess": "crashcart.operations.database:AssessDatabase",
    "disk.assess": "crashcart.operations.disk:AssessDisk",
    "disk.reclaim": "crashcart.operations.disk:ReclaimDisk",
    "ec2.assess": "crashcart.operations.ec2:AssessInstance",
    "ec2.drift": "crashcart.operations.drift:AssessDrift",
    "elasticache.assess": "crashcart.operations.elasticache:AssessGroup",
    "elasticache.failover": "crashcart.operations.elasticache:FailOver",
    "elasticache.maintenance": "crashcart.operations.maintenance:AssessCacheMaintenance",
    "elasticache.reboot": "crashcart.operations.elasticache:RebootNodes",
    "elasticache.settings": "crashcart.operations.elasticache:SetSettings",
    "elbv2.assess": "crashcart.operations.elbv2:AssessTargets",
    "elbv2.deregister": "crashcart.operations.elbv2:DeregisterTarget",
    "elbv2.drain": "crashcart.operations.elbv2_host:DrainHost",
    "elbv2.join": "crashcart.operations.elbv2_host:JoinHost",
    "elbv2.register": "crashcart.operations.elbv2:RegisterTarget",
    "elbv2.traffic": "crashcart.operations.traffic:AssessTraffic",
    "endpoint.assess": "crashcart.operations.endpoint:AssessEndpoints",
    "health.assess": "crashcart.operations.aws_health:AssessAwsHealth",
    "host.assess": "crashcart.operations.vitals:AssessHost",
    "host.ping": "crashcart.operations.host:PingHost",
    "http.healthy": "crashcart.operations.http:HttpHealthy",
    "limits.assess": "crashcart.operations.limits:AssessLimits",
    "limits.keep": "crashcart.operations.limits:KeepLimits",
    "limits.restore": "crashcart.operations.limits:RestoreLimits",
    "limits.set": "crashcart.operations.limits:SetLimits",
    "logs.assess": "crashcart.operations.logs:AssessLogs",
    "network.assess": "crashcart.operations.network:AssessNetwork",
    "rds.assess": "crashcart.operations.rds:AssessDatabase",
    "rds.failover": "crashcart.operations.rds:FailOver",
    "rds.maintenance": "crashcart.operations.maintenance:AssessMaintenance",
    "rds.storage": "crashcart.operations.rds_storage:AssessStorage",
    "script.assess": "crashcart.operations.scripts:AssessScripts",
    "systemd.assess": "crashcart.operations.systemd:AssessUnit",
    "systemd.soak": "crashcart.operations.soak:SoakUnit",
    "systemd.restart": "crashcart.operations.systemd:RestartUnit",
}
"""Imported when first used: a playbook pays for its own operations only."""


def find_operation(name: str) -> Operation[Any, Any, Any]:
    """Return the operation of that name. Raises ``BadInput`` with the nearest names for an unknown one."""
    place = SHIPPED.get(name)
    if place:
        module, _, attribute = place.partition(":")
        operation: Operation[Any, Any, Any] = getattr(import_module(module), attribute)()
        return operation
    return _third_party(name)


def _third_party(name: str) -> Operation[Any, Any, Any]:
    from importlib.metadata import entry_points  # noqa: PLC0415 -- a scan that only an unknown name is worth

    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name in found:
        operation: Operation[Any, Any, Any] = found[name].load()()
        return operation
    raise BadInput(f"unknown operation {name!r}", hint=nearest(name, [*SHIPPED, *found]))
