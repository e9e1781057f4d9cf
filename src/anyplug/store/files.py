"""What a store of files is: uploads that can be taken up again, and files that are there only whole.

The promise (P5, P9): a file that `FileStore.finish_many`, `FileStore.put_many` or `Lease.finish` returned is on disk
under its name, whole, verified and synced; before that nobody sees it. What was written to a transfer is never asked
for again after a break of the connection, or the end of the server's process; after a loss of power it is what was
there at the last `Lease.sync` (one is made about every `SYNC_BYTES`). Nothing is read or hashed a second time for that.

A *label* is the name that a peer gave, any text; a *name* is what became of it (`anyplug.names`), unique in the store,
and the path of the file in its folder where it has one. Times are nanoseconds since 1970 UTC and come from the caller.

Every method may also raise `StoreFailed` (the store stopped after a disk error), `StoreDamaged` (what is there is not
what was written) and `StoreError` (it is closed); those that write may raise `StoreFull`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from anyplug.errors import LocalError, TooLarge
from anyplug.file_errors import Mismatch
from anyplug.names import label_of
from anyplug.store.chunks import CHUNK, Buffer, chunk_count

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = [
    "LIST_MANY",
    "SYNC_BYTES",
    "FileLimits",
    "FileStore",
    "Finding",
    "Finish",
    "Lease",
    "Offer",
    "Reader",
    "Small",
    "StoredFile",
    "Transfer",
    "Usage",
    "check_offer",
    "check_size",
]

SYNC_BYTES: Final = 32 * CHUNK
"""About so many bytes of a transfer are written between two syncs: what a loss of power may cost, and few enough that
the last sync is short."""

LIST_MANY: Final = 1_000
"""Files that a listing returns at most, where nothing else is said."""

TEXT_MAX: Final = 1024
"""The longest content type or sender, characters."""

_TIME_MAX: Final = 1 << 63


class FileLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of a store of files. Each is checked before a byte is taken."""

    file: int = 64 * 1024 * 1024 * 1024
    """The largest file, bytes. A transfer holds 32 bytes of memory for each mebibyte of it: 2 MiB at most."""
    bytes: int = 1024 * 1024 * 1024 * 1024
    """All files and all that is announced by transfers, bytes."""
    files: int = 1_000_000
    """Files, and transfers that would become some."""
    transfers: int = 1_000
    """Transfers under way or broken off, all of which hold room and a little memory."""
    free: int = 256 * 1024 * 1024
    """Bytes of the disk that are left free; but never more than a twentieth of it."""


class Offer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A file that somebody wants to store."""

    label: str
    """Its name, as it came: ``/`` between folders."""
    size: int | None = None
    """Bytes, or None where that is not known before the end."""
    modified: int | None = None
    """When its content was last changed; the file in the folder gets the same time."""
    content_type: str = ""
    sender: str = ""
    """Who sends it."""
    replace: bool = False
    """Take the place of the file of that name; where not, a name that is taken gets a number."""


class StoredFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A file that is there."""

    name: str
    label: str
    size: int
    digest: bytes
    """Over its chunks, see `anyplug.store.chunks`. Another digest under the same name is another file."""
    stored: int
    """When it was finished."""
    modified: int | None = None
    content_type: str = ""
    sender: str = ""


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that is not finished."""

    id: str
    """Made by the store: 32 hexadecimal digits."""
    offer: Offer
    received: int
    """Bytes that are there, in whole chunks."""
    touched: int
    """When it last grew."""
    held: bool
    """Whether somebody has a lease."""


class Finish(msgspec.Struct, frozen=True):
    """A transfer that is to become a file."""

    lease: Lease
    digest: bytes | None = None
    """What the sender says the file's digest is; None where it says nothing."""
    size: int | None = None
    """Its size, where the offer did not tell; None takes what is there."""


class Small(msgspec.Struct, frozen=True, gc=False):
    """A whole file in memory."""

    offer: Offer
    data: Buffer
    digest: bytes | None = None
    """As `Finish.digest`."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """How full a store is."""

    files: int
    bytes: int
    """Bytes of all files."""
    transfers: int
    reserved: int
    """Bytes that transfers have or have announced."""
    free: int
    """Bytes of the disk that could still be taken."""


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it should be."""

    kind: Literal["damaged", "missing", "changed", "unknown"]
    """A chunk has another digest; no file is there; size or time are others; or it is nothing of ours."""
    name: str
    """The path in the folder. One that is unknown may have any name: escape it before it goes to a terminal."""
    problem: str


