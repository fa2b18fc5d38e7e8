"""Templates in variables: ``{{ }}`` over a host's own variables, in Jinja2's sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from crashcart.inventory.secrecy import conceal, holds_secret, map_secrets
from crashcart.secrets import Secret


class Templates:
    """Compiles templates, each text once for all hosts; ``everywhere`` are variables that all of them may use."""

    def __init__(self, everywhere: Mapping[str, Any]) -> None:
        self._environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
        )
        self._environment.globals.update(everywhere)
        self._compiled: dict[str, Template] = {}

    def compile(self, text: str) -> Template:
        """Return a template; one that does not parse or uses an unknown filter raises when it is rendered."""
        if text not in self._compiled:
            try:
                self._compiled[text] = self._template(text)
            except TemplateError as error:
                self._compiled[text] = Template(frozenset(), _failing(str(error)))
        return self._compiled[text]

    def _template(self, text: str) -> Template:
        """Compile a text. One that is a single ``{{ ... }}`` and nothing else keeps the type of its value."""
        tree = self._environment.parse(text)
        names = frozenset(find_undeclared_variables(tree))
        match tree.body:
            case [nodes.Output(nodes=[expression])] if not isinstance(expression, nodes.TemplateData):
                inside = text[2:-2].removeprefix("-").removesuffix("-")
                return Template(names, self._environment.compile_expression(inside, undefined_to_none=False))
        return Template(names, self._environment.from_string(text).render)


def _failing(message: str) -> Callable[..., Any]:
    def evaluate(_: Mapping[str, Any]) -> Any:
        raise TemplateError(message)

    return evaluate


class Template:
    """A compiled template and the ``names`` of the variables that it looks at."""

    def __init__(self, names: frozenset[str], evaluate: Callable[..., Any]) -> None:
        self.names, self._evaluate = names, evaluate

    def render(self, context: Mapping[str, Any]) -> Any:
        """Render over these variables. What depends on a secret is a ``Secret``.

        Raises whatever the template raises; ``jinja2.UndefinedError`` for what is not defined.
        """
        result = self._plain(context, Secret.reveal)
        secret = holds_secret(context) and self._depends_on_secrets(context, result)
        return conceal(result) if secret else result

    def _plain(self, context: Mapping[str, Any], show: Callable[[Secret], str]) -> Any:
        return _plain(self._evaluate({name: map_secrets(value, show) for name, value in context.items()}))

    def _depends_on_secrets(self, context: Mapping[str, Any], result: Any) -> bool:
        """Tell whether the result changes when every secret has another value. One that breaks on that does, too."""
        try:
            return bool(self._plain(context, str) != result)
        except Exception:  # noqa: BLE001 -- a template may raise anything
            return True


def _plain(value: Any) -> Any:
    """Return a result as a plain JSON value. Raises ``TypeError`` for anything else."""
    if isinstance(value, Undefined):
        str(value)  # a strict undefined raises, naming the variable
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    raise TypeError(f"the result is a {type(value).__name__}, not a plain value")
