"""The one connection that writes, and what its thread knows: where topics end, how far producers are.

Appends of a batch gather here and go to the database together (`anyplug.store.sqlite_rows`). What is known is what was
committed, or is in the batch at hand; where a batch is forgotten, all is read anew.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from anyplug.errors import StoreDamaged, StoreFailed, StoreFull
from anyplug.store.heads import Heads
from anyplug.store.sqlite_faults import meaning, told
from anyplug.store.sqlite_rows import insert, insert_runs
from anyplug.store.sqlite_schema import seal
from anyplug.store.watermark import Watermark
from anyplug.store.writer import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyplug.store.base import Value
    from anyplug.store.followers import Followers
    from anyplug.store.sqlite_files import Files
    from anyplug.store.sqlite_readers import Readers
    from anyplug.store.sqlite_rows import Row, Run

__all__ = ["Ledger", "TopicRow"]

CHECKPOINT_PAGES: Final = 1_000
"""About so many pages of the write-ahead log are written back at a time."""

RESTART_PAGES: Final = 8 * CHECKPOINT_PAGES
"""From here on the writer waits for readers (5 s at most), so that the log can begin anew and does not grow."""

KNOWN: Final = 10_000
"""Producers and topics whose rows are remembered, each; then all are forgotten and read again as needed."""


class TopicRow:
    """A topic as the writer knows it."""

    __slots__ = ("first", "last", "name", "number", "size")

    def __init__(self, number: int, name: str, first: int, last: int, size: int) -> None:
        self.number = number
        self.name = name
        self.first = first
        self.last = last
        self.size = size

    def row(self) -> Row:
        """As it is stored."""
        fields = (self.number, self.name, self.first, self.last, self.size)
        return (*fields, seal(b"", *fields))


class Ledger(Target):
    """What the writer's thread writes to."""

    def __init__(
        self, connection: sqlite3.Connection, files: Files, readers: Readers, *, topics: Followers, shelf: Followers
    ) -> None:
        self.connection = connection
        self.path = str(files.folder)
        self._files = files
        self._readers = readers
        self._file = str(files.database)
        self._followers = topics, shelf
        self._topics: dict[str, TopicRow] = {}
        self._marks: dict[bytes, Watermark] = {}
        self._numbers = 0
        self._pages = 0
        self.heads = Heads()
        """The newest values of the shelf."""
        self._start()

    def _start(self) -> None:
        """Nothing is in the batch."""
        self._runs: list[Run] = []
        self._bytes = 0
        self._moved: dict[str, TopicRow] = {}
        self._marked: dict[bytes, Watermark] = {}
        self.values: dict[str, Value] = {}
        """What the batch has changed in the shelf: the newest change of each key."""

    # For the jobs of a batch.

    def topic(self, name: str) -> TopicRow:
        """A topic; one that is new is not kept until it `moved`."""
        known = self._topics.get(name)
        if known is not None:
            return known
        row = self.connection.execute("SELECT * FROM topic WHERE name = ?", (name,)).fetchone()
        if row is None:
            return TopicRow(self._next_number(), name, 1, 0, 0)
        number, name, first, last, size, sealed = row
        if seal(b"", number, name, first, last, size) != sealed:
            raise StoreDamaged(self._file, f"the row of topic {name!r} is not what was written")
        known = TopicRow(number, name, first, last, size)
        self._topics[name] = known
        return known

    def _next_number(self) -> int:
        if not self._numbers:
            (self._numbers,) = self.connection.execute("SELECT coalesce(max(id), 0) FROM topic").fetchone()
        return self._numbers + 1

    def moved(self, topic: TopicRow, runs: Sequence[Run] = (), *, many: int = 0, size: int = 0) -> None:
        """The topic has changed, and these messages belong to the batch, so many, of `size` bytes in all."""
        self._numbers = max(self._numbers, topic.number)
        self._topics[topic.name] = self._moved[topic.name] = topic
        self._runs += runs
        self._bytes += size + 64 * many

    def mark(self, producer: bytes) -> Watermark:
        """What is known of a producer; a new one is not kept until it is `marked`."""
        known = self._marks.get(producer)
        if known is not None:
            return known
        row = self.connection.execute("SELECT mark, seal FROM producer WHERE id = ?", (producer,)).fetchone()
        if row is None:
            return Watermark()
        if seal(row[0], producer.hex()) != row[1]:
            raise StoreDamaged(self._file, f"the row of producer {producer.hex()} is not what was written")
        known = self._marks[producer] = msgspec.msgpack.decode(row[0], type=Watermark)
        return known

    def marked(self, producer: bytes, mark: Watermark) -> None:
        """The producer's watermark has moved."""
        self._marks[producer] = self._marked[producer] = mark

    def flush(self) -> None:
        """Write what the batch has gathered to the database, for a job that looks at it there."""
        insert_runs(self.connection, self._runs)
        topics = [topic.row() for topic in self._moved.values()]
        insert(self.connection, "INSERT OR REPLACE INTO topic VALUES", topics)
        marks = [(each, msgspec.msgpack.encode(mark)) for each, mark in self._marked.items()]
        sealed = [(each, mark, seal(mark, each.hex())) for each, mark in marks]
        insert(self.connection, "INSERT OR REPLACE INTO producer VALUES", sealed)
        self._pages += len(topics) + len(marks) // 2 + self._bytes // 3_000
        self._runs = []
        self._bytes = 0
        self._marked = {}

    # For the writer.

    def begin(self) -> StoreFull | None:
        """Begin a transaction."""
        with told(self._file):
            self.connection.execute("BEGIN IMMEDIATE")
        return self._files.short()

    def run(self, apply: Callable[[], object]) -> object:
        """Let a job work; an error of the database under it is one of the batch."""
        try:
            return apply()
        except sqlite3.Error as error:
            told_as = meaning(error, self._file)
            raise told_as if isinstance(told_as, StoreFull) else StoreFailed(self.path, str(told_as)) from error

    def commit(self) -> None:
        """Commit, which syncs; then tell who follows."""
        if self.values:
            self.heads.committing(self.values)
        with told(self._file):
            self.flush()
            self.connection.execute("COMMIT")
        self._pages += 4
        topics, shelf = self._followers
        topics.moved({name: topic.last for name, topic in self._moved.items()})
        if self.values:
            self.heads.committed(self.values.values())
            shelf.moved({"": max(value.version for value in self.values.values())})
        self._start()

    def rollback(self) -> None:
        """Forget the batch, and what was known."""
        with told(self._file):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        self.heads.abandoned()
        self._start()
        self._forget()

    def _forget(self) -> None:
        self._topics.clear()
        self._marks.clear()
        self._numbers = 0

    def make_room(self) -> bool:
        """Give up the reserve file."""
        return self._files.drop_reserve()

    def tidy(self) -> None:
        """Write the log back when it has grown; forget what is known when it is much."""
        if len(self._topics) > KNOWN or len(self._marks) > KNOWN:
            self._forget()
        if self._pages >= CHECKPOINT_PAGES:
            self._checkpoint("RESTART" if self._pages >= RESTART_PAGES else "PASSIVE")
            self._files.keep_reserve()

    def _checkpoint(self, kind: str) -> None:
        try:
            with told(self._file):
                _, pages, done = self.connection.execute(f"PRAGMA wal_checkpoint({kind})").fetchone()
        except StoreFull:
            pages, done = CHECKPOINT_PAGES // 2, 0
        self._pages = pages - done

    def failed(self, error: StoreFailed) -> None:
        """Leave the files as they are, for the next start to look at.

        The last connection to a database writes its log back and removes it, and does not look at what it reads there.
        The readers are still open, and cannot write: so nobody does.
        """
        with suppress(sqlite3.Error):
            self.connection.close()
        for followers in self._followers:
            followers.end(error)

    def close(self) -> None:
        """Write the log back, where there is room for that, and close."""
        with told(self._file):
            with suppress(StoreFull), told(self._file):
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._readers.close()
            self.connection.close()
        self.heads.close()
