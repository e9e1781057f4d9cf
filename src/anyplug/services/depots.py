"""Stores of files, as services use them: opened when they are first needed, and closed when the server ends.

What many connections want at the same time is done together: all small files that came while others were being synced
are one group for the store, and so are all transfers that were finished meanwhile. That makes a few syncs of hundreds.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from anyplug.errors import AnyplugError
from anyplug.store.folder import FolderFiles
from anyplug.store.memory_files import MemoryFiles
from anyplug.transport.heap import keep_memory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from pathlib import Path

    from anyplug.services.facilities import Facilities
    from anyplug.store.files import FileLimits, FileStore, Finish, Small, StoredFile

__all__ = ["Depot", "Group"]

Item = TypeVar("Item")
Result = TypeVar("Result")

TOGETHER: Final = 1_000
"""Files of one group, at most."""

LOOKS: Final = 8
"""How often in the life of an abandoned transfer it is looked at."""

LOOK_MOST: Final = 600.0
"""The longest time between two looks, seconds."""


class _Wait(Generic[Result]):
    """Somebody who waits for what becomes of so many items."""

    __slots__ = ("done", "many", "results")

    def __init__(self, many: int, done: asyncio.Future[None]) -> None:
        self.many = many
        self.done = done
        self.results: list[Result | Exception] = []


class Group(Generic[Item, Result]):
    """Does things together that came at the same time: while one group is under way, the next gathers.

    Args:
        work: does a group; one result, or an error, for each item.
        most: items of a group, at most.
    """

    __slots__ = ("_most", "_task", "_waiting", "_work")

    def __init__(
        self, work: Callable[[list[Item]], Awaitable[Sequence[Result | Exception]]], *, most: int = TOGETHER
    ) -> None:
        self._work = work
        self._most = most
        self._waiting: list[tuple[Item, _Wait[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, items: Sequence[Item]) -> list[Result | Exception]:
        """Have these done; what became of each."""
        if not items:
            return []
        loop = asyncio.get_running_loop()
        wait: _Wait[Result] = _Wait(len(items), loop.create_future())
        self._waiting += [(item, wait) for item in items]
        if self._task is None:
            self._task = loop.create_task(self._run())
        await wait.done
        return wait.results

    async def _run(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._do(group)
        finally:
            self._task = None

    async def _do(self, group: list[tuple[Item, _Wait[Result]]]) -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._work([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - it is raised where the items came from
            results = [error] * len(group)
        for (_, wait), result in zip(group, results, strict=True):
            wait.results.append(result)
            if len(wait.results) == wait.many and not wait.done.done():
                wait.done.set_result(None)


class Depot:
    """One store of files, and who looks after it.

    Args:
        where: its folder; None keeps files in memory.
        limits: its bounds.
        keep: seconds that a transfer rests before it is forgotten; 0 keeps it for ever.
        facilities: of the server.
    """

    def __init__(self, where: Path | None, *, limits: FileLimits, keep: float, facilities: Facilities) -> None:
        self.where = where
        self.synced = where is not None
        """Whether what it took is on a disk."""
        self._limits = limits
        self._keep = keep
        self._facilities = facilities
        self._opening: asyncio.Future[FileStore] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._expiry: asyncio.Task[None] | None = None
        self.puts: Group[Small, StoredFile] = Group(self._put)
        """Small files."""
        self.finishes: Group[Finish, StoredFile] = Group(self._finish)
        """Transfers that are to become files."""
        self.numbers: dict[str, int] = {}
        """The last number that was given, by what stands before it."""
        facilities.closers.append(self.close)

    async def store(self) -> FileStore:
        """The store; opened by the first who asks.

        Raises:
            StoreError: it cannot be opened.
        """
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except AnyplugError:
            if self._opening is opening:
                self._opening = None  # the next one tries again
            raise

    async def _open(self) -> FileStore:
        keep_memory()
        if self.where is None:
            return MemoryFiles(limits=self._limits)
        store = await FolderFiles.open(self.where, limits=self._limits)
        if self._keep:
            self._expiry = asyncio.ensure_future(self._expire(store, min(self._keep / LOOKS, LOOK_MOST)))
        return store

    async def _expire(self, store: FileStore, pause: float) -> None:
        """Forget transfers that nobody carries on."""
        while True:
            with suppress(AnyplugError):  # a store that fails says so to those who use it
                before = self._facilities.now() - int(self._keep * 1e9)
                for gone in await store.expire(before):
                    self._facilities.log.info("transfer_expired", name=gone.offer.label, received=gone.received)
            await asyncio.sleep(pause)

    async def _put(self, smalls: list[Small]) -> Sequence[StoredFile | Exception]:
        return await (await self.store()).put_many(smalls, now=self._facilities.now())

    async def _finish(self, finishes: list[Finish]) -> Sequence[StoredFile | Exception]:
        return await (await self.store()).finish_many(finishes, now=self._facilities.now())

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for, but the end."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End; the store is closed. Whoever asks for it then opens it again."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        opening, self._opening = self._opening, None
        self.numbers.clear()
        if opening is not None:
            with suppress(AnyplugError):
                await (await opening).close()
