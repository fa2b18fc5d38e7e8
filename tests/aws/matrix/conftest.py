"""One emulator and one rig for all cases of this folder; each case begins anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws.matrix.rig import Rig
from tests.emulator import running_emulator


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    patch = pytest.MonkeyPatch()
    with running_emulator() as emulator:
        made = Rig(emulator, tmp_path_factory.mktemp("rig"), patch)
        try:
            yield made
        finally:
            made.close()
            patch.undo()
