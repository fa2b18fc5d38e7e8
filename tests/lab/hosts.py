"""Reach the lab's hosts with the plain ssh client, so that a fault of our own transport cannot hide one of the lab."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import yaml

from crashcart.lab.lab import Lab
from crashcart.transports.base import Command

STATE = "systemctl show --value --property=Result,ActiveState api.service | paste -sd ' '"
HEALTH = "curl -s --max-time 2 -o - -w '%{http_code}' http://127.0.0.1:8000/health"


def eventually(check: Callable[[], object], within: float = 10.0) -> bool:
    """Tell whether a check comes true before the time is up."""
    deadline = time.monotonic() + within
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Host:
    """One host as its inventory describes it."""

    def __init__(self, name: str, variables: dict[str, Any]) -> None:
        self.name, self.variables = name, variables

    def ssh(self, command: str, *options: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command as the inventory's user; only host keys that the lab wrote down are accepted."""
        words = self.variables
        login = ["-i", words["ansible_ssh_private_key_file"], "-p", str(words["ansible_port"])]
        strict = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
        where = [*shlex.split(words["ansible_ssh_common_args"]), f"{words['ansible_user']}@{words['ansible_host']}"]
        argv = ["ssh", *strict, *options, *login, *where, command]
        return subprocess.run(argv, capture_output=True, timeout=60, check=False)

    def say(self, command: str) -> str:
        """Run a command that must succeed, and return what it prints."""
        ended = self.ssh(command)
        assert ended.returncode == 0, f"{command}: {ended.stderr.decode()}"
        return ended.stdout.decode(errors="replace").strip()

    def run(self, *commands: Command) -> bytes:
        """Run commands as a transport would: as root, with their arguments."""
        printed = b""
        for command in commands:
            words = ["sh", "-c", command.script, "sh", *command.args]
            ended = self.ssh(shlex.join(["sudo", "-n", *words] if command.become else words))
            assert ended.returncode == 0, ended.stderr.decode(errors="replace")
            printed += ended.stdout
        return printed

    def health(self) -> str:
        """Ask the practice service how it is: its words and the status code, or 000 when it does not answer."""
        return " ".join(self.ssh(HEALTH).stdout.decode().split())

    def balanced(self) -> str:
        """Ask the emulated load balancer how it sees this host: healthy, initial, draining, unused..."""
        told = self._balancer("describe_target_health")
        return str(told["TargetHealthDescriptions"][0]["TargetHealth"]["State"])

    def put_back(self) -> None:
        """Put it behind the emulated load balancer, whatever took it out, and wait until that finds it healthy."""
        if self.balanced() != "healthy":
            self._balancer("register_targets")
            assert eventually(lambda: self.balanced() == "healthy")

    def balanced_at(self) -> int:
        """Ask the emulated load balancer at which port this host is registered."""
        return int(self._balancer("describe_target_health")["TargetHealthDescriptions"][0]["Target"]["Port"])

    def move_to(self, port: int) -> None:
        """Register it at another port than its group's, and wait until that is healthy."""
        self._balancer("deregister_targets")
        assert eventually(lambda: self.balanced() == "unused")
        self._balancer("register_targets", Port=port)
        assert eventually(lambda: self.balanced() == "healthy")

    def belong_to(self, scaling_group: str) -> None:
        """Let its instance be one of an Auto Scaling group, by its tag."""
        owned = [{"Key": "aws:autoscaling:groupName", "Value": scaling_group}]
        self._client("ec2").create_tags(Resources=[self.variables["instance_id"]], Tags=owned)

    def _client(self, service: str) -> Any:
        words = self.variables
        keys = {name: words[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
        return boto3.client(service, region_name=words["aws_region"], endpoint_url=words["aws_endpoint_url"], **keys)

    def _balancer(self, call: str, **how: Any) -> Any:
        words, client = self.variables, self._client("elbv2")
        group = client.describe_target_groups(Names=[words["target_group"]])["TargetGroups"][0]
        return getattr(client, call)(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": words["instance_id"], **how}])

    def used(self, what: str = "pcent") -> int:
        """Return the share of /var that is used, in per cent: of bytes (pcent) or of inodes (ipcent)."""
        return int(self.say(f"df --output={what} /var | tail -n 1").rstrip("%"))


def hosts_of(lab: Lab) -> dict[str, Host]:
    """Read the inventory that the lab wrote."""
    group = yaml.safe_load(Path(lab.folder.inventory).read_text())["all"]["children"]["lab"]
    return {name: Host(name, group["vars"] | own) for name, own in group["hosts"].items()}
