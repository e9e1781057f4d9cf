"""Who waits for something new: told from any thread, woken on their own loop, one call a loop however many they are."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Followers", "settle"]

_Waiter = tuple[int, "asyncio.Future[int]"]


class Followers:
    """Places (topics, or a shelf) that only grow, and who waits for them to."""

    __slots__ = ("_ends", "_lock", "_over", "_waiting")

    def __init__(self, ends: Mapping[str, int]) -> None:
        self._lock = threading.Lock()
        self._ends = dict(ends)
        self._waiting: dict[str, list[_Waiter]] = {}
        self._over: Exception | None = None

    async def wait(self, place: str, after: int) -> int:
        """Wait until the end of `place` is past `after`; return it. Raises what `end` was told."""
        with self._lock:
            if self._over is not None:
                raise copy.copy(self._over)
            if (end := self._ends.get(place, 0)) > after:
                return end
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(place, []).append((after, future))
        try:
            return await future
        finally:
            self._forget(place, future)

    def _forget(self, place: str, future: asyncio.Future[int]) -> None:
        with self._lock:
            left = [each for each in self._waiting.get(place, ()) if each[1] is not future]
            if left:
                self._waiting[place] = left
            else:
                self._waiting.pop(place, None)

    def moved(self, ends: Mapping[str, int]) -> None:
        """The ends of these places are so now, durably."""
        woken: list[tuple[asyncio.Future[int], int]] = []
        with self._lock:
            self._ends.update(ends)
            for place, end in ends.items():
                if (waiting := self._waiting.get(place)) is not None:
                    woken += [(future, end) for after, future in waiting if end > after]
                    self._waiting[place] = [each for each in waiting if end <= each[0]]
        if woken:
            settle(woken)

    def end(self, error: Exception) -> None:
        """There will be nothing more: everybody who waits, now or later, gets `error`."""
        with self._lock:
            self._over = error
            woken = [(future, copy.copy(error)) for waiting in self._waiting.values() for _, future in waiting]
            self._waiting.clear()
        settle(woken)


class Told(Protocol):
    """What `settle` tells: a future, or what looks like one to it."""

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop on which it is told."""

    def done(self) -> bool:
        """Whether it wants to know nothing any more."""

    def set_result(self, result: Any, /) -> None:
        """It came out well."""

    def set_exception(self, exception: Exception, /) -> None:
        """It did not."""


def settle(results: Iterable[tuple[Told, object]]) -> None:
    """Give futures their results or errors, from any thread, in one turn of each loop."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Told, object]]] = defaultdict(list)
    for future, result in results:
        loops[future.get_loop()].append((future, result))
    for loop, mine in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, mine)


def _settle(results: list[tuple[Told, object]]) -> None:
    for future, result in results:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
