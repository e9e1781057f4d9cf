"""What an upload is read from, chunk by chunk, each with its digest; called in threads."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, Protocol

from anyplug.file_errors import SourceChanged, SourceError
from anyplug.store.chunks import CHUNK, chunk_digest
from anyplug.transfers.notes import Content

__all__ = ["Data", "FileSource", "MemorySource", "Source", "cannot"]

Data = bytes | memoryview

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def cannot(path: Path | str, error: OSError) -> SourceError:
    """What the system says of a file, as an error of ours."""
    return SourceError(str(path), (error.strerror or str(error)).lower())


class Source(Protocol):
    """Chunks by their index."""

    size: int
    """Bytes in all."""
    modified: int | None
    """When it was changed, nanoseconds since 1970."""

    def read(self, index: int) -> tuple[bytes, Data]:
        """A chunk: its digest, and its bytes, which stay as they are.

        Raises:
            SourceChanged: the file is not what it was.
            SourceError: it cannot be read.
        """

    def check(self) -> None:
        """Look once more, when all was read; raises as `read`."""

    def close(self) -> None:
        """Let go of it."""


class MemorySource:
    """Bytes that are there."""

    __slots__ = ("_view", "modified", "size")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data).cast("B")
        self.size = len(self._view)
        self.modified: int | None = None

    def read(self, index: int) -> tuple[bytes, Data]:
        """As `Source.read`."""
        chunk = self._view[index * CHUNK : (index + 1) * CHUNK]
        return chunk_digest([chunk]), chunk

    def check(self) -> None:
        """Nothing to look at."""

    def close(self) -> None:
        """Nothing to let go of."""


class FileSource:
    """A file, opened.

    Args:
        path: where it is.
        follow: whether it may be a symbolic link.

    Raises:
        SourceError: it cannot be read, or is no file.
    """

    __slots__ = ("_file", "content", "modified", "path", "size")

    def __init__(self, path: Path | str, *, follow: bool = True) -> None:
        self.path = Path(path).absolute()
        try:
            self._file = os.open(self.path, _READ | (0 if follow else os.O_NOFOLLOW))
        except OSError as error:
            raise cannot(path, error) from error
        facts = os.fstat(self._file)
        if not stat.S_ISREG(facts.st_mode):
            self.close()
            kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "no ordinary file"
            raise SourceError(str(path), f"it is {kind}")
        self.content = Content.of(facts)
        self.size = facts.st_size
        self.modified: int | None = facts.st_mtime_ns

    def read(self, index: int) -> tuple[bytes, Data]:
        """As `Source.read`."""
        start = index * CHUNK
        length = min(CHUNK, self.size - start)
        try:
            data = os.pread(self._file, length, start)
        except OSError as error:
            raise cannot(self.path, error) from error
        if len(data) != length:
            raise SourceChanged(str(self.path), "it was made shorter while it was being sent")
        return chunk_digest([data]), data

    def check(self) -> None:
        """As `Source.check`."""
        if Content.of(os.fstat(self._file)) != self.content:
            raise SourceChanged(str(self.path), "it was changed while it was being sent")

    def close(self) -> None:
        """As `Source.close`."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
