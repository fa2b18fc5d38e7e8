"""YAML files as plain values that still know where they stand.

``load`` and ``parse`` return a ``Document``: its ``value`` is made of dicts, lists and scalars, and ``at`` gives the line
and column of any path of keys in it, so that whoever judges the value later can point at the right place. The values are
those of Ansible's YAML, with two exceptions: a key given twice is an error, and a date stays the text that was written.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor

from crashcart.errors import BadInput

MAX_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 100
MAX_VALUES = 1_000_000
"""How many values a document may have once its aliases are written out: a few lines of aliases can mean billions."""

Skip = Callable[[Sequence[str | int]], bool]
"""Tells of a path of keys, as they are written, whether what stands there is passed over and counts as null."""

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_TEXTS = {f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}value"}
_VAULTS, _UNSAFE = {"!vault", "!vault-encrypted"}, "!unsafe"


class Vault:
    """Stands for a value that is encrypted with ansible-vault."""

    def __repr__(self) -> str:
        return "!vault"


class Unsafe(str):
    """A text tagged ``!unsafe``: it is never a template."""

    __slots__ = ()


class Document:
    """A YAML document: its plain ``value`` and the ``name`` of the file that it comes from."""

    def __init__(self, name: Path | str, value: Any, root: yaml.Node | None) -> None:
        self.name, self.value, self._root = name, value, root

    def at(self, place: Sequence[Any]) -> tuple[int, int]:
        """Return line and column of a path of keys: of the key in a mapping, of the item in a list.

        A path that leads nowhere has the position of the last of its keys that is there.
        """
        if self._root is None:
            return 1, 1
        node, mark = self._root, self._root.start_mark
        for key in place:
            found = next((item for item in _children(node) if item[0] == key), None)
            if found is None:
                break
            _, mark, node = found
        return mark.line + 1, mark.column + 1

    def error(self, place: Sequence[Any], message: str, hint: str = "") -> BadInput:
        """Return the error that points at a place of this document."""
        line, column = self.at(place)
        return BadInput(message, hint=hint, file=self.name, line=line, column=column)


def load(path: Path, *, may_be_empty: bool = False, skip: Skip | None = None) -> Document:
    """Read a YAML file. Of what is passed over, no more is judged than whether it is YAML.

    Raises ``BadInput`` when it cannot be read, is too big, not UTF-8, not YAML, or (unless it may be) empty.
    """
    return parse(read_text(path), path, may_be_empty=may_be_empty, skip=skip)


def parse(text: str, name: Path | str, *, may_be_empty: bool = False, skip: Skip | None = None) -> Document:
    """Read YAML from a text; ``name`` stands for the file in messages. Raises ``BadInput`` like ``load``."""
    try:
        root = (_Skimmer(text, skip) if skip else _Reader(text)).get_single_node()
        value, _ = (None, 0) if root is None else _Builder().build(root)
    except yaml.reader.ReaderError as error:
        line, column = _line_and_column(text.encode(), error.position)
        raise BadInput("the file holds a control character", file=name, line=line, column=column) from error
    except yaml.MarkedYAMLError as error:
        raise _located(error, text, name) from error
    if value is None and not may_be_empty:
        raise BadInput("the file is empty", file=name)
    return Document(name, value, root)


def read_text(path: Path) -> str:
    """Read a UTF-8 file of at most 10 MB. Raises ``BadInput`` saying what is wrong with it."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"cannot be read: {reason}", file=path) from error
    if len(raw) > MAX_BYTES:
        raise BadInput(f"the file is larger than {MAX_BYTES // 1024 // 1024} MB", file=path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(raw, error.start)
        raise BadInput("the file is not UTF-8 text", file=path, line=line, column=column) from error


class _Reader(Composer, yaml.CSafeLoader):
    """libyaml parses, Python composes the nodes: PyYAML's composer in C overflows the stack on deep nesting."""

    def __init__(self, text: str) -> None:
        super(Composer, self).__init__(text)
        Composer.__init__(self)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._descend()
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            _fail(f"nested deeper than {MAX_DEPTH} levels", self.peek_event())


class _Skimmer(_Reader):
    """Composes only what is not passed over, which is most of the work of reading.

    An alias or ``<<`` brings what stands in one place to another, so what has an anchor or is merged is composed whole.
    """

    def __init__(self, text: str, skip: Skip) -> None:
        super().__init__(text)
        self._skip = skip
        self._place: list[str | int] = []
        self._is_whole = False

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose the root, a key (both have no index), the value of a key (its node), or an item (its number)."""
        if index is None or self._is_whole:
            return super().compose_node(parent, index)
        event: Any = self.peek_event()
        if event.anchor is not None or getattr(index, "tag", None) == _MERGE:
            return self._compose_whole()
        self._place.append(index.value if isinstance(index, yaml.ScalarNode) else index)
        node = self._pass_over() if self._skip(self._place) else super().compose_node(parent, index)
        self._place.pop()
        return node

    def _compose_whole(self) -> yaml.Node | None:
        before, self._is_whole = self._is_whole, True
        node = super().compose_node(None, None)
        self._is_whole = before
        return node

    def _pass_over(self) -> yaml.Node:
        """Take one node's events, in a loop and not in a call for each: an inventory has tens of thousands."""
        depth = self._depth
        event: Any = self.peek_event()
        mark = event.start_mark
        while True:
            event = self.peek_event()
            if isinstance(event, yaml.CollectionEndEvent):
                self._depth -= 1
            elif event.anchor is not None and not isinstance(event, yaml.AliasEvent):
                self._compose_whole()
                continue
            elif isinstance(event, yaml.CollectionStartEvent):
                self._descend()
            self.get_event()
            if self._depth == depth:
                return yaml.ScalarNode(f"{_TAG}null", "", mark, mark)


class _Builder:
    """Turns nodes into values. What an alias repeats is one shared value, and counts as often as it is repeated."""

    def __init__(self) -> None:
        self._built: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()
        self._unsafe = 0

    def build(self, node: yaml.Node) -> tuple[Any, int]:
        """Return a node's value, and how many values are in it."""
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node, unsafe=self._unsafe > 0), 1
        here = id(node)
        if here in self._open:
            _fail("the value contains itself", node)
        if here not in self._built:
            self._open.add(here)
            self._built[here] = self._collection(node)
            self._open.remove(here)
        return self._built[here]

    def _collection(self, node: yaml.Node) -> tuple[Any, int]:
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq", _UNSAFE):
            _fail_tag(node)
        self._unsafe += node.tag == _UNSAFE
        value, size = self._sequence(node) if isinstance(node, yaml.SequenceNode) else self._mapping(node)
        self._unsafe -= node.tag == _UNSAFE
        if size > MAX_VALUES:
            _fail(f"more than {MAX_VALUES} values, its aliases written out", node)
        return value, size

    def _sequence(self, node: yaml.Node) -> tuple[list[Any], int]:
        items = [self.build(item) for item in node.value]
        return [value for value, _ in items], 1 + sum(size for _, size in items)

    def _mapping(self, node: yaml.Node) -> tuple[dict[Any, Any], int]:
        merged: dict[Any, Any] = {}
        own: dict[Any, Any] = {}
        total = 1
        for key_node, value_node in node.value:
            value, size = self.build(value_node)
            total += size
            if key_node.tag == _MERGE:
                merged |= _merged(value, value_node)
                continue
            key = _key(key_node)
            if key in own:
                first = next(mark.line for found, mark, _ in _children(node) if found == key) + 1
                _fail(f"{key!r} is given twice, first on line {first}", key_node)
            own[key] = value
        return merged | own, total


