"""``drill.schedule``: every drill regularly, as a cron entry and as a CI job."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

_KEPT = ("CRASHCART_LAB", "CRASHCART_STATE", "XDG_DATA_HOME", "XDG_STATE_HOME")
"""What decides which lab is meant and where scores are kept; cron does not set it."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the lab's container engine finds its helpers; cron's own PATH leaves out the folders of an administrator."""

_DRILL = "drill.all --hosts lab --yes"


def print_schedule(checkout: Path | None) -> int:
    """Print them; ``checkout`` is where the commands of this process come from, or None where they come from a wheel."""
    program = running_program(sys.argv[0], Path(sys.executable))
    cron = cron_command(program, checkout, os.environ).replace("%", "\\%")
    print(f"{_CRON}0 6 * * 1  {cron}\n\n{github_job(program.name, checkout)}")
    return 0


def running_program(called: str, python: Path) -> Path:
    """Return the whole path of what is running: ``inv`` or ``crashcart``.

    Where only its name is known, or a module was run, it is the program of that name beside the interpreter.
    """
    path = Path(os.path.abspath(called))  # noqa: PTH100 -- resolve() would lead out of a virtual environment
    if path.stem in {"inv", "invoke", "crashcart"} and os.access(path, os.X_OK) and path.is_file():
        return path
    return python.with_name("crashcart" if "crashcart" in path.parts[-2:] else "inv")


def cron_command(program: Path, checkout: Path | None, environment: Mapping[str, str]) -> str:
    """Return the command of a crontab for ``sh``: every path whole, as cron has neither the user's PATH nor folder."""
    words = [f"PATH={_PATH}", *_settings(environment), shlex.quote(str(program)), _DRILL]
    return " ".join([f"cd {shlex.quote(str(checkout))} &&", *words] if checkout else words)


def github_job(program: str, checkout: Path | None) -> str:
    """Return a GitHub Actions workflow that drills a fresh lab, and takes the scores so far from one run to the next."""
    from_here = checkout is not None and (checkout / "pyproject.toml").is_file()
    package = ".[lab]" if from_here else f"crashcart[lab]=={version('crashcart')}"
    install = f"{'-e ' if from_here else ''}'{package}'"
    fetch = "      - uses: actions/checkout@v4\n" if checkout else ""
    return _JOB.replace("FETCH", fetch).replace("INSTALL", install).replace("DRILL", f"{program} {_DRILL}")


def _settings(environment: Mapping[str, str]) -> Iterator[str]:
    for name in _KEPT:
        if value := environment.get(name):
            whole = value if name == "CRASHCART_LAB" else os.path.abspath(value)  # noqa: PTH100 -- a link stays one
            yield f"{name}={shlex.quote(whole)}"


_CRON = """\
# crontab: every Monday at 6; cron mails what it prints, and the exit code says whether every fault was passed
"""

_JOB = """\
# GitHub Actions: .github/workflows/drills.yml
# An artifact is kept for 90 days, which is as long as a drill says something; each has all scores so far.
name: drills
on:
  schedule: [{cron: "0 6 * * 1"}]
  workflow_dispatch:
permissions: {contents: read, actions: read}
concurrency: drills
jobs:
  drills:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    env: {CRASHCART_STATE: state}
    steps:
FETCH      - name: take up the scores so far
        run: |
          found=$(gh api "repos/$GITHUB_REPOSITORY/actions/artifacts?name=drills" --jq "$LIVE")
          test "$found" = 0 || gh run download --repo "$GITHUB_REPOSITORY" --name drills --dir state
        env:
          GH_TOKEN: "${{ github.token }}"
          LIVE: "[.artifacts[] | select(.expired | not)] | length"
      - run: python3 -m venv .venv && .venv/bin/pip install INSTALL
      - run: .venv/bin/DRILL
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: drills
          path: |
            state/drills/*.*
            state/stamps.json"""
