"""Whole runs from the command line on the emulator's Auto Scaling group, from several laptops: a state folder each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from crashcart.lab.aws.account import KEYS, REGION
from tests.aws.beside.sharing import LOCK
from tests.emulator import Emulator

CHECKOUT = Path(__file__).resolve().parents[3]
INV = Path(sys.executable).with_name("inv")
GROUP = "lab-asg"
SCALE = ("recover.asg-scale", "--hosts", GROUP, "--settle", "0s", "--yes")


class Controller:
    """A laptop: its own state folder and login name, the same inventory as the others."""

    def __init__(self, folder: Path, emulator: Emulator, actor: str, **variables: str) -> None:
        self.state, self.actor = folder / actor, actor
        access = {
            "aws_region": REGION,
            "aws_endpoint_url": emulator.url,
            "aws_access_key_id": KEYS[0],
            "aws_secret_access_key": KEYS[1],
        }
        asg = {"kind": "autoscaling_group", "drill": True, **access, **variables}
        inventory = folder / f"{actor}.json"
        inventory.write_bytes(msgspec.json.encode({"all": {"children": {"groups": {"hosts": {GROUP: asg}}}}}))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_", "CI"))},
            "CRASHCART_STATE": str(self.state),
            "CRASHCART_INVENTORY": str(inventory),
            "XDG_DATA_HOME": str(folder / "data"),
            "NO_COLOR": "1",
            "LOGNAME": actor,
            "SUDO_USER": actor,
        }

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run([str(INV), *words])

    def started(self, *words: str) -> subprocess.Popen[str]:
        """Begin the command, and go on."""
        return subprocess.Popen(
            [str(INV), *words],
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def spoiled(self, how: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command in a process that something happens to: see ``spoiling.py``."""
        return self._run([sys.executable, "-m", "tests.aws.beside.spoiling", how, *words])

    def json(self, *words: str) -> tuple[int, Any]:
        done = self(*words, "--output", "json")
        return done.returncode, json.loads(done.stdout)

    def journal(self) -> Path:
        """The newest run's."""
        return max((self.state / "runs").glob("[0-9]*/events.jsonl"))

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.journal().read_text().splitlines()]

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def locking(folder: Path, emulator: Emulator, actor: str, **variables: str) -> Controller:
    """A laptop whose inventory names the table."""
    return Controller(folder, emulator, actor, lock=LOCK, **variables)
