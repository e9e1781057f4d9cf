"""A folder and all below, stored file by file: small files travel together, several questions at a time; large ones one
after the other, each while the one before is being verified and synced.
"""

from __future__ import annotations

import asyncio
import os
import stat
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

import msgspec

from anyplug.errors import AnyplugError, LocalError, Refused
from anyplug.file_errors import SourceError
from anyplug.names import label_of
from anyplug.schemas.files import PUT_BYTES, PUT_MANY, SMALL_MAX, Failure, File, Put, Puts, Small
from anyplug.transfers.progress import Progress
from anyplug.transfers.small import small_of
from anyplug.transfers.source import FileSource, cannot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from anyplug.schemas.files import Request
    from anyplug.transfers.progress import Report

__all__ = ["Found", "Sent", "Tree", "put_tree", "walk"]

T = TypeVar("T")

TASKS: Final = 8
"""Questions, and large files, under way at once."""

BATCH_BYTES: Final = 896 * 1024
"""Small files that travel in one question, bytes: less than a `Put` may hold, so that with their names they stay below
a million bytes. A larger body is looked through for how it nests before it is decoded, which costs a quarter of all."""

LOOK_MANY: Final = 512
"""Entries of folders that are looked at in one go."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file of a tree."""

    path: Path
    name: str
    """What it is to be called on the server."""
    file: File | None = None
    """What is there now; None where it was left out or refused."""
    error: AnyplugError | None = None
    """Why it was refused, or could not be read."""
    skipped: str = ""
    """Why it was left out."""


Tree: TypeAlias = "AsyncGenerator[Sent, None]"
"""All files of a tree, as they are done with."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a tree."""

    path: Path
    name: str
    size: int = 0
    skipped: str = ""
    error: AnyplugError | None = None


class _Files(Protocol):
    """What is needed of `anyplug.Files`."""

    async def ask(self, kind: type[T], request: Request) -> T:
        """Ask, whatever happens to the connection."""

    async def put_path(self, path: Path, name: str, *, replace: bool, progress: Report, follow: bool) -> File:
        """Store one file."""

    def do(self, call: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Call in a thread."""


def walk(root: Path, name: str) -> Iterator[Found]:
    """All entries of a folder and below that are no folders, in order. Nothing is followed.

    Raises:
        SourceError: the folder cannot be read.
    """
    try:
        with os.scandir(root) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise cannot(root, error) from error
    for entry in found:
        yield from _entry(entry, f"{name}/{label_of(os.fsencode(entry.name))}")


def _entry(entry: os.DirEntry[str], name: str) -> Iterator[Found]:
    path = Path(entry.path)
    try:
        facts = entry.stat(follow_symlinks=False)
    except OSError as error:
        yield Found(path=path, name=name, error=cannot(path, error))
        return
    if stat.S_ISREG(facts.st_mode):
        yield Found(path=path, name=name, size=facts.st_size)
    elif stat.S_ISLNK(facts.st_mode):
        yield Found(path=path, name=name, skipped="it is a symbolic link")
    elif stat.S_ISDIR(facts.st_mode):
        try:
            yield from walk(path, name)
        except SourceError as error:
            yield Found(path=path, name=name, error=error)
    else:
        yield Found(path=path, name=name, skipped="it is no ordinary file")


async def put_tree(files: _Files, root: Path, name: str, *, replace: bool, progress: Report) -> Tree:
    """As `anyplug.Files.put_tree`; ``name`` is the whole name of the folder on the server."""
    sender = _Sender(files, replace=replace, progress=progress)
    entries = walk(root, name)
    try:
        while looked := await files.do(_some, entries):
            for found in looked:
                if found.skipped or found.error is not None:
                    yield Sent(path=found.path, name=found.name, skipped=found.skipped, error=found.error)
                    continue
                sender.add(found)
                for sent in await sender.room(TASKS - 1):
                    yield sent
        sender.flush()
        for sent in await sender.room(0):
            yield sent
    finally:
        await sender.cancel()


def _some(entries: Iterator[Found]) -> list[Found]:
    return list(islice(entries, LOOK_MANY))


class _Sender:
    """Files of one tree on their way."""

    def __init__(self, files: _Files, *, replace: bool, progress: Report) -> None:
        self._files = files
        self._replace = replace
        self._progress = progress
        self._batch: list[Found] = []
        self._size = 0
        self._tasks: set[asyncio.Task[list[Sent]]] = set()

    def add(self, found: Found) -> None:
        """One more file."""
        if found.size > SMALL_MAX:
            self._start(self._large(found))
            return
        if self._size + found.size > BATCH_BYTES or len(self._batch) >= PUT_MANY:
            self.flush()
        self._batch.append(found)
        self._size += found.size

    def flush(self) -> None:
        """Send the small files that wait."""
        batch, self._batch, self._size = self._batch, [], 0
        if batch:
            self._start(self._small(batch))

    def _start(self, work: Any) -> None:
        self._tasks.add(asyncio.ensure_future(work))

    async def room(self, most: int) -> list[Sent]:
        """Wait until so many tasks are left; what the others did."""
        done: list[Sent] = []
        while len(self._tasks) > most:
            ended, self._tasks = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                done += task.result()
        return done

    async def cancel(self) -> None:
        """Nobody wants the rest."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _large(self, found: Found) -> list[Sent]:
        given = {"replace": self._replace, "progress": self._progress}
        try:
            file = await self._files.put_path(found.path, found.name, **given, follow=False)  # type: ignore[arg-type]
        except (LocalError, Refused) as error:
            return [Sent(path=found.path, name=found.name, error=error)]
        return [Sent(path=found.path, name=found.name, file=file)]

    async def _small(self, batch: list[Found]) -> list[Sent]:
        read = await self._files.do(_read, batch, self._replace)
        smalls = [each for each in read if isinstance(each, Small)]
        answer = await self._files.ask(Puts, Put(files=smalls)) if smalls else Puts(results=[])
        results = iter(answer.results)
        sent: list[Sent] = []
        for found, each in zip(batch, read, strict=True):
            if isinstance(each, Small):
                sent.append(self._outcome(found, next(results)))
            elif each is None:
                sent += await self._large(found)
            else:
                sent.append(Sent(path=found.path, name=found.name, error=each))
        return sent

    def _outcome(self, found: Found, result: File | Failure) -> Sent:
        if isinstance(result, Failure):
            return Sent(path=found.path, name=found.name, error=result.error)
        self._progress(Progress(name=found.name, phase="done", done=result.size, size=result.size))
        return Sent(path=found.path, name=found.name, file=result)


def _read(batch: list[Found], replace: bool) -> list[Small | SourceError | None]:
    """The files of a batch; None for one that has grown, and does not go with the others any more."""
    read: list[Small | SourceError | None] = []
    size = 0
    for found in batch:
        each = _read_one(found, replace, room=PUT_BYTES - size)
        size += len(each.data) if isinstance(each, Small) else 0
        read.append(each)
    return read


def _read_one(found: Found, replace: bool, *, room: int) -> Small | SourceError | None:
    try:
        source = FileSource(found.path, follow=False)
        try:
            return small_of(source, found.name, replace) if source.size <= min(SMALL_MAX, room) else None
        finally:
            source.close()
    except SourceError as error:
        return error
