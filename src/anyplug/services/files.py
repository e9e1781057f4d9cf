"""``files``: upload and download, resumable, verified, many clients at once.

Over plug it answers the questions of `anyplug.schemas.files`. What plain clients send until they end is one new file,
with a number (`anyplug.services.files_plain`).
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from anyplug.codec import make_codec
from anyplug.errors import AnyplugError, Code, Refused, StoreDamaged
from anyplug.file_errors import Mismatch, NotThere
from anyplug.limits import DEFAULTS
from anyplug.names import safe
from anyplug.schemas import files as schema
from anyplug.schemas.files import Answer, Done, Failure, File, Request, Stored
from anyplug.services.base import Service, visited
from anyplug.services.depots import Depot
from anyplug.services.facilities import Facilities
from anyplug.services.files_plain import PlainUpload
from anyplug.services.visits import Guest, Visit
from anyplug.store.chunks import chunk_count
from anyplug.store.files import FileLimits, Finish, Lease, Offer, Reader, Small
from anyplug.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from anyplug.codec import Codec
    from anyplug.messages import Content
    from anyplug.store.files import StoredFile

__all__ = ["FilesOptions", "FilesVisit", "depot_of", "make_files", "open_depots"]

CODECS: Final = ("msgpack", "json")
"""What questions can be written in."""

OPEN_MOST: Final = 128
"""Transfers, and files that are open, of one connection, at most."""

AT_ONCE: Final = 8
"""Questions of one connection that are answered at once: each may hold `PUT_BYTES` of files."""

WEEK: Final = 7 * 86400.0


class FilesOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set. Services of one folder share its files."""

    folder: str = ""
    """Where files are, under their names, relative to the folder of the configuration. By default it is ``files`` in
    the folder of the store; in memory, where the store is in memory."""
    file: int = FileLimits().file
    """The largest file, bytes."""
    bytes: int = FileLimits().bytes
    """All files, and all that is announced by transfers, bytes."""
    files: int = FileLimits().files
    """Files, and transfers that would become some."""
    transfers: int = FileLimits().transfers
    """Transfers under way or broken off."""
    free: int = FileLimits().free
    """Bytes of the disk that are left free; but never more than a twentieth of it."""
    keep: float = WEEK
    """Seconds that a transfer which was broken off is kept; 0 keeps it for ever."""
    name: str = "file_"
    """What the names of plain uploads begin with; a number and an ending follow."""
    show: bool = False
    """Show on the server's terminal what was stored."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: a bound below 0, or a name that no file can have.
        """
        for bound in ("file", "bytes", "files", "transfers", "free", "keep"):
            if getattr(self, bound) < 0:
                raise ValueError(f"{bound} is {getattr(self, bound)}; expected at least 0")
        if safe(f"{self.name}1").path != f"{self.name}1" or "/" in self.name:
            raise ValueError(f"name is {self.name!r}; expected what the name of a file can begin with")

    @property
    def limits(self) -> FileLimits:
        """The bounds of the store."""
        return FileLimits(file=self.file, bytes=self.bytes, files=self.files, transfers=self.transfers, free=self.free)


def depot_of(options: FilesOptions, facilities: Facilities) -> Depot:
    """Where a files service with these options keeps its files.

    Raises:
        Refused: nothing says where.
    """
    where: Path | None
    if options.folder:
        where = facilities.base / Path(options.folder).expanduser()
    elif facilities.folder is not None:
        where = facilities.folder / "files"
    elif isinstance(facilities.store, MemoryStore):
        where = None
    else:
        raise Refused(Code.UNSUPPORTED, "this server keeps no files: it was started without a folder for them")
    name = "memory" if where is None else os.path.normpath(where.absolute())
    make = lambda: Depot(where, limits=options.limits, keep=options.keep, facilities=facilities)  # noqa: E731
    return facilities.shared(f"files {name}", make)


async def open_depots(facilities: Facilities, options: Iterable[object]) -> None:
    """Open what files services with these options will need, so that a mistake shows when the server starts and not
    when somebody comes. Options of other services are passed over.

    Raises:
        StoreError: a folder cannot be opened: in use, damaged, no access.
    """
    for each in options:
        if isinstance(each, FilesOptions):
            await depot_of(each, facilities).store()


def make_files(name: str, options: FilesOptions, facilities: Facilities | None = None) -> Service:
    """A files service under this name."""
    given = facilities or Facilities()

    def open_files(guest: Guest) -> Visit:
        """Takes files and gives them back; anyplug put FILE HOST"""
        depot = depot_of(options, given)
        if not guest.plug:
            return PlainUpload(guest, depot, given, prefix=options.name, show=name if options.show else "")
        if guest.codec.name not in CODECS:
            raise Refused(Code.UNKNOWN_CODEC, f"files are asked for in {' or '.join(CODECS)}, not {guest.codec.name}")
        if guest.rest:
            raise Refused(Code.UNSUPPORTED, "folders are part of names here: leave them out of the service")
        return FilesVisit(guest, depot, given, show=name if options.show else "")

    return visited(name, open_files, type=bytes)


