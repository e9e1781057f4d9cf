"""The async face of a files service: put, get, list, remove.

::

    async with anyplug.Files("plug://127.0.0.1/files") as files:
        stored = await files.put("photo.jpg")
        await files.get(stored.name, "copy.jpg")
        async for file in files.list():
            print(file.name, file.size, file.digest.hex())
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from anyplug.address import Address
from anyplug.backoff import Backoff
from anyplug.client import CONNECT_TIMEOUT, connect
from anyplug.errors import AnyplugError, Code, ConnectionClosed, LocalError, Refused
from anyplug.file_errors import SourceChanged
from anyplug.limits import DEFAULTS
from anyplug.schemas import files as schema
from anyplug.schemas.files import File, Stored
from anyplug.transfers.carriage import Carriage, transient
from anyplug.transfers.fetching import Fetching
from anyplug.transfers.notes import Notes, notes_folder, sweep
from anyplug.transfers.part import Part
from anyplug.transfers.progress import Progress, silent
from anyplug.transfers.sending import Sending, StreamSending
from anyplug.transfers.small import small_of
from anyplug.transfers.source import FileSource, MemorySource
from anyplug.transfers.stream import StreamTarget
from anyplug.transfers.tree import Tree, put_tree
from anyplug.transfers.upload import Upload
from anyplug.transport.heap import keep_memory
from anyplug.transport.options import DEFAULT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
    from types import TracebackType
    from typing import Self

    from anyplug.limits import Limits
    from anyplug.transfers.progress import Phase, Report
    from anyplug.transfers.source import Source
    from anyplug.transfers.stream import Writer
    from anyplug.transport.options import SocketOptions

__all__ = ["PATIENCE", "Files"]

T = TypeVar("T")

PATIENCE: Final = 60.0
"""How long a call goes on without any progress while the server is not there, seconds, where nothing else is said."""

BACKOFF: Final = Backoff(first=0.1, most=2.0)
"""How long a call waits before it connects again."""

THREADS: Final = 2
"""Threads that read, hash and write beside the network."""

CHANGES: Final = 3
"""How often a file that changes while it is sent is begun anew."""

SERVICE: Final = "files"
"""The service where an address names none."""


class _Work(Protocol):
    """A file on its way."""

    @property
    def moved(self) -> int:
        """Grows while it goes on."""

    def tell(self, phase: Phase, problem: str = "") -> None:
        """Tell how it goes."""

    def over(self, carriage: Carriage) -> Awaitable[File]:
        """Do what is left, over this connection."""


class Files:
    """The files of one service. Use it as ``async with Files(address) as files``, or as
    ``files = await Files(address)`` and close it yourself. Tasks may share it: questions go side by side, the chunks of
    one file after those of another.

    A file that was put is on the server's disk, whole and verified, when the call returns. Where the connection breaks,
    or the server is started anew, a call connects again and goes on with what is missing. A program that ends in the
    middle goes on too, when it makes the same call again: what it has to know for that is in the user's folder for
    state.

    Args:
        address: the service: ``plug://127.0.0.1/files``. What follows it is a folder, which names are put below.
        timeout: seconds for each attempt to connect.
        patience: seconds that a call goes on without any progress while the server is not there.
        limits: the bounds of this side.
        token: what entitles this client.
        notes: the folder that uploads are noted in; by default the user's, None for none.
        options: of the socket.

    Raises:
        LocalError, AddressError: the arguments do not fit together.
    """

    def __init__(
        self,
        address: str | Address,
        *,
        timeout: float = CONNECT_TIMEOUT,
        patience: float = PATIENCE,
        limits: Limits = DEFAULTS,
        token: str = "",
        notes: Path | str | None = "",
        options: SocketOptions = DEFAULT_OPTIONS,
    ) -> None:
        given = address if isinstance(address, Address) else Address.parse(address)
        if not given.is_plug:
            raise LocalError(f"{given} is a plain connection, which cannot be asked; use plug:// for files")
        self.folder = given.rest.strip("/")
        """The folder that names are below."""
        self._where = msgspec.structs.replace(given, service=given.service or SERVICE, rest="")
        self._patience = patience
        self._notes = notes_folder() if notes == "" else None if notes is None else Path(notes)
        self._options: dict[str, Any] = {"timeout": timeout, "limits": limits, "token": token, "options": options}
        self._carriage: Carriage | None = None
        self._connecting = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._pool = ThreadPoolExecutor(THREADS, "anyplug-files")
        self._closed = False

    def __await__(self) -> Generator[Any, None, Self]:
        """The open service; close it when it is done. Raises as `anyplug.connect`."""
        return self._open().__await__()

    async def _open(self) -> Self:
        keep_memory()
        await self._connected()
        if self._notes is not None:
            await self.do(sweep, self._notes, time.time())
        return self

    async def __aenter__(self) -> Self:
        """The open service; it is closed at the end of the block. Raises as `anyplug.connect`."""
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close in order."""
        await self.close()

    async def close(self) -> None:
        """End the conversation in order; never raises."""
        self._closed = True
        carriage, self._carriage = self._carriage, None
        if carriage is not None:
            await carriage.close()
        self._pool.shutdown(wait=False)

    @property
    def address(self) -> Address:
        """The service."""
        return self._where

    # Sending.

    async def put(
        self,
        source: Path | str | bytes | bytearray | memoryview | AsyncIterator[bytes],
        name: str = "",
        *,
        replace: bool = False,
        content_type: str = "",
        progress: Report = silent,
    ) -> File:
        """Store a file; return it once it is on the server's disk, whole and verified.

        Args:
            source: a path, the content itself, or an iterator of pieces, whose size nobody knows before its end.
            name: what it is to be called; by default as the path. ``/`` stands between folders.
            replace: take the place of a file of that name; otherwise a name that is taken gets a number.
            content_type: what it is, for those who fetch it.
            progress: is told how it goes.

        Raises:
            SourceError: the file cannot be read, or it changed again and again.
            Refused: the server does not take it; its code says why: ``too_large``, ``store_full``, ``taken_over``...
            Broken, ConnectionClosed, ConnectError, Timeout: the server was not there for as long as patience lasts.
                The same call goes on from where it stopped.
            LocalError: there is no name for it.
        """
        given: dict[str, Any] = {"replace": replace, "content_type": content_type, "progress": progress}
        if isinstance(source, Path | str):
            path = Path(source)
            return await self.put_path(path, self._named(name or path.name), **given)
        if not name:
            raise LocalError("what is put has no name: give one")
        if isinstance(source, bytes | bytearray | memoryview):
            return await self._put_source(MemorySource(source), self._named(name), None, **given)
        upload = Upload(self._named(name), None, content_type=content_type, replace=replace)
        sending = StreamSending(upload, aiter(source), pool=self._pool, turn=self._turn, report=progress)
        return await self._carry(sending)

    async def put_path(
        self,
        path: Path,
        name: str,
        *,
        replace: bool,
        content_type: str = "",
        progress: Report = silent,
        follow: bool = True,
    ) -> File:
        """As `put` of a path, under a whole name; ``follow``: the path may be a symbolic link."""
        given: dict[str, Any] = {"replace": replace, "content_type": content_type, "progress": progress}
        for left in reversed(range(CHANGES)):
            source = await self.do(partial(FileSource, path, follow=follow))
            words = (str(self._where), name, os.fspath(source.path), str(replace))
            notes = Notes(self._notes, words, source.content) if source.size > schema.SMALL_MAX else None
            try:
                return await self._put_source(source, name, notes, **given)
            except SourceChanged:
                if not left:
                    raise
            finally:
                source.close()
                if notes is not None:
                    notes.close()
        raise AssertionError("the last attempt returns or raises")

    async def _put_source(
        self, source: Source, name: str, notes: Notes | None, *, replace: bool, content_type: str, progress: Report
    ) -> File:
        if source.size <= schema.SMALL_MAX:
            small = await self.do(small_of, source, name, replace, content_type)
            return await self._put_small(small, progress)
        upload = Upload(name, source.size, modified=source.modified, content_type=content_type, replace=replace)
        sending = Sending(upload, source, notes, pool=self._pool, turn=self._turn, report=progress)
        for left in reversed(range(CHANGES)):
            try:
                return await self._carry(sending)
            except Refused as error:
                if error.code is not Code.INTEGRITY or not left:
                    raise
                sending.anew(f"the server says: {error.text}")
        raise AssertionError("the last attempt returns or raises")

    async def _put_small(self, small: schema.Small, progress: Report) -> File:
        size = len(small.data)
        progress(Progress(name=small.name, phase="sending", size=size))
        (result,) = (await self.ask(schema.Puts, schema.Put(files=[small]))).results
        if isinstance(result, schema.Failure):
            raise result.error
        progress(Progress(name=small.name, phase="done", done=size, size=size))
        return result

    def put_tree(self, path: Path | str, name: str = "", *, replace: bool = False, progress: Report = silent) -> Tree:
        """Store all files of a folder and below, each under its path: ``async for each in files.put_tree("photos")``.

        Gives each file as it is stored, and what was left out or refused, with why: symbolic links and what is no
        ordinary file are left out. Small files travel together, and wait for nobody.

        Args:
            path: the folder.
            name: the folder on the server; by default the name of the folder here.
            replace: as for `put`.
            progress: is told of each file.
        """
        root = Path(path)
        return put_tree(self, root, self._named(name or root.resolve().name), replace=replace, progress=progress)

    # Fetching.

    async def get(
        self,
        name: str,
        target: Path | str | Writer,
        *,
        offset: int = 0,
        length: int | None = None,
        replace: bool = False,
        progress: Report = silent,
    ) -> File:
        """Fetch a file, verified.

        Args:
            name: what it is called.
            target: a path: a part file beside it becomes it when all is there, and is gone on with by the next call; or
                what takes bytes in order, which is called in threads, and is not closed.
            offset: the first byte that is wanted; for streams alone.
            length: how many; all behind where nothing is said.
            replace: whether a file that is at the path is replaced.
            progress: is told how it goes.

        Returns:
            What was fetched.

        Raises:
            Refused: ``not_found``: there is none of that name; ``failed``: it is damaged on the server.
            SourceError: the target cannot be written, or is there already.
            Mismatch: what came is not what was stored. Nothing of it was written.
            LocalError: the file has no such range.
            Broken, ConnectionClosed, ConnectError, Timeout: as `put`.
        """
        full = self._named(name)
        if isinstance(target, Path | str):
            path = Path(target)
            if offset or length is not None:
                raise LocalError("a range goes to a stream, not to a path")
            make: Callable[[Any], Any] = lambda download: Part(path, download, replace=replace)  # noqa: E731
            fetching = Fetching(full, make, pool=self._pool, report=progress)
        else:
            writer = target
            make = lambda download: StreamTarget(writer, download)  # noqa: E731
            fetching = Fetching(
                full, make, offset=offset, length=length, ordered=True, pool=self._pool, report=progress
            )
        try:
            return await self._carry(fetching)
        finally:
            fetching.close()

    async def read(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """The content of a file, or a range of it, in memory. Raises as `get`."""
        buffer = io.BytesIO()
        await self.get(name, buffer, offset=offset, length=length)
        return buffer.getvalue()

    # Looking.

    async def list(self, folder: str = "") -> AsyncGenerator[File, None]:
        """All files in a folder and below, ordered by name without case; raises as `info`."""
        after, more = "", True
        where = self._named(folder) if folder or self.folder else ""
        while more:
            answer = await self.ask(schema.Listed, schema.List(folder=where, after=after))
            for file in answer.files:
                yield file
            more = answer.more and bool(answer.files)
            after = answer.files[-1].name if answer.files else ""

    async def info(self, name: str) -> File:
        """What there is to know of a file.

        Raises:
            Refused: ``not_found``: there is none of that name.
            Broken, ConnectionClosed, ConnectError, Timeout: as `put`.
        """
        return (await self.ask(Stored, schema.Info(name=self._named(name)))).file

    async def remove(self, name: str) -> File:
        """Delete a file, for good; return what it was. Raises as `info`.

        Where the connection broke, and the file was deleted before, it is ``not_found`` as well.
        """
        return (await self.ask(Stored, schema.Remove(name=self._named(name)))).file

    # Inside, and for trees.

    def _named(self, name: str) -> str:
        """The whole name on the server."""
        name = name.strip("/")
        return f"{self.folder}/{name}".strip("/") if self.folder else name

    async def ask(self, kind: type[T], request: schema.Request) -> T:
        """Ask, and where the connection breaks ask again, as long as patience lasts. For questions that may be asked
        twice.
        """

        async def once(carriage: Carriage) -> T:
            return await carriage.ask(kind, request)

        return await self._again(once, lambda: 0, lambda _: None)

    async def _carry(self, work: _Work) -> File:
        """Do a transfer over as many connections as it takes."""

        async def once(carriage: Carriage) -> File:
            return await work.over(carriage)

        return await self._again(once, lambda: work.moved, lambda problem: work.tell("waiting", problem))

    async def _again(
        self, once: Callable[[Carriage], Awaitable[T]], moved: Callable[[], int], waits: Callable[[str], None]
    ) -> T:
        clock = asyncio.get_running_loop().time
        over, attempt, before = clock() + self._patience, 0, moved()
        while True:
            carriage: Carriage | None = None
            try:
                carriage = await self._connected()
                return await once(carriage)
            except AnyplugError as error:
                if moved() != before:
                    over, attempt, before = clock() + self._patience, 0, moved()
                pause = BACKOFF.delay(attempt, random.random())  # noqa: S311 - no secret
                if self._closed or not transient(error) or clock() + pause > over:
                    raise
                self._drop(carriage)
                waits(str(error))
            await asyncio.sleep(pause)
            attempt += 1

    async def _connected(self) -> Carriage:
        """The connection; made anew where it is gone."""
        async with self._connecting:
            if self._closed:
                raise ConnectionClosed(text="it was closed on this side")
            if self._carriage is None or not self._carriage.open:
                self._carriage = Carriage(await connect(self._where, type=schema.Answer, **self._options))
            return self._carriage

    def _drop(self, carriage: Carriage | None) -> None:
        """This connection is of no use any more."""
        if carriage is not None and self._carriage is carriage:
            self._carriage = None
            carriage.abort()

    def do(self, call: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Call in a thread."""
        return asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)

    def __repr__(self) -> str:
        """For logs."""
        return f"<anyplug.Files {self._where}{', closed' if self._closed else ''}>"
