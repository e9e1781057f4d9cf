"""Is a write-ahead log merely torn at its end, or damaged in the middle?

SQLite replays a log up to the first frame whose checksum is wrong, and forgets the rest without a word. That is right
after a crash: the commit that was being written then may be there in part, and nobody was told of it. But each commit
is synced before the next is written, so nothing may follow that one. A commit after a broken frame was acknowledged,
and would be lost: such a log is not opened.

The format is described at https://www.sqlite.org/fileformat2.html#the_write_ahead_log (section 4).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from anyplug.errors import StoreDamaged

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_wal"]

_HEADER: Final = struct.Struct(">IIIIIIII")
"""Magic, version, page size, checkpoint number, two salts, two sums."""
_FRAME: Final = struct.Struct(">IIIIII")
"""Page, pages after the commit (0 within one), two salts, two sums."""
_MAGIC: Final = 0x377F0682
_BIG: Final = 1
"""The bit of the magic that says that checksums take words as big-endian."""
_MASK: Final = 0xFFFFFFFF


def check_wal(path: Path) -> None:
    """Look at the write-ahead log of a database that nobody has open. One that is not there is well.

    Raises:
        StoreDamaged: a frame is broken and commits follow it, or the head of the file is broken.
    """
    try:
        data = memoryview(path.read_bytes())
    except FileNotFoundError:
        return
    if len(data) < _HEADER.size or not any(data[: _HEADER.size]):
        return
    magic, _, page, _, *salts, one, two = _HEADER.unpack_from(data)
    order = ">" if magic & _BIG else "<"
    if magic & ~_BIG != _MAGIC or _sum(order, data[:24], 0, 0) != (one, two) or not 512 <= page <= 65536:
        raise StoreDamaged(str(path), "its head is not what was written")
    size = _FRAME.size + page
    frames = [_FRAME.unpack_from(data, at) for at in range(_HEADER.size, len(data) - size + 1, size)]
    good = _good(order, data, size, frames, salts, (one, two))
    # A frame of an earlier round of the log has neither salt of this one; one with a flipped bit has at least one.
    ours = [frame[2] == salts[0] or frame[3] == salts[1] for frame in frames]
    commits = [place for place in range(good, len(frames)) if ours[place] and frames[place][1]]
    if commits and any(ours[commits[0] + 1 :]):
        raise StoreDamaged(str(path), f"frame {good + 1} is not what was written, and commits follow it")


def _good(
    order: str,
    data: memoryview,
    size: int,
    frames: list[tuple[int, ...]],
    salts: list[int],
    sums: tuple[int, int],
) -> int:
    """How many frames from the first are whole."""
    for place, frame in enumerate(frames):
        at = _HEADER.size + place * size
        if list(frame[2:4]) != salts:
            return place
        sums = _sum(order, data[at : at + 8], *sums)
        sums = _sum(order, data[at + _FRAME.size : at + size], *sums)
        if sums != frame[4:6]:
            return place
    return len(frames)


def _sum(order: str, data: memoryview, one: int, two: int) -> tuple[int, int]:
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(words, words, strict=True):
        one = (one + even + two) & _MASK
        two = (two + odd + one) & _MASK
    return one, two
