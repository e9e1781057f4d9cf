"""Fetching one file: chunks are verified and written in threads while others come."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from anyplug.errors import ProtocolError
from anyplug.schemas.files import Digests, DigestsOf, Done, Fetch, Let, Open, Opened
from anyplug.transfers.download import Download
from anyplug.transfers.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from anyplug.messages import Content
    from anyplug.schemas.files import File
    from anyplug.transfers.carriage import Carriage
    from anyplug.transfers.progress import Phase, Report
    from anyplug.transfers.source import Data

__all__ = ["Fetching", "Target"]

AHEAD: Final = 3
"""Chunks that are verified and written at once."""


class Target(Protocol):
    """Where a download goes. One is made for the file as it was when it was opened."""

    def begin(self) -> list[int]:
        """The chunks that are here. Called in a thread."""

    def take(self, index: int, pieces: Sequence[Data]) -> int:
        """Verify a chunk and write it; how many bytes of it were wanted. Called in threads."""

    def finish(self) -> None:
        """All is here. Called in a thread."""

    def close(self) -> None:
        """Keep what is here for the next time."""


class Fetching:
    """One file on its way here; `over` is called once for each connection.

    Args:
        name: what it is called on the server.
        make: makes the target, once it is known what comes.
        offset: the first byte that is wanted.
        length: how many; None for all behind.
        ordered: chunks have to be taken in order.
        pool: threads that verify and write.
        report: is told how it goes.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[Download], Target],
        *,
        offset: int = 0,
        length: int | None = None,
        ordered: bool = False,
        pool: Executor,
        report: Report = silent,
    ) -> None:
        self._name = name
        self._make = make
        self._offset = offset
        self._length = length
        self._ordered = ordered
        self._pool = pool
        self._report = report
        self._download: Download | None = None
        self._target: Target | None = None
        self.moved = 0
        """Bytes that are here."""
        self._resumed = 0

    def tell(self, phase: Phase, problem: str = "") -> None:
        """Tell how it goes."""
        size = self._download.length if self._download is not None else None
        told = Progress(
            name=self._name, phase=phase, done=self.moved, size=size, resumed=self._resumed, problem=problem
        )
        self._report(told)

    async def over(self, carriage: Carriage) -> File:
        """Fetch what is missing, over this connection.

        Raises:
            AnyplugError: whatever ended it. Where the connection has, call it again with another one.
        """
        self.tell("beginning")
        opened = await carriage.ask(Opened, Open(name=self._name))
        download = await self._begin(carriage, opened)
        self.tell("resuming" if self.moved else "receiving")
        for first, end in download.missing():
            await self._fetch(carriage, opened.number, first, end)
        await carriage.ask(Done, Let(number=opened.number))
        self.tell("verifying")
        assert self._target is not None  # noqa: S101 - for the type checker: `_begin` made it
        await self._do(self._target.finish)
        self.tell("done")
        return opened.file

    async def _begin(self, carriage: Carriage, opened: Opened) -> Download:
        """Find out what is missing."""
        before = self._download
        if before is not None and before.file.digest == opened.file.digest and self._target is not None:
            return before
        if before is not None:
            self._changed()
        download = Download(opened.file, offset=self._offset, length=self._length)
        download.learn(opened.digests)
        while (first := download.digests_missing) is not None:
            more = await carriage.ask(DigestsOf, Digests(number=opened.number, first=first))
            download.learn(more.digests)
        self._download = download
        self._target = self._make(download)
        self.moved = self._resumed = download.had(await self._do(self._target.begin))
        return download

    def _changed(self) -> None:
        """Another file has the name now."""
        if self._ordered and self.moved:
            raise ProtocolError(f"{self._name!r} was replaced while it was being fetched; fetch it again")
        self.close()
        self.moved = 0
        self.tell("anew", "the file was replaced on the server")

    def close(self) -> None:
        """Keep what is here for the next time."""
        target, self._target = self._target, None
        if target is not None:
            target.close()

    def _do(self, call: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)

    async def _fetch(self, carriage: Carriage, number: int, first: int, end: int) -> None:
        question = asyncio.ensure_future(carriage.ask(Done, Fetch(number=number, first=first, end=end), _FOR_EVER))
        writing: deque[tuple[Content, asyncio.Future[int]]] = deque()
        try:
            while (content := await carriage.hear(question)) is not None:
                if content.transfer == number:
                    await self._take(content, writing)
            while writing:
                await self._written(writing)
            await question
        finally:
            question.cancel()
            await asyncio.wait({question})
            for _, each in writing:
                await asyncio.wait({each})
            for content, each in writing:
                if not each.cancelled() and each.exception() is None:
                    self._wrote(content, each.result())
            if not question.cancelled():
                question.exception()

    async def _take(self, content: Content, writing: deque[tuple[Content, asyncio.Future[int]]]) -> None:
        assert self._target is not None  # noqa: S101 - for the type checker
        assert self._download is not None  # noqa: S101 - for the type checker
        self._download.expects(content)
        writing.append((content, self._do(self._target.take, content.index, content.pieces)))
        while len(writing) >= (1 if self._ordered else AHEAD):
            await self._written(writing)

    async def _written(self, writing: deque[tuple[Content, asyncio.Future[int]]]) -> None:
        content, done = writing[0]
        size = await done
        writing.popleft()
        self._wrote(content, size)
        self.tell("receiving")

    def _wrote(self, content: Content, size: int) -> None:
        assert self._download is not None  # noqa: S101 - for the type checker
        self._download.wrote(content.index)
        self.moved += size


_FOR_EVER: Final = 30 * 86400.0
"""A fetch lasts as long as it lasts. A connection that is dead is noticed by its heartbeat."""
