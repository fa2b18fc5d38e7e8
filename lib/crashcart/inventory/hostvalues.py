"""The variables of one host as plain JSON values: templates rendered, secrets wrapped, and what cannot be had left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from crashcart.inventory.secrecy import conceal, holds_secret
from crashcart.secrets import is_secret_name
from crashcart.yamlfile import Unsafe, Vault

if TYPE_CHECKING:
    from crashcart.inventory.templates import Templates

_ENCRYPTED = "it is encrypted with ansible-vault"
_is_secret = cache(is_secret_name)


class HostValues:
    """Resolves what one host's ``raw`` variables come to. ``left_out`` says why some of them are missing."""

    def __init__(self, raw: Mapping[str, Any], magic: Mapping[str, Any], templates: Callable[[], Templates]) -> None:
        self._raw, self._magic, self._templates = raw, magic, templates
        self._done: dict[str, Any] = {}
        self._open: set[str] = set()
        self.left_out: dict[str, str] = {}

    def resolved(self) -> dict[str, Any]:
        """Return every variable that has a value, in their order."""
        for name in self._raw:
            self._resolve(name)
        return {name: self._done[name] for name in self._raw if name in self._done}

    def _resolve(self, name: str) -> None:
        if name in self._done or name in self.left_out:
            return
        if name in self._open:
            raise _LeftOut("it refers to itself")
        self._open.add(name)
        try:
            self._done[name] = self._value(self._raw[name], name, secret=_is_secret(name))
        except _LeftOut as reason:
            self.left_out[name] = str(reason)
        finally:
            self._open.remove(name)

    def _value(self, raw: Any, place: str, *, secret: bool) -> Any:
        if isinstance(raw, dict):
            parts = self._parts(raw.items(), place)
            return {
                str(key): self._value(item, inside, secret=secret or _is_secret(str(key))) for key, item, inside in parts
            }
        if isinstance(raw, list):
            return [self._value(item, inside, secret=secret) for _, item, inside in self._parts(enumerate(raw), place)]
        if isinstance(raw, Vault):
            raise _LeftOut(_ENCRYPTED)
        value = self._text(raw) if isinstance(raw, str) else raw
        return conceal(value) if secret else value

    def _parts(self, items: Iterable[tuple[Any, Any]], place: str) -> Iterator[tuple[Any, Any, str]]:
        """Yield the parts of a collection with their places. One that is encrypted is left out, not the whole variable."""
        for key, item in items:
            inside = f"{place}.{key}"
            if isinstance(item, Vault):
                self.left_out[inside] = _ENCRYPTED
            else:
                yield key, item, inside

    def _text(self, text: str) -> Any:
        if isinstance(text, Unsafe):
            return str(text)
        return self._render(text) if "{{" in text or "{%" in text else text

    def _render(self, text: str) -> Any:
        template = self._templates().compile(text)
        context = dict(self._context(template.names))
        try:
            return template.render(context)
        except Exception as error:
            raise _LeftOut(_reason(error, context)) from error

    def _context(self, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Yield the variables that a template looks at, resolved first; one that has no value stays undefined."""
        for name in names:
            if name in self._magic:
                yield name, self._magic[name]
            elif name in self._raw:
                self._resolve(name)
                if name in self._done:
                    yield name, self._done[name]


class _LeftOut(Exception):
    """A variable has no value; says why."""


def _reason(error: Exception, context: Mapping[str, Any]) -> str:
    """Say in a line why a template failed; only what kind of error it was where its text could hold a secret."""
    if holds_secret(context):
        return f"{type(error).__name__} in a template that uses a secret"
    return str(error).split("\n", maxsplit=1)[0][:200] or type(error).__name__
