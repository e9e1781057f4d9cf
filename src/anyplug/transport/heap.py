"""Large buffers that come and go: have the C library keep their memory.

What is received and sent in chunks of a mebibyte is allocated and freed thousands of times a second. By default glibc
gives such memory back to the system each time, and the system clears each page of it before it is used again: at full
speed that is a third of all that a transfer costs. With these two numbers a process keeps what it had at its peak, up
to `KEPT` for each of its arenas. Other C libraries have no such call, and no such habit.
"""

from __future__ import annotations

from functools import cache
from typing import Final

__all__ = ["KEPT", "keep_memory"]

KEPT: Final = 32 * 1024 * 1024
"""Bytes at the end of the heap that are free and not given back."""

LARGE: Final = 4 * 1024 * 1024
"""What is smaller comes from the heap, bytes."""

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Numbers of mallopt(3)."""


@cache
def keep_memory() -> bool:
    """Keep freed memory for the next chunk; whether this system can. Call it where large transfers begin."""
    import ctypes  # takes a while, and few programs move large files

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, KEPT)) and bool(mallopt(_MMAP_THRESHOLD, LARGE))
