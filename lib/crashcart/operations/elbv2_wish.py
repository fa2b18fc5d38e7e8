"""What ``elbv2.register`` and ``elbv2.deregister`` are asked for."""

from __future__ import annotations

import re
from ipaddress import ip_address

import msgspec

from crashcart.values import Duration

_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")


class AssessWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing needs to be said."""


class TargetWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An instance or an IP address, at the target group's port or its own; ``force`` passes over doubts."""

    member: str
    port: int | str = ""
    force: bool = False

    def __post_init__(self) -> None:
        if not (_INSTANCE.fullmatch(self.member) or _is_address(self.member)):
            raise ValueError(
                f"member: expected an instance such as i-0123456789abcdef0 or an IP address, got {self.member!r}"
            )
        if self.port != "" and self.number is None:
            raise ValueError(f"port: expected a number from 1 to 65535, got {str(self.port)!r}")

    @property
    def number(self) -> int | None:
        """The port, if one is given."""
        text = str(self.port).strip()
        return int(text) if re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65535 else None

    @property
    def is_instance(self) -> bool:
        """Whether it is an instance and no address."""
        return self.member.startswith("i-")


class RegisterWish(TargetWish, frozen=True, forbid_unknown_fields=True):
    """It shall be registered and healthy for ``settle`` seconds.

    ``accept_asg`` registers an instance of an Auto Scaling group by hand, which lasts until the group replaces it.
    """

    accept_asg: bool = False
    settle: Duration = Duration(10)


class DeregisterWish(TargetWish, frozen=True, forbid_unknown_fields=True):
    """It shall get no more requests, and those under way shall have ended; ``force`` takes out the last healthy one too."""


class DrainWish(DeregisterWish, frozen=True, forbid_unknown_fields=True):
    """The host that ``member`` is shall get no more requests from ``target_group``, a name or an ARN."""

    target_group: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_group(self.target_group)


class JoinWish(RegisterWish, frozen=True, forbid_unknown_fields=True):
    """The host that ``member`` is shall get requests from ``target_group`` again, and be healthy there."""

    target_group: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_group(self.target_group)


def _need_group(name: str) -> None:
    if not name:
        raise ValueError("target_group: expected the name or ARN of a target group, got nothing")


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False