def _merged(value: Any, node: yaml.Node) -> dict[Any, Any]:
    """Return what ``<<`` adds to a mapping: of a list of mappings, the first one wins."""
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(part, dict) for part in parts):
        _fail("<< needs a mapping or a list of mappings", node)
    return {key: item for part in reversed(parts) for key, item in part.items()}


def _scalar(node: yaml.ScalarNode, *, unsafe: bool = False) -> Any:
    if node.tag in _TEXTS or node.tag == _UNSAFE:
        return Unsafe(node.value) if unsafe or node.tag == _UNSAFE else node.value
    if node.tag in _VAULTS:
        return Vault()
    construct = _SCALARS.get(node.tag)
    if construct is None:
        _fail_tag(node)
    try:
        return construct(_CONSTRUCTOR, node)
    except (ValueError, LookupError):
        _fail(f"{node.value[:40]!r} is not what its type {node.tag.removeprefix(_TAG)} asks for", node)


_CONSTRUCTOR = SafeConstructor()
_SCALARS = {
    f"{_TAG}null": SafeConstructor.construct_yaml_null,
    f"{_TAG}bool": SafeConstructor.construct_yaml_bool,
    f"{_TAG}int": SafeConstructor.construct_yaml_int,
    f"{_TAG}float": SafeConstructor.construct_yaml_float,
}


def _key(node: yaml.Node) -> Hashable:
    if not isinstance(node, yaml.ScalarNode):
        _fail("a key must be a single value", node)
    key = _scalar(node)
    if isinstance(key, Vault):
        _fail("a key cannot be encrypted", node)
    return str(key) if isinstance(key, Unsafe) else key


def _children(node: yaml.Node) -> Iterator[tuple[Any, yaml.Mark, yaml.Node]]:
    """Yield key, position and node of what a collection holds, what it merges last."""
    if isinstance(node, yaml.SequenceNode):
        yield from ((index, item.start_mark, item) for index, item in enumerate(node.value))
    elif isinstance(node, yaml.MappingNode):
        yield from ((_key(key), key.start_mark, value) for key, value in node.value if key.tag != _MERGE)
        for key, value in node.value:
            for part in () if key.tag != _MERGE else value.value if isinstance(value, yaml.SequenceNode) else (value,):
                yield from _children(part)


def _fail(message: str, where: Any) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=message, problem_mark=where.start_mark)


def _fail_tag(node: yaml.Node) -> NoReturn:
    _fail(f"the tag {node.tag.replace(_TAG, '!!')} is not known here", node)


def _located(error: yaml.MarkedYAMLError, text: str, name: Path | str) -> BadInput:
    mark = error.problem_mark or error.context_mark
    message = ", ".join(filter(None, (error.context, error.problem)))
    if mark is None:
        return BadInput(message, file=name)
    lines = text.splitlines()
    hint = _hint(lines[mark.line] if mark.line < len(lines) else "")
    return BadInput(message, hint=hint, file=name, line=mark.line + 1, column=mark.column + 1)


def _hint(line: str) -> str:
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces, not with tabs"
    if "{{" in line:
        return 'quote a value that starts with a template: "{{ ... }}"'
    return ""


def _line_and_column(raw: bytes, offset: int) -> tuple[int, int]:
    before = raw[:offset].decode(errors="replace")
    return before.count("\n") + 1, len(before) - before.rfind("\n")
