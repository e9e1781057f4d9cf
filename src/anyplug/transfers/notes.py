"""What this machine remembers of an upload, so that the next process can go on with it: which transfer it is, of which
content, and the digests of the chunks that were hashed.

One small file for each upload under way, in the user's folder for state: a head, and behind it 36 bytes a chunk. It is
removed when the file is stored. A record that a crash tore is left out; the chunk is hashed again then.
"""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OLD", "Content", "Notes", "notes_folder", "sweep"]

OLD: Final = 30 * 86400.0
"""Notes of uploads that nobody went on with for so long are removed, seconds."""

_LENGTH: Final = struct.Struct("<I")
_CHUNK: Final = struct.Struct("<I32s")


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What tells that a file is still the same without reading it."""

    size: int
    mtime: int
    """When its content was changed, as it says, nanoseconds."""
    ctime: int
    """When the system noted the last change, nanoseconds: nobody can set that."""
    inode: int
    device: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Content:
        """From what the system says of a file."""
        return cls(
            size=facts.st_size,
            mtime=facts.st_mtime_ns,
            ctime=facts.st_ctime_ns,
            inode=facts.st_ino,
            device=facts.st_dev,
        )


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    version: int = 1
    what: str
    content: Content
    transfer: str


def notes_folder() -> Path:
    """Where notes are kept: in the user's folder for state (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "state") / "anyplug" / "transfers"


class Notes:
    """The notes of one upload.

    Args:
        folder: where notes are; None remembers nothing.
        words: what makes the upload this one: the server, the name there, the path here.
        content: the content that is uploaded.
    """

    __slots__ = ("_content", "_file", "_head", "_path", "_what", "changed", "digests", "transfer")

    def __init__(self, folder: Path | None, words: Sequence[str], content: Content) -> None:
        self._what = blake3("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest(16)
        self._content = content
        self._file = -1
        self._head = 0
        self._path: Path | None = None
        self.transfer = ""
        """The transfer that was begun; empty where there is none, or it is of other content."""
        self.changed = ""
        """The transfer that was begun with other content."""
        self.digests: list[tuple[int, bytes]] = []
        """The chunks that were hashed before."""
        if folder is not None:
            with suppress(OSError):  # a folder that cannot be written to: nothing is remembered
                self._open(folder)

    def _open(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / self._what
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read(file)
        except BaseException as error:
            os.close(file)
            if isinstance(error, BlockingIOError):
                return  # another process uploads the same: this upload is one of its own
            raise
        self._file, self._path = file, path

    def _read(self, file: int) -> None:
        data = os.pread(file, os.fstat(file).st_size, 0)
        try:
            (length,) = _LENGTH.unpack_from(data)
            end = _LENGTH.size + length
            head = msgspec.msgpack.decode(data[_LENGTH.size : end], type=_Head)
        except (struct.error, msgspec.MsgspecError, UnicodeDecodeError):
            return
        if head.what != self._what or head.version != 1:
            return
        if head.content != self._content:
            self.changed = head.transfer
            return
        whole = (len(data) - end) // _CHUNK.size * _CHUNK.size
        self.transfer = head.transfer
        self.digests = list(_CHUNK.iter_unpack(data[end : end + whole]))
        self._head = length
        os.lseek(file, end + whole, os.SEEK_SET)

    def begin(self, transfer: str) -> None:
        """The server calls the transfer so."""
        if transfer == self.transfer:
            return
        self.transfer = transfer
        head = msgspec.msgpack.encode(_Head(what=self._what, content=self._content, transfer=transfer))
        if self._file >= 0:
            with suppress(OSError):
                os.pwrite(self._file, _LENGTH.pack(len(head)) + head, 0)
                if len(head) != self._head:
                    self._head = len(head)
                    os.ftruncate(self._file, _LENGTH.size + len(head))
                    os.lseek(self._file, 0, os.SEEK_END)

    def add(self, index: int, digest: bytes) -> None:
        """A chunk was hashed."""
        if self._file >= 0:
            with suppress(OSError):
                os.write(self._file, _CHUNK.pack(index, digest))

    def end(self) -> None:
        """The file is stored, or what was sent of it is of no use: remember nothing."""
        if self._file >= 0 and self._path is not None:
            with suppress(OSError):
                self._path.unlink()
        self.close()

    def close(self) -> None:
        """Keep what is noted for the next time."""
        file, self._file = self._file, -1
        if file >= 0:
            if not self.transfer and self._path is not None:
                with suppress(OSError):
                    self._path.unlink()
            os.close(file)


def sweep(folder: Path, now: float) -> None:
    """Remove notes that are old."""
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                if now - path.stat().st_mtime > OLD:
                    path.unlink()
