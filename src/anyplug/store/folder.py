"""Files in a folder that people can open, the index of them in SQLite beside them.

::

    photos/2026/photo (2).jpg        a file under its name, whole, verified and synced
    .anyplug/                        not for peers: no safe name is hidden
        anyplug.db                   the index: which label and which digests a file has
        lock                         one process has the folder
        staging/<32 digits>          the data of a transfer, under a name that the store made
        staging/<32 digits>.journal  what of it has arrived
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from anyplug.errors import StoreDamaged
from anyplug.file_errors import NotThere
from anyplug.names import key_of, label_of, safe
from anyplug.store.chunks import chunk_count
from anyplug.store.files import LIST_MANY, FileLimits, FileStore, Usage
from anyplug.store.folder_check import check_file, unknown
from anyplug.store.folder_core import THREADS
from anyplug.store.folder_opening import open_core
from anyplug.store.folder_placing import Placer
from anyplug.store.folder_reader import FolderReader
from anyplug.store.folder_rows import PLACING, THERE, below, find, pieces, select
from anyplug.store.folder_small import put_many
from anyplug.store.folder_uploads import Uploads
from anyplug.store.sqlite_files import RESERVE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from anyplug.store.files import Finding, Finish, Lease, Offer, Reader, Small, StoredFile, Transfer
    from anyplug.store.folder_core import Core
    from anyplug.store.folder_rows import Row
    from anyplug.store.sqlite_files import Files

__all__ = ["FolderFiles"]

CHECK_MANY: Final = 16
"""Files that are checked between two looks at the index."""


class FolderFiles(FileStore):
    """A store of files in a folder. `open` makes one.

    One process holds it at a time. After a disk error nothing is acknowledged any more, and the folder stays locked
    until the process ends: start it again once the disk is well. A full disk refuses writes while reads go on.
    """

    def __init__(self, core: Core, files: Files, waiting: Sequence[Transfer]) -> None:
        self.limits = core.limits
        self._core = core
        self._files = files
        self._placer = Placer(core)
        self._uploads = Uploads(core, self._placer, waiting)
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        folder: Path | str,
        *,
        limits: FileLimits | None = None,
        reserve: int = RESERVE,
        threads: int = THREADS,
        run: str | None = None,
    ) -> FolderFiles:
        """Open the folder, or make one. What a crash left half done is brought to an end.

        Args:
            folder: where it is, on a disk that has hard links.
            limits: the bounds; those of `FileLimits` where nothing is said.
            reserve: bytes that are held back so that deleting goes on when the disk is full all the same.
            threads: how many at a time read, write and hash.
            run: the identity of this run of the system; None asks the system. Chunks that were written in another run
                are there only as far as they were synced.

        Raises:
            StoreBusy: another process holds it.
            StoreDamaged: its index does not hold what was written.
            StoreError: it cannot be used: no store of files, from a newer version, no access.
            StoreFull, StoreFailed: the disk has no room, or an error.
        """
        pool = ThreadPoolExecutor(threads, "anyplug-files")
        work = partial(open_core, Path(folder), limits or FileLimits(), pool, reserve=reserve, run=run)
        try:
            return cls(*await asyncio.get_running_loop().run_in_executor(pool, work))
        except BaseException:
            pool.shutdown(wait=False)
            raise

    @property
    def state(self) -> str:
        """As `FileStore.state`."""
        if self._core.over is not None or self._core.writer.over is not None:
            return "failed"
        return "closed" if self._closing is not None else "open"

    async def begin(self, offer: Offer, *, now: int) -> Lease:
        """As `FileStore.begin`."""
        self._core.check()
        work = self._uploads.begin(offer, now=now)
        return await self._core.handed_over(work, lambda lease: lease.abandon())

    async def resume(self, transfer: str) -> Lease:
        """As `FileStore.resume`."""
        self._core.check()
        return await self._core.handed_over(self._uploads.resume(transfer), lambda lease: lease.release())

    async def transfers(self) -> Sequence[Transfer]:
        """As `FileStore.transfers`."""
        self._core.check()
        return await self._uploads.transfers()

    async def expire(self, before: int) -> Sequence[Transfer]:
        """As `FileStore.expire`."""
        self._core.check()
        return await self._core.whole(self._uploads.expire(before))

    async def finish_many(self, finishes: Sequence[Finish], *, now: int) -> list[StoredFile | Exception]:
        """As `FileStore.finish_many`."""
        self._core.check()
        return await self._core.whole(self._uploads.finish(finishes, now=now))

    async def put_many(self, smalls: Sequence[Small], *, now: int) -> list[StoredFile | Exception]:
        """As `FileStore.put_many`."""
        self._core.check()
        return await self._core.whole(put_many(self._core, self._placer, smalls, now=now))

    async def finished(self, transfer: str) -> StoredFile | None:
        """As `FileStore.finished`."""
        rows = await self._select(f"WHERE state = {THERE} AND transfer != '' AND transfer = ?", label_of(transfer))
        return rows[0].shown() if rows else None

    async def get(self, name: str) -> StoredFile:
        """As `FileStore.get`."""
        return (await self._find(name)).shown()

    async def _select(self, rest: str, *values: object) -> list[Row]:
        self._core.check()
        path = self._core.index.path
        return await self._core.readers.run(lambda connection: select(connection, path, rest, *values))

    async def _find(self, name: str) -> Row:
        self._core.check()
        path, text, key = self._core.index.path, label_of(name), safe(name).key
        row = await self._core.readers.run(lambda connection: find(connection, path, text, key))
        if row is None:
            raise NotThere("file", name)
        return row

    async def reader(self, name: str) -> Reader:
        """As `FileStore.reader`."""
        return await self._core.handed_over(self._reader(name), lambda reader: reader.close())

    async def _reader(self, name: str) -> FolderReader:
        core = self._core
        row = await self._find(name)
        # While the name is being given another file, what has it is the one of the row, or one that is newer.
        rest = f"WHERE key = ? AND name = ? AND state IN ({PLACING}, {THERE}) ORDER BY id DESC"
        tried: set[int] = set()
        while True:
            found = await self._with_digests(rest, key_of(row.name), row.name)
            for each, digests in found:
                if (file := await core.run(core.places.open, each)) is not None:
                    return FolderReader(core, each, file, digests)
            if tried >= (ids := {each.id for each, _ in found}):
                break
            tried |= ids
        if not tried:
            raise NotThere("file", name)
        raise StoreDamaged(f"{core.path}/{row.name}", "it is gone from the folder, or somebody changed it there")

    async def _with_digests(self, rest: str, *values: object) -> list[tuple[Row, bytes]]:
        """Rows and the digests of their chunks, as they were together."""
        path = self._core.index.path

        def query(connection: sqlite3.Connection) -> list[tuple[Row, bytes]]:
            rows = select(connection, path, rest, *values)
            return [(row, pieces(connection, path, row.id, 0, chunk_count(row.size))) for row in rows]

        self._core.check()
        return await self._core.readers.run(query)

    async def list(self, folder: str = "", *, after: str = "", limit: int = LIST_MANY) -> Sequence[StoredFile]:
        """As `FileStore.list`."""
        first, end = below(safe(folder).key) if folder.strip("/") else ("", "\U0010ffff")
        rest = f"WHERE state = {THERE} AND key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?"
        return [row.shown() for row in await self._select(rest, first, end, key_of(label_of(after)), limit)]

    async def delete(self, name: str) -> StoredFile:
        """As `FileStore.delete`."""
        self._core.check()
        return await self._core.whole(self._delete(name))

    async def _delete(self, name: str) -> StoredFile:
        core = self._core
        async with self._placer.order:
            row = await self._find(name)
            await core.write(partial(core.index.going, row), essential=True)
            await core.run(partial(core.places.remove, row))
            await core.must_write(partial(core.index.remove, row.id))
            core.room.change(files=-1, size=-row.size)
        return row.shown()

    async def check(self, *, deep: bool = True) -> Sequence[Finding]:
        """As `FileStore.check`."""
        core = self._core
        found: list[Finding] = []
        after = 0
        some = f"WHERE state = {THERE} AND id > ? ORDER BY id LIMIT {CHECK_MANY}"
        while rows := await self._with_digests(some, after):
            for row, digests in rows:
                finding = await core.run(partial(check_file, core.places, row, digests, deep=deep))
                # one that was replaced or deleted while it was looked at is not to be told
                if finding is not None and await self._select(f"WHERE state = {THERE} AND id = ?", row.id):
                    found.append(finding)
            after = rows[-1][0].id
        async with self._placer.order:
            known = {row.name for row in await self._select(f"WHERE state = {THERE}")}
            found += await core.run(unknown, core.places, known)
        return found

    async def usage(self) -> Usage:
        """As `FileStore.usage`."""
        core, room = self._core, self._core.room
        free = max(0, await core.run(core.disk.room) - core.free)
        return Usage(files=room.files, bytes=room.bytes, transfers=room.transfers, reserved=room.reserved, free=free)

    async def close(self) -> None:
        """As `FileStore.close`. After a failure the lock stays until the process ends."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._core.rest()
        await self._placer.end()
        await self._uploads.close()
        await self._core.close()
        if self._core.over is None and self._core.writer.over is None:
            self._files.release()
