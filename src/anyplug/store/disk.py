"""The calls to the disk that a folder of files makes, each of them once, and what their errors mean.

Nothing here follows a symbolic link: a path is walked from an open folder, one component at a time, and a component
that is no folder of its own ends the walk. So whatever anybody plants in the folder while it is written to, nothing
outside of it is opened.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import stat
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from anyplug.errors import StoreError, StoreFailed, StoreFull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from anyplug.store.chunks import Buffer

__all__ = [
    "BEGIN_BYTES",
    "FOLDER",
    "NEW",
    "READ",
    "WRITE",
    "Disk",
    "begin_sync",
    "boot",
    "lacking",
    "open_folder",
    "told",
    "walk",
    "write_all",
]

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""There is no room."""

SCARCE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""There will be again: nothing is wrong with the disk."""

NEEDED: Final = ("O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "link", "pwritev")
"""What the system has to offer."""


def _flags(*names: str) -> int:
    return sum(getattr(os, name, 0) for name in names)


FOLDER: Final = _flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC")
NEW: Final = _flags("O_RDWR", "O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_CLOEXEC")
READ: Final = _flags("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC")
WRITE: Final = _flags("O_RDWR", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC")

DENIED: Final = frozenset({errno.EACCES, errno.EPERM})
"""Somebody has to allow it."""

BEGIN_BYTES: Final = 8 * 1024 * 1024
"""Bytes written to a file after which the disk should begin with them."""

_RANGE_WRITE: Final = 2
"""SYNC_FILE_RANGE_WRITE of sync_file_range(2)."""

SYNC_ALL: Final = 4
"""From so many files on, one sync of the whole disk is quicker than one of each."""


@contextmanager
def told(path: str) -> Iterator[None]:
    """Errors of the system, raised within, come out as errors of the store at `path`."""
    try:
        yield
    except OSError as error:
        problem = f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, error.errno)})"
        if error.errno in FULL:
            raise StoreFull(path, problem) from error
        if error.errno in SCARCE:
            raise StoreError(path, f"{problem}; try again") from error
        if error.errno in DENIED:
            raise StoreError(path, f"{problem}: {error.filename}; give the server the right to it") from error
        raise StoreFailed(path, problem) from error


def boot() -> str:
    """The identity of this run of the system: what one run has written, its processes read back, synced or not."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123  no path is needed
            return file.read().strip()
    except OSError:
        return ""


def lacking(system: object = os) -> str:
    """What this system does not offer that a folder of files needs; an empty string where it offers all."""
    missing = [name for name in NEEDED if not hasattr(system, name)]
    return ", ".join(missing)


def open_folder(path: str) -> int:
    """Open the folder that all else is walked from. Its own path may lead over links: it is ours."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def walk(root: int, folders: Sequence[str]) -> int:
    """Open the folder at the end of these names, one below the other. The caller closes it.

    Raises:
        OSError: ENOTDIR or ELOOP where one of them is no folder of its own.
    """
    at = os.dup(root)
    for name in folders:
        try:
            below = os.open(name, FOLDER, dir_fd=at)
        finally:
            os.close(at)
        at = below
    return at


def write_all(file: int, parts: Sequence[Buffer], offset: int) -> None:
    """Write all of the parts, however little the system takes at a time."""
    left = [memoryview(part).cast("B") for part in parts if len(part)]
    while left:
        done = os.pwritev(file, left, offset)
        offset += done
        while left and done >= len(left[0]):
            done -= len(left.pop(0))
        if left:
            left[0] = left[0][done:]


def begin_sync(file: int, *, system: str = platform.system()) -> None:
    """Have the system begin to write what it holds of a file, so that a sync later finds little left to do. Returns
    before it is on the disk; what goes wrong, the sync tells. On systems other than Linux it does nothing.
    """
    if (call := _find_sync_file_range(system)) is not None:
        call(file, 0, 0, _RANGE_WRITE)


class Disk:
    """Syncs, and what else has to be asked of the system itself.

    A sync that fails, for whatever reason, is the end of the store: the system forgets what it could not write, and the
    next sync succeeds over it.

    Args:
        path: the store, for what is told.
        root: a descriptor on the disk. Errors of syncs of the whole disk are seen from when it was opened.
    """

    __slots__ = ("_path", "_root", "_syncfs")

    def __init__(self, path: str, root: int) -> None:
        self._path = path
        self._root = root
        self._syncfs = _find_syncfs()

    def room(self) -> int:
        """Bytes free for us."""
        disk = os.fstatvfs(self._root)
        return disk.f_bavail * disk.f_frsize

    def sync_data(self, file: int) -> None:
        """Make the bytes of a file durable."""
        with self._synced():
            getattr(os, "fdatasync", os.fsync)(file)

    def sync_folder(self, folder: int) -> None:
        """Make the names in a folder durable."""
        with self._synced():
            os.fsync(folder)

    def sync_many(self, files: Sequence[Callable[[], int]]) -> None:
        """Make files durable, bytes and times. Each is opened by a call, where that is needed at all."""
        if self._syncfs is not None and len(files) >= SYNC_ALL:
            with self._synced():
                if self._syncfs(self._root):
                    raise OSError(number := ctypes.get_errno(), os.strerror(number))
            return
        for each in files:
            file = each()
            try:
                with self._synced():
                    os.fsync(file)
            finally:
                os.close(file)

    @contextmanager
    def _synced(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreFailed(self._path, f"a sync failed: {error.strerror}") from error

    def same(self, folder: int, name: str, *, size: int, mtime: int, inode: int | None = None) -> bool:
        """Whether that file has this name; with `inode`, that very one and no copy of it."""
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        facts = (found.st_size, found.st_mtime_ns)
        return stat.S_ISREG(found.st_mode) and facts == (size, mtime) and inode in {None, found.st_ino}


@cache
def _find_sync_file_range(system: str) -> Callable[[int, int, int, int], int] | None:
    """The call that begins to write a range of a file; a length of 0 means up to its end."""
    if system != "Linux":
        return None
    call = ctypes.CDLL(None).sync_file_range
    call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    result: Callable[[int, int, int, int], int] = call
    return result


def _find_syncfs() -> Callable[[int], int] | None:
    """The call that syncs a whole disk, where it tells of errors: since Linux 5.8."""
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    if platform.system() != "Linux" or found is None or (int(found[1]), int(found[2])) < (5, 8):
        return None
    call = ctypes.CDLL(None, use_errno=True).syncfs
    call.argtypes = [ctypes.c_int]
    call.restype = ctypes.c_int
    result: Callable[[int], int] = call
    return result
