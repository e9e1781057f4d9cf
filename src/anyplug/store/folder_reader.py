"""A file of a folder that is open for reading."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from anyplug.errors import LocalError, StoreDamaged, StoreError
from anyplug.store.chunks import CHUNK, DIGEST, chunk_count, chunk_digest
from anyplug.store.files import Reader

if TYPE_CHECKING:
    from anyplug.store.folder_core import Core
    from anyplug.store.folder_rows import Row

__all__ = ["FolderReader", "read_chunk"]


class FolderReader(Reader):
    """A reader, from `FolderFiles.open`.

    Args:
        core: the folder.
        row: which file.
        file: its descriptor.
        digests: of its chunks, where they are known already; they are gone from the index when the file is.
    """

    __slots__ = ("_core", "_digests", "_file", "_row", "file")

    def __init__(self, core: Core, row: Row, file: int, digests: bytes) -> None:
        self.file = row.shown()
        self._core = core
        self._row = row
        self._file = file
        self._digests = digests

    @property
    def fileno(self) -> int:
        """As `Reader.fileno`."""
        return self._file

    async def digests(self, first: int = 0, count: int | None = None) -> bytes:
        """As `Reader.digests`."""
        return self._digests[first * DIGEST : None if count is None else (first + count) * DIGEST]

    async def chunk(self, index: int) -> bytes:
        """As `Reader.chunk`."""
        if not 0 <= index < chunk_count(self.file.size):
            raise LocalError(f"{self.file.name!r} has {chunk_count(self.file.size):,} chunks, and none at {index:,}")
        if self._file < 0:
            raise StoreError(self.file.name, "it is closed")
        expected = self._digests[index * DIGEST : (index + 1) * DIGEST]
        data, good = await self._core.run(read_chunk, self._file, index, self.file.size, expected)
        if not good:
            raise StoreDamaged(self.file.name, f"chunk {index} is not what was stored")
        return data

    async def close(self) -> None:
        """As `Reader.close`."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def read_chunk(file: int, index: int, size: int, expected: bytes) -> tuple[bytes, bool]:
    """A chunk of a file, and whether it is what its digest says."""
    length = min(CHUNK, size - index * CHUNK)
    data = os.pread(file, length, index * CHUNK)
    return data, len(data) == length and chunk_digest([data]) == expected
