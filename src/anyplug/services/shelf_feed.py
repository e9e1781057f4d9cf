"""The newest changes of a shelf, for all who watch it: read from the store once, however many watchers there are.

While somebody watches, one task follows the store and keeps the last changes here. Who is further behind reads the
store itself.
"""

from __future__ import annotations

import asyncio
import copy
from bisect import bisect_right
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

from anyplug.store.changes import bounded

if TYPE_CHECKING:
    from anyplug.store import Shelf, Value

__all__ = ["RECENT_BYTES", "RECENT_MANY", "Feed"]

RECENT_MANY: Final = 1_000
"""Changes that are kept for watchers, at most."""

RECENT_BYTES: Final = 4 * 1024 * 1024
"""Bytes of bodies that are kept for watchers, at most, but at least one change."""


class Feed:
    """The changes below one prefix of a store's shelf.

    Args:
        shelf: of the store.
        prefix: what all keys begin with.
    """

    def __init__(self, shelf: Shelf, prefix: str) -> None:
        self.shelf = shelf
        self._prefix = prefix
        self._recent: deque[Value] = deque()
        self._size = 0
        self._floor = self._newest = -1
        self._watchers = 0
        self._task: asyncio.Task[None] | None = None
        self._news: asyncio.Future[None] | None = None

    def enter(self) -> None:
        """Somebody watches from now on."""
        self._watchers += 1
        if self._task is None or self._task.done():
            self._forget()
            self._news = asyncio.get_running_loop().create_future()
            self._task = asyncio.get_running_loop().create_task(self._follow())

    def leave(self) -> None:
        """One watcher less."""
        self._watchers -= 1
        if not self._watchers and self._task is not None:
            self._task.cancel()
            self._task = None
            self._forget()

    def _forget(self) -> None:
        self._floor = self._newest = -1
        self._recent.clear()
        self._size = 0

    def wake(self) -> None:
        """Let all who wait look again, whether there is something or not."""
        if self._news is not None and not self._news.done():
            self._tell()

    async def read(self, after: int, prefix: str, *, limit: int, most: int) -> tuple[list[Value], int]:
        """The changes past a version that are there, of keys with this prefix, which begins with the feed's own; and
        the version up to which all have been looked at.
        """
        if self._floor < 0 or after < self._floor:
            newest = await self.shelf.version()
            stored = list(await self.shelf.changes(after, prefix=prefix, limit=limit, most=most))
            return stored, stored[-1].version if stored else newest
        recent = self._recent
        first = bisect_right(recent, after, key=lambda value: value.version)
        chosen = (value for value in islice(recent, first, None) if value.key.startswith(prefix))
        found = bounded(chosen, limit, most)
        return found, found[-1].version if found else self._newest

    async def wait(self, after: int, seconds: float) -> bool:
        """Wait until something may have changed past a version, for so long at most; whether it may.

        Raises what the store raises when it ends.
        """
        news = self._news
        assert news is not None  # noqa: S101 - who waits has entered
        if self._newest <= after and not news.done():
            await asyncio.wait([news], timeout=seconds)
        if news.done() and (error := news.exception()) is not None:
            raise copy.copy(error)
        return self._newest > after

    async def _follow(self) -> None:
        try:
            self._floor = self._newest = await self.shelf.version()
            while True:
                self._tell()
                end = await self.shelf.wait(self._newest)
                while self._newest < end:
                    await self._fetch(end)
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits has to know
            self._forget()
            news = self._news
            assert news is not None  # noqa: S101 - `enter` has made it
            news.set_exception(error)
            news.exception()

    async def _fetch(self, end: int) -> None:
        """Take the next changes from the store, which has some up to `end`, perhaps below other prefixes."""
        found = await self.shelf.changes(self._newest, prefix=self._prefix, limit=RECENT_MANY, most=RECENT_BYTES)
        self._recent += found
        self._size += sum(len(value.body) for value in found)
        while len(self._recent) > RECENT_MANY or (self._size > RECENT_BYTES and len(self._recent) > 1):
            gone = self._recent.popleft()
            self._size -= len(gone.body)
            self._floor = gone.version
        self._newest = found[-1].version if found else end

    def _tell(self) -> None:
        """Wake who waits."""
        news, self._news = self._news, asyncio.get_running_loop().create_future()
        assert news is not None  # noqa: S101 - `enter` has made the first
        news.set_result(None)
