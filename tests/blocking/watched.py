"""A stream that tells the test when a thread waits on it, and can be interrupted there."""

from __future__ import annotations

from threading import Condition, Event
from typing import TYPE_CHECKING, Any

from anyplug.blocking.stream import Stream
from tests.blocking.far import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.blocking import Connection


class Watched(Stream):
    """As a `Stream`; `reading` and `beside` are set when a thread is about to wait, `before` is called then."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream._sock)
        self.reading = Event()
        self.beside = Event()
        self.before: Callable[[], None] | None = None
        self.eager: list[bool] = []
        self.sends = 0
        self._more = Condition()

    def wait(self, *, read: bool, write: bool, seconds: float, eager: bool = False) -> None:
        if self.before is not None:
            before, self.before = self.before, None
            before()
        with self._more:
            self.eager.append(eager)
            self._more.notify_all()
        if read and not write:
            self.reading.set()
        super().wait(read=read, write=write, seconds=seconds, eager=eager)

    def send(self, data: bytes | memoryview) -> int:
        self.sends += 1
        return super().send(data)

    def waits(self, count: int) -> None:
        """Wait until a thread has begun so many waits."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.eager) >= count, PATIENCE), f"{len(self.eager)} waits"

    def wait_writable(self, seconds: float) -> None:
        self.beside.set()
        super().wait_writable(seconds)


def watch(connection: Connection[Any]) -> Watched:
    """Put a watched stream in the place of the connection's own."""
    line = connection._pump.line
    line.stream = line.outlet._stream = watched = Watched(line.stream)
    return watched
