from __future__ import annotations

import subprocess

import pytest

from crashcart.lab.faults import CANARY, FAULTS, Fault


def test_the_registry_is_by_name() -> None:
    assert all(fault.name == name for name, fault in FAULTS.items())
    assert {"service.crash", "service.hang", "service.start-limit"} <= set(FAULTS)
    assert {"disk.full", "disk.inodes", "disk.open-deleted", "disk.hostile-names"} <= set(FAULTS)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_scripts_are_plain_sh_without_here_documents(fault: Fault) -> None:
    for command in (*fault.inject, *fault.restore, CANARY):
        subprocess.run(["sh", "-n"], input=command.script, text=True, check=True)
        assert "<<" not in command.script
        assert command.become
        assert command.timeout <= 60
