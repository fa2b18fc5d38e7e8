"""A runner that never runs anything: it answers by the first words of a command, and remembers what was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crashcart.errors import LabError


class FakeRunner:
    """Answers are bytes, or an error to raise; a command that no answer fits fails, as a missing program would."""

    def __init__(self, answers: Mapping[str, bytes | Exception]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, ...]] = []
        self.given: list[bytes] = []

    def __call__(
        self, argv: Sequence[str], *, timeout: float = 30.0, stdin: bytes = b"", keep: tuple[int, ...] = ()
    ) -> bytes:
        self.asked.append(tuple(argv))
        self.given.append(stdin)
        spoken = " ".join(argv)
        for start, answer in self.answers.items():
            if spoken.startswith(start):
                if isinstance(answer, Exception):
                    raise answer
                return answer
        raise LabError(f"nobody scripted: {spoken}")
