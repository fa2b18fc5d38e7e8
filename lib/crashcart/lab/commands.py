"""Run programs of this machine, always bounded in time; what they say on failure ends up in the error."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from tempfile import gettempdir
from typing import Protocol

from crashcart.errors import LabError


class Runner(Protocol):
    """Runs one program to its end and returns its stdout; a ``LabError`` when it fails, is missing or takes too long."""

    def __call__(
        self, argv: Sequence[str], *, timeout: float = 30.0, stdin: bytes = b"", keep: tuple[int, ...] = ()
    ) -> bytes:
        """Run ``argv``; ``keep`` are file descriptors that the program inherits."""


def run(argv: Sequence[str], *, timeout: float = 30.0, stdin: bytes = b"", keep: tuple[int, ...] = ()) -> bytes:
    """Run a program and return its stdout, or raise a ``LabError`` that ends with the last thing it said.

    It runs in the folder for temporary files: podman's monitor stays where it was started for as long as a container
    lives, and leaves a file named ``oom`` there when a container runs out of memory.
    """
    try:
        ended = subprocess.run(
            list(argv), input=stdin, capture_output=True, timeout=timeout, pass_fds=keep, check=True, cwd=gettempdir()
        )
    except subprocess.CalledProcessError as error:
        said = _last_words(error.stderr or error.stdout)
        raise LabError(f"{_spoken(argv)} failed with exit status {error.returncode}: {said}") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{_spoken(argv)} did not end within {timeout:.0f} s") from error
    except OSError as error:
        raise LabError(f"{argv[0]} cannot be run: {error.strerror}") from error
    return ended.stdout


def _spoken(argv: Sequence[str]) -> str:
    """Name a command by its program and, of an engine, what it is asked to do."""
    verbs = [word for word in argv[1:] if word.isalpha()]
    return f"{argv[0]} {verbs[0]}" if argv[0] in {"docker", "podman"} and verbs else argv[0]


def _last_words(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return " / ".join(lines[-3:])[-600:] or "it said nothing"
