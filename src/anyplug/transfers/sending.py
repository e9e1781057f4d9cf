"""Sending one file: chunks are read and hashed in threads while others are on their way.

A break costs what was on its way, and nothing else: over the next connection the server is asked what it has, and that
is not read or hashed again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from anyplug.errors import Code, LocalError, ProtocolError, Refused
from anyplug.schemas.files import Abandon, Done, Have, Offer, Stored, Transfer
from anyplug.store.chunks import CHUNK, chunk_digest
from anyplug.transfers.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from concurrent.futures import Executor

    from anyplug.schemas.files import File
    from anyplug.transfers.carriage import Carriage
    from anyplug.transfers.notes import Notes
    from anyplug.transfers.progress import Phase, Report
    from anyplug.transfers.source import Data, Source
    from anyplug.transfers.upload import Upload

__all__ = ["Sending", "StreamSending"]

AHEAD: Final = 3
"""Chunks of one file that are read and hashed ahead of the one that is being sent."""

CONFIRM: Final = 8
"""Chunks of a stream after which the server is asked what it has, so that the others need not be kept."""


class Sending:
    """One file on its way; `over` is called once for each connection.

    Args:
        upload: what is known of it.
        source: what it is read from.
        notes: what the next process should know.
        pool: threads that read and hash.
        turn: held while chunks are sent, so that one file after the other goes over a connection.
        report: is told how it goes.
    """

    def __init__(
        self,
        upload: Upload,
        source: Source,
        notes: Notes | None,
        *,
        pool: Executor,
        turn: asyncio.Lock,
        report: Report = silent,
    ) -> None:
        self.upload = upload
        self._source = source
        self._notes = notes
        self._pool = pool
        self._turn = turn
        self._report = report
        self._stale = notes.changed if notes is not None else ""
        if notes is not None:
            upload.id = notes.transfer
            upload.learn_many(notes.digests)

    @property
    def moved(self) -> int:
        """Bytes that the server has, or that are under way: what grows while it goes on."""
        return self.upload.sent

    def tell(self, phase: Phase, problem: str = "") -> None:
        """Tell how it goes."""
        upload = self.upload
        self._report(
            Progress(
                name=upload.name,
                phase=phase,
                done=upload.sent,
                size=upload.size,
                resumed=upload.resumed,
                problem=problem,
            )
        )

    async def over(self, carriage: Carriage) -> File:
        """Send what is missing, over this connection, and have it stored.

        Raises:
            AnyplugError: whatever ended it. Where the connection has, call it again with another one.
        """
        upload = self.upload
        if self._stale:
            self.tell("anew", "the file has changed since it was sent in part")
            await forget(carriage, self._offer(), self._stale)
            self._stale = ""
        self.tell("beginning")
        answer = await carriage.connection.ask(self._offer())
        if isinstance(answer, Stored):
            return self._done(answer.file)
        if not isinstance(answer, Transfer):
            raise ProtocolError(f"the server answers an offer with {type(answer).__name__}")
        upload.accepted(answer)
        if self._notes is not None:
            self._notes.begin(answer.id)
        self.tell("resuming" if upload.resumed else "sending")
        async with self._turn:
            carriage.refusal = None
            await self._send(carriage)
        await asyncio.get_running_loop().run_in_executor(self._pool, self._source.check)
        for index in upload.unknown():
            upload.learn(index, (await self._read(index))[0])
        self.tell("verifying")
        return self._done((await carriage.ask(Stored, upload.finish())).file)

    def _offer(self) -> Offer:
        return self.upload.offer(self._source.size)

    def _done(self, file: File) -> File:
        self.upload.sent = file.size
        if self._notes is not None:
            self._notes.end()
        self.tell("done")
        return file

    def _read(self, index: int) -> asyncio.Future[tuple[bytes, Data]]:
        return asyncio.get_running_loop().run_in_executor(self._pool, self._source.read, index)

    async def _send(self, carriage: Carriage) -> None:
        """Send the chunks that the server wants."""
        upload = self.upload
        ahead: deque[tuple[int, asyncio.Future[tuple[bytes, Data]]]] = deque()
        try:
            while True:
                while len(ahead) < AHEAD and (wanted := upload.next()) is not None:
                    ahead.append((wanted, self._read(wanted)))
                if not ahead:
                    break
                index, reading = ahead[0]
                digest, data = await reading
                ahead.popleft()
                await self._say(carriage, index, digest, data)
        finally:
            for _, reading in ahead:
                reading.add_done_callback(_seen)

    async def _say(self, carriage: Carriage, index: int, digest: bytes, data: Data) -> None:
        upload = self.upload
        if self._notes is not None and upload.knows(index) != digest:
            self._notes.add(index, digest)
        upload.learn(index, digest)
        await carriage.say(upload.number, index, digest, data)
        upload.went(len(data))
        if carriage.refusal is not None:
            carriage.refusal = None
            await carriage.ask(Transfer, Have(number=upload.number))  # raises what was wrong, if it was ours
        self.tell("sending")

    def anew(self, problem: str) -> None:
        """What was sent is of no use: another content."""
        self._stale = self.upload.id
        self.upload.forget()
        if self._notes is not None:
            self._notes.end()
            self._notes = None
        self.tell("anew", problem)


class StreamSending(Sending):
    """A file whose size nobody knows before its end, from a source that cannot be read twice.

    Args:
        pieces: its bytes, in order, in pieces of any size.
    """

    def __init__(
        self,
        upload: Upload,
        pieces: AsyncIterator[bytes],
        *,
        pool: Executor,
        turn: asyncio.Lock,
        report: Report = silent,
    ) -> None:
        super().__init__(upload, _NoSource(), None, pool=pool, turn=turn, report=report)
        self._pieces = pieces
        self._rest = bytearray()
        self._kept: dict[int, bytes] = {}
        self._index = 0
        self._total = 0
        self._ended = False

    def _offer(self) -> Offer:
        return self.upload.offer(None)

    async def _send(self, carriage: Carriage) -> None:
        upload = self.upload
        self._check(upload.first)
        for index in sorted(self._kept):
            if upload.wants(index):
                await self._again(carriage, index)
        while not self._ended:
            chunk = await self._chunk()
            index, self._total = self._index, self._total + len(chunk)
            if len(chunk) < CHUNK:
                self._ended = True
                upload.end_at(self._total)
            if chunk:
                self._kept[index] = chunk
                self._index += 1
                digest = await asyncio.get_running_loop().run_in_executor(self._pool, chunk_digest, [chunk])
                await self._say(carriage, index, digest, chunk)
            if len(self._kept) >= CONFIRM:
                self._confirmed(await carriage.ask(Transfer, Have(number=upload.number)))

    async def _again(self, carriage: Carriage, index: int) -> None:
        """A chunk that a break has cost."""
        chunk = self._kept[index]
        await self._say(carriage, index, self.upload.knows(index) or chunk_digest([chunk]), chunk)

    def _confirmed(self, have: Transfer) -> None:
        """What the server has need not be kept."""
        first = have.missing[0][0] if have.missing else self._index
        for index in [each for each in self._kept if each < first]:
            del self._kept[index]
        self._check(first)

    def _check(self, first: int | None) -> None:
        """Refuse to go on where the server wants what is not kept any more."""
        if first is not None and first < min(self._kept, default=self._index):
            problem = "the server has lost what it had of this stream, which cannot be read again"
            raise Refused(Code.INTEGRITY, problem)

    async def _chunk(self) -> bytes:
        """The next chunk; a short one at the end."""
        rest = self._rest
        while len(rest) < CHUNK:
            piece = await anext(self._pieces, b"")
            if not piece:
                break
            rest += piece
        chunk = bytes(rest[:CHUNK])
        del rest[:CHUNK]
        return chunk

    def anew(self, problem: str) -> None:
        """A stream cannot begin anew."""
        raise Refused(Code.INTEGRITY, f"{problem}; the stream cannot be read again")


class _NoSource:
    """Stands where a stream is."""

    size = 0
    modified: int | None = None

    def read(self, index: int) -> tuple[bytes, Data]:
        """Nothing can be read."""
        raise LocalError(f"chunk {index} of a stream cannot be read again")

    def check(self) -> None:
        """Nothing to look at."""

    def close(self) -> None:
        """Nothing to let go of."""


async def forget(carriage: Carriage, offer: Offer, transfer: str) -> None:
    """Have the server forget a transfer, if it is there; where that fails, it expires."""
    with suppress(Refused):
        answer = await carriage.connection.ask(Offer(name=offer.name, size=offer.size, resume=transfer))
        if isinstance(answer, Transfer):
            await carriage.ask(Done, Abandon(number=answer.number))


def _seen(reading: asyncio.Future[Any]) -> None:
    """Nobody asks for this one any more."""
    if not reading.cancelled():
        reading.exception()
