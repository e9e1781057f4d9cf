"""A store in memory: the same contract, but what it holds ends with the process. For what may be lost."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING
from uuid import uuid4

from anyplug.errors import BeyondEnd, Changed, StoreError
from anyplug.store.base import (
    READ_BYTES,
    READ_MANY,
    Batch,
    Cursor,
    Message,
    MessageLog,
    Receipt,
    Shelf,
    Span,
    Store,
    Value,
    check_entries,
    check_label,
    check_producer,
    check_start,
    check_token,
    check_value,
)
from anyplug.store.changes import bounded, repeated
from anyplug.store.followers import Followers
from anyplug.store.watermark import Watermark, digests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from anyplug.store.base import Entry, Producer, Retention

__all__ = ["MemoryLog", "MemoryShelf", "MemoryStore"]

_WHERE = "memory"


class _Topic:
    """One topic: its messages, and where they begin."""

    __slots__ = ("first", "messages", "number", "size")

    def __init__(self, number: int) -> None:
        self.number = number
        self.first = 1
        self.messages: deque[Message] = deque()
        self.size = 0

    @property
    def span(self) -> Span:
        return Span(self.first, self.first + len(self.messages) - 1)

    def drop(self) -> None:
        self.size -= len(self.messages.popleft().body)
        self.first += 1


class MemoryLog(MessageLog):
    """A message log in memory."""

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}
        self._marks: dict[bytes, Watermark] = {}
        self._cursors: dict[tuple[str, str], Cursor] = {}
        self._followers = Followers({})
        self._closed = False

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        """As `MessageLog.append`."""
        return self._append(topic, entries, producer)

    def append_soon(
        self,
        topic: str,
        entries: Sequence[Entry],
        done: Callable[[Receipt | Exception], None],
        *,
        producer: Producer | None = None,
    ) -> None:
        """As `MessageLog.append_soon`; it is done at once."""
        receipt: Receipt | Exception
        try:
            receipt = self._append(topic, entries, producer)
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits is told
            receipt = error
        done(receipt)

    def _append(self, topic: str, entries: Sequence[Entry], producer: Producer | None) -> Receipt:
        self._check(topic)
        check_entries(entries)
        kept = self._topics.get(topic) or _Topic(len(self._topics) + 1)
        before: list[int] = []
        if producer is not None:
            check_producer(producer)
            mark = self._marks.get(producer.id) or Watermark()
            hashes = digests(topic, entries)
            before = mark.admit(producer, kept.number, hashes)
            if len(before) < len(entries):
                mark.take(kept.number, kept.span.last + 1, hashes[len(before) * 8 :])
                self._marks[producer.id] = mark
        fresh = entries[len(before) :]
        start = kept.span.last + 1
        if fresh:
            self._topics[topic] = kept
            kept.messages.extend(_message(position, entry) for position, entry in enumerate(fresh, start))
            kept.size += sum(len(entry.body) for entry in fresh)
            self._followers.moved({topic: kept.span.last})
        return Receipt([*before, *range(start, start + len(fresh))], len(before))

    def _check(self, topic: str, *, reader: str = "-") -> _Topic:
        if self._closed:
            raise StoreError(_WHERE, "it is closed")
        check_label("topic", topic)
        check_label("reader", reader)
        return self._topics.get(topic) or _Topic(0)

    async def read(self, topic: str, start: int, *, limit: int = READ_MANY, most: int = READ_BYTES) -> Batch:
        """As `MessageLog.read`."""
        kept = self._check(topic)
        span = kept.span
        if check_start(start) > span.last + 1:
            raise BeyondEnd(topic, position=start, last=span.last)
        begin = max(start, span.first)
        messages: list[Message] = []
        for message in islice(kept.messages, begin - span.first, begin - span.first + limit):
            most -= len(message.body)
            if messages and most < 0:
                break
            messages.append(message)
        return Batch(messages, span, begin - start)

    async def since(self, topic: str, time: int) -> int:
        """As `MessageLog.since`."""
        kept = self._check(topic)
        return kept.first + bisect_left(kept.messages, time, key=lambda message: message.received)

    async def span(self, topic: str) -> Span:
        """As `MessageLog.span`."""
        return self._check(topic).span

    async def topics(self) -> Mapping[str, Span]:
        """As `MessageLog.topics`."""
        self._check("-")
        return {name: self._topics[name].span for name in sorted(self._topics)}

    async def wait(self, topic: str, after: int) -> int:
        """As `MessageLog.wait`."""
        check_label("topic", topic)
        return await self._followers.wait(topic, after)

    async def trim(self, topic: str, retention: Retention, *, now: int) -> Span:
        """As `MessageLog.trim`."""
        kept = self._check(topic)
        if retention.age is not None:
            oldest = await self.since(topic, now - int(retention.age * 1e9))
            while kept.first < oldest:
                kept.drop()
        while retention.count is not None and len(kept.messages) > retention.count:
            kept.drop()
        while retention.bytes is not None and kept.size > retention.bytes:
            kept.drop()
        return kept.span

    async def watermark(self, producer: bytes) -> int:
        """As `MessageLog.watermark`."""
        self._check("-")
        return self._marks[producer].last if producer in self._marks else 0

    async def cursor(self, topic: str, reader: str) -> Cursor:
        """As `MessageLog.cursor`."""
        self._check(topic, reader=reader)
        return self._cursors.get((topic, reader)) or Cursor()

    async def acknowledge(self, topic: str, reader: str, position: int) -> Cursor:
        """As `MessageLog.acknowledge`."""
        return await self._move(topic, reader, acknowledged=position, delivered=position)

    async def delivered(self, topic: str, reader: str, position: int) -> Cursor:
        """As `MessageLog.delivered`."""
        return await self._move(topic, reader, acknowledged=0, delivered=position)

    async def _move(self, topic: str, reader: str, *, acknowledged: int, delivered: int) -> Cursor:
        old = await self.cursor(topic, reader)
        if delivered > (last := self._check(topic).span.last):
            raise BeyondEnd(topic, position=delivered, last=last)
        moved = Cursor(max(old.acknowledged, acknowledged), max(old.delivered, delivered))
        self._cursors[topic, reader] = moved
        return moved

    async def close(self) -> None:
        """As `MessageLog.close`."""
        self._closed = True
        self._followers.end(StoreError(_WHERE, "it is closed"))


def _message(position: int, entry: Entry) -> Message:
    return Message(position, entry.body, entry.received, entry.content_type, entry.sender, entry.name)


class MemoryShelf(Shelf):
    """A shelf in memory.

    Args:
        history: how many changes of one key are kept.
    """

    waits = False

    def __init__(self, *, history: int = 16) -> None:
        self._values: dict[str, deque[Value]] = {}
        self._most = history
        self._version = 0
        self._followers = Followers({})
        self._closed = False

    def _head(self, key: str) -> Value | None:
        if self._closed:
            raise StoreError(_WHERE, "it is closed")
        changes = self._values.get(check_label("key", key))
        return changes[-1] if changes and not changes[-1].deleted else None

    def _write(self, value: Value, expected: int | None) -> int:
        """Make this change, whose version is still to be given."""
        key = value.key
        head = self._head(key)
        check_value(value.body, value.time, value.content_type)
        check_token(value.token)
        changes = self._values.get(key)
        if changes is None:
            changes = deque(maxlen=self._most)
        if value.token and (before := repeated(changes, value)):
            return before
        found = head.version if head else 0
        if expected is not None and expected != found:
            raise Changed(key, expected=expected, found=found)
        if value.deleted and not found:
            return 0
        self._version += 1
        previous = changes[-1].version if changes else 0
        body, kind = value.body, value.content_type
        value = Value(key, self._version, body, value.time, kind, value.deleted, previous, value.token)
        changes.append(value)
        self._values[key] = changes
        self._followers.moved({"": self._version})
        return self._version

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        time: int,
        content_type: str = "",
        expected: int | None = None,
        token: bytes = b"",
    ) -> int:
        """As `Shelf.put`."""
        return self._write(Value(key, 0, body, time, content_type, token=token), expected)

    async def delete(self, key: str, *, time: int, expected: int | None = None, token: bytes = b"") -> int:
        """As `Shelf.delete`."""
        return self._write(Value(key, 0, b"", time, deleted=True, token=token), expected)

    async def get(self, key: str) -> Value | None:
        """As `Shelf.get`."""
        return self._head(key)

    async def list(
        self, prefix: str = "", *, after: str = "", limit: int = READ_MANY, most: int = READ_BYTES
    ) -> Sequence[Value]:
        """As `Shelf.list`."""
        keys = (key for key in sorted(self._values) if key.startswith(prefix) and key > after)
        return bounded((head for key in keys if (head := self._head(key)) is not None), limit, most)

    async def history(
        self, key: str, *, before: int | None = None, limit: int = READ_MANY, most: int = READ_BYTES
    ) -> Sequence[Value]:
        """As `Shelf.history`."""
        self._head(key)
        changes = reversed(self._values.get(key, ()))
        return bounded((each for each in changes if before is None or each.version < before), limit, most)

    async def changes(
        self, after: int, *, prefix: str = "", limit: int = READ_MANY, most: int = READ_BYTES
    ) -> Sequence[Value]:
        """As `Shelf.changes`."""
        self._head("-")
        chosen = (changes for key, changes in self._values.items() if key.startswith(prefix))
        found = [value for changes in chosen for value in changes if value.version > after]
        return bounded(sorted(found, key=lambda value: value.version), limit, most)

    async def wait(self, after: int) -> int:
        """As `Shelf.wait`."""
        return await self._followers.wait("", after)

    async def version(self) -> int:
        """As `Shelf.version`."""
        self._head("-")
        return self._version

    async def close(self) -> None:
        """As `Shelf.close`."""
        self._closed = True
        self._followers.end(StoreError(_WHERE, "it is closed"))


class MemoryStore(Store):
    """A log and a shelf in memory."""

    def __init__(self, *, history: int = 16) -> None:
        self.log = MemoryLog()
        self.shelf = MemoryShelf(history=history)
        self.generation = str(uuid4())
        self._closed = False

    @property
    def state(self) -> str:
        """``open`` or ``closed``."""
        return "closed" if self._closed else "open"

    async def close(self) -> None:
        """End both."""
        self._closed = True
        await self.log.close()
        await self.shelf.close()
