"""The real ``inv`` in a subprocess, without a terminal, with a state folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
INV = Path(sys.executable).with_name("inv")

INVENTORY = """\
all:
  children:
    web:
      hosts:
        web[1:2]: {ansible_host: 127.0.0.1, ansible_port: 1}
    prod:
      vars: {protected: true}
      hosts:
        db1: {ansible_host: 127.0.0.1, ansible_port: 1}
    keyless:
      hosts:
        k1: {ansible_host: 127.0.0.1, ansible_ssh_private_key_file: /nonexistent/key}
    empty: {}
    clouds:
      hosts:
        cl: {kind: rds_cluster}
"""


class Inv:
    """Runs ``inv`` and keeps what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "hosts.yml"
        self.inventory.write_text(INVENTORY)
        self.environment = {
            **os.environ,
            "CRASHCART_STATE": str(folder / "state"),
            "CRASHCART_INVENTORY": str(self.inventory),
            "XDG_DATA_HOME": str(folder / "data"),
            "NO_COLOR": "1",
        }

    def __call__(self, *words: str, cwd: Path = CHECKOUT, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [INV, *words],
            cwd=cwd,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def json(self, *words: str, **environment: str) -> tuple[int, Any]:
        done = self(*words, "--output", "json", cwd=CHECKOUT, **environment)
        return done.returncode, json.loads(done.stdout)

    @property
    def contacted(self) -> bool:
        """Whether a run was begun: its journal comes before the first contact."""
        return (self.folder / "state" / "runs").exists()


@pytest.fixture
def inv(tmp_path: Path) -> Inv:
    return Inv(tmp_path)


MakePlaybook = Callable[[str], Path]


@pytest.fixture
def own_checkout(tmp_path: Path) -> MakePlaybook:
    """A checkout with one playbook of its own, ``recover.mine``."""

    def make(text: str) -> Path:
        folder = tmp_path / "checkout"
        (folder / "playbooks/recover").mkdir(parents=True)
        (folder / "playbooks/recover/mine.yml").write_text(text)
        (folder / "tasks.py").write_text((CHECKOUT / "tasks.py").read_text())
        return folder

    return make
