"""Templates: Jinja2, sandboxed, undefined is an error. Nothing rendered here ever becomes part of a shell script."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import SandboxedEnvironment

from crashcart.secrets import Secret

_WHOLE = re.compile(r"\s*\{\{((?:(?!\{\{|\}\}).)*)\}\}\s*", re.DOTALL)


class _Sandbox(SandboxedEnvironment):
    """Jinja2's sandbox, in which a secret can be handed on and nothing else."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Refuse every attribute of a secret."""
        return not isinstance(obj, Secret) and super().is_safe_attribute(obj, attr, value)


class Renderer:
    """Renders values over a target's variables; each template is compiled once and reused for all targets."""

    def __init__(self) -> None:
        self._environment = _Sandbox(undefined=StrictUndefined, autoescape=False)
        self._compiled: dict[str, Callable[..., Any]] = {}

    def render(self, value: Any, context: Mapping[str, Any]) -> Any:
        """Render every template in a JSON value. A value that is one ``{{ ... }}`` keeps its type.

        Raises ``ValueError`` for a template that does not parse or names something undefined.
        """
        if isinstance(value, dict):
            return {key: self.render(item, context) for key, item in value.items()}
        if isinstance(value, list):
            return [self.render(item, context) for item in value]
        if not isinstance(value, str) or "{" not in value:
            return value
        return self._evaluate(value, context)

    def names(self, value: Any) -> set[str]:
        """Return the variables that the templates of a JSON value use; what does not parse uses none."""
        if isinstance(value, dict | list):
            return set().union(*(self.names(item) for item in (value.values() if isinstance(value, dict) else value)))
        if not isinstance(value, str) or "{" not in value:
            return set()
        try:
            return find_undeclared_variables(self._environment.parse(value))
        except TemplateError:
            return set()

    def holds(self, condition: str, context: Mapping[str, Any]) -> bool:
        """Evaluate a ``when`` expression. Raises ``ValueError``."""
        return bool(self._evaluate("{{" + condition + "}}", context))

    def _evaluate(self, text: str, context: Mapping[str, Any]) -> Any:
        try:
            if text not in self._compiled:
                self._compiled[text] = self._compile(text)
            result = self._compiled[text](**context)
            if isinstance(result, Undefined):
                str(result)  # a strict undefined raises, naming the variable
        except TemplateError as error:
            raise ValueError(f"template {text!r}: {error.message}") from error
        except (ArithmeticError, TypeError, ValueError, LookupError) as error:
            raise ValueError(f"template {text!r}: {error}") from error
        return result

    def _compile(self, text: str) -> Callable[..., Any]:
        whole = _WHOLE.fullmatch(text)
        if whole:
            return self._environment.compile_expression(whole[1].strip(), undefined_to_none=False)
        return self._environment.from_string(text).render
