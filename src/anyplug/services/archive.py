"""What was said in a room, written behind the talk into a topic of the store.

The talk never waits for the disk: what is said waits here, in order, and one task at a time writes all that waits as
one batch. A store that is slow, full or broken costs history and nothing else: what does not fit the queue, and what
the store refuses, is dropped, counted, and told in the log once until it works again. The positions of a topic have no
gap, so what was dropped leaves none: after a restart the room counts on from what the store has.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from anyplug.errors import AnyplugError
from anyplug.schemas.talk import Said
from anyplug.store.base import Entry, Retention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.services.facilities import EventLog
    from anyplug.store import MessageLog

__all__ = ["BATCH", "Archive"]

BATCH: Final = 1_000
"""Messages that are written at once: as many as one commit of a store takes."""

CONTENT_TYPE: Final = "text/plain; charset=utf-8"


class Archive:
    """The history of one room on disk.

    Args:
        log: where it is kept.
        topic: under which name.
        events: where it is told that messages are lost, or removed for their age.
        most: bytes that may wait for the disk.
        kept: messages that stay there; 0 keeps all.
    """

    __slots__ = (
        *("_events", "_kept", "_log", "_most", "_size", "_task", "_there", "_topic", "_troubled", "_waiting"),
        "lost",
    )

    def __init__(self, log: MessageLog, topic: str, events: EventLog, *, most: int, kept: int = 0) -> None:
        self._log = log
        self._topic = topic
        self._events = events
        self._most = most
        self._kept = kept
        self._there = 0
        self._waiting: list[Entry] = []
        self._size = 0
        self._task: asyncio.Task[None] | None = None
        self._troubled = False
        self.lost = 0
        """Messages that were said and not kept."""

    async def load(self, count: int, *, message: int) -> tuple[int, Sequence[Said]]:
        """The position of the last message that is kept, and the last of them, oldest first.

        Args:
            count: how many messages.
            message: the largest, bytes.
        """
        batch = await self._log.last(self._topic, count, most=max(1, count * message))
        said = [
            Said(position=each.position, nick=each.name, text=each.body.decode("utf-8", "replace"), time=each.received)
            for each in batch.messages
        ]
        self._there = batch.span.count
        return batch.span.last, said[-count:] if count else []

    def put(self, said: Said, sender: str) -> None:
        """Keep a message soon."""
        body = said.text.encode()
        if self._size + len(body) > self._most:
            self._lose(1, "the store is too slow for what is said")
            return
        self._waiting.append(Entry(body, said.time, CONTENT_TYPE, sender, said.nick))
        self._size += len(body)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def written(self) -> None:
        """Wait until nothing waits any more."""
        while self._task is not None:
            await asyncio.wait([self._task])

    @property
    def busy(self) -> bool:
        """Whether something waits to be written."""
        return self._task is not None

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:BATCH]
                try:
                    await self._log.append(self._topic, batch)
                except AnyplugError as error:
                    self._lose(len(batch), str(error))
                else:
                    self._troubled = False
                    self._there += len(batch)
                    await self._trim(batch[-1].received)
                del self._waiting[: len(batch)]
                self._size -= sum(len(entry.body) for entry in batch)
        finally:
            self._task = None

    async def _trim(self, now: int) -> None:
        """Remove what is older than what is to be kept, once a good deal has come together."""
        if not self._kept or self._there < self._kept + BATCH:
            return
        before, self._there = self._there, self._kept
        try:
            span = await self._log.trim(self._topic, Retention(count=self._kept), now=now)
        except AnyplugError as error:
            self._events.warning("talk_not_trimmed", topic=self._topic, problem=str(error))
        else:
            self._events.info("talk_trimmed", topic=self._topic, removed=before - span.count, first=span.first)

    def _lose(self, count: int, problem: str) -> None:
        self.lost += count
        if not self._troubled:
            self._troubled = True
            self._events.warning("talk_not_kept", topic=self._topic, problem=problem, lost=self.lost)
