"""The ``crashcart`` program. Completion is answered before Invoke is imported, which takes longer than a Tab may."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from crashcart.cli.pipes import while_read


def main() -> None:
    """Run the ``crashcart`` command: the shipped playbooks, and a checkout's own when started inside one."""
    match sys.argv[1:]:
        case ["--complete", shell, *rest] if shell != "--":
            _complete([shell, *rest])
        case ["--print-completion-script", shell]:
            while_read(lambda: _print_completion_script(shell))
        case _:
            while_read(_run)


def _complete(arguments: Sequence[str]) -> None:
    """Answer one Tab and end at once. To look for garbage and to take every module apart is a quarter of a Tab's time."""
    import gc
    import os

    gc.disable()
    from crashcart.cli.completion import main as complete

    status = complete(arguments)
    with suppress(OSError):
        print(end="", flush=True)
    os._exit(status)


def _print_completion_script(shell: str) -> None:
    from crashcart.cli.completion_scripts import completion_script
    from crashcart.errors import BadInput
    from crashcart.results import EXIT_BAD_INPUT

    try:
        print(completion_script(shell), end="")
    except BadInput as error:
        print(f"invalid: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)


def _run() -> None:
    from importlib.metadata import version

    from crashcart.cli.namespace import build_namespace
    from crashcart.cli.taming import Tamed

    own = Path.cwd() / "playbooks"
    checkout = Path.cwd() if (Path.cwd() / "tasks.py").is_file() and own.is_dir() else None
    program = Tamed(
        name="crashcart",
        binary="crashcart",
        version=version("crashcart"),
        namespace=build_namespace(own if checkout else None, checkout),
    )
    program.run()
