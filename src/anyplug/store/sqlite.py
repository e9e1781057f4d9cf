"""A store in one folder, kept by SQLite: the log and the shelf share one database, one writer and one commit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from anyplug.errors import StoreDamaged, StoreError
from anyplug.store.base import Store
from anyplug.store.followers import Followers
from anyplug.store.sqlite_faults import told
from anyplug.store.sqlite_files import FREE, RESERVE, Files, sync_folder
from anyplug.store.sqlite_ledger import Ledger
from anyplug.store.sqlite_log import SqliteLog
from anyplug.store.sqlite_look import LOOKED_AT, look
from anyplug.store.sqlite_readers import Readers, open_connection
from anyplug.store.sqlite_schema import migrate, sound
from anyplug.store.sqlite_shelf import SqliteShelf, newest
from anyplug.store.writer import Writer

if TYPE_CHECKING:
    import sqlite3

__all__ = ["SqliteStore"]


class SqliteStore(Store):
    """A store in a folder. `open` makes one.

    One process holds it at a time. After a disk error nothing is acknowledged any more, and the folder stays locked
    until the process ends: start it again once the disk is well. A full disk refuses writes while reads go on.
    """

    def __init__(self, files: Files, connection: sqlite3.Connection, generation: str, *, history: int) -> None:
        self.generation = generation
        self._files = files
        self._closing: asyncio.Task[None] | None = None
        self._readers = Readers(files.database)
        topics = Followers(dict(connection.execute("SELECT name, last FROM topic")))
        shelf = Followers({"": newest(connection)})
        self._followers = topics, shelf
        ledger = Ledger(connection, files, self._readers, topics=topics, shelf=shelf)
        self._writer = Writer(ledger)
        shared = ledger, self._writer, self._readers
        file = str(files.database)
        self.log = SqliteLog(*shared, topics, file, self.close)
        self.shelf = SqliteShelf(*shared, shelf, file, self.close, history=history)

    @classmethod
    async def open(
        cls,
        folder: Path | str,
        *,
        history: int = 16,
        free: int = FREE,
        reserve: int = RESERVE,
        look_at: int = LOOKED_AT,
    ) -> SqliteStore:
        """Open the store in `folder`, or make one. Takes time in proportion to its size: all its structure is checked.

        Args:
            folder: where it is.
            history: how many changes of one key of the shelf are kept.
            free: how many bytes of the disk are left free; below, writes are refused.
            reserve: bytes that are held back so that deleting goes on when the disk is full all the same.
            look_at: how many of the newest messages and values are looked at; each is, when it is read.

        Raises:
            StoreBusy: another process holds it.
            StoreDamaged: a file does not hold what was written.
            StoreError: it cannot be used: not a store, from a newer version, no access.
            StoreFull, StoreFailed: the disk has no room, or an error.
        """
        return await asyncio.to_thread(cls._open, Path(folder), history, free, reserve, look_at)

    @classmethod
    def _open(cls, folder: Path, history: int, free: int, reserve: int, look_at: int) -> SqliteStore:
        files = Files(folder, free=free, reserve=reserve).acquire()
        try:
            with told(str(files.database)):
                connection = open_connection(files.database, mode="rwc")
                try:
                    generation = _prepare(connection, files, look_at)
                    return cls(files, connection, generation, history=history)
                except BaseException:
                    connection.close()
                    raise
        except BaseException:
            files.release()
            raise

    @property
    def state(self) -> str:
        """As `Store.state`."""
        if self._writer.over is not None:
            return "failed"
        if self._closing is not None:
            return "closed"
        return "full" if self._writer.full else "open"

    @property
    def commits(self) -> int:
        """How many batches were made durable since it was opened."""
        return self._writer.commits

    @property
    def queued(self) -> tuple[int, int]:
        """Messages and bytes that wait for their commit."""
        return self._writer.queued

    async def close(self) -> None:
        """Finish what is under way and close. After a failure the lock stays until the process ends."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._writer.close()
        await asyncio.to_thread(self._readers.close)
        for followers in self._followers:
            followers.end(StoreError(str(self._files.folder), "it is closed"))
        if self._writer.over is None:
            self._files.release()


def _prepare(connection: sqlite3.Connection, files: Files, look_at: int) -> str:
    """Check the database, set it to be durable and see that it is, bring it to the newest version."""
    file = str(files.database)
    sound(connection, file)
    for setting, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("wal_autocheckpoint", 0)):
        connection.execute(f"PRAGMA {setting} = {wanted}")
        (found,) = connection.execute(f"PRAGMA {setting}").fetchone()
        if found != wanted:
            raise StoreError(file, f"{setting} is {found}, it has to be {wanted}; is this a network disk?")
    generation = migrate(connection, file)
    connection.execute("SELECT value FROM json_each('[]')")  # appending needs it: say now where it is not there
    look(connection, file, look_at)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (pages,), (page,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    if (short := pages * page - files.database.stat().st_size) > 0:
        raise StoreDamaged(file, f"its last {short:,} bytes are missing")
    connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
    sync_folder(files.folder)
    files.keep_reserve()
    return generation
