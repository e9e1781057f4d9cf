"""The outbox for threads and scripts: the async one, in a thread of its own.

Delivering goes on in the background whatever the program does meanwhile, so there has to be a thread in any case; it
runs the loop of an async outbox, and every call here hands its work over and waits for what comes of it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from anyplug import outbox as durable
from anyplug.errors import LocalError
from anyplug.outbox.faults import OutboxError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from anyplug.address import Address
    from anyplug.outbox import Refusal, Status

__all__ = ["Outbox"]

T = TypeVar("T")


class Outbox:
    """A durable queue of messages on this machine, for servers that keep them.

    ``with Outbox("outbox.db") as outbox: outbox.post("plug://127.0.0.1/inbox/log", "hello")``

    Methods, arguments and errors are those of `anyplug.Outbox`. Any number of threads may use it; a process that forks
    opens its own in the child, and another file.
    """

    def __init__(self, path: str | Path, **options: Any) -> None:
        """Nothing is opened before ``with``, or `open`. The arguments are those of `anyplug.Outbox`."""
        self._outbox = durable.Outbox(path, **options)
        self._path = str(path)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()

    def open(self) -> Self:
        """Open the file and begin to deliver what waits. Raises as `anyplug.Outbox.open`."""
        with self._lock:
            if self._loop is not None:
                raise OutboxError(self._path, "it was opened before; make another one")
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run, args=(self._loop,), name="anyplug-outbox", daemon=True)
            self._thread.start()
        try:
            self._do(self._outbox.open())
        except BaseException:
            self._end()
            raise
        return self

    def close(self) -> None:
        """Stop delivering and close the file. What waits stays for the next time. Closing twice is no mistake."""
        if self._thread is not None and self._pid == os.getpid():
            self._do(self._outbox.close())
            self._end()

    def __enter__(self) -> Self:
        """Open it."""
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it. What waits stays for the next time."""
        self.close()

    def __del__(self) -> None:
        """Warn of one that was forgotten open, and let its thread go."""
        if getattr(self, "_thread", None) is not None and self._pid == os.getpid():
            warnings.warn(f"unclosed {self!r}; close it, or use it in a with block", ResourceWarning, stacklevel=2)
            loop, closing = self._loop, self._outbox.close()
            assert loop is not None  # noqa: S101 - for the type checker: it came with the thread
            asyncio.run_coroutine_threadsafe(closing, loop).add_done_callback(lambda _: loop.stop())

    # What it can do.

    def post(self, address: str | Address, message: Any, *, codec: str | None = None) -> int:
        """Put a message in; its number, once it is on this machine's disk, synced. See `anyplug.Outbox.post`."""
        return self._do(self._outbox.post(address, message, codec=codec))

    def post_many(self, address: str | Address, messages: Sequence[Any], *, codec: str | None = None) -> list[int]:
        """Put several messages for one target in, all or none; their numbers."""
        return self._do(self._outbox.post_many(address, messages, codec=codec))

    def drained(self, timeout: float | None = None, *, address: str | Address | None = None) -> None:
        """Wait until nothing waits any more. See `anyplug.Outbox.drained`."""
        self._do(self._outbox.drained(timeout, address=address))

    def deliver(self, timeout: float | None = None, *, address: str | Address | None = None) -> None:
        """Deliver now, until nothing waits any more: for one that was made with ``deliver=False``."""
        self._do(self._outbox.deliver(timeout, address=address))

    def status(self) -> list[Status]:
        """How each target stands."""
        return self._do(self._status())

    async def _status(self) -> list[Status]:
        return self._outbox.status()

    def refusals(self, after: int = 0, **options: int) -> list[Refusal]:
        """Messages that servers refused for good. See `anyplug.Outbox.refusals`."""
        return self._do(self._outbox.refusals(after, **options))

    def retry(self, number: int) -> int:
        """Deliver a refused message after all; its new number."""
        return self._do(self._outbox.retry(number))

    def forget(self, number: int) -> None:
        """Throw a refused message away."""
        self._do(self._outbox.forget(number))

    def resume(self, address: str | Address, *, anew: bool = False) -> None:
        """Try a target again at once that has stopped, or waits. See `anyplug.Outbox.resume`."""
        self._do(self._outbox.resume(address, anew=anew))

    def __repr__(self) -> str:
        """For logs: which, and how it stands."""
        return f"<anyplug.blocking.Outbox {self._path}, {'open' if self._thread is not None else 'closed'}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be copied or pickled."""
        raise LocalError(f"an outbox cannot be copied or pickled; open {self._path} where it is used")

    # Inside.

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the thread do it, and wait. An interrupt ends the wait and the work, where it can be ended."""
        loop = self._loop
        if self._thread is None or loop is None or self._pid != os.getpid():
            work.close()
            problem = "it is not open; use it in a with block" if loop is None else "it is closed"
            if self._pid != os.getpid():
                problem = "it was opened before a fork, in another process; open another file here"
            raise OutboxError(self._path, problem)
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _end(self) -> None:
        loop, thread = self._loop, self._thread
        self._thread = None
        assert loop is not None  # noqa: S101 - for the type checker: it came with the thread
        assert thread is not None  # noqa: S101 - as above
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
