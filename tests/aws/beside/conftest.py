"""The lab's emulator with a table for locks and buckets for audits, and runs that share them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.aws.beside.sharing import TABLE, make_table
from tests.emulator import Emulator, running_emulator


@pytest.fixture(scope="session")
def emulator_process() -> Iterator[Emulator]:
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(emulator_process: Emulator) -> Emulator:
    emulator_process.reset()
    make_table(emulator_process)
    return emulator_process


@pytest.fixture
def items(emulator: Emulator) -> Any:
    """What is in the table, by id, as plain values."""

    def read() -> dict[str, dict[str, str]]:
        found = emulator.client("dynamodb").scan(TableName=TABLE, ConsistentRead=True)["Items"]
        plain = [{name: next(iter(value.values())) for name, value in item.items()} for item in found]
        return {item["id"]: item for item in plain}

    return read
