"""How the blocking shelf asks: over one connection, and over another when that breaks."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any

from anyplug.errors import AnyplugError, ConnectionClosed
from anyplug.schemas import shelving

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from anyplug.blocking.connection import Connection
    from anyplug.schemas.shelf import Answer, Request
    from anyplug.schemas.shelving import Course

    T = TypeVar("T")

__all__ = ["Asker"]


class Asker:
    """A connection that is made anew where it breaks. Threads may share it.

    Args:
        connect: makes a connection; the first one at once.
        timeout: seconds for each question.
    """

    __slots__ = ("_connect", "_lock", "_peer", "_timeout", "closed")

    def __init__(self, connect: Callable[[], Connection[Any]], timeout: float) -> None:
        self._connect = connect
        self._timeout = timeout
        self._lock = threading.Lock()
        self.closed = False
        """Nothing more is asked."""
        self._peer: Connection[Any] | None = connect()

    def run(self, course: Course[T]) -> T:
        """Ask all questions of a course."""
        answer: Any = None
        try:
            while True:
                answer = self.ask(course.send(answer))
        except StopIteration as end:
            result: T = end.value
            return result

    def ask(self, question: Request, wait: float = 0.0) -> Answer:
        """Ask, and where the connection breaks ask again, as long as there is time: the timeout, and so long beside."""
        over = time.monotonic() + self._timeout + wait
        attempt = 0
        while True:
            peer = self._peer
            try:
                if peer is None:
                    peer = self._again()
                return peer.ask(question, max(over - time.monotonic(), 0))  # type: ignore[no-any-return]
            except AnyplugError as error:
                pause = shelving.BACKOFF.delay(attempt, random.random())  # noqa: S311 - no secret
                if self.closed or not shelving.transient(error) or time.monotonic() + pause > over:
                    raise
                self._drop(peer)
            time.sleep(pause)
            attempt += 1

    def _again(self) -> Connection[Any]:
        """Connect again, unless another thread has."""
        with self._lock:
            if self.closed:
                raise ConnectionClosed(text="the shelf was closed on this side")
            if self._peer is None:
                self._peer = self._connect()
            return self._peer

    def _drop(self, peer: Connection[Any] | None) -> None:
        """This connection is of no use any more."""
        with self._lock:
            if peer is not None and self._peer is peer:
                self._peer = None
                peer.abort()

    def close(self) -> None:
        """End the conversation in order; never raises. Waits for another thread that connects again just now."""
        self.closed = True
        with self._lock:
            peer, self._peer = self._peer, None
        if peer is not None:
            peer.close()
