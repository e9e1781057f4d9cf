"""What a download is written to: a part file beside its target, and a journal of what is in it.

The part becomes the target when it is whole, verified and synced; before that the target is not touched. A process that
is killed leaves part and journal to the next one, which reads nothing again; after a loss of power, what the journal
names is read and verified once, since it may not have reached the disk.
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

from anyplug.file_errors import SourceError
from anyplug.store.chunks import CHUNK
from anyplug.store.disk import BEGIN_BYTES, begin_sync, boot, write_all
from anyplug.transfers.source import cannot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.transfers.download import Download
    from anyplug.transfers.source import Data

__all__ = ["Part"]

_LENGTH: Final = struct.Struct("<I")
_INDEX: Final = struct.Struct("<I")
_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
STEM: Final = 60
"""Characters of the target's name in the part's name."""

_YEAR_2240: Final = 1 << 63


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    version: int = 1
    digest: bytes
    size: int
    place: str


class Part:
    """The part of one target.

    Args:
        target: what it is to become.
        download: what is fetched, with all its digests.
        replace: whether a target that is there is replaced.

    Raises:
        SourceError: it cannot be written, the target is there, or another process fetches it right now.
    """

    def __init__(self, target: Path, download: Download, *, replace: bool) -> None:
        self.target = target
        self._download = download
        self._replace = replace
        name = target.name
        key = blake3(os.fsencode(name)).hexdigest(4)
        self.path = target.with_name(f".{name[:STEM]}.{key}.part")
        self._journal_path = self.path.with_name(f"{self.path.name}.journal")
        self._file = self._journal = -1
        self._late = 0  # bytes written since the disk was last told to begin
        if not replace and os.path.lexists(target):
            raise SourceError(str(target), "it is there already; choose another name, or replace it")
        try:
            self._journal = os.open(self._journal_path, _OPEN, 0o600)
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file = os.open(self.path, _OPEN, 0o600)
        except BlockingIOError as error:
            self.close()
            raise SourceError(str(target), "another process fetches it right now") from error
        except OSError as error:
            self.close()
            raise cannot(target, error) from error

    def begin(self) -> list[int]:
        """The chunks that are here. Called in a thread."""
        file = self._download.file
        place = f"{boot()} {os.fstat(self._file).st_ino}"
        data = os.pread(self._journal, os.fstat(self._journal).st_size, 0)
        try:
            (length,) = _LENGTH.unpack_from(data)
            end = _LENGTH.size + length
            head = msgspec.msgpack.decode(data[_LENGTH.size : end], type=_Head)
        except (struct.error, msgspec.MsgspecError, UnicodeDecodeError):
            head, end = None, 0
        if head is not None and (head.digest, head.size, head.version) == (file.digest, file.size, 1):
            whole = (len(data) - end) // _INDEX.size * _INDEX.size
            found = sorted({index for (index,) in _INDEX.iter_unpack(data[end : end + whole])})
            if head.place == place and not place.startswith(" "):
                os.lseek(self._journal, end + whole, os.SEEK_SET)
                return found
            found = [index for index in found if self._is_there(index)]
        else:
            found = []
            os.ftruncate(self._file, 0)
        payload = msgspec.msgpack.encode(_Head(digest=file.digest, size=file.size, place=place))
        os.ftruncate(self._journal, 0)
        os.lseek(self._journal, 0, os.SEEK_SET)
        os.write(self._journal, _LENGTH.pack(len(payload)) + payload + b"".join(map(_INDEX.pack, found)))
        return found

    def _is_there(self, index: int) -> bool:
        size = self._download.size(index) if index * CHUNK < self._download.file.size else 0
        data = os.pread(self._file, size, index * CHUNK)
        return size > 0 and len(data) == size and blake3(data).digest() == self._download.digest(index)

    def take(self, index: int, pieces: Sequence[Data]) -> int:
        """Verify and write a chunk; how many bytes. Called in threads.

        Raises:
            Mismatch: it is not what was stored.
            SourceError: it cannot be written.
        """
        parts = self._download.verified(index, pieces)
        try:
            write_all(self._file, parts, index * CHUNK)
            os.write(self._journal, _INDEX.pack(index))
            self._late += sum(map(len, parts))
            if self._late >= BEGIN_BYTES:
                self._late = 0
                begin_sync(self._file)
        except OSError as error:
            raise cannot(self.target, error) from error
        return sum(map(len, parts))

    def finish(self) -> None:
        """All is here: sync it, and give it its name. Called in a thread.

        Raises:
            SourceError: that failed; or a file of that name has appeared meanwhile.
        """
        file = self._download.file
        try:
            os.ftruncate(self._file, file.size)
            os.fchmod(self._file, 0o666 & ~_umask())
            if file.modified is not None and 0 <= file.modified < _YEAR_2240:
                os.utime(self._file, ns=(file.modified, file.modified))
            os.fsync(self._file)
            if self._replace:
                self.path.replace(self.target)
            else:
                self._link()
            folder = os.open(self.target.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            self._journal_path.unlink()
        except FileExistsError as error:
            raise SourceError(str(self.target), "a file of that name has appeared meanwhile") from error
        except OSError as error:
            raise cannot(self.target, error) from error
        finally:
            self.close()

    def _link(self) -> None:
        """Take the name only where nobody has it."""
        try:
            os.link(self.path, self.target)
        except FileExistsError:
            raise
        except OSError:  # a disk without hard links
            if os.path.lexists(self.target):
                raise FileExistsError from None
            self.path.rename(self.target)
            return
        self.path.unlink()

    def close(self) -> None:
        """Keep what is here for the next time."""
        for file in (self._file, self._journal):
            if file >= 0:
                os.close(file)
        self._file = self._journal = -1


def _umask() -> int:
    """The process's mask for new files, as the system shows it; asking for it by setting it would race."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    return 0o022
