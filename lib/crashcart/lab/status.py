"""The lab as it is now: records for programs, a few lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from crashcart.lab.aws.emulator import AwsStatus
from crashcart.lab.containers import ADDRESS, Container
from crashcart.lab.engine import Engine
from crashcart.lab.probes import answers_ssh, look_inside


class HostStatus(msgspec.Struct, frozen=True):
    """One host of the lab. ``var`` says what its /var lies on; ``failed`` names its failed units."""

    name: str
    address: str
    port: int
    running: bool
    answering: bool
    var: str = ""
    failed: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The host in one line."""
        state = "up" if self.answering else "silent" if self.running else "stopped"
        return f"{self.name:<8} {state:<8} {self.address}:{self.port:<6} /var: {self.var or 'unknown'}"


class LabStatus(msgspec.Struct, frozen=True):
    """The lab as it is now. ``notes`` say where it is not what a lab promises, and why."""

    name: str
    folder: str
    inventory: str
    engine: str
    image: str
    hosts: tuple[HostStatus, ...] = ()
    notes: tuple[str, ...] = ()
    aws: AwsStatus = AwsStatus()

    @property
    def up(self) -> bool:
        """Whether there are hosts, and all of them run and answer."""
        return bool(self.hosts) and all(host.running and host.answering for host in self.hosts)

    @property
    def text(self) -> str:
        """The lab in a few lines."""
        aws = (self.aws.text,) if self.hosts or self.aws.running else ()
        if not self.hosts:
            return "\n".join((f"lab {self.name!r} is down: inv lab.up", *aws, *self.notes))
        head = f"lab {self.name!r}: {len(self.hosts)} hosts on {self.engine}, inventory {self.inventory}"
        return "\n".join((head, *(host.text for host in self.hosts), *aws, *self.notes))


def look_at(engine: Engine, one: Container) -> HostStatus:
    """Look at one host: at its sshd from here, and at its /var and units from inside."""
    if not one.running:
        return HostStatus(one.host, ADDRESS, one.port, running=False, answering=False)
    look = look_inside(engine, one)
    answering = answers_ssh(one.port, within=1.0)
    return HostStatus(one.host, ADDRESS, one.port, running=True, answering=answering, var=look.var, failed=look.failed)


def notes_on(hosts: Iterable[HostStatus]) -> Iterator[str]:
    """Say of each host what is not as a lab promises."""
    for host in hosts:
        if not host.running:
            yield f"{host.name} does not run: `inv lab.up` makes it anew"
        elif not host.answering:
            yield f"{host.name} runs, but its sshd does not answer: `inv lab.up` makes it anew"
        if host.failed:
            yield f"{host.name} has failed units: {', '.join(host.failed)}"
        if host.var.startswith("tmpfs"):
            yield f"{host.name}: /var is a tmpfs of limited size, because loop devices are not allowed here"
        elif host.var and not host.var.startswith("ext4"):
            yield f"{host.name}: /var has no file system of its own, so a disk fault would fill this machine's disk"
