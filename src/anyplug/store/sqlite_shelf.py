"""The shelf over SQLite: one row a change, the newest of a key is its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyplug.errors import Changed, StoreDamaged
from anyplug.store.base import READ_MANY, Shelf, Value, check_label, check_value
from anyplug.store.sqlite_schema import seal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from anyplug.store.followers import Followers
    from anyplug.store.sqlite_ledger import Ledger, Row
    from anyplug.store.sqlite_readers import Readers
    from anyplug.store.writer import Writer

__all__ = ["SqliteShelf"]

_FIELDS: Final = "key, version, body, time, content_type, deleted, seal"
_HEAD: Final = f"SELECT {_FIELDS} FROM value WHERE key = ? ORDER BY version DESC LIMIT ?"  # noqa: S608  constants
_LIST: Final = f"""SELECT {_FIELDS} FROM value AS head
    WHERE key > ? AND key >= ? AND substr(key, 1, ?) = ? AND NOT deleted
    AND version = (SELECT max(version) FROM value WHERE key = head.key)
    ORDER BY key LIMIT ?"""  # noqa: S608  constants
_CHANGES: Final = f"SELECT {_FIELDS} FROM value WHERE version > ? ORDER BY version LIMIT ?"  # noqa: S608  constants
_FORGET: Final = """DELETE FROM value WHERE key = ? AND version <=
    (SELECT version FROM value WHERE key = ? ORDER BY version DESC LIMIT 1 OFFSET ?)"""


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
        self, key: str, body: bytes, *, time: int, content_type: str = "", expected: int | None = None
    ) -> int:
        """As `Shelf.put`."""
        check_label("key", key)
        check_value(body, time, content_type)
        return await self._writer.submit(
            lambda: self._write(key, expected, body, time, content_type, deleted=False), size=len(body)
        )

    async def delete(self, key: str, *, time: int, expected: int | None = None) -> int:
        """As `Shelf.delete`."""
        check_label("key", key)
        return await self._writer.submit(
            lambda: self._write(key, expected, b"", time, "", deleted=True), essential=True
        )

    def _write(self, key: str, expected: int | None, body: bytes, time: int, kind: str, *, deleted: bool) -> int:
        connection = self._ledger.connection
        found = max((head.version for head in self._values(connection, _HEAD, (key, 1)) if not head.deleted), default=0)
        if expected is not None and expected != found:
            raise Changed(key, expected=expected, found=found)
        if deleted and not found:
            return 0
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'value'").fetchone()
        version = row[0] + 1 if row is not None else 1
        sealed = seal(body, key, version, time, kind, int(deleted))
        connection.execute(
            "INSERT INTO value VALUES (?, ?, ?, ?, ?, ?, ?)", (version, key, time, kind, deleted, sealed, body)
        )
        connection.execute(_FORGET, (key, key, self._most))
        self._ledger.version = version
        return version

    def _values(self, connection: sqlite3.Connection, query: str, fields: Row) -> list[Value]:
        return list(self._checked(connection.execute(query, fields)))

    def _checked(self, rows: Iterable[Row]) -> Iterable[Value]:
        for key, version, body, time, kind, deleted, sealed in rows:
            if seal(body, key, version, time, kind, deleted) != sealed:  # type: ignore[arg-type]
                raise StoreDamaged(self._file, f"version {version} of key {key!r} is not what was written")
            yield Value(key, version, body, time, kind, bool(deleted))  # type: ignore[arg-type]

    async def get(self, key: str) -> Value | None:
        """As `Shelf.get`."""
        head = await self.history(key, limit=1)
        return head[0] if head and not head[0].deleted else None

    async def list(self, prefix: str = "", *, after: str = "", limit: int = READ_MANY) -> Sequence[Value]:
        """As `Shelf.list`."""
        return await self._readers.run(
            lambda connection: self._values(connection, _LIST, (after, prefix, len(prefix), prefix, limit))
        )

    async def history(self, key: str, *, limit: int = READ_MANY) -> Sequence[Value]:
        """As `Shelf.history`."""
        check_label("key", key)
        return await self._readers.run(lambda connection: self._values(connection, _HEAD, (key, limit)))

    async def changes(self, after: int, *, limit: int = READ_MANY) -> Sequence[Value]:
        """As `Shelf.changes`."""
        return await self._readers.run(lambda connection: self._values(connection, _CHANGES, (after, limit)))

    async def wait(self, after: int) -> int:
        """As `Shelf.wait`."""
        return await self._followers.wait("", after)

    async def version(self) -> int:
        """As `Shelf.version`."""
        return await self._readers.run(newest)

    async def close(self) -> None:
        """Close the whole store."""
        await self._close()


def newest(connection: sqlite3.Connection) -> int:
    """The version of the newest change, or 0."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'value'").fetchone()
    return int(row[0]) if row is not None else 0
