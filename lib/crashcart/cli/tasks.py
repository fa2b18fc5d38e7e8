"""Making Invoke tasks whose flags are data: optional strings and switches, no short forms, nothing positional."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from invoke import Context, Task

from crashcart.cli.flags import Flag

Body = Callable[[Context, dict[str, Any]], None]


def make_task(name: str, body: Body, flags: Iterable[Flag], summary: str, positional: tuple[str, ...] = ()) -> Task[Any]:
    """Return a task that hands its flags to ``body`` as a mapping; what was not given is None or False."""
    flags = tuple(flags)

    def run(context: Context, **values: Any) -> None:
        body(context, values)

    # Invoke reads the flags off the signature.
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD), *(_parameter(flag) for flag in flags)]
    )
    run.__doc__, run.__name__, run.__module__ = summary, name, body.__module__
    helps = {flag.name: flag.help for flag in flags}
    return Task(run, name=name, positional=positional, auto_shortflags=False, help=helps)


def _parameter(flag: Flag) -> inspect.Parameter:
    default = False if flag.switch else None
    return inspect.Parameter(flag.name, inspect.Parameter.KEYWORD_ONLY, default=default)
