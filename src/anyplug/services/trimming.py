"""Retention: what a topic does not keep any more is removed in the background, and the log says how much that was.

Nothing waits for it. Whoever has used a topic says so, and within `GAP` seconds the topic is looked at once, however
many have said so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from anyplug.errors import AnyplugError

if TYPE_CHECKING:
    from anyplug.services.facilities import Facilities
    from anyplug.store import Retention

__all__ = ["GAP", "Trimmer"]

GAP: Final = 1.0
"""Seconds between two looks at one topic, at least; monotonic."""


class Trimmer:
    """Removes what retention does not keep.

    Args:
        facilities: of the server.
        retention: what is kept of each topic.
        gap: seconds between two looks at one topic.
    """

    __slots__ = ("_facilities", "_gap", "_running", "_waiting", "idle", "retention")

    def __init__(self, facilities: Facilities, retention: Retention, *, gap: float = GAP) -> None:
        self._facilities = facilities
        self.retention = retention
        self.idle = retention.age is None and retention.count is None and retention.bytes is None
        """Whether everything is kept."""
        self._gap = gap
        self._waiting: set[str] = set()
        self._running: dict[str, asyncio.Task[None]] = {}

    def used(self, topic: str) -> None:
        """Somebody has used this topic."""
        if not self.idle and topic not in self._waiting:
            self._waiting.add(topic)
            asyncio.get_running_loop().call_later(self._gap, self._begin, topic)

    def _begin(self, topic: str) -> None:
        self._waiting.discard(topic)
        if topic in self._running:  # it takes longer than the gap
            self.used(topic)
            return
        task = asyncio.get_running_loop().create_task(self._trim(topic))
        self._running[topic] = task
        task.add_done_callback(lambda _: self._running.pop(topic))

    async def _trim(self, topic: str) -> None:
        given = self._facilities
        try:
            log = given.durable.log
            before = await log.span(topic)
            after = await log.trim(topic, self.retention, now=given.now())
        except AnyplugError as error:  # a store that stops says so to everybody; the next look comes with the next use
            given.log.info("not_trimmed", topic=topic, problem=str(error))
            return
        if after.first > before.first:
            given.log.info("trimmed", topic=topic, messages=after.first - before.first, first=after.first)
