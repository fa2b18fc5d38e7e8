"""What a limit is, and what can be wished for: to set limits, to keep them, to put former ones back."""

from __future__ import annotations

import re

import msgspec

from crashcart.facts.limits import INFINITY, LimitsState, cpu_words, memory_words
from crashcart.values import Duration, Size, UnitName

MEMORY, CPU = "MemoryMax", "CPUQuota"
FIELDS = {MEMORY: "memory_max", CPU: "cpu_quota"}
"""The fields of a wish, by systemd's name of what they set."""

MEBIBYTE = 1024 * 1024
"""Bytes below which a memory limit can only be a slip of the pen."""

_PERCENT = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,2})?)%")


class Setting(msgspec.Struct, frozen=True):
    """One limit: ``MemoryMax`` in bytes or ``CPUQuota`` in per cent of one CPU; None is no limit."""

    name: str
    value: float | None

    @property
    def word(self) -> str:
        """The limit as ``systemctl set-property`` takes it."""
        if self.name == MEMORY:
            return f"{MEMORY}={INFINITY if self.value is None else int(self.value)}"
        return f"{CPU}={'' if self.value is None else cpu_words(self.value)}"

    @property
    def text(self) -> str:
        """The value as a wish writes it."""
        return self.word.partition("=")[2] or INFINITY

    @property
    def words(self) -> str:
        """The limit as people read it."""
        return f"{self.name} {self.short}"

    @property
    def short(self) -> str:
        """The value as people read it."""
        if self.name == CPU:
            return cpu_words(self.value)
        return memory_words(None if self.value is None else int(self.value))

    def is_in_force(self, state: LimitsState) -> bool:
        """Tell whether a unit has this limit."""
        return self.word == current(state, self.name).word


def current(state: LimitsState, name: str) -> Setting:
    """Return the limit that a unit has now."""
    return Setting(name, state.memory_limit if name == MEMORY else state.cpu_percent)


def parse_setting(name: str, text: str) -> Setting:
    """Read a value as a wish writes it. Raises ``ValueError`` with what was expected."""
    if text == INFINITY:
        return Setting(name, None)
    return Setting(name, _memory(text) if name == MEMORY else _cpu(text))


def _memory(text: str) -> int:
    size = Size.parse(text)
    if size < MEBIBYTE:
        raise ValueError(f"expected at least 1M, or infinity, got {text!r}")
    return int(size)


def _cpu(text: str) -> float:
    percent = _PERCENT.fullmatch(text.strip())
    if not percent or float(percent[1]) < 1:
        raise ValueError(f"expected per cent of one CPU such as 200% for two of them, or infinity, got {text!r}")
    return float(percent[1])


class LimitsWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which limits a service shall have: ``memory_max`` a size, ``cpu_quota`` per cent of one CPU, ``infinity`` for none.

    An empty one is left as it is.
    """

    unit: UnitName
    memory_max: str = ""
    cpu_quota: str = ""

    def __post_init__(self) -> None:
        if not self.unit.endswith(".service"):
            raise ValueError(f"unit: expected a service, got {str(self.unit)!r}")
        for name, field in FIELDS.items():
            try:
                self._setting(name, field)
            except ValueError as error:
                raise ValueError(f"{field}: {error}") from error
        if not self.settings:
            raise ValueError("memory_max: expected a new limit here or in cpu_quota, got neither")

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The limits that are wished for."""
        found = (self._setting(name, field) for name, field in FIELDS.items())
        return tuple(setting for setting in found if setting)

    def _setting(self, name: str, field: str) -> Setting | None:
        text = getattr(self, field)
        return parse_setting(name, text) if text else None

    def missing(self, state: LimitsState) -> tuple[Setting, ...]:
        """Return the limits that the unit does not have yet."""
        return tuple(setting for setting in self.settings if not setting.is_in_force(state))


class SetWish(LimitsWish, frozen=True, forbid_unknown_fields=True):
    """``undo_after`` (s, 0: never) is when the host puts the former limits back by itself.

    ``also_stopped`` sets them even if the unit is down: they hold from its next start on.
    """

    undo_after: Duration = Duration(300)
    also_stopped: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if "." in self.cpu_quota:
            raise ValueError(f"cpu_quota: expected whole per cent, systemd keeps no fractions, got {self.cpu_quota!r}")


class RestoreWish(LimitsWish, frozen=True, forbid_unknown_fields=True):
    """The former limits, put back where the ``given`` ones are still in force; then the drop-ins of ``drop`` go."""

    given_memory_max: str = ""
    given_cpu_quota: str = ""
    drop: tuple[str, ...] = ()

    @property
    def given(self) -> tuple[Setting, ...]:
        """The limits that are taken back."""
        texts = ((MEMORY, self.given_memory_max), (CPU, self.given_cpu_quota))
        return tuple(parse_setting(name, text) for name, text in texts if text)
