"""The files of a service for threads and scripts: the async face, in a thread of its own.

Chunks are read, hashed and sent side by side whatever the caller does, so there have to be threads in any case; one of
them runs the loop of an async `anyplug.Files`, and every call here hands its work over and waits for what comes of it.

::

    with Files("plug://127.0.0.1/files") as files:
        stored = files.put("photo.jpg")
        files.get(stored.name, "copy.jpg")
        for file in files.list():
            print(file.name, file.size)
"""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from anyplug import files as concurrent
from anyplug.errors import LocalError
from anyplug.transfers.progress import silent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from anyplug.address import Address
    from anyplug.schemas.files import File
    from anyplug.transfers.progress import Report
    from anyplug.transfers.stream import Writer
    from anyplug.transfers.tree import Sent

__all__ = ["Files"]

T = TypeVar("T")

_END: Final = object()


class Files:
    """The files of one service, open from the start: ``with Files(address) as files`` closes it at the end of the
    block. Threads may share it.

    Methods, arguments and errors are those of `anyplug.Files`. A progress callback is called in the thread of the loop,
    and so should not wait.
    """

    def __init__(self, address: str | Address, **options: Any) -> None:
        """Connected when it returns. The arguments are those of `anyplug.Files`."""
        self._address = str(address)
        self._pid = os.getpid()
        self._loop = _new_loop()
        self._thread: threading.Thread | None = threading.Thread(
            target=_run, args=(self._loop,), name="anyplug-files-loop", daemon=True
        )
        self._thread.start()
        try:
            self._files = self._do(_opened(address, options))
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        """The service itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close in order."""
        self.close()

    def close(self) -> None:
        """End the conversation in order; never raises. Closing twice is no mistake."""
        if self._thread is not None and self._pid == os.getpid():
            self._do(self._files.close())
            self._end()

    def __del__(self) -> None:
        """Warn of one that was forgotten open, and let its thread go."""
        if getattr(self, "_thread", None) is not None and self._pid == os.getpid():
            warnings.warn(f"unclosed {self!r}; close it, or use it in a with block", ResourceWarning, stacklevel=2)
            loop = self._loop
            closing = self._files.close()
            asyncio.run_coroutine_threadsafe(closing, loop).add_done_callback(lambda _: loop.stop())

    # What it can do.

    def put(
        self,
        source: Path | str | bytes | bytearray | memoryview | Iterable[bytes],
        name: str = "",
        *,
        replace: bool = False,
        content_type: str = "",
        progress: Report = silent,
    ) -> File:
        """Store a file; return it once it is on the server's disk, whole and verified. See `anyplug.Files.put`.

        A stream is any iterable of pieces, a binary file that is open among them.
        """
        given: Any = source
        if not isinstance(source, Path | str | bytes | bytearray | memoryview):
            given = _pieces(source)
        options: dict[str, Any] = {"replace": replace, "content_type": content_type, "progress": progress}
        return self._do(self._files.put(given, name, **options))

    def put_tree(
        self, path: Path | str, name: str = "", *, replace: bool = False, progress: Report = silent
    ) -> Iterator[Sent]:
        """Store all files of a folder and below; gives each as it is stored. See `anyplug.Files.put_tree`."""
        return self._iterate(self._files.put_tree(path, name, replace=replace, progress=progress))

    def get(
        self,
        name: str,
        target: Path | str | Writer,
        *,
        offset: int = 0,
        length: int | None = None,
        replace: bool = False,
        progress: Report = silent,
    ) -> File:
        """Fetch a file, verified. See `anyplug.Files.get`."""
        options: dict[str, Any] = {"offset": offset, "length": length, "replace": replace, "progress": progress}
        return self._do(self._files.get(name, target, **options))

    def read(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """The content of a file, or a range of it, in memory. See `anyplug.Files.read`."""
        return self._do(self._files.read(name, offset=offset, length=length))

    def list(self, folder: str = "") -> Iterator[File]:
        """All files in a folder and below. See `anyplug.Files.list`."""
        return self._iterate(self._files.list(folder))

    def info(self, name: str) -> File:
        """What there is to know of a file. See `anyplug.Files.info`."""
        return self._do(self._files.info(name))

    def remove(self, name: str) -> File:
        """Delete a file, for good; return what it was. See `anyplug.Files.remove`."""
        return self._do(self._files.remove(name))

    def __repr__(self) -> str:
        """For logs."""
        return f"<anyplug.blocking.Files {self._address}, {'open' if self._thread is not None else 'closed'}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be copied or pickled."""
        raise LocalError(f"a files service cannot be copied or pickled; open {self._address} where it is used")

    # Inside.

    def _iterate(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        try:
            while (item := self._do(_next(items))) is not _END:
                yield item
        finally:
            if self._thread is not None:
                self._do(_closed(items))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the thread do it, and wait. An interrupt ends the wait and the work."""
        if self._thread is None or self._pid != os.getpid():
            work.close()
            problem = "it is closed" if self._thread is None else "it was opened before a fork, in another process"
            raise LocalError(f"the files of {self._address}: {problem}; open them anew")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _end(self) -> None:
        loop, thread = self._loop, self._thread
        self._thread = None
        if thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


async def _opened(address: str | Address, options: dict[str, Any]) -> concurrent.Files:
    return await concurrent.Files(address, **options)


async def _next(items: AsyncGenerator[T, None]) -> T | Any:
    return await anext(items, _END)


async def _closed(items: AsyncGenerator[Any, None]) -> None:
    await items.aclose()


async def _pieces(source: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a stream, read in a thread: it may wait."""
    loop, pieces = asyncio.get_running_loop(), iter(source)
    while piece := await loop.run_in_executor(None, next, pieces, b""):
        yield piece


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
