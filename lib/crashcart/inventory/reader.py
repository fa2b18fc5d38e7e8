"""Reading one document in Ansible's structure, ``all: {children:, hosts:, vars:}``, into the tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crashcart.errors import nearest
from crashcart.inventory.hostnames import expand, split_port
from crashcart.inventory.tree import HostNode, Layer, Place, Tree
from crashcart.yamlfile import Document

_SECTIONS = ("hosts", "vars", "children")
_EXPORT = "ansible-inventory --list --yaml -i FILE > NEW.yml"
FOREIGN = {
    "plugin": f"inventory plugins are not run; save what this one finds: {_EXPORT}",
    "_meta": f"this is what an inventory script prints; save it as YAML: {_EXPORT}",
}
"""Top keys of files that are no inventory, and what to do with such a file."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PRIORITY = "ansible_group_priority"


def read_document(document: Document, tree: Tree) -> None:
    """Add a document's groups and hosts to the tree. Raises ``BadInput`` with file, line, column and the nearest key."""
    _Reader(document, tree).read()


class _Reader:
    """Walks one document; ``place`` is a path of keys in it."""

    def __init__(self, document: Document, tree: Tree) -> None:
        self._document, self._tree = document, tree

    def read(self) -> None:
        top = self._document.value
        if not isinstance(top, dict):
            raise self._document.error((), f"an inventory is a mapping of groups, this is {_kind(top)}")
        for foreign, hint in FOREIGN.items():
            if foreign in top:
                raise self._document.error((foreign,), f"{foreign!r} is not a group", hint)
        for name in top:
            self._group((name,), top[name])

    def _group(self, place: Place, body: Any) -> None:
        name = self._name(place, "group")
        self._tree.add_group(name)
        for section, content in self._mapping(place, body, f"group {name!r}").items():
            inside = (*place, section)
            match section:
                case "hosts":
                    self._hosts(inside, name, content)
                case "vars":
                    self._variables(inside, name, content)
                case "children":
                    self._children(inside, name, content)
                case _:
                    hint = nearest(str(section), _SECTIONS) or f"a group has {', '.join(_SECTIONS)}"
                    raise self._document.error(inside, f"unknown key {section!r} in group {name!r}", hint)

    def _children(self, place: Place, group: str, content: Any) -> None:
        for child, body in self._names(place, content, f"the children of {group!r}").items():
            self._group((*place, child), body)
            self._tree.add_child(group, child, (self._document, (*place, child)))

    def _variables(self, place: Place, group: str, content: Any) -> None:
        values = self._mapping(place, content, f"the vars of {group!r}")
        node = self._tree.groups[group]
        if _PRIORITY in values:
            node.priority = self._priority((*place, _PRIORITY), values[_PRIORITY])
        node.layers.append(self._layer({name: value for name, value in values.items() if name != _PRIORITY}, place))

    def _hosts(self, place: Place, group: str, content: Any) -> None:
        for pattern, body in self._names(place, content, f"the hosts of {group!r}").items():
            here = (*place, pattern)
            name = self._name(here, "host")
            layer = self._layer(self._mapping(here, body, f"host {name!r}"), here)
            for host, port in self._expand(here, name):
                self._host(host, group, port, layer)

    def _host(self, name: str, group: str, port: int | None, layer: Layer) -> None:
        new = name not in self._tree.hosts
        host: HostNode = self._tree.add_host(name, group, str(self._document.name))
        if new and port is not None:
            host.layers.append(Layer({"ansible_port": port}, layer.document, layer.place))
        if layer.values:
            host.layers.append(layer)

    def _expand(self, place: Place, pattern: str) -> list[tuple[str, int | None]]:
        name, port = split_port(pattern)
        try:
            return [(host, port) for host in expand(name)]
        except ValueError as error:
            raise self._document.error(place, f"host {pattern!r}: {error}", "for example web[01:10] or db-[a:f]") from error

    def _names(self, place: Place, content: Any, what: str) -> Mapping[Any, Any]:
        """Read a mapping of names; Ansible takes one name alone for a mapping with that name."""
        if isinstance(content, str) and not content.split()[1:]:
            content = {str(content): None}
        return self._mapping(place, content, what, "end each name with a colon: 'web1:'")

    def _mapping(self, place: Place, content: Any, what: str, hint: str = "") -> Mapping[Any, Any]:
        if content is None:
            return {}
        if not isinstance(content, dict):
            raise self._document.error(place, f"{what}: expected a mapping, got {_kind(content)}", hint)
        return content

    def _name(self, place: Place, what: str) -> str:
        name = place[-1]
        if not isinstance(name, str):
            raise self._document.error(place, f"the {what} name {name!r} is not a text", f'quote it: "{name}"')
        if not name.strip() or _CONTROL.search(name):
            raise self._document.error(place, f"{name!r} cannot name a {what}")
        return name

    def _priority(self, place: Place, value: Any) -> int:
        try:
            return int(value)
        except (TypeError, ValueError) as error:
            raise self._document.error(place, f"{_PRIORITY} is a whole number, not {value!r}") from error

    def _layer(self, values: Mapping[Any, Any], place: Place) -> Layer:
        return Layer({str(name): value for name, value in values.items()}, self._document, place)


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", type(None): "nothing", bool: "true or false"}
    return names.get(type(value), repr(value))
