"""Reading an inbox: one answer to each question, and no state between them but the cursors in the store.

A reader that waits asks again and again; each question waits for a message for a while. So nothing has to be torn down
when it goes away, and what it is given is bounded by what it asks for.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from anyplug.codec import make_codec
from anyplug.errors import Code, Refused
from anyplug.schemas.inbox import (
    WAIT_MAX,
    Acknowledge,
    Acknowledged,
    Answer,
    Facts,
    Found,
    List,
    Message,
    Read,
    Request,
    Topic,
    Topics,
)
from anyplug.schemas.speech import Speech
from anyplug.services.topics import label_of
from anyplug.store.base import READ_BYTES, READ_MANY

if TYPE_CHECKING:
    from anyplug.codec import Codec
    from anyplug.services.facilities import Facilities
    from anyplug.services.inbox import InboxOptions
    from anyplug.services.visits import Guest
    from anyplug.store import Batch, MessageLog, Retention

__all__ = ["ENVELOPE", "Place", "Reading", "largest_body"]

ENVELOPE: Final = 1024
"""What a message takes in an answer beside its body, bytes at most: position, time, content type, sender and name, with
the names of the fields."""


def largest_body(limit: int, wanted: int = 0) -> int:
    """The largest body that fits an answer of ``limit`` bytes, also as base64; at most ``wanted``, if that is not 0."""
    most = max(0, limit - 2 * ENVELOPE) // 4 * 3
    return min(most, wanted) if wanted else most


class Place(NamedTuple):
    """What a connection is about."""

    topic: str
    """The topic, as clients name it."""
    space: str
    """What stands before the topic in the store."""
    label: str
    """The topic in the store."""
    options: InboxOptions
    facilities: Facilities

    @property
    def log(self) -> MessageLog:
        """The store's log; raises as `Facilities.durable`."""
        return self.facilities.durable.log