class Lease(ABC):
    """The right to write to a transfer, held by one connection. Opening the transfer again takes it away, at once."""

    id: str
    offer: Offer

    @property
    @abstractmethod
    def received(self) -> int:
        """Bytes that are there, in whole chunks."""

    @abstractmethod
    def missing(self) -> Sequence[tuple[int, int]]:
        """The runs of chunks that are not there: the first, and one past the last. The last run has no known end where
        the size is not known: then it ends at the largest chunk that may come.
        """

    @abstractmethod
    async def write(self, index: int, data: Buffer | Sequence[Buffer], *, digest: bytes | None = None) -> None:
        """Store chunk `index`, in one piece or in parts; return when a break no longer costs it.

        All chunks have `CHUNK` bytes but the last. One that is there already is passed over. May be called many times
        at once; the buffers have to stay as they are until it returns.

        Raises:
            Mismatch: its digest is not `digest`, its length or place is not one of this file, or another chunk came
                at that place before. Nothing was stored.
            TakenOver: somebody else carries on the transfer, or it is finished or abandoned.
            TooLarge: a file whose size was not known grows beyond what one may have.
            StoreFull: there is no room. The transfer stays, and goes on when there is room.
        """

    @abstractmethod
    async def sync(self) -> None:
        """Make all that was written safe from a loss of power."""

    @abstractmethod
    async def finish(self, digest: bytes | None = None, *, size: int | None = None, now: int) -> StoredFile:
        """As `FileStore.finish_many` of this transfer alone; raises what would be in its place."""

    @abstractmethod
    async def release(self) -> None:
        """Let the transfer rest, synced, until somebody opens it again. Calling it again, or late, is no mistake."""

    @abstractmethod
    async def abandon(self) -> None:
        """Forget the transfer, and all that was written to it.

        Raises:
            TakenOver: as `write`.
        """


class Reader(ABC):
    """A file that is open. It stays readable, as it was, when the name gets another file, or none."""

    file: StoredFile

    @property
    @abstractmethod
    def fileno(self) -> int:
        """A descriptor to send the file from without a copy, or -1. What is read there is not verified here."""

    @abstractmethod
    async def digests(self, first: int = 0, count: int | None = None) -> bytes:
        """The digests of `count` chunks from chunk `first` on, one after another."""

    @abstractmethod
    async def chunk(self, index: int) -> bytes:
        """A chunk, verified.

        Raises:
            LocalError: the file has no such chunk.
            StoreDamaged: it is not what was stored.
        """

    @abstractmethod
    async def close(self) -> None:
        """End. Closing twice is no mistake."""

    async def read(self, offset: int, size: int) -> bytes:
        """The `size` bytes from `offset` on, fewer at the end of the file, verified; at most a few chunks at once.

        Raises:
            LocalError: `offset` is beyond the end.
            StoreDamaged: as `chunk`.
        """
        end = min(offset + size, self.file.size)
        if not 0 <= offset <= self.file.size or size < 0:
            raise LocalError(f"{self.file.name!r} has {self.file.size:,} bytes; there are none from {offset:,} on")
        if offset >= end:
            return b""
        first = offset // CHUNK
        chunks = [await self.chunk(index) for index in range(first, chunk_count(end))]
        return b"".join(chunks)[offset - first * CHUNK : end - first * CHUNK]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class FileStore(ABC):
    """Files by name, and the transfers that will become some."""

    limits: FileLimits

    @property
    @abstractmethod
    def state(self) -> str:
        """``open``, ``failed`` or ``closed``."""

    @abstractmethod
    async def begin(self, offer: Offer, *, now: int) -> Lease:
        """Begin a transfer. Nothing of it need be there after a loss of power before its first sync.

        Raises:
            LocalError: the offer makes no sense.
            TooLarge: the file would be larger than one may be. No byte was taken.
            StoreFull: a bound of the store or of the disk would be passed. No byte was taken.
        """

    @abstractmethod
    async def resume(self, transfer: str) -> Lease:
        """Take a transfer up where it is, from whoever has it: the newest wins, at once. What is being written then is
        finished first, so that it need not come again.

        Raises:
            NotThere: there is none of that id; where it was finished, `finished` has its file.
        """

    @abstractmethod
    async def transfers(self) -> Sequence[Transfer]:
        """The transfers that are not finished, the oldest first."""

    @abstractmethod
    async def finished(self, transfer: str) -> StoredFile | None:
        """The file that a transfer became, while it is there: what to answer to a finish that is sent again."""

    @abstractmethod
    async def finish_many(self, finishes: Sequence[Finish], *, now: int) -> list[StoredFile | Exception]:
        """Make files of transfers: verify, sync, and give each its name; all together, with a few syncs for all.

        An error in the place of a file: `Mismatch` (chunks are missing, or size or digest are not what was said),
        `TakenOver`, `StoreFull`. The transfer stays then, and nothing appeared under the name.

        A file of that label with the same content is that file: finishing twice makes no second one.
        """

    @abstractmethod
    async def put_many(self, smalls: Sequence[Small], *, now: int) -> list[StoredFile | Exception]:
        """Store whole files from memory, as `begin`, `write` and `finish_many` would, but with no transfer between."""

    @abstractmethod
    async def get(self, name: str) -> StoredFile:
        """The file of a name, or of a label whose name that is.

        Raises:
            NotThere: there is none.
        """

    @abstractmethod
    async def reader(self, name: str) -> Reader:
        """Open a file for reading.

        Raises:
            NotThere: there is none.
            StoreDamaged: it is gone from the folder, or was changed there.
        """

    @abstractmethod
    async def list(self, folder: str = "", *, after: str = "", limit: int = LIST_MANY) -> Sequence[StoredFile]:
        """The files in a folder and below, ordered by name without case, from the one after `after` on."""

    @abstractmethod
    async def delete(self, name: str) -> StoredFile:
        """Delete a file, for good; return what it was. Allowed on a full disk.

        Raises:
            NotThere: there is none.
        """

    @abstractmethod
    async def expire(self, before: int) -> Sequence[Transfer]:
        """Forget the transfers that nobody has, and that did not grow since `before`; return them."""

    @abstractmethod
    async def check(self, *, deep: bool = True) -> Sequence[Finding]:
        """Look for what is damaged, missing, changed or unknown. `deep` reads every byte."""

    @abstractmethod
    async def usage(self) -> Usage:
        """How full it is."""

    @abstractmethod
    async def close(self) -> None:
        """Sync what is under way, and end. Transfers stay. Closing twice is no mistake."""


