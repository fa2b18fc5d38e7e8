"""Output of any size in bounded memory: the head and the tail of a stream are kept, the rest is counted."""

from __future__ import annotations

from crashcart.transports.base import KEEP, Output

_SLACK = 64 * 1024


class BoundedBuffer:
    """Keeps at most ``keep`` bytes of a stream: its head and its tail, half each.

    The tail may run over by 64 KiB before it is trimmed, so that small pieces do not cost a trim each.
    """

    def __init__(self, keep: int = KEEP) -> None:
        keep = max(keep, 0)
        self._head = bytearray()
        self._tail = bytearray()
        self._head_limit = keep - keep // 2
        self._tail_limit = keep // 2
        self._total = 0

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        self._total += len(data)
        room = self._head_limit - len(self._head)
        self._head += data[:room]
        if len(data) > room:
            self._feed_tail(data[room:])

    def result(self) -> Output:
        """Return what is kept. A stream that was kept whole is all head, so no character is torn in two."""
        tail = self._tail[max(0, len(self._tail) - self._tail_limit) :]
        cut = self._total - len(self._head) - len(tail)
        if not cut:
            return Output(head=bytes(self._head + tail))
        return Output(head=bytes(self._head), tail=bytes(tail), cut=cut)

    def _feed_tail(self, data: bytes) -> None:
        if len(data) >= self._tail_limit:
            self._tail.clear()
            data = data[len(data) - self._tail_limit :]
        self._tail += data
        if len(self._tail) > self._tail_limit + _SLACK:
            del self._tail[: len(self._tail) - self._tail_limit]
