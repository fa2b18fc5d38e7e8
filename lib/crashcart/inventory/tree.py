"""The inventory while it is being read: groups, hosts, and who belongs to whom, from any number of files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

from crashcart.errors import BadInput
from crashcart.yamlfile import Document

ALL, UNGROUPED = "all", "ungrouped"
Place = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """Variables that stand together in one place; a later layer replaces what an earlier one sets."""

    values: Mapping[str, Any]
    document: Document
    place: Place = ()

    def error(self, name: str, message: str, hint: str = "") -> BadInput:
        """Return the error that points at one of the variables."""
        return self.document.error((*self.place, name), message, hint)

    def where(self, name: str) -> str:
        """Return ``file:line:column`` of one of the variables."""
        line, column = self.document.at((*self.place, name))
        return f"{self.document.name}:{line}:{column}"


@dataclass(slots=True)
class GroupNode:
    """A group: its own hosts and variables, and its place among the groups."""

    name: str
    layers: list[Layer] = field(default_factory=list)
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, tuple[Document, Place] | None] = field(default_factory=dict)
    parents: dict[str, None] = field(default_factory=dict)
    ancestors: set[str] = field(default_factory=set)
    priority: int = 1
    depth: int = 0

    @property
    def rank(self) -> tuple[int, int, str]:
        """Where the group's variables come in: a later group replaces what an earlier one sets."""
        return self.depth, self.priority, self.name


@dataclass(slots=True)
class HostNode:
    """A host: its own variables, the groups that name it, and the file that named it first."""

    name: str
    file: str
    layers: list[Layer] = field(default_factory=list)
    groups: dict[str, None] = field(default_factory=dict)


class Tree:
    """Groups and hosts by name. ``finish`` is called once, when every file is in it."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupNode] = {}
        self.hosts: dict[str, HostNode] = {}
        self.add_group(ALL)
        self.add_child(ALL, UNGROUPED)

    def add_group(self, name: str) -> GroupNode:
        """Return the group of that name, a new one if there is none."""
        return self.groups.setdefault(name, GroupNode(name))

    def add_child(self, parent: str, child: str, origin: tuple[Document, Place] | None = None) -> None:
        """Put a group into another; ``origin`` is where a file says so."""
        self.add_group(parent).children.setdefault(child, origin)
        self.add_group(child).parents.setdefault(parent)

    def add_host(self, name: str, group: str, file: str) -> HostNode:
        """Return the host of that name, now a member of the group."""
        host = self.hosts.setdefault(name, HostNode(name, file))
        host.groups.setdefault(group)
        self.groups[group].hosts.setdefault(name)
        return host

    def finish(self) -> None:
        """Hang every group below ``all``, every lone host into ``ungrouped``. Raises ``BadInput`` for a cycle of groups."""
        for group in self.groups.values():
            if not group.parents and group.name != ALL:
                self.add_child(ALL, group.name)
        for name in self._from_the_top():
            parents = [self.groups[parent] for parent in self.groups[name].parents]
            self.groups[name].depth = 1 + max((parent.depth for parent in parents), default=-1)
            self.groups[name].ancestors = set(self.groups[name].parents).union(*(parent.ancestors for parent in parents))
        for host in self.hosts.values():
            self._settle(host)

    def members(self, group: str) -> list[str]:
        """Return a group's hosts, its own before those of its children, level by level."""
        found: dict[str, None] = {}
        for name in self._descendants(group):
            found |= self.groups[name].hosts
        return list(found)

    def groups_of(self, direct: Iterable[str]) -> list[GroupNode]:
        """Return the groups of a host that is named in these, ``all`` left out, in the order of their variables."""
        names = set(direct).union(*(self.groups[name].ancestors for name in direct)) - {ALL}
        return sorted((self.groups[name] for name in names), key=lambda group: group.rank)

    def _settle(self, host: HostNode) -> None:
        if host.groups.keys() <= {ALL, UNGROUPED}:
            self.add_host(host.name, UNGROUPED, host.file)
        elif UNGROUPED in host.groups:
            del host.groups[UNGROUPED], self.groups[UNGROUPED].hosts[host.name]

    def _descendants(self, group: str) -> list[str]:
        seen = {group: None}
        level = [group]
        while level:
            below = dict.fromkeys(child for name in level for child in self.groups[name].children)
            level = [child for child in below if child not in seen]
            seen |= dict.fromkeys(level)
        return list(seen)

    def _from_the_top(self) -> list[str]:
        try:
            return list(TopologicalSorter({name: group.parents for name, group in self.groups.items()}).static_order())
        except CycleError as error:
            raise self._cycle(error.args[1]) from error

    def _cycle(self, names: list[str]) -> BadInput:
        """Point at one of the groups of a cycle; a cycle has at least one that a file put into another."""
        origins = [self.groups[parent].children[child] for parent, child in pairwise(names)]
        document, place = next(filter(None, reversed(origins)))
        hint = "take one of them out of the other's children"
        return document.error(place, f"groups contain each other: {' > '.join(names)}", hint)
