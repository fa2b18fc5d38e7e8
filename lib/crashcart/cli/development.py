"""``test`` and ``check-code``: only in a checkout."""

from __future__ import annotations

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
        # The fast tests share nothing and run on all cores; the others share a lab, or measure time.
        _run([sys.executable, "-m", "pytest", "-n", "auto", "tests/unit"], checkout)
        if not values["unit"]:
            _run([sys.executable, "-m", "pytest", "--ignore", "tests/unit"], checkout)

    def check_code(context: Context, values: dict[str, Any]) -> None:
        for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
            print("$", " ".join(command), flush=True)
            _run([sys.executable, "-m", *command], checkout)

    unit = Flag("unit", "only the fast tests: no lab, no network", switch=True)
    return [
        make_task("test", test, [unit], "Run the test suite, the lab included"),
        make_task("check-code", check_code, [], "Run the linter, the formatter's check and the type checker"),
    ]


def _run(command: list[str], folder: Path) -> None:
    code = subprocess.run(command, cwd=folder, check=False).returncode
    if code:
        raise Exit(code=code)
