"""Chunks of files on their way from one connection to its visit.

Several are written at once, so that the disk and the network work side by side. What is under way is bounded: for each
connection, and for the whole server, so that two hundred uploads do not take four times as much as one each.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from anyplug.wire.arriving import Buffers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["AHEAD", "AHEAD_IN_ALL", "BUFFERS", "Arrivals", "Traffic"]

AHEAD: Final = 4
"""Chunks of one connection that are being written at once, at most; then it is not read."""

AHEAD_IN_ALL: Final = 32
"""Chunks of all connections that are being written at once; above it each connection has one at most."""


BUFFERS: Final = 32
"""Chunks of all connections that are received into memory of their own, at most; others come in pieces."""


class Traffic:
    """Chunks under way on one server, and the memory that they share."""

    __slots__ = ("buffers", "chunks")

    def __init__(self) -> None:
        self.chunks = 0
        self.buffers = Buffers(BUFFERS)


class Arrivals:
    """Chunks of one connection that are being written.

    Args:
        traffic: of the server.
        begin: starts a task that the server waits for.
        changed: called when one is written.
    """

    __slots__ = ("_begin", "_changed", "_tasks", "_traffic")

    def __init__(
        self,
        traffic: Traffic,
        begin: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
        changed: Callable[[], None],
    ) -> None:
        self._traffic = traffic
        self._begin = begin
        self._changed = changed
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many are being written."""
        return len(self._tasks)

    @property
    def full(self) -> bool:
        """Whether no more should be read for now."""
        count = len(self._tasks)
        return count >= AHEAD or (count > 0 and self._traffic.chunks >= AHEAD_IN_ALL)

    def add(self, writing: Coroutine[None, None, None]) -> None:
        """A chunk came; this writes it."""
        self._traffic.chunks += 1
        task = self._begin(writing)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def settled(self) -> None:
        """Wait until all that came before is written, or has failed."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._traffic.chunks -= 1
        if not self._traffic.chunks:
            self._traffic.buffers.rest()
        self._changed()
