"""The journal of a transfer: what of it has arrived, so that nothing is read or hashed again after a break.

A file of records, one behind the other: kind (1 byte), length (2 bytes), payload, and a CRC-32 over these and the CRC
of the record before. Numbers are little-endian. Reading ends at the first record that is not whole: after a crash the
last may be torn.

==== ==================== =============================================================================================
H    msgpack of `Head`    the first record: what was offered, and where the journal was begun
C    u64, u32, 32 bytes   a chunk was written: its number, its length, its digest
S    u64                  so many of the C records, from the first, are durable: their data was synced before this
X    nothing              a sync failed: nothing is true but what an S record covers
==== ==================== =============================================================================================

Data is written before its C record, and synced before the S record that covers it. A process that is killed leaves all
that it wrote to the next one: in the same run of the system every C record is true. After a loss of power only those
are that an S record covers; the journal is then written anew without the others, since no later S may cover them.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final
from zlib import crc32

import msgspec

from anyplug.store.chunks import CHUNK, DIGEST
from anyplug.store.disk import write_all
from anyplug.store.files import Offer  # noqa: TC001  what is decoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["HEAD_MAX", "Chunk", "Head", "Journal", "Kept", "last_size", "read_journal"]

HEAD_MAX: Final = 0xFFFF
"""The longest payload of a record, bytes. A head holds a label and a few words."""

_FRAME: Final = struct.Struct("<BH")
_SUM: Final = struct.Struct("<I")
_CHUNK: Final = struct.Struct(f"<QI{DIGEST}s")
_COUNT: Final = struct.Struct("<Q")

_HEAD, _DONE, _SYNCED, _FAILED = b"HCSX"

Chunk = tuple[int, int, bytes]
"""The number, the length and the digest of a chunk."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a transfer is."""

    offer: Offer
    begun: int
    place: str
    """The run of the system and the data file that the C records are about."""
    version: int = 1


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal says."""

    head: Head
    chunks: list[Chunk]
    """Those that are there, in the order they came."""
    durable: int
    """How many of them a loss of power leaves."""
    end: int
    """Where the next record goes."""
    sum: int
    """The CRC of the record before that."""
    stale: bool
    """There are C records that are not true: the journal has to be written anew before it goes on."""


def read_journal(data: bytes, *, place: str) -> Kept | None:
    """What is true of a journal; None where not even its head is.

    Args:
        data: the whole journal.
        place: the run of the system and the data file, as they are now; empty where that is not known.
    """
    records = _records(data)
    kind, payload, end, total = next(records, (0, b"", 0, 0))
    if kind != _HEAD:
        return None
    try:
        head = msgspec.msgpack.decode(payload, type=Head)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    chunks: list[Chunk] = []
    durable, trusted = 0, bool(place) and head.place == place
    for kind, payload, *reached in records:
        end, total = reached
        if kind == _DONE:
            chunks.append(_CHUNK.unpack(payload))
        elif kind == _SYNCED:
            (durable,) = _COUNT.unpack(payload)
        else:
            trusted = False
    return Kept(
        head=head,
        chunks=chunks if trusted else chunks[:durable],
        durable=durable,
        end=end,
        sum=total,
        stale=not trusted,
    )


def _records(data: bytes) -> Iterator[tuple[int, bytes, int, int]]:
    """Kind, payload, end and CRC of each record, as far as they are whole."""
    at = total = 0
    while at + _FRAME.size <= len(data):
        kind, length = _FRAME.unpack_from(data, at)
        end = at + _FRAME.size + length
        if end + _SUM.size > len(data):
            return
        total = crc32(data[at:end], total)
        if _SUM.unpack_from(data, end)[0] != total:
            return
        yield kind, data[at + _FRAME.size : end], end + _SUM.size, total
        at = end + _SUM.size


class Journal:
    """A journal that is being written. One thread at a time calls it.

    Args:
        file: its descriptor, which it closes.
        end: where the next record goes.
        total: the CRC of the record before that.
    """

    __slots__ = ("_end", "_sum", "count", "file")

    def __init__(self, file: int, *, end: int = 0, total: int = 0, count: int = 0) -> None:
        self.file = file
        self._end = end
        self._sum = total
        self.count = count
        """How many chunks it has."""

    def begin(self, head: Head, chunks: Iterable[Chunk] = ()) -> None:
        """Write the head, and chunks that are there and durable already."""
        self._append(_HEAD, msgspec.msgpack.encode(head))
        for chunk in chunks:
            self.wrote(*chunk)
        if self.count:
            self.synced(self.count)

    def wrote(self, index: int, length: int, digest: bytes) -> None:
        """A chunk was written."""
        self._append(_DONE, _CHUNK.pack(index, length, digest))
        self.count += 1

    def synced(self, count: int) -> None:
        """The first `count` chunks were synced."""
        self._append(_SYNCED, _COUNT.pack(count))

    def failed(self) -> None:
        """A sync failed."""
        self._append(_FAILED, b"")

    def close(self) -> None:
        """Close its file."""
        os.close(self.file)

    def _append(self, kind: int, payload: bytes) -> None:
        record = _FRAME.pack(kind, len(payload)) + payload
        total = crc32(record, self._sum)
        record += _SUM.pack(total)
        # Where this fails half-way, the next record overwrites what is torn.
        write_all(self.file, [record], self._end)
        self._end += len(record)
        self._sum = total


def last_size(chunks: Iterable[Chunk]) -> int | None:
    """The size of a file, by the chunk that is shorter than `CHUNK`; None where there is none."""
    return next((index * CHUNK + length for index, length, _ in chunks if length < CHUNK), None)
