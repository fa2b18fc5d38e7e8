"""The emulated AWS as the place of a drill: a scene is set up, faults are put on the way, and its log counts the writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from crashcart.errors import BadInput, Refused, nearest
from crashcart.lab.aws.faults import Wanted, checked, known_fault
from crashcart.lab.aws.scenes import SCENES
from crashcart.playbooks.schema import VariantSpec
from crashcart.targets import Target


class Emulator(Protocol):
    """What a drill needs of the lab's emulator."""

    def reset(self) -> None:
        """Begin anew."""

    def admin(self, method: str, name: str, body: Any = None) -> Any:
        """Use the emulator's own API."""


class CloudStage:
    """Resources of the lab's emulated account."""

    def __init__(self, targets: Sequence[Target], emulator: Emulator) -> None:
        self._targets, self._emulator = targets, emulator

    def summary(self, spec: VariantSpec) -> str:
        """Say what goes wrong. Raises ``BadInput`` for a scene or fault that is not known."""
        if spec.fault not in SCENES:
            raise BadInput(
                f"there is no scene {spec.fault!r} for AWS", hint=nearest(spec.fault, SCENES) or ", ".join(SCENES)
            )
        return "; ".join((SCENES[spec.fault], *map(_told, spec.aws)))

    def prepare(self) -> None:
        """Begin the account anew: a failover of a minute ago, a raised group or a fault on the way would spoil the drill."""
        self._emulator.reset()

    def inject(self, spec: VariantSpec) -> None:
        """Set the scene up around every target."""
        for target in self._targets:
            self._emulator.admin("POST", "scenes", {"name": spec.fault, "resource": _resource(target)})

    def hinder(self, spec: VariantSpec) -> None:
        """Put the variant's faults on the way."""
        for fault in spec.aws:
            self._emulator.admin("POST", "faults", msgspec.to_builtins(fault))

    def restore(self, spec: VariantSpec) -> None:
        """Give the account back as it was at first, without any fault."""
        self._emulator.reset()

    def canary(self) -> list[bytes]:
        """Say nothing: the log of writes tells all that was touched."""
        return []

    def writes(self) -> int | None:
        """Count the requests that may have changed something since this was asked last."""
        count = sum(bool(request["writes"]) for request in self._emulator.admin("GET", "requests"))
        self._emulator.admin("DELETE", "requests")
        return count


def _told(wanted: Wanted) -> str:
    fault = checked(wanted)
    where = f" ({fault.action})" if fault.action else ""
    return known_fault(fault.name).summary.replace("--seconds", f"{fault.seconds or 0:g} s") + where


def check_emulated(targets: Sequence[Target], url: str) -> None:
    """Refuse targets of anything but the lab's own emulator, which alone can be broken on purpose. Raises ``Refused``."""
    others = [target.name for target in targets if not url or target.variable("aws_endpoint_url") != url]
    if others:
        why = f"a drill breaks {', '.join(others[:5])} on purpose, which only the lab's emulated AWS allows"
        raise Refused(why, hint="--hosts lab, after inv lab.up")


def _resource(target: Target) -> str:
    return str(target.variable("aws_id", target.name))
