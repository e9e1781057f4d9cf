"""The message log over SQLite: what each call writes and reads, in transactions of the writer and the readers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from anyplug.errors import BeyondEnd, StoreDamaged
from anyplug.store.alike import size_of
from anyplug.store.base import (
    READ_BYTES,
    READ_MANY,
    Batch,
    Cursor,
    Message,
    MessageLog,
    Receipt,
    Span,
    check_label,
    check_producer,
    check_start,
)
from anyplug.store.sqlite_rows import runs_of
from anyplug.store.sqlite_schema import POSITION_BITS, key_of, seal
from anyplug.store.watermark import HASH_SIZE, digests

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from anyplug.store.base import Entry, Producer, Retention
    from anyplug.store.followers import Followers
    from anyplug.store.sqlite_ledger import Ledger, TopicRow
    from anyplug.store.sqlite_readers import Readers
    from anyplug.store.sqlite_rows import Row
    from anyplug.store.writer import Writer

__all__ = ["SqliteLog"]

_POSITION: Final = (1 << POSITION_BITS) - 1
_SLICE: Final = 1_000
"""Messages removed in one go, so that others get their turn between."""
_FIELDS: Final = "key, received, content_type, sender, name, seal, body"


class SqliteLog(MessageLog):
    """A message log in a SQLite database."""

    def __init__(
        self,
        ledger: Ledger,
        writer: Writer,
        readers: Readers,
        followers: Followers,
        file: str,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._readers = readers
        self._followers = followers
        self._file = file
        self._close = close

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        """As `MessageLog.append`."""
        size = _check(topic, entries, producer)
        return await self._writer.submit(
            lambda: self._append(topic, entries, producer, size), messages=len(entries), size=size
        )

    def append_soon(
        self,
        topic: str,
        entries: Sequence[Entry],
        done: Callable[[Receipt | Exception], None],
        *,
        producer: Producer | None = None,
    ) -> None:
        """As `MessageLog.append_soon`."""
        try:
            size = _check(topic, entries, producer)
            append = partial(self._append, topic, entries, producer, size)
            self._writer.enter(append, done, messages=len(entries), size=size)
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits is told
            done(error)

    def _append(self, name: str, entries: Sequence[Entry], producer: Producer | None, size: int) -> Receipt:
        topic = self._ledger.topic(name)
        start = topic.last + 1
        if producer is None:
            self._add(topic, entries, size)
            return Receipt(list(range(start, start + len(entries))))
        mark, hashes = self._ledger.mark(producer.id), digests(name, entries)
        before = mark.admit(producer, topic.number, hashes)
        fresh = entries[len(before) :]
        if fresh:
            self._add(topic, fresh, sum(len(entry.body) for entry in fresh))
            mark.take(topic.number, start, hashes[len(before) * HASH_SIZE :])
            self._ledger.marked(producer.id, mark)
        return Receipt([*before, *range(start, start + len(fresh))], len(before))

    def _add(self, topic: TopicRow, entries: Sequence[Entry], size: int) -> None:
        """Put entries of so many bytes in all at the end of a topic."""
        if entries:
            runs = runs_of(entries, key_of(topic.number, topic.last + 1))
            topic.last += len(entries)
            topic.size += size
            self._ledger.moved(topic, runs, many=len(entries), size=size)

    async def read(self, topic: str, start: int, *, limit: int = READ_MANY, most: int = READ_BYTES) -> Batch:
        """As `MessageLog.read`."""
        check_label("topic", topic)
        check_start(start)
        return await self._readers.run(lambda connection: self._read(connection, topic, start, limit, most))

    def _read(self, connection: sqlite3.Connection, topic: str, start: int, limit: int, most: int) -> Batch:
        number, span, _ = self._topic(connection, topic)
        if start > span.last + 1:
            raise BeyondEnd(topic, position=start, last=span.last)
        begin = max(start, span.first)
        messages: list[Message] = []
        rows = connection.execute(
            f"SELECT {_FIELDS} FROM message WHERE key >= ? AND key <= ? ORDER BY key LIMIT ?",  # noqa: S608  a constant
            (key_of(number, begin), key_of(number, span.last), limit),
        )
        for row in rows:
            most -= len(row[6])
            if messages and most < 0:
                break
            messages.append(_message(self._file, topic, begin + len(messages), row))
        if not messages and limit > 0 and begin <= span.last:
            raise StoreDamaged(self._file, f"topic {topic!r}: message {begin} is missing")
        return Batch(messages, span, begin - start)

    def _topic(self, connection: sqlite3.Connection, topic: str) -> tuple[int, Span, int]:
        row = connection.execute("SELECT * FROM topic WHERE name = ?", (topic,)).fetchone()
        return _known(self._file, row) if row is not None else (0, Span(), 0)

    async def since(self, topic: str, time: int) -> int:
        """As `MessageLog.since`."""
        check_label("topic", topic)
        return await self._readers.run(lambda connection: self._since(connection, topic, time))

    def _since(self, connection: sqlite3.Connection, topic: str, time: int) -> int:
        number, span, _ = self._topic(connection, topic)
        low, high = span.first, span.last + 1
        while low < high:
            middle = (low + high) // 2
            row = connection.execute(
                f"SELECT {_FIELDS} FROM message WHERE key = ?",  # noqa: S608  a constant
                (key_of(number, middle),),
            ).fetchone()
            if row is None:
                raise StoreDamaged(self._file, f"topic {topic!r}: message {middle} is missing")
            if _message(self._file, topic, middle, row).received < time:
                low = middle + 1
            else:
                high = middle
        return low

    async def span(self, topic: str) -> Span:
        """As `MessageLog.span`."""
        check_label("topic", topic)
        return await self._readers.run(lambda connection: self._topic(connection, topic)[1])

    async def topics(self) -> Mapping[str, Span]:
        """As `MessageLog.topics`."""
        return await self._readers.run(self._all)

    def _all(self, connection: sqlite3.Connection) -> Mapping[str, Span]:
        return {row[1]: _known(self._file, row)[1] for row in connection.execute("SELECT * FROM topic ORDER BY name")}

    async def wait(self, topic: str, after: int) -> int:
        """As `MessageLog.wait`."""
        check_label("topic", topic)
        return await self._followers.wait(topic, after)

    async def trim(self, topic: str, retention: Retention, *, now: int) -> Span:
        """As `MessageLog.trim`."""
        check_label("topic", topic)
        first = await self._readers.run(lambda connection: self._kept(connection, topic, retention, now))
        while True:
            span = await self._writer.submit(lambda: self._drop(topic, first), messages=_SLICE, essential=True)
            if span.first >= first:
                return span

    def _kept(self, connection: sqlite3.Connection, topic: str, retention: Retention, now: int) -> int:
        number, span, size = self._topic(connection, topic)
        first = span.first
        if retention.age is not None:
            first = max(first, self._since(connection, topic, now - int(retention.age * 1e9)))
        if retention.count is not None:
            first = max(first, span.last + 1 - max(0, retention.count))
        if retention.bytes is not None and size > retention.bytes:
            gone = 0
            for key, length in connection.execute(
                "SELECT key, length(body) FROM message WHERE key >= ? AND key <= ? ORDER BY key",
                (key_of(number, span.first), key_of(number, span.last)),
            ):
                if size - gone <= retention.bytes:
                    break
                gone += length
                first = max(first, (key & _POSITION) + 1)
        return first

    def _drop(self, name: str, first: int) -> Span:
        ledger = self._ledger
        topic = ledger.topic(name)
        end = min(first, topic.last + 1, topic.first + _SLICE)
        if end > topic.first:
            ledger.flush()
            between = key_of(topic.number, topic.first), key_of(topic.number, end)
            (size,) = ledger.connection.execute(
                "SELECT sum(length(body)) FROM message WHERE key >= ? AND key < ?", between
            ).fetchone()
            ledger.connection.execute("DELETE FROM message WHERE key >= ? AND key < ?", between)
            topic.first, topic.size = end, topic.size - size
            ledger.moved(topic)
        return Span(topic.first, topic.last)

    async def watermark(self, producer: bytes) -> int:
        """As `MessageLog.watermark`."""
        return await self._writer.submit(lambda: self._ledger.mark(producer).last, essential=True)

    async def cursor(self, topic: str, reader: str) -> Cursor:
        """As `MessageLog.cursor`."""
        check_label("topic", topic)
        check_label("reader", reader)
        return await self._readers.run(lambda connection: self._cursor(connection, topic, reader))

    def _cursor(self, connection: sqlite3.Connection, topic: str, reader: str) -> Cursor:
        row = connection.execute(
            "SELECT acknowledged, delivered, seal FROM reader WHERE topic = ? AND name = ?", (topic, reader)
        ).fetchone()
        if row is None:
            return Cursor()
        if seal(b"", topic, reader, *row[:2]) != row[2]:
            raise StoreDamaged(self._file, f"the cursor of reader {reader!r} is not what was written")
        return Cursor(*row[:2])

    async def acknowledge(self, topic: str, reader: str, position: int) -> Cursor:
        """As `MessageLog.acknowledge`."""
        return await self._move(topic, reader, position, position)

    async def delivered(self, topic: str, reader: str, position: int) -> Cursor:
        """As `MessageLog.delivered`."""
        return await self._move(topic, reader, 0, position)

    async def _move(self, topic: str, reader: str, acknowledged: int, delivered: int) -> Cursor:
        check_label("topic", topic)
        check_label("reader", reader)
        return await self._writer.submit(lambda: self._moved(topic, reader, acknowledged, delivered), essential=True)

    def _moved(self, topic: str, reader: str, acknowledged: int, delivered: int) -> Cursor:
        connection = self._ledger.connection
        last = _last(self._ledger.topic(topic))
        if delivered > last:
            raise BeyondEnd(topic, position=delivered, last=last)
        old = self._cursor(connection, topic, reader)
        moved = Cursor(max(old.acknowledged, acknowledged), max(old.delivered, delivered))
        if moved != old:
            fields = (topic, reader, moved.acknowledged, moved.delivered)
            connection.execute("INSERT OR REPLACE INTO reader VALUES (?, ?, ?, ?, ?)", (*fields, seal(b"", *fields)))
        return moved

    async def close(self) -> None:
        """Close the whole store."""
        await self._close()


def _check(topic: str, entries: Sequence[Entry], producer: Producer | None) -> int:
    """Refuse what cannot be appended; returns the bytes of all bodies."""
    check_label("topic", topic)
    if producer is not None:
        check_producer(producer)
    return size_of(entries)


def _message(file: str, topic: str, position: int, row: Row) -> Message:
    key, received, content_type, sender, name, sealed, body = row
    if key & _POSITION != position:  # type: ignore[operator]
        raise StoreDamaged(file, f"topic {topic!r}: message {position} is missing")
    if seal(body, key, received, content_type, sender, name) != sealed:  # type: ignore[arg-type]
        raise StoreDamaged(file, f"topic {topic!r}: message {position} is not what was written")
    return Message(position, body, received, content_type, sender, name)  # type: ignore[arg-type]


def _known(file: str, row: Row) -> tuple[int, Span, int]:
    number, name, first, last, size, sealed = row
    if seal(b"", number, name, first, last, size) != sealed:
        raise StoreDamaged(file, f"the row of topic {name!r} is not what was written")
    return number, Span(first, last), size  # type: ignore[return-value,arg-type]


def _last(topic: TopicRow) -> int:
    return topic.last