def check_offer(offer: Offer, limits: FileLimits) -> Offer:
    """An offer as it can be kept: its label as `anyplug.names.label_of` has it.

    Raises:
        LocalError: its size or its time are out of place, or its other texts are.
        TooLarge: its size is more than a file may have.
    """
    if offer.size is not None and offer.size < 0:
        raise LocalError(f"a file of {offer.size} bytes is offered; sizes start at 0")
    if offer.size is not None and offer.size > limits.file:
        raise TooLarge("file", size=offer.size, limit=limits.file)
    if offer.modified is not None and not -_TIME_MAX <= offer.modified < _TIME_MAX:
        raise LocalError(f"a file was modified {offer.modified} ns after 1970; that does not fit 64 bits")
    for text in (offer.content_type, offer.sender):
        if len(text) > TEXT_MAX or (not text.isascii() and label_of(text) != text):
            raise LocalError(f"a text of an offer is too long, or holds half a character: {text[:40]!r}")
    label = label_of(offer.label)
    return offer if label == offer.label else msgspec.structs.replace(offer, label=label)


def check_size(index: int, length: int, *, size: int | None, limit: int) -> None:
    """Refuse a chunk that is none of a file of `size` bytes, or of `limit` bytes at most where that is not known.

    Raises:
        Mismatch: its place or its length is not one of the file's.
        TooLarge: the file would be larger than one may be.
    """
    if not 0 <= index < (1 << 63) // CHUNK:
        raise Mismatch(f"chunk {index}", expected="a chunk of the file", found="a place that none has")
    if size is None:
        if index * CHUNK + length > limit:
            raise TooLarge("file", size=index * CHUNK + length, limit=limit)
        if not 1 <= length <= CHUNK:
            raise Mismatch(f"chunk {index}", expected=f"1 to {CHUNK:,} bytes", found=f"{length:,}")
        return
    count = chunk_count(size)
    if index >= count:
        raise Mismatch(f"chunk {index}", expected=f"one of the {count:,} of {size:,} bytes", found="one beyond the end")
    expected = min(CHUNK, size - index * CHUNK)
    if length != expected:
        raise Mismatch(f"chunk {index}", expected=f"{expected:,} bytes", found=f"{length:,} bytes")
