"""A chunk of a file on its way here, and the memory that chunks take.

A chunk goes from the network to a disk. Where there is memory for it, a shell reads from the network right into that,
and it is hashed and written from there: no byte of it is copied in between. Where there is none, or the chunk is small,
it is kept in the pieces in which it came.

The memory is a few buffers, used again and again. One is free when nobody has a view of it any more: then, and only
then, Python lets it be resized, and that is how a free one is found. So nobody has to give one back.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from anyplug.limits import CHUNK_MAX

__all__ = ["FILL_LEAST", "KEPT", "SPARE", "Arriving", "Buffers", "Piece"]

Piece = bytes | memoryview
"""Of a chunk."""

FILL_LEAST: Final = 64 * 1024
"""What is missing of a chunk, bytes, from which on it is given a buffer."""

SPARE: Final = 64
"""Bytes of a buffer behind the chunk: so the read that brings its end brings the head of the next one, too."""

KEPT: Final = 4
"""Free buffers that stay when `Buffers.rest` lets the others go."""


class Buffers:
    """Memory for chunks: at most so many buffers, each for one.

    Args:
        most: how many. Where all are in use there is none for the next chunk.
    """

    __slots__ = ("_buffers", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._buffers: deque[bytearray] = deque()

    def __len__(self) -> int:
        """How many there are, in use or free."""
        return len(self._buffers)

    def take(self) -> memoryview | None:
        """One that is free, `CHUNK_MAX` and `SPARE` bytes; None where there is none. It is in use as long as anybody
        has a view of it.
        """
        buffers = self._buffers
        for _ in range(len(buffers)):
            buffer = buffers[0]
            buffers.rotate(-1)  # the one that was taken longest ago is looked at first
            if _free(buffer):
                return memoryview(buffer)
        if len(buffers) >= self._most:
            return None
        buffers.append(bytearray(CHUNK_MAX + SPARE))
        return memoryview(buffers[-1])

    def rest(self) -> None:
        """Nothing much goes on: let go of free ones, but for a few."""
        if len(self._buffers) > KEPT:
            free = {id(each) for each in [each for each in self._buffers if _free(each)][KEPT:]}
            self._buffers = deque(each for each in self._buffers if id(each) not in free)


def _free(buffer: bytearray) -> bool:
    """Whether nobody has a view of it. It is as it was afterwards."""
    try:
        buffer.append(buffer.pop())
    except BufferError:
        return False
    return True


class Arriving:
    """The payload of one CONTENT frame, as far as it came.

    Args:
        begin: what is here of it.
        size: how long it is, bytes; more than is here.
        head: how many bytes stand before the chunk.
        buffers: where it may go, if anywhere.
    """

    __slots__ = ("_size", "missing", "pieces", "room")

    def __init__(self, begin: bytes, size: int, *, head: int, buffers: Buffers | None) -> None:
        self._size = size
        self.missing = size - len(begin)
        """Bytes that are still to come."""
        self.pieces: list[Piece] = [begin]
        """What is here; with a buffer, the head and then the whole chunk."""
        self.room: memoryview | None = None
        """Where what is missing goes, and `SPARE` bytes behind it; None where it has no buffer."""
        buffer = None
        if buffers is not None and len(begin) >= head and self.missing >= FILL_LEAST:
            buffer = buffers.take()
        if buffer is not None:
            here = len(begin) - head
            buffer[:here] = memoryview(begin)[head:]
            self.pieces = [begin[:head], buffer[: size - head]]
            self.room = buffer[here : size - head + SPARE]

    @property
    def here(self) -> int:
        """Bytes that came."""
        return self._size - self.missing

    def add(self, data: bytes) -> None:
        """More of it came, but nothing behind it."""
        if self.room is None:
            self.pieces.append(data)
            self.missing -= len(data)
        else:
            self.room[: len(data)] = data
            self.fill(len(data))

    def fill(self, count: int) -> bytes:
        """So many bytes came into `room`; returns those that belong behind the chunk. Afterwards it has another one."""
        room, missing = self.room, self.missing
        assert room is not None  # noqa: S101 - who fills it has looked
        if count < missing:
            self.room = room[count:]
            self.missing -= count
            return b""
        self.room = None
        self.missing = 0
        return bytes(room[missing:count])
