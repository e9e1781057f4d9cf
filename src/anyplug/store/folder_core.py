"""What all parts of a folder of files share: its threads, its disk, its index, and whether it still goes on."""

from __future__ import annotations

import asyncio
import copy
import os
from typing import TYPE_CHECKING, Any, Final, TypeVar

from anyplug.errors import StoreError, StoreFailed, StoreFull
from anyplug.store.disk import told
from anyplug.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

    from anyplug.store.disk import Disk
    from anyplug.store.files import FileLimits
    from anyplug.store.folder_index import Index
    from anyplug.store.folder_places import Places
    from anyplug.store.sqlite_readers import Readers

__all__ = ["THREADS", "Core", "Room"]

THREADS: Final = 4
"""Threads that read, write and hash. Hashing runs beside writing; more would wait for the disk together."""

TRIES: Final = 3
"""How often what must be written is tried when there is no room."""

T = TypeVar("T")


class Room:
    """What is there, and what is promised, against the bounds. Only the loop's thread calls it.

    Args:
        limits: the bounds.
        path: the store, for what is told.
    """

    __slots__ = ("_limits", "_path", "bytes", "coming", "files", "reserved", "transfers", "written")

    def __init__(self, limits: FileLimits, path: str) -> None:
        self._limits = limits
        self._path = path
        self.files = 0
        self.bytes = 0
        """Of files."""
        self.coming = 0
        """Files on their way to the disk that are no transfers."""
        self.transfers = 0
        self.reserved = 0
        """Bytes that transfers, and files on their way to the disk, have or have announced."""
        self.written = 0
        """Bytes of these that are on the disk."""

    def take(self, size: int, *, files: int = 0, transfers: int = 0, disk: int | None = None, free: int = 0) -> None:
        """Promise room for so much more.

        Raises:
            StoreFull: a bound would be passed; or, where the `disk` has so many bytes free, too few would be left.
        """
        limits = self._limits
        if (all_bytes := self.bytes + self.reserved + size) > limits.bytes:
            raise self._full("bytes", all_bytes, limits.bytes)
        if (all_files := self.files + self.coming + self.transfers + files + transfers) > limits.files:
            raise self._full("files", all_files, limits.files)
        if self.transfers + transfers > limits.transfers:
            raise self._full("transfers", self.transfers + transfers, limits.transfers)
        if disk is not None and (left := disk - (self.reserved - self.written) - size) < free:
            raise StoreFull(self._path, f"{max(left, 0):,} bytes of the disk would be free, {free:,} are left free")
        self.reserved += size
        self.transfers += transfers
        self.coming += files

    def _full(self, what: str, found: int, most: int) -> StoreFull:
        return StoreFull(self._path, f"there would be {found:,} {what}, the limit is {most:,}")

    def drop(self, size: int, *, written: int = 0, files: int = 0, transfers: int = 0) -> None:
        """Give back what was promised."""
        self.coming -= files
        self.reserved -= size
        self.written -= written
        self.transfers -= transfers

    def change(self, *, files: int, size: int) -> None:
        """There are so many files, and bytes of them, more or less."""
        self.files += files
        self.bytes += size


class Core:
    """The shared parts of a folder that is open."""

    __slots__ = (
        "_pool",
        "_root",
        "_tasks",
        "boot",
        "closed",
        "disk",
        "free",
        "index",
        "limits",
        "over",
        "path",
        "places",
        "readers",
        "room",
        "writer",
    )

    def __init__(
        self,
        path: str,
        *,
        root: int,
        pool: Executor,
        disk: Disk,
        places: Places,
        index: Index,
        readers: Readers,
        limits: FileLimits,
        free: int,
        boot: str,
    ) -> None:
        self.path = path
        self.limits = limits
        self.disk = disk
        self.places = places
        self.index = index
        self.writer: Writer
        self.readers = readers
        self.room = Room(limits, path)
        self.free = free
        self.boot = boot
        self.over: StoreFailed | None = None
        self.closed = False
        self._root = root
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pool = pool

    def start(self) -> None:
        """Begin to write to the index."""
        self.writer = Writer(self.index)

    def check(self) -> None:
        """Refuse to go on after the end, or after a failure.

        Raises:
            StoreFailed, StoreError: which of them.
        """
        if self.over is not None:
            raise copy.copy(self.over)
        if self.closed:
            raise StoreError(self.path, "it is closed")

    async def run(self, call: Callable[..., T], *arguments: object) -> T:
        """Call in a thread. An error of the disk ends the store."""
        self.check()
        return await self.finally_run(call, *arguments)

    async def finally_run(self, call: Callable[..., T], *arguments: object) -> T:
        """As `run`, for what has to be done even after a failure: closing."""

        def work() -> T:
            with told(self.path):
                return call(*arguments)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except StoreFailed as error:
            self.fail(error)
            raise

    async def whole(self, work: Coroutine[object, object, T]) -> T:
        """Do something to its end, also when the caller is cancelled."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def handed_over(
        self, work: Coroutine[object, object, T], back: Callable[[T], Coroutine[Any, Any, None]]
    ) -> T:
        """Get something that has to be given back. Where the caller is cancelled and never gets it, `back` is done."""
        task = asyncio.ensure_future(work)

        async def give_back() -> None:
            await back(await task)

        try:
            return await self.whole(self._wait(task))
        except asyncio.CancelledError:
            given = asyncio.ensure_future(give_back())
            self._tasks.add(given)
            given.add_done_callback(self._ended)
            raise

    @staticmethod
    async def _wait(task: asyncio.Future[T]) -> T:
        return await task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # where the caller was cancelled nobody asks for it

    async def rest(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait([*self._tasks])

    async def write(self, job: Callable[[], T], *, rows: int = 1, size: int = 0, essential: bool = False) -> T:
        """Let the index do a job; return when it is durable."""
        self.check()
        try:
            return await self.writer.submit(job, messages=rows, size=size, essential=essential)
        except StoreFailed as error:
            self.fail(error)
            raise

    async def must_write(self, job: Callable[[], object], *, rows: int = 1) -> None:
        """Let the index do the second half of a job whose first half is done. Without room for that the store stops,
        and does it when it is opened again.
        """
        problem = ""
        for _ in range(TRIES):
            try:
                await self.write(job, rows=rows, essential=True)
            except StoreFull as full:
                problem = full.problem
            else:
                return
        self.fail(StoreFailed(self.path, problem))
        self.check()

    def fail(self, error: StoreFailed) -> None:
        """Nothing is acknowledged any more."""
        if self.over is None:
            self.over = StoreFailed(error.path, error.problem)

    async def close(self) -> None:
        """End the threads, then the index, then let go of the folder's descriptors."""
        self.closed = True
        await asyncio.to_thread(self._pool.shutdown)
        await asyncio.to_thread(self.readers.close)
        await self.writer.close()
        os.close(self.places.staging)
        os.close(self._root)