class FilesVisit(Visit):
    """One connection, which asks.

    Args:
        guest: who visits.
        depot: where files are.
        facilities: of the server.
        show: the name under which it is shown what was stored; empty where it is not.
    """

    at_once = AT_ONCE

    def __init__(self, guest: Guest, depot: Depot, facilities: Facilities, *, show: str) -> None:
        self._guest = guest
        self._depot = depot
        self._facilities = facilities
        self._show = show
        self._codec = _codec(guest.codec.name)
        self._most = guest.message
        self._last = 0
        self._leases: dict[int, Lease] = {}
        self._faults: dict[int, AnyplugError] = {}
        self._readers: dict[int, Reader] = {}

    async def say(self, bodies: list[bytes]) -> None:
        """A files service is asked."""
        raise Refused(Code.UNSUPPORTED, "a files service is asked, by requests; see docs/protocol.md")

    async def answer(self, body: bytes) -> bytes:
        """Answer a question."""
        request = self._codec.decode(body)
        work: Callable[[FilesVisit, Any], Coroutine[Any, Any, Answer]] = _WORK[type(request)]
        try:
            return self._codec.encode(await work(self, request))
        except StoreDamaged as error:
            self._facilities.log.warning("file_damaged", problem=str(error))
            raise Refused(Code.INTEGRITY, "what the server has of it is damaged, and not served") from error

    async def content(self, content: Content) -> None:
        """A chunk came."""
        number = content.transfer
        try:
            await self._lease(number).write(content.index, content.pieces, digest=content.digest)
        except AnyplugError as error:
            self._faults.setdefault(number, error)
            raise

    def ended(self) -> None:
        """The connection is over: its transfers rest."""
        for lease in self._leases.values():
            self._depot.begin(lease.release())
        for reader in self._readers.values():
            self._depot.begin(reader.close())

    # Sending.

    async def _offer(self, offer: schema.Offer) -> Answer:
        store = await self._depot.store()
        lease: Lease | None = None
        if offer.resume:
            try:
                lease = await store.resume(offer.resume)
            except NotThere:
                if (done := await store.finished(offer.resume)) is not None:
                    return self._stored(done)
            else:
                if lease.offer.size != offer.size:
                    found = f"{offer.size} bytes"
                    raise Mismatch("size", expected=f"{lease.offer.size} bytes, as offered before", found=found)
        if lease is None:
            wanted = self._wanted(offer, size=offer.size)
            lease = await store.begin(wanted, now=self._facilities.now())
        number = self._number()
        self._leases[number] = lease
        return _transfer(number, lease)

    def _wanted(self, offer: schema.Offer | schema.Small, *, size: int | None) -> Offer:
        return Offer(
            label=offer.name,
            size=size,
            modified=offer.modified,
            content_type=offer.content_type,
            sender=self._guest.peer,
            replace=offer.replace,
        )

    async def _have(self, have: schema.Have) -> Answer:
        return _transfer(have.number, self._sound(have.number))

    async def _finish(self, finish: schema.Finish) -> Answer:
        wanted = Finish(self._sound(finish.number), finish.digest, finish.size)
        (result,) = await self._depot.finishes.submit([wanted])
        if isinstance(result, Exception):
            raise result
        self._leases.pop(finish.number, None)
        self._tell(result)
        return self._stored(result)

    async def _abandon(self, abandon: schema.Abandon) -> Answer:
        await self._lease(abandon.number).abandon()
        self._leases.pop(abandon.number, None)
        return Done()

    async def _put(self, put: schema.Put) -> Answer:
        if (size := sum(len(each.data) for each in put.files)) > schema.PUT_BYTES:
            raise Refused(
                Code.TOO_LARGE, f"{size:,} bytes of small files in one question; {schema.PUT_BYTES:,} at most"
            )
        if (size := max(len(each.data) for each in put.files)) > schema.SMALL_MAX:
            raise Refused(Code.TOO_LARGE, f"a small file of {size:,} bytes; offer what is above {schema.SMALL_MAX:,}")
        smalls = [Small(self._wanted(each, size=len(each.data)), each.data, each.digest) for each in put.files]
        results = await self._depot.puts.submit(smalls)
        found: list[File | Failure] = []
        for result in results:
            if isinstance(result, Exception):
                found.append(_failure(result))
            else:
                self._tell(result)
                found.append(_shown(result))
        return schema.Puts(results=found, synced=self._depot.synced)

    def _tell(self, file: StoredFile) -> None:
        self._facilities.log.info("file_stored", name=file.name, size=file.size, peer=self._guest.peer)
        if self._show and self._facilities.show is not None:
            self._facilities.show(self._show, f"{file.name}, {file.size:,} bytes, from {self._guest.peer}")

    # Looking.

    async def _list(self, question: schema.List) -> Answer:
        limit = min(question.limit, schema.LIST_MANY)
        store = await self._depot.store()
        found = await store.list(question.folder, after=question.after, limit=limit + 1)
        files = [_shown(each) for each in found[:limit]]
        answer = schema.Listed(files=files, more=len(found) > limit)
        while len(self._codec.encode(answer)) > self._most and len(answer.files) > 1:
            answer = schema.Listed(files=answer.files[: len(answer.files) // 2], more=True)
        return answer

    async def _info(self, question: schema.Info) -> Answer:
        return self._stored(await (await self._depot.store()).get(question.name))

    async def _remove(self, question: schema.Remove) -> Answer:
        gone = await (await self._depot.store()).delete(question.name)
        self._facilities.log.info("file_removed", name=gone.name, size=gone.size, peer=self._guest.peer)
        return self._stored(gone)

    # Fetching.

    async def _open(self, question: schema.Open) -> Answer:
        reader = await (await self._depot.store()).reader(question.name)
        try:
            number = self._number()
            digests = await reader.digests(0, self._digests_most())
        except BaseException:
            await reader.close()
            raise
        self._readers[number] = reader
        return schema.Opened(number=number, file=_shown(reader.file), digests=digests)

    async def _digests(self, question: schema.Digests) -> Answer:
        reader = self._reader(question.number)
        return schema.DigestsOf(digests=await reader.digests(question.first, self._digests_most()))

    def _digests_most(self) -> int:
        """Digests that one answer to this peer holds: also as base64."""
        return max(1, min(schema.DIGESTS_MANY, self._most // 64))

    async def _fetch(self, question: schema.Fetch) -> Answer:
        reader, guest = self._reader(question.number), self._guest
        count = chunk_count(reader.file.size)
        if not question.first <= question.end <= count:
            problem = f"chunks {question.first:,} to {question.end:,} of a file that has {count:,}"
            raise Refused(Code.BEYOND_END, problem)
        for index in range(question.first, question.end):
            chunk = await reader.chunk(index)
            await guest.send(question.number, index, await reader.digests(index, 1), chunk)
        return Done()

    async def _let(self, question: schema.Let) -> Answer:
        if (lease := self._leases.pop(question.number, None)) is not None:
            await lease.release()
        elif (reader := self._readers.pop(question.number, None)) is not None:
            await reader.close()
        return Done()

    # Numbers.

    def _number(self) -> int:
        """A number for one more.

        Raises:
            Refused: there are too many.
        """
        if len(self._leases) + len(self._readers) >= OPEN_MOST:
            raise Refused(Code.BUSY, f"{OPEN_MOST} transfers and files are open on this connection: finish some first")
        self._last += 1
        return self._last

    def _sound(self, number: int) -> Lease:
        """A transfer, if all chunks that came were taken; raises what was wrong with the first that was not, once."""
        lease = self._lease(number)
        if (fault := self._faults.pop(number, None)) is not None:
            raise fault.with_traceback(None)
        return lease

    def _lease(self, number: int) -> Lease:
        lease = self._leases.get(number)
        if lease is None:
            raise NotThere("transfer", str(number))
        return lease

    def _reader(self, number: int) -> Reader:
        reader = self._readers.get(number)
        if reader is None:
            raise NotThere("transfer", str(number))
        return reader

    def _stored(self, file: StoredFile) -> Stored:
        return Stored(file=_shown(file), synced=self._depot.synced)


_WORK: Final[Mapping[type, Callable[..., Coroutine[Any, Any, Answer]]]] = {
    schema.Offer: FilesVisit._offer,
    schema.Have: FilesVisit._have,
    schema.Finish: FilesVisit._finish,
    schema.Abandon: FilesVisit._abandon,
    schema.Put: FilesVisit._put,
    schema.List: FilesVisit._list,
    schema.Info: FilesVisit._info,
    schema.Remove: FilesVisit._remove,
    schema.Open: FilesVisit._open,
    schema.Digests: FilesVisit._digests,
    schema.Fetch: FilesVisit._fetch,
    schema.Let: FilesVisit._let,
}


@cache
def _codec(name: str) -> Codec[Any]:
    """The codec of questions and answers."""
    codec: Codec[Any] = make_codec(name, Request, limits=DEFAULTS)
    return codec


def _transfer(number: int, lease: Lease) -> schema.Transfer:
    missing = list(lease.missing())
    if len(missing) > schema.RUNS_MANY:
        missing = [*missing[: schema.RUNS_MANY - 1], (missing[schema.RUNS_MANY - 1][0], missing[-1][1])]
    return schema.Transfer(number=number, id=lease.id, missing=missing, received=lease.received)


def _shown(file: StoredFile) -> File:
    return File(
        name=file.name,
        size=file.size,
        digest=file.digest,
        stored=file.stored,
        modified=file.modified,
        content_type=file.content_type,
        label="" if file.label == file.name else file.label,
        sender=file.sender,
    )


def _failure(error: Exception) -> Failure:
    """What the peer is told of a file that was not stored.

    Raises:
        Exception: it is no matter of this file alone.
    """
    if not isinstance(error, AnyplugError) or error.code in {Code.OK, Code.STORE_FAILED}:
        raise error
    return Failure(code=error.code, text=str(error))
