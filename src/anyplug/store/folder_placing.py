"""How finished transfers and small files become files: many at a time, with a few syncs for all.

Who comes while a batch is under way goes with the next one. A batch takes five steps: sync the data; write rows that
say what is about to be done; give names and sync the folders; write that it is done; clear the staging area.

Each step is durable before the next begins, and nobody is told before the fourth is: what was acknowledged is on the
disk under its name, and a name that anybody sees belongs to a file that is there whole. A crash after the second step
leaves rows that say what to look for: the file of a row that has its name gets the row, the others are forgotten
(`anyplug.store.folder_opening`). From a few files on the data is synced by one call for the whole disk.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Final

from anyplug.errors import StoreError, StoreFailed
from anyplug.store.disk import WRITE, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.store.folder_core import Core
    from anyplug.store.folder_rows import Ready, Row

__all__ = ["BATCH", "Placer"]

BATCH: Final = 1_000
"""Files that get their names together: as many rows as one commit takes."""

TRIES: Final = 100
"""How often a file is given another name before the folder is said to be unusable."""


class _Order:
    """Items that somebody waits for."""

    __slots__ = ("done", "left")

    def __init__(self, left: int, done: asyncio.Future[None]) -> None:
        self.left = left
        self.done = done


class Placer:
    """Gives files their names, one batch after the other.

    Args:
        core: the folder.
    """

    __slots__ = ("_core", "_task", "_waiting", "order")

    def __init__(self, core: Core) -> None:
        self._core = core
        self._waiting: list[tuple[Ready, _Order]] = []
        self._task: asyncio.Task[None] | None = None
        self.order = asyncio.Lock()
        """Held while names are given or taken away."""

    async def place(self, items: Sequence[Ready]) -> None:
        """Make files of the items; what became of each is in it. Goes on to the end when the caller is cancelled."""
        if not items:
            return
        loop = asyncio.get_running_loop()
        order = _Order(len(items), loop.create_future())
        self._waiting += [(item, order) for item in items]
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._work())
        await asyncio.shield(order.done)

    async def end(self) -> None:
        """Wait until nothing is under way."""
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        while self._waiting:
            batch = self._take()
            items = [item for item, _ in batch]
            try:
                async with self.order:
                    await self._place(items)
            except Exception as error:  # noqa: BLE001  whatever it is, nobody may wait for ever
                for item in items:
                    item.error = item.error or error
            for item, order in batch:
                self._count(item)
                order.left -= 1
                if not order.left:
                    order.done.set_result(None)

    def _take(self) -> list[tuple[Ready, _Order]]:
        """The next batch: where the outcome of one decides about another, they go one after the other."""
        batch: list[tuple[Ready, _Order]] = []
        later: list[tuple[Ready, _Order]] = []
        seen: dict[str, list[Ready]] = {}
        for entry in self._waiting:
            item = entry[0]
            others = seen.setdefault(item.key, [])
            if len(batch) >= BATCH or (others and _decides(others, item)):
                later.append(entry)
                continue
            others.append(item)
            batch.append(entry)
        self._waiting = later
        return batch

    async def _place(self, items: Sequence[Ready]) -> None:
        core = self._core
        await core.run(self._sync, items)
        left = list(items)
        for _ in range(TRIES):
            size = sum(len(item.digests) for item in left)
            await core.write(partial(core.index.place, left), rows=len(left), size=size)
            await core.run(self._give, left)
            await core.must_write(partial(core.index.settle, left), rows=len(left))
            left = [item for item in left if item.again and item.error is None]
            if not left:
                break
        for item in left:
            item.error = StoreError(core.path, f"no name is free for {item.wanted!r}; look into the folder")
        await core.run(self._clear, items)

    def _sync(self, items: Sequence[Ready]) -> None:
        staging = self._core.places.staging
        self._core.disk.sync_many([partial(os.open, item.staged, WRITE, dir_fd=staging) for item in items])

    def _give(self, items: Sequence[Ready]) -> None:
        for item in items:
            if item.same is None:
                continue
            try:
                with told(self._core.path):
                    if not self._core.places.has(item.same):
                        item.same, item.fresh, item.again = None, True, True
            except StoreFailed:
                raise
            except StoreError as error:
                item.error = error
        self._core.places.give([item for item in items if item.same is None and not item.again])

    def _clear(self, items: Sequence[Ready]) -> None:
        for item in items:
            if item.error is None:
                self._core.places.drop(item.staged, journal=bool(item.row.transfer))

    def _count(self, item: Ready) -> None:
        if item.error is None and item.same is None:
            old: Row | None = item.replaced
            self._core.room.change(files=old is None, size=item.row.size - (old.size if old is not None else 0))


def _decides(others: Sequence[Ready], item: Ready) -> bool:
    """Whether what becomes of the others, which want the same name, decides about this one."""
    return item.replace or any(other.replace or other.row.digest == item.row.digest for other in others)
