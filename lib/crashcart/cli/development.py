"""``test``, ``check-code`` and ``docs``: only in a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from invoke import Context, Exit, Task

from crashcart.cli.flags import Flag
from crashcart.cli.tasks import make_task


def development_tasks(checkout: Path) -> list[Task[Any]]:
    """Return the commands for working on crashcart itself."""

    def test(context: Context, values: dict[str, Any]) -> None:
        # The fast tests share nothing. Of the others, those that need a lab run one after the other, and mostly wait.
        _run([sys.executable, "-m", "pytest", "-n", "auto", "tests/unit"], checkout)
        if not values["unit"]:
            _run([sys.executable, "-m", "pytest", "-n", "4", "--dist", "loadgroup", "--ignore", "tests/unit"], checkout)

    def check_code(context: Context, values: dict[str, Any]) -> None:
        for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
            print("$", " ".join(command), flush=True)
            _run([sys.executable, "-m", *command], checkout)

    def docs(context: Context, values: dict[str, Any]) -> None:
        _run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"], checkout, NO_MKDOCS_2_WARNING="1")
        print(f"the documentation is in {checkout / 'site'}: index.html")

    unit = Flag("unit", "only the fast tests: no lab, no network", switch=True)
    return [
        make_task("test", test, [unit], "Run the test suite, the lab included"),
        make_task("check-code", check_code, [], "Run the linter, the formatter's check and the type checker"),
        make_task("docs", docs, [], "Build the documentation's site; a warning is an error"),
    ]


def _run(command: list[str], folder: Path, **environment: str) -> None:
    code = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=False).returncode
    if code:
        raise Exit(code=code)
