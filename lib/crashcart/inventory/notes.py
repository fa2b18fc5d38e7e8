"""What was read but is not used, collected while an inventory is loaded: each thing is named once."""

from __future__ import annotations


class Notes:
    """Collects notes; those that differ only in the host they are about become one."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}

    def add(self, text: str, host: str = "") -> None:
        """Note something; ``{host}`` in the text stands for the host it is about."""
        hosts = self._texts.setdefault(text, [])
        if host and host not in hosts[:1]:
            hosts.append(host)

    def texts(self) -> tuple[str, ...]:
        """Return the notes in the order in which they were made."""
        return tuple(text.replace("{host}", _named(hosts)) for text, hosts in self._texts.items())


def _named(hosts: list[str]) -> str:
    more = f" and {len(hosts) - 1} more" if hosts[1:] else ""
    return f"{hosts[0] if hosts else ''}{more}"
