"""The page of the fixed commands and the flags that all playbooks have, made from the command tree."""

from __future__ import annotations

from typing import Any

from invoke import Task

from crashcart.cli.development import development_tasks
from crashcart.cli.flags import COMMON, Flag
from crashcart.cli.namespace import build_namespace
from website.markdown import code, escape, fenced, page, section, table
from website.operations import CHECKOUT

PATH = "reference/commands.md"


def commands_page(playbooks: set[str]) -> str:
    """Return the page; ``playbooks`` are the commands that have pages of their own."""
    namespace = build_namespace(None, CHECKOUT)
    fixed = {name: namespace[name] for name in sorted(namespace.task_names) if name not in playbooks}
    intro = "Besides the [playbooks](playbooks/index.md), these commands are always there. `inv --help NAME` shows the same."
    return page(
        "Commands",
        intro,
        section("Flags of every playbook", _flags(COMMON)),
        *(section(name, *_command(name, task)) for name, task in fixed.items()),
    )


def _command(name: str, task: Task[Any]) -> tuple[str, ...]:
    needs = ["--hosts GROUP"] if "hosts" in task.help else []
    usage = " ".join(["inv", name, *(argument.upper() for argument in task.positional), *needs])
    rows = [(code(_dashed(flag)), escape(text)) for flag, text in task.help.items() if flag not in task.positional]
    only = "Only in a checkout." if name in {one.name for one in development_tasks(CHECKOUT)} else ""
    return escape(str(task.__doc__ or "")) + ".", only, fenced("sh", usage), table(("Flag", "Meaning"), rows)


def _flags(flags: tuple[Flag, ...]) -> str:
    return table(("Flag", "Meaning"), [(code(_dashed(flag.name)), escape(flag.help)) for flag in flags])


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
