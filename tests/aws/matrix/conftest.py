"""One emulator and one rig for all cases of this folder; each case begins anew, and leaves this process as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws.matrix.rig import Rig
from tests.emulator import running_emulator


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running_emulator() as emulator:
        rig = Rig(emulator, tmp_path_factory.mktemp("rig"))
        try:
            yield rig
        finally:
            rig.close()


@pytest.fixture
def rig(made: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    made.furnish(monkeypatch)
    return made
