"""The suite's own lab: never the user's."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crashcart.lab.lab import Lab
from tests.lab.hosts import Host, hosts_of

DEFAULT = "crashcart-test"


def suite_lab_name() -> str:
    """Return the name of the suite's lab; ``CRASHCART_LAB`` may choose another, but not one that a user may live in.

    Tests wait for hosts more than they compute, so several processes run them, each on hosts of its own.
    """
    given = os.environ.get("CRASHCART_LAB", "")
    name, worker = given if given.startswith(DEFAULT) else DEFAULT, os.environ.get("PYTEST_XDIST_WORKER", "")
    return name if not worker or name.endswith(f"-{worker}") else f"{name}-{worker}"


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Of several processes, the first makes the image; the others find it."""
    with (folder / "lab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three hosts, for the whole session; commands that a test starts find them too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRASHCART_LAB", suite_lab_name())
        own = Lab.open()
        with one_at_a_time(tmp_path_factory.getbasetemp().parent):
            own.up(3)
        yield own
        if not os.environ.get("CRASHCART_KEEP_LAB"):
            own.down()


@pytest.fixture
def hosts(lab: Lab) -> dict[str, Host]:
    """The hosts of the suite's lab, by name."""
    return hosts_of(lab)


@pytest.fixture
def other_lab() -> Iterator[Lab]:
    """A second lab, down before and after."""
    second = Lab.open(f"{suite_lab_name()}-2")
    second.down()
    yield second
    second.down()
