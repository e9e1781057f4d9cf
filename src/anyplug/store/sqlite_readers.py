"""Connections that only read, each used by one thread at a time; the event loop waits for none of them."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from queue import LifoQueue
from typing import TYPE_CHECKING, Final, TypeVar

from anyplug.errors import StoreError
from anyplug.store.sqlite_faults import told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["READERS", "WAIT_MS", "Readers", "open_connection"]

READERS: Final = 2
"""Reads at the same time. They wait for the disk, hardly ever for each other."""

WAIT_MS: Final = 5_000
"""How long a connection waits for a lock of another, milliseconds. There is hardly any: one writes."""

T = TypeVar("T")


def open_connection(path: Path, *, mode: str) -> sqlite3.Connection:
    """A connection whose transactions are ours to begin: mode ``ro``, ``rw`` or ``rwc``."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute(f"PRAGMA busy_timeout = {WAIT_MS}")
    return connection


class Readers:
    """A few connections and as many threads.

    All connections are opened, and have read, at once: later there may be a lack of descriptors.
    """

    __slots__ = ("_closed", "_connections", "_path", "_pool")

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._closed = False
        self._connections: LifoQueue[sqlite3.Connection] = LifoQueue()
        with told(self._path):
            for _ in range(READERS):
                self._connections.put(open_connection(path, mode="ro"))
                self._run(lambda connection: connection.execute("SELECT count(*) FROM sqlite_schema").fetchone())
        self._pool = ThreadPoolExecutor(READERS, "anyplug-store-read")

    async def run(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query in one read transaction, in another thread.

        Raises:
            StoreDamaged: what it read is not what was written.
            StoreFailed: it could not be read.
            StoreError: the store is closed.
        """
        if self._closed:
            raise StoreError(self._path, "it is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, query)

    def _run(self, query: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connections.get()
        try:
            with told(self._path):
                connection.execute("BEGIN")
                try:
                    return query(connection)
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
        finally:
            self._connections.put(connection)

    def close(self) -> None:
        """Wait for reads under way, then close. Closing twice is no mistake."""
        self._closed = True
        self._pool.shutdown()
        while not self._connections.empty():
            self._connections.get().close()