class Reading:
    """The answers to one connection.

    Args:
        guest: who asks.
        place: about what.
        retention: what is kept of a topic.
        most: the largest body that is kept, bytes.
    """

    __slots__ = ("_codec", "_hurried", "_limit", "_most", "_place", "_retention", "_speech", "_waiting")

    def __init__(self, guest: Guest, place: Place, retention: Retention, most: int) -> None:
        self._place = place
        self._retention = retention
        self._most = most
        self._limit = guest.message
        self._speech, self._codec = _spoken(guest.codec.name)
        self._waiting: set[asyncio.Task[int]] = set()
        self._hurried = False

    async def answer(self, body: bytes) -> bytes:
        """The answer to a question.

        Raises:
            DecodeError: it is none.
            Refused: it cannot be answered so.
            BeyondEnd: a position that does not exist yet.
            StoreError: the store has stopped.
        """
        request = self._speech.heard(self._codec.decode(body))
        if isinstance(request, Read):
            return await self._read(request)
        if isinstance(request, Acknowledge):
            return self._encoded(await self._acknowledge(request))
        return self._encoded(await (self._topics(request) if isinstance(request, List) else self._facts()))

    def hurry(self) -> None:
        """Nobody should wait for a message any more."""
        self._hurried = True
        for waiter in self._waiting:
            waiter.cancel()

    def _encoded(self, answer: Answer) -> bytes:
        return self._codec.encode(self._speech.said(answer))

    # Messages.

    async def _read(self, request: Read) -> bytes:
        reader = label_of(request.reader, "the name of a reader") if request.reader else ""
        log, label = self._place.log, self._place.label
        cursor = await log.cursor(label, reader) if reader else None
        start = await self._start(request, cursor.acknowledged if cursor is not None else 0)
        batch = await self._batch(request, start)
        if not batch.messages and request.wait and not self._hurried:
            await self._arrival(start - 1, min(WAIT_MAX, request.wait))
            batch = await self._batch(request, start)
        body = self._encoded(_found(batch, start, cursor.delivered if cursor is not None else 0))
        if len(body) > self._limit:
            size, position = len(batch.messages[0].body), batch.messages[0].position
            problem = f"message {position} has {size:,} bytes, more than fits a message that you take"
            raise Refused(Code.TOO_LARGE, f"{problem}; take larger ones, or read on from {position + 1}")
        if reader and batch.messages:
            await log.delivered(label, reader, batch.messages[-1].position)
        return body

    async def _start(self, request: Read, acknowledged: int) -> int:
        """The position to read from."""
        if sum(each is not None for each in (request.start, request.last, request.since)) > 1:
            raise Refused(Code.BAD_MESSAGE, "a read begins at one place: start, last or since")
        log, label = self._place.log, self._place.label
        if request.start is not None:
            return request.start
        if request.since is not None:
            return await log.since(label, request.since)
        if request.last is not None:
            span = await log.span(label)
            return max(span.first, span.last + 1 - request.last)
        return acknowledged + 1

    async def _batch(self, request: Read, start: int) -> Batch:
        room = max(0, self._limit - ENVELOPE) // 2
        limit = max(1, min(request.limit, READ_MANY, room // ENVELOPE))
        most = min(request.most, READ_BYTES, room // 4 * 3)
        return await self._place.log.read(self._place.label, start, limit=limit, most=most)

    async def _arrival(self, after: int, seconds: float) -> None:
        """Wait until there is a message past this position, or the time is over, or somebody is in a hurry."""
        waiter = asyncio.get_running_loop().create_task(_past(self._place.log, self._place.label, after))
        self._waiting.add(waiter)
        try:
            await asyncio.wait({waiter}, timeout=seconds)
            if waiter.done() and not waiter.cancelled():
                waiter.result()
        finally:
            self._waiting.discard(waiter)
            waiter.cancel()

    async def _acknowledge(self, request: Acknowledge) -> Acknowledged:
        reader = label_of(request.reader, "the name of a reader")
        cursor = await self._place.log.acknowledge(self._place.label, reader, request.position)
        return Acknowledged(position=cursor.acknowledged)

    # The inbox itself.

    async def _topics(self, request: List) -> Topics:
        before = f"{self._place.space}/"
        limit = min(request.limit, READ_MANY, max(1, self._limit // ENVELOPE))
        spans = await self._place.log.topics()
        known = {label.removeprefix(before): span for label, span in spans.items() if label.startswith(before)}
        names = sorted(name for name in known if name > request.after)
        topics = [Topic(name=name, first=known[name].first, last=known[name].last) for name in names[:limit]]
        return Topics(topics=topics, more=len(names) > limit)

    async def _facts(self) -> Facts:
        place, kept = self._place, self._retention
        span = await place.log.span(place.label)
        return Facts(
            topic=place.topic,
            first=span.first,
            last=span.last,
            message=self._most,
            keep_age=kept.age or 0.0,
            keep_count=kept.count or 0,
            keep_bytes=kept.bytes or 0,
            generation=place.facilities.durable.generation,
        )


@cache
def _spoken(codec: str) -> tuple[Speech[Request], Codec[Any]]:
    """How questions travel in a codec; the same for all connections, as it takes a while to make."""
    speech: Speech[Request] = Speech(codec, Request)
    return speech, make_codec(codec, speech.type)


async def _past(log: MessageLog, topic: str, after: int) -> int:
    return await log.wait(topic, after)


def _found(batch: Batch, start: int, delivered: int) -> Found:
    messages = [
        Message(
            position=each.position,
            received=each.received,
            body=each.body,
            content_type=each.content_type,
            sender=each.sender,
            name=each.name,
            redelivered=each.position <= delivered,
        )
        for each in batch.messages
    ]
    behind = start + batch.missed + len(messages)
    return Found(messages=messages, first=batch.span.first, last=batch.span.last, next=behind, missed=batch.missed)
