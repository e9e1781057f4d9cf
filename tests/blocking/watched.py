"""A stream that tells the test when a thread waits on it, and can be interrupted there."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

from anyplug.blocking.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.blocking import Connection


class Watched(Stream):
    """As a `Stream`; `reading` and `writing` are set when a thread is about to wait, `before` is called then."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream._sock)
        self.reading = Event()
        self.beside = Event()
        self.before: Callable[[], None] | None = None

    def wait(self, *, read: bool, write: bool, seconds: float) -> None:
        if self.before is not None:
            before, self.before = self.before, None
            before()
        if read and not write:
            self.reading.set()
        super().wait(read=read, write=write, seconds=seconds)

    def wait_writable(self, seconds: float) -> None:
        self.beside.set()
        super().wait_writable(seconds)


def watch(connection: Connection[Any]) -> Watched:
    """Put a watched stream in the place of the connection's own."""
    line = connection._pump.line
    line.stream = watched = Watched(line.stream)
    return watched
