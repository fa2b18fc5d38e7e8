"""Where a drill takes place: what is broken there, put back, and compared. Hosts here, the emulated AWS in ``cloud.py``."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from crashcart.errors import BadInput, LabError, nearest
from crashcart.lab.faults import CANARY, FAULTS, Fault
from crashcart.playbooks.schema import VariantSpec
from crashcart.targets import Target
from crashcart.transports.base import Command, Connector


class Stage(Protocol):
    """The targets of one variant, as a drill breaks them. All methods raise ``LabError`` and the transport's errors."""

    def summary(self, spec: VariantSpec) -> str:
        """Say what goes wrong. Raises ``BadInput`` for a fault that is not known."""

    def prepare(self) -> None:
        """Begin where nothing is left of an earlier use, where that can be had."""

    def inject(self, spec: VariantSpec) -> None:
        """Break what the variant says."""

    def hinder(self, spec: VariantSpec) -> None:
        """Spoil the way of whoever repairs it, where the variant says so."""

    def restore(self, spec: VariantSpec) -> None:
        """Put everything back; may be called at any time, also twice."""

    def canary(self) -> list[bytes]:
        """Return what no recovery may touch."""

    def writes(self) -> int | None:
        """Count the requests that may have changed something since this was asked last; None where nobody counts."""


class HostStage:
    """Hosts: a fault is a script that breaks one, and another one that mends it."""

    def __init__(self, targets: Sequence[Target], connect: Connector) -> None:
        self._targets, self._connect = targets, connect

    def summary(self, spec: VariantSpec) -> str:
        """Say what goes wrong. Raises ``BadInput`` for a fault that is not known."""
        return _find(spec.fault).summary

    def prepare(self) -> None:
        """Take hosts as they are: the check says whether they are well."""

    def inject(self, spec: VariantSpec) -> None:
        """Break every host."""
        self._everywhere(_find(spec.fault).inject, "inject")

    def hinder(self, spec: VariantSpec) -> None:
        """Leave the way to hosts alone."""

    def restore(self, spec: VariantSpec) -> None:
        """Mend every host."""
        self._everywhere(_find(spec.fault).restore, "restore")

    def canary(self) -> list[bytes]:
        """Return what the canaries of every host print."""
        return self._everywhere((CANARY,), "canary")

    def writes(self) -> int | None:
        """Say that nobody counts."""
        return None

    def _everywhere(self, commands: Sequence[Command], what: str) -> list[bytes]:
        """Run commands on every target in parallel and return what they printed, in the targets' order."""
        with ThreadPoolExecutor(max_workers=min(32, len(self._targets))) as pool:
            return list(pool.map(lambda target: self._on(target, commands, what), self._targets))

    def _on(self, target: Target, commands: Sequence[Command], what: str) -> bytes:
        transport = self._connect(target)
        printed = b""
        try:
            for command in commands:
                result = transport.run(command)
                if not result.ok:
                    raise LabError(f"{what} on {target.name}: {result.ending}")
                printed += result.stdout.data
        finally:
            transport.close()
        return printed


def _find(name: str) -> Fault:
    if name not in FAULTS:
        raise BadInput(f"there is no fault {name!r} for hosts", hint=nearest(name, FAULTS) or ", ".join(sorted(FAULTS)))
    return FAULTS[name]
