"""The suite's own lab: never the user's."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from crashcart.lab import Lab
from tests.lab.hosts import Host, hosts_of

DEFAULT = "crashcart-test"


def suite_lab_name() -> str:
    """Return the name of the suite's lab; ``CRASHCART_LAB`` may choose another, but not one that a user may live in."""
    name = os.environ.get("CRASHCART_LAB", "")
    return name if name.startswith(DEFAULT) else DEFAULT


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Three hosts, for the whole session; commands that a test starts find them too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRASHCART_LAB", suite_lab_name())
        own = Lab.open()
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
