"""One emulator for all tests of this folder, begun anew for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator import Emulator, running_emulator


@pytest.fixture(scope="session")
def emulator_process() -> Iterator[Emulator]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(emulator_process: Emulator) -> Emulator:
    """With an empty account."""
    emulator_process.reset()
    return emulator_process


@pytest.fixture
def databases(emulator_process: Emulator) -> Emulator:
    """With the lab's databases."""
    emulator_process.reset("databases")
    return emulator_process


@pytest.fixture
def caches(emulator_process: Emulator) -> Emulator:
    """With the lab's replication groups."""
    emulator_process.reset("caches")
    return emulator_process
