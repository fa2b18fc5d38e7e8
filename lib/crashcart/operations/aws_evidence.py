"""What is kept of a resource before an act: answers that arrive in time, and of each other call why there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from crashcart.errors import CrashcartError
from crashcart.transports.base import ApiCall, CloudTransport

LATE = "no answer in time"


class Answers:
    """Calls that are asked side by side; whoever is late is left behind."""

    def __init__(self, transport: CloudTransport, calls: Sequence[ApiCall]) -> None:
        self._transport, self._calls = transport, calls
        self._found: dict[int, Any] = {}
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(len(calls))]
        for thread in self._threads:
            thread.start()

    def wait(self, until: float) -> None:
        """Wait for the answers until then (monotonic seconds)."""
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    @property
    def arrived(self) -> Mapping[str, Any]:
        """The answers that are there, by the calls' names."""
        found = dict(self._found)
        return {self._calls[number].operation: answer for number, answer in found.items() if isinstance(answer, dict)}

    def shown(self) -> list[bytes]:
        """Return each call as a JSON object, with its answer or with why there is none."""
        found = dict(self._found)
        return [_shown(call, found.get(number, LATE)) for number, call in enumerate(self._calls)]

    def _ask(self, number: int) -> None:
        try:
            self._found[number] = self._transport.read(self._calls[number])
        except CrashcartError as error:
            self._found[number] = error.message


def gather_answers(transport: CloudTransport, calls: Sequence[ApiCall], within: float) -> bytes:
    """Ask them all at once and wait so many seconds. Returns a JSON object per call; nothing if no answer came."""
    answers = Answers(transport, calls)
    answers.wait(time.monotonic() + within)
    return b"\n".join(answers.shown()) if answers.arrived else b""


def _shown(call: ApiCall, answer: object) -> bytes:
    entry = {"call": f"{call.service}:{call.operation}", "params": call.params, "answer": answer}
    return msgspec.json.format(msgspec.json.encode(entry, enc_hook=str), indent=2)
