"""A thread that does what would block: reading a terminal, writing to a pipe that is full.

The event loop goes on meanwhile, so heartbeats are answered while a pager waits for its reader. The thread is a daemon
and uses system calls only, no locks of Python's streams: a process that is to end ends, whatever the thread waits for.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Hand"]

T = TypeVar("T")


class Hand:
    """One thread, started when it is first needed."""

    __slots__ = ("_work",)

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] | None = None

    async def do(self, work: Callable[[], T]) -> T:
        """What ``work`` returns or raises, done in the thread, after what was given to it before."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                _tell(loop, _fail, future, error)
            else:
                _tell(loop, _succeed, future, result)

        if self._work is None:
            self._work = SimpleQueue()
            threading.Thread(target=_serve, args=(self._work,), daemon=True).start()
        self._work.put(run)
        return await future


def _serve(queue: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        queue.get()()


def _tell(loop: asyncio.AbstractEventLoop, how: Callable[..., None], *args: object) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(how, *args)


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
