"""Container engines: which ones work here, and how to talk to them.

Docker and podman take the same words for nearly everything that the lab asks; what differs stands in ``boot_flags``.
Run for real so far: podman 4.3 as root and Docker 20.10 with its classic builder, on control groups v1; v2 only through
a stand-in, as was rootless podman. Not run so far: BuildKit, Docker Desktop, podman's remote machine, Ubuntu.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from crashcart.errors import BadInput, LabError
from crashcart.lab.commands import Runner, run

PROGRAMS = ("docker", "podman")
_PODMAN_BOOT = ("--systemd=always",)
_DOCKER_BOOT = ("--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp", "--env=container=docker")
# A host needs 50 MB; the rest is for a /var that has to live in memory, and small enough that a leak ends soon. No swap.
MEMORY = "512m"
# Loop devices: block major 7, and the control device that hands out free ones. A host mounts its own /var with them.
_LOOP_DEVICES = ("--device-cgroup-rule=b 7:* rmw", "--device-cgroup-rule=c 10:237 rmw")


class Engine(msgspec.Struct, frozen=True):
    """A container engine that was seen to answer. ``options`` stand before every command.

    ``memory`` says whether it may limit a container's memory; a user without that control group may not.
    """

    program: str
    version: str = ""
    options: tuple[str, ...] = ()
    rootless: bool = False
    cgroups: str = "v2"
    memory: bool = True
    runner: Runner = run

    def __str__(self) -> str:
        words = (self.program, self.version, "rootless" if self.rootless else "", *self.options)
        return " ".join(word for word in words if word)

    def ask(self, *words: str, timeout: float = 30.0, stdin: bytes = b"") -> bytes:
        """Run one command of the engine and return its stdout."""
        return self.runner((self.program, *self.options, *words), timeout=timeout, stdin=stdin)

    def inspect(self, *ids: str) -> list[dict[str, Any]]:
        """Return what the engine knows of some containers, in Docker's structure."""
        found: list[dict[str, Any]] = json.loads(self.ask("container", "inspect", *ids)) if ids else []
        return found

    def has_image(self, image: str) -> bool:
        """Tell whether an image is there, without asking a registry."""
        try:
            self.ask("image", "inspect", image)
        except LabError:
            return False
        return True

    def demand_systemd(self) -> None:
        """Raise a ``LabError`` where no container can run systemd: it needs control groups that it may write to."""
        if self.rootless and self.cgroups == "v1":
            raise LabError(
                f"{self} cannot run systemd: on this machine only root may write to control groups (version 1)",
                hint="run as root, use a docker daemon, or boot with systemd.unified_cgroup_hierarchy=1",
            )

    @property
    def limits(self) -> tuple[str, ...]:
        """Limits that this user may set: an engine's own defaults can be higher than the machine grants."""
        files, processes = (resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
        return (f"--ulimit=nofile={_at_most(4096, files)}", f"--ulimit=nproc={_at_most(8192, processes)}")

    @property
    def remove_flags(self) -> tuple[str, ...]:
        """Flags that remove a container at once; podman would first give it ten seconds."""
        return ("--force", "--volumes", *(("--time=0",) if self.program == "podman" else ()))

    @property
    def boot_flags(self) -> tuple[str, ...]:
        """Flags of a container whose PID 1 is systemd and which may mount a file system of its own."""
        ours = _PODMAN_BOOT if self.program == "podman" else _DOCKER_BOOT
        devices = () if self.rootless else _LOOP_DEVICES
        memory = (f"--memory={MEMORY}", f"--memory-swap={MEMORY}") if self.memory else ()
        open_doors = ("--cap-add=SYS_ADMIN", "--cap-add=MKNOD", "--security-opt=apparmor=unconfined")
        return (*ours, *open_doors, "--security-opt=label=disable", *devices, *memory, *self.limits)


def _at_most(wish: int, hard: int) -> str:
    value = wish if hard == resource.RLIM_INFINITY else min(wish, hard)
    return f"{value}:{value}"


def working_engines(
    environ: Mapping[str, str] = os.environ,
    *,
    runner: Runner = run,
    which: Callable[[str], str | None] = shutil.which,
) -> list[Engine]:
    """Return the engines that answer, docker first; ``CRASHCART_ENGINE`` narrows the choice to one."""
    wanted = environ.get("CRASHCART_ENGINE", "")
    if wanted and wanted not in PROGRAMS:
        raise BadInput(f"CRASHCART_ENGINE is {wanted!r}", hint="docker and podman are known")
    probes = {"docker": _probe_docker, "podman": _probe_podman}
    found = [probes[name](runner, which) for name in ([wanted] if wanted else PROGRAMS) if which(name)]
    return [engine for engine in found if engine]


def _probe_docker(runner: Runner, _which: Callable[[str], str | None]) -> Engine | None:
    """Ask the daemon: a docker client without one is common, and so is a ``docker`` that is podman in disguise."""
    info = _info(("docker", "info", "--format", "{{json .}}"), runner)
    if not info or not info.get("ServerVersion"):
        return None
    rootless = any("rootless" in option for option in info.get("SecurityOptions") or ())
    cgroups, memory = f"v{info.get('CgroupVersion', 2)}", bool(info.get("MemoryLimit", True))
    return Engine("docker", info["ServerVersion"], (), rootless, cgroups, memory, runner)


def _probe_podman(runner: Runner, which: Callable[[str], str | None]) -> Engine | None:
    """Ask podman; where the control groups are not pure v2, crun refuses to start anything and runc does."""
    info = _info(("podman", "info", "--format", "json"), runner)
    if not info:
        return None
    host = info["host"]
    cgroups = host.get("cgroupVersion", "v2")
    crun_refuses = cgroups == "v1" and host["ociRuntime"]["name"] == "crun"
    options = ("--runtime=runc",) if crun_refuses and which("runc") else ()
    memory = "memory" in host.get("cgroupControllers", ["memory"])
    return Engine("podman", info["version"]["Version"], options, host["security"]["rootless"], cgroups, memory, runner)


def _info(argv: tuple[str, ...], runner: Runner) -> dict[str, Any] | None:
    try:
        answer = json.loads(runner(argv, timeout=10.0))
    except (LabError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None
