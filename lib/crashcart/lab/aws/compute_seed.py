"""Fill a fresh emulator with what runs on instances: a network, a load balancer, a scaling group, the lab's hosts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any
from zlib import crc32

import msgspec

from crashcart.lab.aws.account import HOSTS_GROUP

HOST_TAG = "crashcart:host"
HEALTH_URL_TAG = "crashcart:health-url"
GROUP = "lab-asg"
LOAD_BALANCER = "lab"
TEMPLATE = "lab-template"
IMAGE = "lab"
INSTANCE_TYPE = "t3.small"
DRAIN_SECONDS = 1
# Target groups of the load balancer, by the port of the listener that forwards to them.
TARGET_GROUPS = {80: "lab-web", 8080: "lab-api", 8000: HOSTS_GROUP}
HOSTS_PORT = 8000


class LabInstance(msgspec.Struct, frozen=True):
    """A lab host that stands behind an EC2 instance; ``health_url`` is asked by the emulator (``http://`` or ``tcp://``)."""

    name: str
    health_url: str


class Network(msgspec.Struct, frozen=True):
    """The VPC and one subnet in each of three zones."""

    vpc: str
    subnets: tuple[str, ...]


def seed_compute(client: Callable[[str], Any], hosts: Sequence[LabInstance]) -> None:
    """Create everything, once after each reset. New members and targets become ready as the lab's time passes."""
    ec2, elb = client("ec2"), client("elbv2")
    network = _network(ec2)
    groups = _load_balancer(elb, network)
    image = ec2.register_image(Name=IMAGE, RootDeviceName="/dev/xvda")["ImageId"]
    _scaling_group(client, network, image, [groups[80], groups[8080]])
    _hosts(client, hosts, image, network.subnets, groups[HOSTS_PORT])


def add_hosts(client: Callable[[str], Any], hosts: Sequence[LabInstance]) -> dict[str, str]:
    """Create the instances of those lab hosts that have none yet; tell the instance of every lab host, by name."""
    ec2 = client("ec2")
    known = host_instances(ec2)
    missing = [host for host in hosts if host.name not in known]
    if missing:
        image = ec2.describe_images(Filters=[{"Name": "name", "Values": [IMAGE]}])["Images"][0]["ImageId"]
        group = client("elbv2").describe_target_groups(Names=[TARGET_GROUPS[HOSTS_PORT]])["TargetGroups"][0]
        in_network = [{"Name": "vpc-id", "Values": [group["VpcId"]]}]
        subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets(Filters=in_network)["Subnets"]]
        _hosts(client, missing, image, subnets, group["TargetGroupArn"])
    return host_instances(ec2)


def host_instances(ec2: Any) -> dict[str, str]:
    """Tell the instances that stand for lab hosts, by the host's name."""
    wanted = [
        {"Name": "tag-key", "Values": [HOST_TAG]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    found = [one for part in ec2.describe_instances(Filters=wanted)["Reservations"] for one in part["Instances"]]
    return {tag["Value"]: one["InstanceId"] for one in found for tag in one["Tags"] if tag["Key"] == HOST_TAG}


def _hosts(
    client: Callable[[str], Any], hosts: Sequence[LabInstance], image: str, subnets: Sequence[str], group: str
) -> None:
    """Create an instance for each lab host, and put it behind the load balancer."""
    made = [_host(client("ec2"), host, image, subnet) for host, subnet in zip(hosts, cycle(subnets), strict=False)]
    if made:
        client("elbv2").register_targets(TargetGroupArn=group, Targets=[{"Id": name} for name in made])


def _network(ec2: Any) -> Network:
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"][:3]]
    blocks = [(zone, f"10.20.{number}.0/24") for number, zone in enumerate(zones)]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone) for zone, block in blocks]
    return Network(vpc, tuple(subnet["Subnet"]["SubnetId"] for subnet in subnets))


def _load_balancer(elb: Any, network: Network) -> dict[int, str]:
    """One application load balancer; tell the target groups' ARNs by listener port."""
    made = elb.create_load_balancer(Name=LOAD_BALANCER, Subnets=list(network.subnets), Type="application", Scheme="internal")
    balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
    groups = {port: _target_group(elb, network, name, port) for port, name in TARGET_GROUPS.items()}
    for port, arn in groups.items():
        actions = [{"Type": "forward", "TargetGroupArn": arn}]
        elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=actions)
    return groups


def _target_group(elb: Any, network: Network, name: str, port: int) -> str:
    made = elb.create_target_group(Name=name, Protocol="HTTP", Port=port, VpcId=network.vpc, HealthCheckPath="/health")
    arn = str(made["TargetGroups"][0]["TargetGroupArn"])
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(DRAIN_SECONDS)}
    elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
    return arn


def _scaling_group(client: Callable[[str], Any], network: Network, image: str, targets: list[str]) -> None:
    data = {"ImageId": image, "InstanceType": INSTANCE_TYPE}
    client("ec2").create_launch_template(LaunchTemplateName=TEMPLATE, LaunchTemplateData=data)
    client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        LaunchTemplate={"LaunchTemplateName": TEMPLATE},
        MinSize=1,
        DesiredCapacity=2,
        MaxSize=4,
        VPCZoneIdentifier=",".join(network.subnets),
        TargetGroupARNs=targets,
        HealthCheckType="ELB",
        HealthCheckGracePeriod=1,
    )


def _choose_identity(name: str) -> None:
    """Have moto give a host the same instance id after each reset, since inventories name it."""
    from moto.moto_api._internal import mock_random  # noqa: PLC0415 -- only the emulator's process has moto

    mock_random.seed(crc32(name.encode()))


def _host(ec2: Any, host: LabInstance, image: str, subnet: str) -> str:
    tags = {"Name": host.name, HOST_TAG: host.name, HEALTH_URL_TAG: host.health_url}
    _choose_identity(host.name)
    ran = ec2.run_instances(
        ImageId=image,
        InstanceType=INSTANCE_TYPE,
        SubnetId=subnet,
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )
    return str(ran["Instances"][0]["InstanceId"])
