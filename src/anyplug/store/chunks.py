"""How a file is cut and hashed: chunks of one mebibyte, a digest of each, and one of the whole over those.

The digest of a chunk is the BLAKE3 of its bytes. The digest of a file is the BLAKE3, in its key derivation mode with
the context `CONTEXT`, of the digests of its chunks one after another, then its size in bytes as 8 bytes, lowest first.
It follows that a file of a single chunk, too, has another digest than its chunk, that no file has the digest of
another with bytes added or left out, and that it is known as soon as the last chunk is: nothing is read twice.

A mebibyte: a break costs at most so much, a terabyte has 32 MiB of digests, and a call of BLAKE3 is long enough to run
at full speed without the interpreter.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final, TypeAlias

from blake3 import blake3

from anyplug.limits import CHUNK_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["CHUNK", "CONTEXT", "DIGEST", "Buffer", "Spans", "chunk_count", "chunk_digest", "file_digest", "split"]

CHUNK: Final = CHUNK_MAX
"""The size of each chunk but the last, bytes."""

DIGEST: Final = 32
"""The size of a digest, bytes."""

CONTEXT: Final = "anyplug 2026-11-20 digest of a file over its chunks"
"""Sets these digests apart from all others (BLAKE3, section 2.3)."""

_BEGUN: Final = blake3(derive_key_context=CONTEXT)
"""What has derived the key already; it is copied, and never updated itself."""

Buffer: TypeAlias = bytes | bytearray | memoryview


def chunk_count(size: int) -> int:
    """How many chunks a file has."""
    return -(-size // CHUNK)


def chunk_digest(parts: Sequence[Buffer]) -> bytes:
    """The digest of a chunk that lies in these parts."""
    hasher = blake3()
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def file_digest(digests: Buffer, size: int) -> bytes:
    """The digest of a file of `size` bytes, from the digests of its chunks, one after another."""
    return _BEGUN.copy().update(digests).update(size.to_bytes(8, "little")).digest()


def split(data: Buffer) -> Iterator[memoryview]:
    """The chunks of a file that lies in memory."""
    view = memoryview(data).cast("B")
    for start in range(0, len(view), CHUNK):
        yield view[start : start + CHUNK]


class Spans:
    """A set of numbers that come mostly in runs: which chunks are there."""

    __slots__ = ("_ends", "_firsts", "count")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._ends: list[int] = []
        self.count = 0

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number < self._ends[place]

    def add(self, number: int) -> None:
        """Take a number that is not there yet."""
        place = bisect_right(self._firsts, number)
        joins_before = place > 0 and self._ends[place - 1] == number
        joins_behind = place < len(self._firsts) and self._firsts[place] == number + 1
        if joins_before and joins_behind:
            self._ends[place - 1] = self._ends.pop(place)
            del self._firsts[place]
        elif joins_before:
            self._ends[place - 1] += 1
        elif joins_behind:
            self._firsts[place] = number
        else:
            self._firsts.insert(place, number)
            self._ends.insert(place, number + 1)
        self.count += 1

    def runs(self) -> list[tuple[int, int]]:
        """The runs that are there: the first, and one past the last."""
        return list(zip(self._firsts, self._ends, strict=True))

    def gaps(self, end: int) -> list[tuple[int, int]]:
        """The runs below `end` that are not there."""
        firsts, ends = [0, *self._ends], [*self._firsts, end]
        return [(first, min(last, end)) for first, last in zip(firsts, ends, strict=True) if first < min(last, end)]
