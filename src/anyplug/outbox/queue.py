"""The waiting messages of an outbox, on disk: opened and locked, written to in batches that share one sync."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from anyplug.errors import StoreDamaged, StoreError
from anyplug.outbox.disk import Disk, read_targets
from anyplug.outbox.faults import OutboxError, in_words
from anyplug.outbox.files import Held
from anyplug.outbox.schema import migrate, sound
from anyplug.store.sqlite_faults import told
from anyplug.store.sqlite_files import sync_folder
from anyplug.store.sqlite_readers import open_connection
from anyplug.store.writer import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from anyplug.errors import Code
    from anyplug.outbox.rows import Refusal, Target
    from anyplug.outbox.steps import Parcel

__all__ = ["Queue", "look"]

T = TypeVar("T")


class Queue:
    """The queue behind an outbox. `open` makes one. Every method may raise an `OutboxError`."""

    def __init__(self, held: Held, disk: Disk) -> None:
        self._held = held
        self._disk = disk
        self._writer = Writer(disk)

    @classmethod
    async def open(cls, path: Path, *, many: int, size: int, news: Callable[[list[str]], None]) -> Queue:
        """Open the file, or make one. Takes time in proportion to its size: its structure is checked.

        Args:
            path: where it is.
            many: how many messages it takes, waiting and refused ones together.
            size: how many bytes of bodies.
            news: called with the addresses that have new messages, after they are synced, from another thread.

        Raises:
            OutboxBusy: another process holds it.
            OutboxDamaged: it does not hold what was written.
            OutboxError: it cannot be used: no outbox, from a newer version, no access.
            OutboxFull, OutboxFailed: the disk has no room, or an error.
        """
        with in_words():
            return await asyncio.to_thread(cls._open, path, many, size, news)

    @classmethod
    def _open(cls, path: Path, many: int, size: int, news: Callable[[list[str]], None]) -> Queue:
        held = Held(path)
        held.acquire()
        try:
            with told(str(held.path)):
                connection = _connect(held.path, mode="rw")
                try:
                    _prepare(connection, held.path)
                    return cls(held, Disk(connection, held.path, many=many, size=size, news=news))
                except BaseException:
                    connection.close()
                    raise
        except BaseException:
            held.release()
            raise

    @property
    def targets(self) -> Mapping[str, Target]:
        """All targets by address, with what waits for them; as they are on disk."""
        return self._disk.targets

    @property
    def commits(self) -> int:
        """How many batches were synced since it was opened."""
        return self._writer.commits

    @property
    def over(self) -> StoreError | None:
        """Why nothing is written any more, or None."""
        return self._writer.over

    async def put(self, address: str, codec: str, bodies: Sequence[bytes]) -> list[int]:
        """Keep encoded messages; their numbers, once they are synced.

        Raises:
            OutboxFull: there is no room for all of them; none was kept.
        """
        job = partial(self._disk.put, address, codec, bodies, time.time_ns())
        # The writer raises an error that a job answers with, and the rest of the batch goes on.
        return cast("list[int]", await self._do(job, messages=len(bodies), size=sum(map(len, bodies))))

    async def load(self, address: str, after: int, *, many: int, size: int) -> list[Parcel]:
        """The next messages that wait for a target, past number `after`; `size` bytes at most, but at least one."""
        return await self._do(partial(self._disk.load, address, after, many, size))

    async def settle(self, address: str, last: int, *, many: int, sequence: int, kept: str) -> None:
        """The `many` messages up to number `last` were delivered, up to this sequence."""
        await self._do(partial(self._disk.settle, address, last, many, sequence, kept))

    async def refuse(self, address: str, number: int, code: Code, text: str) -> None:
        """A waiting message is refused for good."""
        await self._do(partial(self._disk.refuse, address, number, code, text, time.time_ns()))

    async def renumber(self, address: str, sequence: int) -> None:
        """The server knows no sequence of ours beyond this one."""
        await self._do(partial(self._disk.renumber, address, sequence))

    async def rename(self, address: str) -> None:
        """Post under a new identity from now on. Waiting messages that are damaged are put to the refused ones."""
        await self._do(partial(self._disk.rename, address, time.time_ns()))

    async def note(self, address: str, problem: str, *, stopped: int = 0) -> None:
        """Keep what went wrong, for people who look later, and the code for which nothing more is tried."""
        await self._do(partial(self._disk.note, address, problem, stopped))

    async def refusals(self, after: int, many: int) -> list[Refusal]:
        """Refused messages, past number `after`."""
        return await self._do(partial(self._disk.refusals, after, many))

    async def retry(self, number: int) -> int:
        """Put a refused message in again, behind all others; its new number, or 0 where there is none."""
        return await self._do(partial(self._disk.retry, number))

    async def forget(self, number: int) -> bool:
        """Forget a refused message; False where there is none."""
        return await self._do(partial(self._disk.forget, number))

    async def _do(self, job: Callable[[], T], *, messages: int = 1, size: int = 0) -> T:
        with in_words():
            return await self._writer.submit(job, messages=messages, size=size)

    async def close(self) -> None:
        """Finish what is under way and close. After a failure the lock stays until the process ends."""
        await self._writer.close()
        if self._writer.over is None:
            self._held.release()


def look(path: Path) -> Mapping[str, Target]:
    """What is in an outbox, read beside the process that may hold it.

    Raises:
        OutboxError: there is none, or it cannot be read.
    """
    with in_words():
        if not path.is_file():
            raise OutboxError(str(path), "there is none")
        with told(str(path)):
            connection = _connect(path, mode="ro")
            try:
                connection.execute("BEGIN")
                return read_targets(connection, str(path))
            finally:
                connection.close()


def _connect(path: Path, *, mode: str) -> sqlite3.Connection:
    """A connection to which no text is an error: where it is damaged, the seal of its row says so."""
    connection = open_connection(path, mode=mode)
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check the database, set it to be durable and see that it is, bring it to the newest version."""
    file = str(path)
    sound(connection, file)
    if not path.stat().st_size:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    for setting, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("wal_autocheckpoint", 0)):
        connection.execute(f"PRAGMA {setting} = {wanted}")
        (found,) = connection.execute(f"PRAGMA {setting}").fetchone()
        if found != wanted:
            raise StoreError(file, f"{setting} is {found}, it has to be {wanted}; is this a network disk?")
    migrate(connection, file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (pages,), (page,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    if (short := pages * page - path.stat().st_size) > 0:
        raise StoreDamaged(file, f"its last {short:,} bytes are missing")
    sync_folder(path.parent)
