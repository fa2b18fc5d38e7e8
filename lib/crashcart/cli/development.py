"""``test``, ``check-code`` and ``docs``: only in a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from invoke import Context, Exit, Task

from crashcart.cli.flags import Flag
from crashcart.cli.tasks import make_task

COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
"""Tests start thousands of processes; where nothing may be kept compiled, each would compile all that it imports anew."""


def development_tasks(checkout: Path) -> list[Task[Any]]:
    """Return the commands for working on crashcart itself."""

    def test(context: Context, values: dict[str, Any]) -> None:
        # The fast tests share nothing. Of the others, those that need the lab run one after the other, and mostly wait.
        _run([sys.executable, "-m", "pytest", "-n", "auto", "tests/unit"], checkout, **COMPILED)
        if not values["unit"]:
            # Most of them wait for hosts and servers more than they compute; each process on hosts has hosts of its own.
            shared = ["-n", "3", "--dist", "worksteal"]
            on_hosts, others = [*shared, "tests/lab"], [*shared, "--ignore", "tests/unit", "--ignore", "tests/lab"]
            _run_together([[sys.executable, "-m", "pytest", *which] for which in (on_hosts, others)], checkout)

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


def _run_together(commands: list[list[str]], folder: Path) -> None:
    """Run commands at the same time; the first prints as it goes, the others afterwards. All of them have to pass."""
    first, *others = commands
    environment = {**os.environ, **COMPILED}
    pipes = [
        subprocess.Popen(one, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for one in others
    ]
    with ThreadPoolExecutor() as readers:
        printed = [readers.submit(each.communicate) for each in pipes]
        code = subprocess.run(first, cwd=folder, env=environment, check=False).returncode
        for output in printed:
            print(output.result()[0].decode(errors="replace"), end="", flush=True)
    code = code or max(each.returncode for each in pipes)
    if code:
        raise Exit(code=code)


def _run(command: list[str], folder: Path, **environment: str) -> None:
    code = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=False).returncode
    if code:
        raise Exit(code=code)
