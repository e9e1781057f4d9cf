"""What was said and the system has not taken yet, in order: whole frames, or whole packets.

Everything that goes out goes through here, so that nothing can come between the two halves of a frame, whoever flushes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from anyplug.errors import EncodeError

if TYPE_CHECKING:
    from anyplug.blocking.stream import Stream
    from anyplug.blocking.waiter import Waiter

__all__ = ["Outlet"]


class Outlet:
    """The outgoing queue of one stream. Its caller holds the pump's lock."""

    __slots__ = ("_queue", "_stream", "_waiters", "queued", "unfit", "written")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._queue: deque[memoryview] = deque()
        self._waiters: deque[tuple[int, Waiter]] = deque()
        self.queued = 0
        """Bytes put in, in all."""
        self.written = 0
        """Bytes that the system took, in all."""
        self.unfit: list[EncodeError] = []
        """Packets that proved too large for the system only after they had waited here, and were dropped."""

    def __len__(self) -> int:
        """Bytes that wait."""
        return self.queued - self.written

    def put(self, data: bytes) -> None:
        """Send these bytes, behind all that waits; what the system does not take now waits.

        Raises:
            Broken: the connection is gone.
            EncodeError: a packet is larger than the system sends; it does not wait.
        """
        if self._queue:
            self._queue.append(memoryview(data))
            self.queued += len(data)
            self.flush()
            return
        count = self._stream.send(data)
        self.queued += len(data)
        self.written += count
        if count < len(data):
            self._queue.append(memoryview(data)[count:])

    def flush(self) -> None:
        """Send as much as the system takes now. A packet that it never takes goes to `unfit`.

        Raises:
            Broken: the connection is gone.
        """
        queue = self._queue
        while queue:
            first = queue[0]
            try:
                count = self._stream.send(first)
            except EncodeError as error:
                self.unfit.append(error)
                count = len(first)
            self.written += count
            if count < len(first):
                queue[0] = first[count:]
                break
            queue.popleft()
        while self._waiters and self._waiters[0][0] <= self.written:
            self._waiters.popleft()[1].finish()

    def await_all(self, waiter: Waiter) -> int:
        """Finish `waiter` as soon as all that waits now was taken; returns what `written` is then."""
        self._waiters.append((self.queued, waiter))
        return self.queued

    def forget(self, waiter: Waiter) -> None:
        """It waits no more."""
        self._waiters = deque(pair for pair in self._waiters if pair[1] is not waiter)

    def release(self) -> None:
        """Wake all who wait: their bytes may not go out any more."""
        while self._waiters:
            self._waiters.popleft()[1].finish()

    def drop(self) -> None:
        """Nothing more goes out: forget the bytes, and wake who waits for them."""
        self._queue.clear()
        self.queued = self.written
        self.release()
