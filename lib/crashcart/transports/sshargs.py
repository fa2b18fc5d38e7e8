"""What an inventory says about the SSH login of a target, in the words of ssh_config.

Ansible's variables and the ``ssh`` arguments in ``ansible_ssh_common_args`` and ``ansible_ssh_extra_args`` become options
in the order in which ``ssh`` would take them: the first one wins.
"""

from __future__ import annotations

import getopt
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from crashcart.errors import BadInput
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.transports.knownhosts import PublicKey

_MAX_PORT = 65535
_SSH_FLAGS = "1246AaCfGgKkMNnqsTtVvXxYyB:b:c:D:E:e:F:I:i:J:L:l:m:O:o:P:p:Q:R:S:W:w:"
_AS_OPTION = {"-J": "ProxyJump", "-i": "IdentityFile", "-l": "User", "-p": "Port"}
_HARMLESS_FLAGS = frozenset({"-1", "-2", "-4", "-6", "-a", "-C", "-k", "-N", "-n", "-q", "-T", "-v", "-x"})
_HONOURED = frozenset(
    {
        "connecttimeout", "globalknownhostsfile", "hostkeyalias", "hostname", "identitiesonly", "identityfile", "port",
        "proxycommand", "proxyjump", "user", "userknownhostsfile",
    }
)  # fmt: skip
# Options that change nothing that crashcart does, or that ask for what it does anyway.
_HARMLESS = frozenset(
    {
        "addkeystoagent", "batchmode", "checkhostip", "compression", "connectionattempts", "controlmaster", "controlpath",
        "controlpersist", "gssapiauthentication", "gssapidelegatecredentials", "hashknownhosts", "ipqos",
        "kbdinteractiveauthentication", "loglevel", "numberofpasswordprompts", "passwordauthentication",
        "preferredauthentications", "pubkeyauthentication", "requesttty", "serveralivecountmax", "serveraliveinterval",
        "tcpkeepalive", "updatehostkeys", "visualhostkey",
    }
)  # fmt: skip
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


class Option(msgspec.Struct, frozen=True):
    """One ssh_config option; ``source`` is the variable it comes from."""

    name: str
    value: str
    source: str


class InventorySettings(msgspec.Struct, frozen=True):
    """What the inventory says of one target's login, checked; ``ignored`` lists what is not honoured, in words."""

    host: str
    options: tuple[Option, ...] = ()
    password: Secret | None = None
    become_password: Secret | None = None
    pinned_keys: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def inventory_settings(target: Target) -> InventorySettings:
    """Read a target's variables.

    Raises ``BadInput`` for what cannot work: a port that is none, a key file that is missing, arguments that cannot be
    parsed, a pinned key that is no key.
    """
    arguments = [*_from_variables(target), *_from_arguments(target)]
    for option in arguments:
        _check(target, option)
    return InventorySettings(
        host=_text(target, "ansible_host") or target.name,
        options=tuple(option for option in arguments if option.name.lower() in _HONOURED),
        password=_secret(target, "ansible_password") or _secret(target, "ansible_ssh_pass"),
        become_password=_secret(target, "ansible_become_password") or _secret(target, "ansible_become_pass"),
        pinned_keys=_pinned_keys(target),
        ignored=tuple(filter(None, map(_why_ignored, arguments))),
    )


def _from_variables(target: Target) -> Iterator[Option]:
    for name, variable in (
        ("Port", "ansible_port"),
        ("IdentityFile", "ansible_ssh_private_key_file"),
        ("IdentityFile", "ansible_private_key_file"),
        ("User", "ansible_user"),
        ("Port", "ansible_ssh_port"),
        ("User", "ansible_ssh_user"),
    ):
        value = _text(target, variable)
        if value:
            yield Option(name, value, variable)


def _from_arguments(target: Target) -> Iterator[Option]:
    for variable in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        text = _text(target, variable)
        try:
            flags, rest = getopt.getopt(shlex.split(text), _SSH_FLAGS)
        except (ValueError, getopt.GetoptError) as error:
            raise BadInput(f"{target.name}: {variable} cannot be read: {error}", hint=f"it is {text!r}") from error
        if rest:
            raise BadInput(f"{target.name}: {variable} has the stray word {rest[0]!r}", hint=f"it is {text!r}")
        yield from (_option(flag, value, variable) for flag, value in flags)


def _option(flag: str, value: str, variable: str) -> Option:
    if flag != "-o":
        return Option(_AS_OPTION.get(flag, flag), value, variable)
    name, _, setting = re.sub(r"\s*=\s*|\s+", "=", value.strip(), count=1).partition("=")
    return Option(name, setting.strip('"'), variable)


def _check(target: Target, option: Option) -> None:
    name = option.name.lower()
    where = f"{target.name}: {option.source}"
    if _UNSAFE.search(option.value):
        raise BadInput(f"{where} holds a control character")
    if name == "port" and not (option.value.isascii() and option.value.isdigit() and _is_port(int(option.value))):
        raise BadInput(f"{where}: {option.value!r} is no port", hint=f"a number from 1 to {_MAX_PORT}")
    if name == "identityfile" and "%" not in option.value and not Path(option.value).expanduser().is_file():
        raise BadInput(f"{where}: there is no key file {option.value}", hint="a path on this machine, absolute or with ~")
    if name == "connecttimeout" and not option.value.isdigit():
        raise BadInput(f"{where}: ConnectTimeout {option.value!r} is no number of seconds")


def _is_port(number: int) -> bool:
    return 0 < number <= _MAX_PORT


def _why_ignored(option: Option) -> str:
    """Say why an option is not honoured; empty for one that is, or that would change nothing."""
    name = option.name.lower()
    if name == "stricthostkeychecking":
        if option.value.lower() in ("yes", "ask", "true"):
            return ""
        return f"{option.source}: StrictHostKeyChecking={option.value} is not honoured, host keys are always verified"
    if name in _HONOURED | _HARMLESS or option.name in _HARMLESS_FLAGS:
        return ""
    if name == "forwardagent" and option.value.lower() == "no":
        return ""
    shown = option.name if option.name.startswith("-") else f"-o {option.name}"
    return f"{option.source}: {shown} is not known to crashcart and is ignored"


def _pinned_keys(target: Target) -> tuple[str, ...]:
    value = target.variable("ssh_host_key") or ()
    lines = [value] if isinstance(value, str) else value
    if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
        raise BadInput(f"{target.name}: ssh_host_key is not a text such as 'ssh-ed25519 AAAA...'")
    keys = tuple(line.strip() for text in lines for line in text.splitlines() if line.strip())
    for key in keys:
        try:
            PublicKey.parse(key)
        except ValueError as error:
            raise BadInput(f"{target.name}: ssh_host_key: {error}", hint="take it from 'ssh-keyscan HOST'") from error
    return keys


def _text(target: Target, variable: str) -> str:
    """Return a variable that is text; a number is taken as it is written."""
    value: Any = target.variable(variable)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadInput(f"{target.name}: {variable} is {value!r}, not a text")
    return str(value)


def _secret(target: Target, variable: str) -> Secret | None:
    value: Any = target.variable(variable)
    if value is None or isinstance(value, Secret):
        return value
    return Secret(str(value))
