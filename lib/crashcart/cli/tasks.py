"""Making Invoke tasks whose flags are data: optional strings and switches, no short forms, nothing positional."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from invoke import Context, Task

from crashcart.cli.flags import Flag

if TYPE_CHECKING:
    from crashcart.playbooks.library import Library


class Offered(msgspec.Struct, frozen=True):
    """What completion reads off a task: its flags, those whose values may stand alone, and a playbook's library."""

    flags: tuple[Flag, ...]
    positional: tuple[str, ...]
    library: Library | None = None


Body = Callable[[Context, dict[str, Any]], None]


def make_task(
    name: str,
    body: Body,
    flags: Iterable[Flag],
    summary: str,
    positional: tuple[str, ...] = (),
    library: Library | None = None,
) -> Task[Any]:
    """Return a task that hands its flags to ``body`` as a mapping; what was not given is None or False."""
    flags = tuple(flags)

    def run(context: Context, **values: Any) -> None:
        body(context, values)

    run.__doc__, run.__name__, run.__module__ = summary, name, body.__module__
    helps = {flag.name: flag.help for flag in flags}
    task: Task[Any] = Task(run, name=name, positional=positional, auto_shortflags=False, help=helps)
    # Invoke reads the flags off the signature. What is on the function before makes Task a copy, which is copied deep again.
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD), *(_parameter(flag) for flag in flags)]
    )
    run.offered = Offered(flags, positional, library)  # type: ignore[attr-defined]
    return task


def _parameter(flag: Flag) -> inspect.Parameter:
    default = False if flag.switch else None
    return inspect.Parameter(flag.name, inspect.Parameter.KEYWORD_ONLY, default=default)
