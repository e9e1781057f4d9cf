"""A download that goes into a stream of bytes, or into memory: in order, each chunk verified before it goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.transfers.download import Download
    from anyplug.transfers.source import Data

__all__ = ["StreamTarget", "Writer"]


class Writer(Protocol):
    """What takes bytes: a binary file, a socket's file, a `bytearray`'s writer."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Take these bytes, all of them."""


class StreamTarget:
    """Writes a download, or the range of it that is wanted, to a stream.

    Args:
        writer: the stream. It is not closed.
        download: what is fetched.
    """

    __slots__ = ("_download", "_writer")

    def __init__(self, writer: Writer, download: Download) -> None:
        self._writer = writer
        self._download = download

    def begin(self) -> list[int]:
        """Nothing is here."""
        return []

    def take(self, index: int, pieces: Sequence[Data]) -> int:
        """Verify a chunk, and write what of it is wanted.

        Raises:
            Mismatch: it is not what was stored; nothing of it was written.
        """
        download = self._download
        parts = download.cut(index, download.verified(index, pieces))
        for part in parts:
            self._writer.write(part)
        return sum(map(len, parts))

    def finish(self) -> None:
        """Whoever gave the stream flushes it."""

    def close(self) -> None:
        """Nothing is kept."""
