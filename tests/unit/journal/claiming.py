"""A process that claims what it is told to on its stdin, and the other end of its pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import IO

from crashcart.clock import SystemClock
from crashcart.errors import Refused
from crashcart.journal.claims import About, Claims, Held

HELD, RELEASED = "held", "released"


class Claimer:
    """Another process that may claim targets, as another run of the same state folder would."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def say(self, *words: str) -> None:
        """Tell it to ``take RUN TARGET...`` or to ``release``, without waiting."""
        _pipe(self._process.stdin).write(" ".join(words) + "\n")

    def answer(self) -> str:
        """Wait for what came of it: ``held``, ``released``, or the refusal."""
        return _pipe(self._process.stdout).readline().rstrip("\n")

    def ask(self, *words: str) -> str:
        """Tell it something and wait for the answer."""
        self.say(*words)
        return self.answer()

    def kill(self) -> None:
        """End it as a power switch would, and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        _pipe(self._process.stdin).close()
        _pipe(self._process.stdout).close()


def _pipe(end: IO[str] | None) -> IO[str]:
    assert end is not None
    return end


def main(folder: Path) -> None:
    """Obey stdin, line by line."""
    claims, held = Claims(folder, SystemClock()), list[Held]()
    for line in sys.stdin:
        verb, *words = line.split()
        if verb == "take":
            print(_take(claims, held, *words), flush=True)
        else:
            while held:
                held.pop().release()
            print(RELEASED, flush=True)


def _take(claims: Claims, held: list[Held], run: str, *keys: str) -> str:
    try:
        held.append(claims.take(run, [(key, key) for key in keys], About(f"actor-of-{run}", "recover.test")))
    except Refused as error:
        return error.message
    return HELD


if __name__ == "__main__":
    main(Path(sys.argv[1]))
