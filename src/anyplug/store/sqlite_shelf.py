"""The shelf over SQLite: one row a change, the newest of a key is its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from anyplug.errors import Changed, StoreDamaged
from anyplug.store.base import READ_BYTES, READ_MANY, Shelf, Value, check_label, check_token, check_value
from anyplug.store.changes import bounded, repeated
from anyplug.store.sqlite_schema import seal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from anyplug.store.followers import Followers
    from anyplug.store.sqlite_ledger import Ledger
    from anyplug.store.sqlite_readers import Readers
    from anyplug.store.sqlite_rows import Row
    from anyplug.store.writer import Writer

__all__ = ["SqliteShelf"]

_FIELDS: Final = "key, version, body, time, content_type, deleted, previous, token, seal"
_HEAD: Final = f"SELECT {_FIELDS} FROM value WHERE key = ? ORDER BY version DESC LIMIT ?"  # noqa: S608  constants
_HISTORY: Final = f"SELECT {_FIELDS} FROM value WHERE key = ? AND version < ? ORDER BY version DESC LIMIT ?"  # noqa: S608  constants
_SAME: Final = f"SELECT {_FIELDS} FROM value WHERE key = ? AND token = ?"  # noqa: S608  constants
_LIST: Final = f"""SELECT {_FIELDS} FROM value AS head
    WHERE key > ? AND key >= ? AND substr(key, 1, ?) = ? AND NOT deleted
    AND version = (SELECT max(version) FROM value WHERE key = head.key)
    ORDER BY key LIMIT ?"""  # noqa: S608  constants
_CHANGES: Final = f"""SELECT {_FIELDS} FROM value WHERE version > ? AND substr(key, 1, ?) = ?
    ORDER BY version LIMIT ?"""  # noqa: S608  constants
_FORGET: Final = """DELETE FROM value WHERE key = ? AND version <=
    (SELECT version FROM value WHERE key = ? ORDER BY version DESC LIMIT 1 OFFSET ?)"""


_INSERT: Final = """INSERT INTO value (version, key, time, content_type, deleted, seal, body, previous, token)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""

_ALL: Final = (1 << 63) - 1
"""More than there can be of anything."""


class SqliteShelf(Shelf):
    """A shelf in a SQLite database."""

    def __init__(
        self,
        ledger: Ledger,
        writer: Writer,
        readers: Readers,
        followers: Followers,
        file: str,
        close: Callable[[], Awaitable[None]],
        *,
        history: int,
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._readers = readers
        self._followers = followers
        self._file = file
        self._close = close
        self._most = history

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
        check_value(body, time, content_type)
        value = Value(check_label("key", key), 0, body, time, content_type, token=token)
        check_token(token)
        return await self._writer.submit(lambda: self._write(value, expected), size=len(body))

    async def delete(self, key: str, *, time: int, expected: int | None = None, token: bytes = b"") -> int:
        """As `Shelf.delete`."""
        check_value(b"", time)
        value = Value(check_label("key", key), 0, b"", time, deleted=True, token=token)
        check_token(token)
        return await self._writer.submit(lambda: self._write(value, expected), essential=True)

    def _write(self, value: Value, expected: int | None) -> int:
        """Make this change, whose version is still to be given."""
        connection, key = self._ledger.connection, value.key
        if value.token and (before := repeated(self._values(connection, _SAME, (key, value.token)), value)):
            return before
        head = next(iter(self._values(connection, _HEAD, (key, 1))), None)
        found = head.version if head is not None and not head.deleted else 0
        if expected is not None and expected != found:
            raise Changed(key, expected=expected, found=found)
        if value.deleted and not found:
            return 0
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'value'").fetchone()
        version = row[0] + 1 if row is not None else 1
        value = replace(value, version=version, previous=head.version if head is not None else 0)
        fields = (version, key, value.time, value.content_type, value.deleted, seal_of(value))
        connection.execute(_INSERT, (*fields, value.body, value.previous, value.token))
        connection.execute(_FORGET, (key, key, self._most))
        self._ledger.values[key] = value
        return version

    def _values(self, connection: sqlite3.Connection, query: str, fields: Row, most: int = _ALL) -> list[Value]:
        return bounded(self._checked(connection.execute(query, fields)), _ALL, most)

    def _checked(self, rows: Iterable[Row]) -> Iterator[Value]:
        for key, version, body, time, kind, deleted, previous, token, sealed in rows:
            value = Value(key, version, body, time, kind, bool(deleted), previous, token)  # type: ignore[arg-type]
            if seal_of(value) != sealed:
                raise StoreDamaged(self._file, f"version {version} of key {key!r} is not what was written")
            yield value

    async def get(self, key: str) -> Value | None:
        """As `Shelf.get`."""
        heads = self._ledger.heads
        moves = heads.moves
        head = heads.get(key)
        if head is None:
            found = await self.history(key, limit=1)
            if not found:
                return None
            head = found[0]
            heads.offer(head, moves)
        return head if not head.deleted else None

    def known(self, key: str) -> Value | None:
        """As `Shelf.known`."""
        return self._ledger.heads.get(key)

    async def list(
        self, prefix: str = "", *, after: str = "", limit: int = READ_MANY, most: int = READ_BYTES
    ) -> Sequence[Value]:
        """As `Shelf.list`."""
        fields = (after, prefix, len(prefix), prefix, limit)
        return await self._readers.run(lambda connection: self._values(connection, _LIST, fields, most))

    async def history(
        self, key: str, *, before: int | None = None, limit: int = READ_MANY, most: int = READ_BYTES
    ) -> Sequence[Value]:
        """As `Shelf.history`."""
        fields = (check_label("key", key), _ALL if before is None else before, limit)
        return await self._readers.run(lambda connection: self._values(connection, _HISTORY, fields, most))

    async def changes(
        self, after: int, *, prefix: str = "", limit: int = READ_MANY, most: int = READ_BYTES
    ) -> Sequence[Value]:
        """As `Shelf.changes`."""
        fields = (after, len(prefix), prefix, limit)
        return await self._readers.run(lambda connection: self._values(connection, _CHANGES, fields, most))

    async def wait(self, after: int) -> int:
        """As `Shelf.wait`."""
        return await self._followers.wait("", after)

    async def version(self) -> int:
        """As `Shelf.version`."""
        return await self._readers.run(newest)

    async def close(self) -> None:
        """Close the whole store."""
        await self._close()


def seal_of(value: Value) -> int:
    """What the seal of a value's row has to be."""
    fields: tuple[object, ...] = (value.key, value.version, value.time, value.content_type, int(value.deleted))
    if value.previous or value.token:  # what version 1 of the tables did not have
        fields += (value.previous, repr(value.token))
    return seal(value.body, *fields)


def newest(connection: sqlite3.Connection) -> int:
    """The version of the newest change, or 0."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'value'").fetchone()
    return int(row[0]) if row is not None else 0
