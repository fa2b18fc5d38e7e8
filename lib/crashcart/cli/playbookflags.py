"""The flags of a playbook or drill, from its head. Completion asks for them too, so nothing here imports Invoke."""

from __future__ import annotations

from crashcart.cli.flags import COMMON, Flag
from crashcart.playbooks.heads import Head, ParamHead


def playbook_flags(head: Head) -> tuple[Flag, ...]:
    """Return all flags of a playbook's command: its own parameters, or a drill's variants, and what every one has."""
    own = (_variant(head.drill),) if head.drill else tuple(_flag(name, param) for name, param in head.params.items())
    return (*own, *COMMON)


def _flag(name: str, param: ParamHead) -> Flag:
    values = ("true", "false") if param.type == "bool" else ()
    return Flag(name, param.text, switch=param.is_switch, values=values)


def _variant(drill: object) -> Flag:
    variants = drill.get("variants") if isinstance(drill, dict) else None
    values = tuple(map(str, variants)) if isinstance(variants, list | dict) else ()
    return Flag("variant", "which faults to inject, with commas (default: all)", value="list", values=values)
